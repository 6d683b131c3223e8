"""Texts from files, prompts and other programs, made safe for a terminal, a table and a file. Standard library only."""

from __future__ import annotations

import json
import re
from unicodedata import category

__all__ = ["json_text", "printable", "table_cell", "well_formed"]

UNSAFE = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
"""Control characters, marks that change the direction or hide letters, halves of letters, other ends of lines."""

JOINERS = "\u200c\u200d"
"""They belong to words of some languages, and to emoji."""

FORMULA = tuple("=+-@\t\r")
LONE = re.compile("[\ud800-\udfff]")


def printable(text: object) -> str:
    """`text` as one line for a terminal: characters that move the cursor or reorder letters are escaped."""
    return "".join(letter if is_safe(letter) else escaped(letter) for letter in str(text))


def is_safe(letter: str) -> bool:
    return letter.isprintable() or letter in JOINERS or category(letter) not in UNSAFE


def escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def json_text(value: object) -> str:
    """`value` as JSON for a terminal: the same data; characters that `printable` escapes are escaped as in JSON."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return "".join(letter if letter == "\n" or is_safe(letter) else json.dumps(letter)[1:-1] for letter in text)


def table_cell(value: object) -> object:
    """`value` for a table that a spreadsheet opens: an apostrophe precedes text that would be taken for a formula."""
    if not isinstance(value, str):
        return value
    return well_formed(f"'{value}" if value.lstrip(" ").startswith(FORMULA) else value)


def well_formed(text: str) -> str:
    """`text` without lone surrogates, which cannot be encoded; they occur in file names and JSON."""
    return LONE.sub("\ufffd", text)
