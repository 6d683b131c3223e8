"""The answers to both pages' requests: the encoders, and the clip skips of the prompts in the boxes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clip_skip.encoder import TextEncoder
from clip_skip.messages.message import Message, Template, Translate
from clip_skip.messages.safe_text import well_formed
from clip_skip.page.by_step import Parts, TooMuchPromptEditing
from clip_skip.page.named_encoders import example
from clip_skip.page.remarks import remarks
from clip_skip.prompt import writing
from clip_skip.prompt.parsed import TOWERS, parse_negative, parse_prompt
from clip_skip.prompt.precedence import Texts

__all__ = [
    "BOXES",
    "Host",
    "describe_encoder",
    "describe_named",
    "put_tag_into",
    "read_prompts",
    "styled_prompt",
]

BOXES = ("prompt", "negative", "hires_prompt", "hires_negative")
"""The boxes that a person writes in; an empty hires box means the text of the first pass."""

MOST_LETTERS = 20_000
"""Characters of a box that are read at each key."""

TOO_LONG = Template(
    "The text has more than {most} characters, so its tags are not shown while you type. They act all the same."
)
TOO_MUCH_EDITING = Template(
    "There is too much prompt editing to show the clip skip of each step. The tags act all the same."
)


@dataclass(frozen=True)
class Host:
    """The differences between the pages.

    encoders, model: those of the loaded model, and its name for messages
    translate: into the page's language
    parts:     called with texts and whether the negative prompt is meant
    styled:    called with a text, whether it is negative, and the names of styles; returns the text with the styles
    networks:  names of `<name:...>` tags that the host or another extension has
    named_encoders: the model's text encoders that only a tag with their name reaches
    several:   whether the model uses several layers of its text encoder at once
    """

    encoders: Sequence[TextEncoder]
    model: str
    translate: Translate
    parts: Callable[[Texts, bool], Parts]
    styled: Callable[[str, bool, list[str]], str] = lambda text, negative, styles: text
    networks: Collection[str] = ()
    named_encoders: Sequence[TextEncoder] = ()
    several: bool = False


def describe_encoder(encoder: TextEncoder, header: dict[str, int] | None) -> dict[str, Any]:
    """An encoder; at the header's n it stops at n + header["offset"], and at header["least"] or more."""
    fixed = {"name": encoder.name, "tower": encoder.tower, "layers": encoder.layers, "native": encoder.native}
    return {**fixed, "header": header}


def describe_named(encoder: TextEncoder) -> dict[str, Any]:
    """A text encoder that only a tag with its name reaches, and an example of such a tag."""
    return {**describe_encoder(encoder, None), "deepest": encoder.deepest, "example": example(encoder)}


def read_prompts(request: Mapping[str, Any], host: Host) -> dict[str, Any]:
    """The effect of the tags in the texts of BOXES and in the "styles" of `request`.

    tag:      the prompt's tag in its shortest form, or None; with `tag_in_style` it comes from a style
    values:   the tag's values by tower
    boxes:    for each of BOXES, and for "styles", a message for each bad tag in it, translated
    warnings: all of these
    passes:   the parts of "prompt" and "negative" in the "first" pass and in the "hires" pass
    """
    typed = box_texts(request)
    too_long = [box for box, text in typed.items() if len(text) > MOST_LETTERS]
    texts_in_boxes = {**typed, **dict.fromkeys(too_long, "")}
    styles = style_names(request)
    texts = add_styles(texts_in_boxes, styles, host)
    tag = parse_prompt(texts["prompt"]).tag
    values = {tower: tag.at(tower, False) for tower in TOWERS} if tag else {}
    first = Texts(texts["prompt"], texts["negative"])
    second = Texts(texts["hires_prompt"], texts["hires_negative"], hires=True, first_pass=texts["prompt"])
    passes: dict[str, dict[str, Parts]] = {}
    messages = {box: remarks_on(box, text, host) for box, text in texts_in_boxes.items()}
    for box in too_long:
        messages[box].append(TOO_LONG(most=MOST_LETTERS))
    for name, prefix, pair in (("first", "", first), ("hires", "hires_", second)):
        passes[name] = {}
        for box in ("prompt", "negative"):
            try:
                passes[name][box] = host.parts(pair, box == "negative")
            except TooMuchPromptEditing:
                passes[name][box] = [[pair.unmarked(box == "negative")]]
                messages[prefix + box].append(TOO_MUCH_EDITING())
    of_styles = (
        remark
        for box in ("prompt", "negative")
        for remark in (remarks_on(box, texts[box], host) if styles else ())
        if remark not in messages[box]
    )
    messages["styles"] = list(dict.fromkeys(of_styles))
    boxes = {box: [host.translate(message) for message in some] for box, some in messages.items()}
    return {
        "tag": f"<clipskip:{tag}>" if tag else None,
        "tag_in_style": tag is not None and tag != parse_prompt(texts_in_boxes["prompt"]).tag,
        "values": {tower: value for tower, value in values.items() if value is not None},
        "boxes": boxes,
        "warnings": list(dict.fromkeys(text for some in boxes.values() for text in some)),
        "passes": passes,
    }


def put_tag_into(request: Mapping[str, Any]) -> dict[str, str]:
    """The "text" with "tag" as its own tag; "negative": whether it is a negative prompt."""
    text = well_formed(str(request.get("text") or ""))
    try:
        return {
            "text": writing.put_tag(text, well_formed(str(request.get("tag") or "")), bool(request.get("negative")))
        }
    except ValueError:
        return {"text": text}


def styled_prompt(request: Mapping[str, Any], host: Host) -> str:
    """The prompt with its styles."""
    return add_styles(box_texts(request), style_names(request), host)["prompt"]


def box_texts(request: Mapping[str, Any]) -> dict[str, str]:
    return {box: well_formed(str(request.get(box) or "")) for box in BOXES}


def style_names(request: Mapping[str, Any]) -> list[str]:
    styles = request.get("styles")
    return [name for name in styles if isinstance(name, str)] if isinstance(styles, list) else []


def add_styles(typed: Mapping[str, str], styles: list[str], host: Host) -> dict[str, str]:
    """The texts with the styles; an empty hires text is the first pass's."""
    first = {box: box.removeprefix("hires_") for box in BOXES}
    texts = {box: typed[box] or typed[first[box]] for box in BOXES}
    if not styles:
        return texts
    return {box: host.styled(text, first[box] == "negative", styles) for box, text in texts.items()}


def remarks_on(box: str, text: str, host: Host) -> list[Message | str]:
    prompt = parse_negative(text) if box.endswith("negative") else parse_prompt(text)
    return remarks(prompt, host.encoders, host.model, host.networks, host.named_encoders, host.several)
