"""What a sweep or an axis sets for one picture, over its tags and the panel."""

from __future__ import annotations

from dataclasses import dataclass

from clip_skip.messages.message import Message, Template
from clip_skip.panel import Panel
from clip_skip.prompt.parsed import parse
from clip_skip.prompt.tags import strip
from clip_skip.skip import shorten

__all__ = ["Override", "warn_replaced"]

REPLACED = Template("The sweep's values replaced the tag {tag}.")


@dataclass(frozen=True)
class Override:
    """The clip skip of prompt, negative prompt, hires pass and CLIP-G; None leaves it as it is.

    It replaces the prompt's tag and the panel. A sub-prompt's own tag stays.
    keep_g: `prompt` and `negative` are CLIP-L's alone; CLIP-G stays where it is without them.
    """

    prompt: float | None = None
    negative: float | None = None
    hires: float | None = None
    clip_g: float | None = None
    keep_g: bool = False

    def texts(self, prompt: str, negative: str) -> tuple[str, str]:
        """The two texts without the tags that this override replaces."""
        return parse(prompt).without_own_tag, negative if self.negative is None else strip(negative)

    def panel(self, panel: Panel, prompt: str, header: float, header_g: float | None = None) -> Panel:
        """The panel that makes this picture of `prompt`, where it is `panel` that is set.

        header: what the host's own value comes to, for what nothing else sets; `header_g` for CLIP-G.
        """
        tag = parse(prompt).tag
        own, own_negative = panel.skips() if panel.enabled else (None, None)
        levels = [level for level in (tag, own) if level]
        negative_levels = [level for level in (tag, own_negative) if level]
        values_of_g = [level.at("g", False) if self.keep_g else level.g for level in levels]
        clip_skip = _first([self.prompt, *(level.at("l", False) for level in levels), header])
        negative = _first([self.negative, *(level.at("l", False) for level in negative_levels), header])
        hires = _first([self.hires, *(level.hires for level in levels), 0.0])
        clip_g = _first([self.clip_g, *values_of_g, header_g if self.keep_g else None, 0.0])
        if negative == clip_skip:  # a value that follows another one anyway is left out
            negative = 0.0
            clip_g = 0.0 if clip_g == clip_skip else clip_g
            hires = 0.0 if hires == clip_skip and not clip_g else hires
        return Panel(True, clip_skip, negative, hires, clip_g)


def warn_replaced(prompt: str) -> list[Message]:
    """That a sweep of the prompt's clip skip replaces its tag; nothing where there is no tag."""
    tag = parse(prompt).tag
    return [REPLACED(tag=shorten(f"<clipskip:{tag}>"))] if tag else []


def _first(values: list[float | None]) -> float:
    return next(value for value in values if value is not None)
