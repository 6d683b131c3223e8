"""Markers: a sub-prompt's clip skips, written into the text itself as characters that tokenizers drop.

A host caches encodings by the prompt's text and splits prompts in its own ways, so the values have to be in the text,
and in each piece of it. A marker consists of U+206A to U+206F, deprecated format characters: they
are not printed, are not word characters, and CLIP's tokenizers drop them (`ftfy.fix_text` does, and so does the basic
tokenizer that transformers uses without ftfy), so a marker that is counted or left in a text changes nothing. It begins
with a random number of this process, so that no other text contains one.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

from clip_skip.skip import format_skip

__all__ = ["LETTERS", "find_values", "strip", "write_marker"]

LETTERS = r"\u206a-\u206f"
"""The characters of markers, as a range in a regular expression."""

_DIGITS = "\u206a\u206b\u206c\u206d\u206e"
_END = "\u206f"
_BEGIN = "".join(secrets.choice(_DIGITS) for _ in range(12))
_LETTERS = "0123456789.=lgh tqam"
_LETTER_OF = {"l": "l", "g": "g", "h": "h", "t5": "t", "qwen": "q", "gemma": "a", "ministral": "m"}
_TOWER_OF = {letter: tower for tower, letter in _LETTER_OF.items()}
_CODES = {letter: _DIGITS[index // 5] + _DIGITS[index % 5] for index, letter in enumerate(_LETTERS)}
_LETTER_OF_CODE = {code: letter for letter, code in _CODES.items()}
_MARKER = re.compile(f"{_BEGIN}((?:(?!{_BEGIN})[{_DIGITS}])*){_END}")


def write_marker(values: Mapping[str, float]) -> str:
    """The marker of a clip skip for each tower, {"l": 2.0, "g": 3.0}; "" for none."""
    items = " ".join(f"{_LETTER_OF[tower]}={format_skip(value)}" for tower, value in values.items())
    return "".join([_BEGIN, *(_CODES[letter] for letter in items), _END]) if items else ""


def strip(text: str) -> str:
    """`text` without its markers."""
    return _MARKER.sub("", text)


def find_values(text: str) -> list[dict[str, float]]:
    """The values of each marker in `text`."""
    return [_decoded(code) for code in _MARKER.findall(text)]


def _decoded(code: str) -> dict[str, float]:
    """The values that `write_marker` wrote; empty for any other text."""
    items = "".join(_LETTER_OF_CODE.get(code[at : at + 2], "?") for at in range(0, len(code), 2))
    good = [item for item in items.split(" ") if re.fullmatch(r"[lghtqam]=\d+(\.\d+)?", item)]
    return {_TOWER_OF[item[0]]: float(item[2:]) for item in good}
