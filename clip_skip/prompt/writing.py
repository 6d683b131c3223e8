"""Writes a tag into a prompt that a person has written, as the prompt's own."""

from __future__ import annotations

import re

from clip_skip.prompt.sub_prompts import BOUNDARY, sub_prompts
from clip_skip.prompt.tags import TAG, Tag, scan
from clip_skip.skip import Skip

__all__ = ["put"]


def put(text: str, tag: str, negative: bool = False) -> str:
    """`text` with `tag` as its own: in the place of the one it has, else at the end of its first sub-prompt.

    It is as it was where its own tag asks for the same. tag: "" takes its own tag out. negative: AND is a word.
    Raises ValueError for a `tag` that is none.
    """
    wanted = asked(tag, negative) if tag else None
    if tag and not wanted:
        raise ValueError("a tag is written <clipskip:2>")
    if asked(text, negative) == wanted:
        return text
    span = place(text, negative)
    if span:
        before, after = text[: span[0]], text[span[1] :]
        if not tag and (not after or after[0].isspace()):
            before = before.rstrip(" ")
        if asked(before + tag + after, negative) == wanted:
            return before + tag + after
    for at in (end(text, negative), 0):
        before, after = text[:at], text[at:]
        left = " " if before and not before[-1].isspace() else ""
        right = " " if after and not after[0].isspace() else ""
        written = before + left + tag + right + after
        if tag and asked(written, negative) == wanted:
            return written
    return text


def own(text: str, negative: bool) -> tuple[Tag | None, list[Tag]]:
    """The text's own tag, and all of its tags."""
    clean, found = scan(text)
    return next(sub_prompts(clean, found, negative)).whole, found


def asked(text: str, negative: bool) -> Skip | None:
    tag = own(text, negative)[0]
    return tag.skip if tag else None


def place(text: str, negative: bool) -> tuple[int, int] | None:
    """Where the text's own tag stands, unless it has none or there are tags within tags."""
    tag, found = own(text, negative)
    written = list(TAG.finditer(text))
    if tag is None or [match[0] for match in written] != [one.text for one in found]:
        return None
    return next(match.span() for match, one in zip(written, found) if one is tag)


def end(text: str, negative: bool) -> int:
    """Where the first sub-prompt ends, the space before its boundary left out."""
    masked = TAG.sub(lambda match: "\0" * len(match[0]), text)
    cut = None if negative else BOUNDARY.search(masked)
    return len(re.sub(r" +\Z", "", text[: cut.start()] if cut else text))
