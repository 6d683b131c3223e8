"""Texts broken into lines, in languages that write without spaces too. Pure: standard library only.

All of it takes time in proportion to the length of the text: labels and prompts may be of any length.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from unicodedata import east_asian_width

__all__ = ["columns", "cut", "unbreakable_parts", "wrap"]

WIDE = r"\u2e80-\ua4cf\uf900-\ufaff\uff00-\uff60"
PART = re.compile(rf"\s+|[{WIDE}][、。，．：；！？」』）》…ー]*|[^\s{WIDE}]+")


def unbreakable_parts(text: str) -> list[str]:
    """The parts of lines: words, spaces, and single Chinese or Japanese letters with the punctuation after them."""
    return PART.findall(text)


def letter_columns(letter: str) -> int:
    return 2 if east_asian_width(letter) in "WF" else 1


def columns(text: str) -> int:
    """The width of `text` in columns: two for a letter of Chinese, Japanese or Korean, one for any other."""
    return sum(map(letter_columns, text))


def wrap(text: str, width: float, letter_width: Callable[[str], float] = letter_columns) -> list[str]:
    """The lines of `text`, none wider than `width` unless a single letter is.

    A line is broken between `unbreakable_parts`; inside one only if the part is wider than a line.

    letter_width: of a single letter, in the unit of `width`; in columns if not given
    """
    lines: list[str] = []
    line: list[str] = []
    width_so_far, gap = 0.0, ""
    for part in unbreakable_parts(text):
        if part.isspace():
            gap = part
            continue
        part_width = sum(map(letter_width, part))
        spaces = sum(map(letter_width, gap)) if line else 0
        if line and width_so_far + spaces + part_width <= width:
            line.append(gap)
            width_so_far += spaces
        elif line:
            lines.append("".join(line))
            line, width_so_far = [], 0
        gap = ""
        for piece in [part] if width_so_far + part_width <= width else part:
            advance = part_width if piece is part else letter_width(piece)
            if line and width_so_far + advance > width:
                lines.append("".join(line))
                line, width_so_far = [], 0
            line.append(piece)
            width_so_far += advance
    return [*lines, "".join(line)] if line else lines


def cut(text: str, width: int, end: str = "…") -> str:
    """`text`, or its beginning and `end`, no wider than `width` columns."""
    room, width_so_far, length = width - columns(end), 0, 0
    for index, letter in enumerate(text, 1):
        width_so_far += letter_columns(letter)
        if width_so_far <= room:
            length = index
        if width_so_far > width:
            return text[:length].rstrip() + end
    return text
