"""Writes a tag into a prompt that a person has written, as the prompt's own."""

from __future__ import annotations

from clip_skip.messages.message import MessageError
from clip_skip.prompt.parsed import parse_negative, parse_prompt
from clip_skip.prompt.sub_prompts import BOUNDARY
from clip_skip.prompt.tags import HOW_TO_WRITE, TAG

__all__ = ["put_tag"]


def put_tag(text: str, tag: str, negative: bool = False) -> str:
    """`text` with `tag` as its own: in place of the one it has, else at the end of its first sub-prompt.

    Unchanged if its own tag sets the same values. tag: "" removes its own tag. negative: AND is a word.
    Raises MessageError if `tag` is not a tag.
    """
    parse = parse_negative if negative else parse_prompt
    skip = parse(tag).tag if tag else None
    if tag and not skip:
        raise MessageError(HOW_TO_WRITE)
    if parse(text).tag == skip:
        return text
    span = find_own_tag(text, negative)
    if span:
        before, after = text[: span[0]], text[span[1] :]
        if not tag and (not after or after[0].isspace()):
            before = before.rstrip(" ")
        if parse(before + tag + after).tag == skip:
            return before + tag + after
    for at in (find_end(text, negative), 0):
        before, after = text[:at], text[at:]
        space_before = " " if before and not before[-1].isspace() else ""
        space_after = " " if after and not after[0].isspace() else ""
        new_text = before + space_before + tag + space_after + after
        if tag and parse(new_text).tag == skip:
            return new_text
    return text


def find_own_tag(text: str, negative: bool) -> tuple[int, int] | None:
    """The place of the text's own tag; None if it has none, or if tags are nested."""
    prompt = parse_negative(text) if negative else parse_prompt(text)
    own, tags = prompt.parts[0].whole, prompt.tags
    matches = list(TAG.finditer(text))
    if own is None or [match[0] for match in matches] != [tag.text for tag in tags]:
        return None
    return next(match.span() for match, tag in zip(matches, tags) if tag is own)


def find_end(text: str, negative: bool) -> int:
    """The end of the first sub-prompt, without the space before its boundary."""
    masked_text = TAG.sub(lambda match: "\0" * len(match[0]), text)
    boundary = None if negative else BOUNDARY.search(masked_text)
    return len((text[: boundary.start()] if boundary else text).rstrip(" "))
