"""What the page is told: the encoders, and what prompts come to while they are being written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from clip_skip.encoder import TextEncoder
from clip_skip.messages.message import Message, Translate
from clip_skip.page.named_encoders import example
from clip_skip.page.remarks import remarks
from clip_skip.prompt import writing
from clip_skip.prompt.parsed import TOWERS, Values, parse, parse_negative, read_marked
from clip_skip.prompt.precedence import Texts

__all__ = [
    "BOXES",
    "STEPS",
    "Host",
    "Parts",
    "count",
    "describe",
    "describe_named",
    "in_turn",
    "put",
    "read",
    "styled_prompt",
]

BOXES = ("prompt", "negative", "hires_prompt", "hires_negative")
"""The boxes that a person writes in; an empty hires box is the one of the first pass."""

Item = TypeVar("Item", str, Message | str)

Parts = list[list[Values]]
"""For each sub-prompt the values by tower that it has from step to step; what no tag says is not in them."""

STEPS = 20
"""Where a page does not tell how many."""

MOST_STEPS = 1000
MOST_CHANGES = 12


def count(value: Any) -> int:
    """`value` as a number of steps; 0 for none."""
    good = isinstance(value, (int, float)) and 1 <= value <= MOST_STEPS
    return int(value) if good else 0


def in_turn(schedules: Iterable[Iterable[tuple[int, str]]]) -> Parts:
    """The values that change in each of `schedules`, which have last steps and marked texts."""
    each = [[read_marked(text).values or {} for _, text in changes] for changes in schedules]
    return [[values for values, _ in groupby(one)][:MOST_CHANGES] for one in each]


@dataclass(frozen=True)
class Host:
    """What differs between the pages.

    encoders, model: those of the loaded model, and what to call it
    translate: into the page's language
    parts:     of the prompt or the negative prompt of some texts
    styled:    a text, whether it is negative, and the styles' names: the text with the styles
    networks:  names of `<name:...>` tags that the host or another extension has
    named:     the model's text encoders that only a tag with their name reaches
    several:   whether the model takes several layers of its text encoder together
    """

    encoders: Sequence[TextEncoder]
    model: str
    translate: Translate
    parts: Callable[[Texts, bool], Parts]
    styled: Callable[[str, bool, list[str]], str] = lambda text, negative, styles: text
    networks: Collection[str] = ()
    named: Sequence[TextEncoder] = ()
    several: bool = False


def describe(encoder: TextEncoder, header: dict[str, int] | None) -> dict[str, Any]:
    """An encoder; `header` says what the header's value comes to there: it plus "offset", at least "least"."""
    fixed = {"name": encoder.name, "tower": encoder.tower, "layers": encoder.layers, "native": encoder.native}
    return {**fixed, "header": header}


def describe_named(encoder: TextEncoder) -> dict[str, Any]:
    """A text encoder that only a tag with its name reaches, and a tag that does."""
    return {**describe(encoder, None), "deepest": encoder.deepest, "example": example(encoder)}


def read(asked: Mapping[str, Any], host: Host) -> dict[str, Any]:
    """What the texts of BOXES and the "styles" in `asked` come to.

    tag:      the prompt's tag as it is written shortest, or None; it may come out of a style, which is `tag_in_style`
    values:   what that asks for by tower
    boxes:    for each of BOXES a sentence for each tag in it that is wrong, translated; and for "styles"
    warnings: all of these
    passes:   the parts of "prompt" and "negative" in the "first" pass and in the "hires" pass
    """
    written = given(asked)
    texts = styled(written, names(asked), host)
    tag = parse(texts["prompt"]).tag
    values = {tower: tag.at(tower, False) for tower in TOWERS} if tag else {}
    first = Texts(texts["prompt"], texts["negative"])
    second = Texts(texts["hires_prompt"], texts["hires_negative"], hires=True, first_pass=texts["prompt"])
    found = {box: remarks_on(box, text, host) for box, text in written.items()}
    with_styles = {box: remarks_on(box, text, host) for box, text in texts.items()}
    found["styles"] = once(one for box in ("prompt", "negative") for one in with_styles[box] if one not in found[box])
    boxes = {box: [host.translate(message) for message in messages] for box, messages in found.items()}
    return {
        "tag": f"<clipskip:{tag}>" if tag else None,
        "tag_in_style": tag is not None and tag != parse(written["prompt"]).tag,
        "values": {tower: value for tower, value in values.items() if value is not None},
        "boxes": boxes,
        "warnings": once(one for sentences in boxes.values() for one in sentences),
        "passes": {
            name: {"prompt": host.parts(pair, False), "negative": host.parts(pair, True)}
            for name, pair in (("first", first), ("hires", second))
        },
    }


def put(asked: Mapping[str, Any]) -> dict[str, str]:
    """The "text" with the "tag" as its own; "negative" says that it is a negative prompt's."""
    text = str(asked.get("text") or "")
    try:
        return {"text": writing.put(text, str(asked.get("tag") or ""), bool(asked.get("negative")))}
    except ValueError:
        return {"text": text}


def styled_prompt(asked: Mapping[str, Any], host: Host) -> str:
    """The prompt with its styles."""
    return styled(given(asked), names(asked), host)["prompt"]


def given(asked: Mapping[str, Any]) -> dict[str, str]:
    return {box: str(asked.get(box) or "") for box in BOXES}


def names(asked: Mapping[str, Any]) -> list[str]:
    styles = asked.get("styles")
    return [name for name in styles if isinstance(name, str)] if isinstance(styles, list) else []


def styled(written: Mapping[str, str], styles: list[str], host: Host) -> dict[str, str]:
    """The texts with the styles; a hires text that is not given is the first pass's."""
    first = {box: box.removeprefix("hires_") for box in BOXES}
    texts = {box: written[box] or written[first[box]] for box in BOXES}
    if not styles:
        return texts
    return {box: host.styled(text, first[box] == "negative", styles) for box, text in texts.items()}


def remarks_on(box: str, text: str, host: Host) -> list[Message | str]:
    prompt = parse_negative(text) if box.endswith("negative") else parse(text)
    return remarks(prompt, host.encoders, host.model, host.networks, host.named, host.several)


def once(messages: Iterable[Item]) -> list[Item]:
    return list(dict.fromkeys(messages))
