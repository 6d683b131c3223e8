"""Texts broken into lines, in languages that write without spaces too. Pure: standard library only."""

from __future__ import annotations

import re
from unicodedata import east_asian_width

__all__ = ["columns", "cut", "pieces", "wrap"]

WIDE = r"\u2e80-\ua4cf\uf900-\ufaff\uff00-\uff60"
PIECE = re.compile(rf"\s+|[{WIDE}][、。，．：；！？」』）》…ー]*|[^\s{WIDE}]+")


def pieces(text: str) -> list[str]:
    """What a line is not broken in: a word, spaces, or one Chinese or Japanese letter with the marks behind it."""
    return PIECE.findall(text)


def columns(text: str) -> int:
    """How wide `text` is in letters; one of Chinese, Japanese or Korean is as wide as two."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def wrap(text: str, width: int) -> list[str]:
    """The lines of `text`, none wider than `width` columns; it is broken between `pieces`."""
    lines, line = [], ""
    for piece in pieces(text):
        if line and columns(line + piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece if line else piece.lstrip()
        while columns(line.rstrip()) > width:
            head = cut(line, width, "")
            lines.append(head.rstrip())
            line = line[len(head) :]
    return [*lines, line.rstrip()] if line.strip() else lines


def cut(text: str, width: int, end: str = "…") -> str:
    """`text`, or its beginning and `end`, no wider than `width` columns."""
    if columns(text) <= width:
        return text
    kept = text
    while kept and columns(kept + end) > width:
        kept = kept[:-1]
    return kept.rstrip() + end if end else kept
