"""Writes a tag into a prompt that a person has written, as the prompt's own."""

from __future__ import annotations

from clip_skip.messages.message import MessageError
from clip_skip.prompt.parsed import parse_negative, parse_prompt
from clip_skip.prompt.sub_prompts import BOUNDARY
from clip_skip.prompt.tags import HOW_TO_WRITE, TAG

__all__ = ["put_tag"]


def put_tag(text: str, tag: str, negative: bool = False) -> str:
    """`text` with `tag` as its own: in the place of the one it has, else at the end of its first sub-prompt.

    Unchanged if its own tag sets the same values. tag: "" takes its own tag out. negative: AND is a word.
    Raises MessageError where `tag` is not a tag.
    """
    read = parse_negative if negative else parse_prompt
    wanted = read(tag).tag if tag else None
    if tag and not wanted:
        raise MessageError(HOW_TO_WRITE)
    if read(text).tag == wanted:
        return text
    span = find_own_tag(text, negative)
    if span:
        before, after = text[: span[0]], text[span[1] :]
        if not tag and (not after or after[0].isspace()):
            before = before.rstrip(" ")
        if read(before + tag + after).tag == wanted:
            return before + tag + after
    for at in (find_end(text, negative), 0):
        before, after = text[:at], text[at:]
        left = " " if before and not before[-1].isspace() else ""
        right = " " if after and not after[0].isspace() else ""
        written = before + left + tag + right + after
        if tag and read(written).tag == wanted:
            return written
    return text


def find_own_tag(text: str, negative: bool) -> tuple[int, int] | None:
    """The place of the text's own tag; None if it has none, or if tags are nested."""
    prompt = parse_negative(text) if negative else parse_prompt(text)
    own, found = prompt.parts[0].whole, prompt.tags
    written = list(TAG.finditer(text))
    if own is None or [match[0] for match in written] != [tag.text for tag in found]:
        return None
    return next(match.span() for match, tag in zip(written, found) if tag is own)


def find_end(text: str, negative: bool) -> int:
    """The end of the first sub-prompt, without the space before its boundary."""
    masked = TAG.sub(lambda match: "\0" * len(match[0]), text)
    cut = None if negative else BOUNDARY.search(masked)
    return len((text[: cut.start()] if cut else text).rstrip(" "))
