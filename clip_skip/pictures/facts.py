"""The clip skip that a picture was made at, and other facts about how it was made."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clip_skip import skip
from clip_skip.messages.message import FIELD_PROBLEM, Message, Template, join
from clip_skip.panel import FIELDS
from clip_skip.pictures.errors import PictureError
from clip_skip.pictures.infotext import Infotext
from clip_skip.pictures.numbering import UNTRACEABLE, convert
from clip_skip.pictures.reader import read_infotext
from clip_skip.prompt.precedence import prompt_tag

__all__ = ["PictureFacts", "facts_of", "parts_message", "read_facts", "sentences"]

FROM_TAG = Template("The tag {tag} in the prompt sets it.")
FROM_PANEL = Template("The panel of this extension set it.")
SEVERAL = Template("Parts of this picture have different values: {parts}.")
PART_FROM = Template("{part}: {value} ({number} in {tool})")
UNSET = Template("as published")
UNKNOWN = Template("not known")
PARTS = {"prompt": Template("the prompt"), "negative prompt": Template("the negative prompt")}
MADE_AT = Template("Made by {tool} at clip skip {value}.")
MADE_AT_OWN = Template("Made by {tool} at clip skip {value}; its own number is {number}.")
MADE_BY = Template("Made by {tool}; its clip skip is not known.")
MADE_BY_OWN = Template("Made by {tool}; its clip skip is not known, and its own number is {number}.")

LONGEST_NUMBER = 40
"""Characters of another tool's number that are repeated."""


@dataclass(frozen=True)
class PictureFacts:
    """The facts in a picture's metadata. None means absent, unless `reason` says why it isn't known.

    tool:      what made it: "AUTOMATIC1111", "Forge", "ComfyUI", ...
    clip_skip: that its prompt was made at, in our numbering
    said:      the tool's own number, as written
    size:      of the first pass, pixels: "512x768"
    reason:    why `clip_skip` isn't known, or isn't the tool's own number
    """

    tool: str
    clip_skip: float | None = None
    said: str | None = None
    model: str | None = None
    model_hash: str | None = None
    seed: int | None = None
    steps: int | None = None
    cfg_scale: float | None = None
    size: str | None = None
    prompt: str = ""
    negative: str = ""
    reason: Message | Template | None = None

    def as_json(self) -> dict[str, Any]:
        """The fields by their names; the reason in English."""
        return {**dataclasses.asdict(self), "reason": None if self.reason is None else str(self.reason)}


def read_facts(source: Path | bytes, name: str = "") -> PictureFacts:
    """The facts in the picture or text file `source`. Raises `PictureError`, nothing else."""
    return facts_of(read_infotext(source, name))


def facts_of(infotext: Infotext) -> PictureFacts:
    value, reason = clip_skip_of(infotext)
    settings = infotext.parameters
    return PictureFacts(
        tool=infotext.tool,
        clip_skip=value,
        said=own_number(infotext),
        model=settings.get("Model"),
        model_hash=settings.get("Model hash"),
        seed=lenient(infotext, "Seed"),
        steps=lenient(infotext, "Steps"),
        cfg_scale=lenient_number(infotext, "CFG scale"),
        size=settings.get("Size"),
        prompt=infotext.prompt,
        negative=infotext.negative,
        reason=reason,
    )


def clip_skip_of(infotext: Infotext) -> tuple[float | None, Message | Template | None]:
    """The clip skip of the prompt, and why it isn't the tool's own number or isn't known."""
    tag = prompt_tag(infotext.prompt)
    value = tag.at("l", False) if tag else None
    if value is not None:
        return value, FROM_TAG(tag=f"<clipskip:{tag}>")
    panel = infotext.parameters.get(FIELDS[0].infotext)
    if panel is not None:
        try:
            return skip.parse_skip(panel), FROM_PANEL
        except ValueError:
            pass
    if infotext.skips:
        return None, parts_message(infotext)
    return convert(infotext.tool, infotext.skip_text, infotext.family, infotext.release)


def parts_message(infotext: Infotext) -> Message:
    """The clip skips of the picture's parts, which differ."""
    return SEVERAL(parts=join([part_message(infotext, part, number) for part, number in infotext.skips], ", "))


def part_message(infotext: Infotext, part: str, number: str) -> Message:
    """The clip skip of a part of the picture, and the tool's own number for it."""
    if not number or number == UNTRACEABLE:
        return FIELD_PROBLEM(field=PARTS[part], problem=UNKNOWN if number else UNSET)
    value, _ = convert(infotext.tool, number, infotext.family, infotext.release)
    own = skip.format_skip(value) if value is not None else UNKNOWN
    return PART_FROM(part=PARTS[part], value=own, number=number, tool=infotext.tool)


def own_number(infotext: Infotext) -> str | None:
    if infotext.skips:
        return ", ".join(f"{part} {number or 'none'}" for part, number in infotext.skips)
    text = infotext.skip_text
    return None if text is None or text == UNTRACEABLE else text.strip()[:LONGEST_NUMBER] or None


def lenient(infotext: Infotext, name: str) -> int | None:
    try:
        return infotext.whole(name)
    except PictureError:
        return None


def lenient_number(infotext: Infotext, name: str) -> float | None:
    if name not in infotext.parameters:
        return None
    try:
        return infotext.number(name, 0)
    except PictureError:
        return None


def sentences(facts: PictureFacts) -> list[Message | Template]:
    """The sentences for the pages and the command: which tool, which clip skip, and why."""
    values = {"tool": facts.tool}
    if facts.clip_skip is None:
        first = MADE_BY(**values) if facts.said is None else MADE_BY_OWN(**values, number=facts.said)
    else:
        value = skip.format_skip(facts.clip_skip)
        same = facts.said is None or facts.said == value
        first = MADE_AT(**values, value=value) if same else MADE_AT_OWN(**values, value=value, number=str(facts.said))
    return [first, *([facts.reason] if facts.reason is not None else [])]
