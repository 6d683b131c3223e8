"""The values set by a sweep or an axis for one picture, which replace its tags and the panel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from clip_skip.messages.message import Message, Template
from clip_skip.panel import Panel
from clip_skip.prompt import writing
from clip_skip.prompt.parsed import parse_negative, parse_prompt
from clip_skip.prompt.tags import strip
from clip_skip.skip import Skip, shorten

__all__ = ["Override", "warn_replaced"]

REPLACED = Template("The sweep's values replaced the tag {tag}.")


@dataclass(frozen=True)
class Override:
    """The clip skip of prompt, negative prompt, hires pass and CLIP-G; None leaves it as it is.

    It replaces the prompt's tag and the panel. A sub-prompt's own tag stays.
    keep_g: `prompt` and `negative` are CLIP-L's alone; CLIP-G stays where it is without them.
    named_prompt, named_negative: those of prompt and negative prompt for a text encoder that is reached by its name,
            `tower`; "" is the loaded model's. They are written into the texts as tags, the only way to set them.
    """

    prompt: float | None = None
    negative: float | None = None
    hires: float | None = None
    clip_g: float | None = None
    keep_g: bool = False
    named_prompt: float | None = None
    named_negative: float | None = None
    tower: str = ""

    @property
    def acts_on_clip(self) -> bool:
        """Whether it replaces the panel and the tags' values for CLIP."""
        return self.named_prompt is self.named_negative is None or any(
            value is not None for value in (self.prompt, self.negative, self.hires, self.clip_g)
        )

    def texts(self, prompt: str, negative: str, published_skips: Mapping[str, int] | None = None) -> tuple[str, str]:
        """The two texts without the tags that this override replaces, and with those that it writes.

        published_skips: the published clip skip of each text encoder that is reached by name
        """
        skip, skip_negative = parse_prompt(prompt).tag or Skip(), parse_negative(negative).tag or Skip()
        if self.acts_on_clip:
            prompt = write_tag(parse_prompt(prompt).without_own_tag, skip.without_clip, False)
            if self.negative is not None:
                negative = write_tag(strip(negative), skip_negative.without_clip, True)
        tower = self.tower or next(iter(published_skips or {}), "")
        own = self.named_negative
        if tower and own is None and self.named_prompt is not None and skip_negative.at(tower, False) is None:
            before = skip.at(tower, False)  # the negative prompt keeps its value, though the prompt's tag changes
            own = float((published_skips or {}).get(tower, 1)) if before is None else before
        if tower and self.named_prompt is not None:
            prompt = write_tag(prompt, replace(parse_prompt(prompt).tag or Skip(), **{tower: self.named_prompt}), False)
        if tower and own is not None and (own != self.named_prompt or skip_negative.at(tower, False) is not None):
            negative = write_tag(negative, replace(parse_negative(negative).tag or Skip(), **{tower: own}), True)
        return prompt, negative

    def panel(self, panel: Panel, prompt: str, header: float, header_g: float | None = None) -> Panel:
        """The panel for this picture of `prompt`, if the user has set `panel`.

        header: the host's own value, for encoders that nothing else sets; `header_g` for CLIP-G.
        """
        tag = parse_prompt(prompt).tag
        own, own_negative = panel.skips() if panel.enabled else (None, None)
        levels = [level for level in (tag, own) if level]
        negative_levels = [level for level in (tag, own_negative) if level]
        values_of_g = [level.at("g", False) if self.keep_g else level.g for level in levels]
        clip_skip = _first([self.prompt, *(level.at("l", False) for level in levels), header])
        negative = _first([self.negative, *(level.at("l", False) for level in negative_levels), header])
        hires = _first([self.hires, *(level.hires for level in levels), 0.0])
        clip_g = _first([self.clip_g, *values_of_g, header_g if self.keep_g else None, 0.0])
        if negative == clip_skip:  # a value that follows another one is left out
            negative = 0.0
            clip_g = 0.0 if clip_g == clip_skip else clip_g
            hires = 0.0 if hires == clip_skip and not clip_g else hires
        return Panel(True, clip_skip, negative, hires, clip_g)


def write_tag(text: str, skip: Skip, negative: bool) -> str:
    """`text` with `skip` as its own tag; unchanged if `skip` sets nothing."""
    return writing.put_tag(text, f"<clipskip:{skip}>", negative) if str(skip) else text


def warn_replaced(prompt: str) -> list[Message]:
    """The warning that a sweep of the prompt's clip skip replaces its tag; none where there is no tag."""
    tag = parse_prompt(prompt).tag
    return [REPLACED(tag=shorten(f"<clipskip:{tag}>"))] if tag else []


def _first(values: list[float | None]) -> float:
    return next(value for value in values if value is not None)
