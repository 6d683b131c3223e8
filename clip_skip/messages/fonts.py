"""The letters in pictures: for every text an installed font that has its letters.

matplotlib's own font has no Japanese, Korean or Chinese. If no font has a translation's letters, the text stays
English; in a text that a person typed, letters that no font has become "�". No box is ever drawn.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache

from matplotlib.font_manager import FontProperties, findfont, findSystemFonts, fontManager, get_font

__all__ = ["font_families", "font_file", "font_letters", "has_letters", "replace_missing_letters", "single_font"]

OWN = "DejaVu Sans"
"""The font that matplotlib brings."""

REPLACEMENT = "\ufffd"
"""The replacement for a letter that no font has; DejaVu Sans has it."""

BOXES = re.compile(r"Last ?Resort|Adobe Blank|NonUnicode", re.IGNORECASE)
"""Fonts that claim letters but draw boxes, blanks or other letters instead."""

JAPANESE = ("Noto Sans CJK JP", "Noto Sans JP", "Yu Gothic", "Meiryo", "Hiragino Sans", "MS Gothic", "IPAexGothic")
KOREAN = ("Noto Sans CJK KR", "Noto Sans KR", "Malgun Gothic", "Apple SD Gothic Neo", "NanumGothic")
CHINESE = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Microsoft YaHei", "PingFang SC", "Hiragino Sans GB", "SimHei"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Noto Sans CJK TC", "Microsoft JhengHei", "PingFang TC"),
)
"""The usual fonts of Linux, Windows and macOS: first those whose letters have the shapes that readers expect."""


def replacement_mark(letter: str) -> str:
    return REPLACEMENT


def replace_missing_letters(text: str, replacement: Callable[[str], str] = replacement_mark) -> str:
    """`text` with a `replacement` for each letter that `font_families` of it do not have."""
    letters = frozenset().union(*map(font_letters, font_families(text)))
    return "".join(one if one.isspace() or ord(one) in letters else replacement(one) for one in text)


def has_letters(text: str) -> bool:
    """Whether `font_families` have all letters of `text`."""
    return replace_missing_letters(text) == text


def font_families(text: str) -> list[str]:
    """The fonts that matplotlib takes the letters of `text` from, one after the other."""
    missing = frozenset(ord(letter) for letter in text if not letter.isspace()) - font_letters(OWN)
    other = font_with_most(missing) if missing else None
    return [OWN, other] if other else [OWN]


def single_font(text: str) -> str:
    """The font for a program that takes all letters of `text` from one."""
    letters = frozenset(ord(letter) for letter in text if not letter.isspace())
    return OWN if letters <= font_letters(OWN) else font_with_most(letters) or OWN


def font_file(font: str) -> tuple[str, int]:
    """The file of an installed font, and its number in there."""
    path = findfont(FontProperties(family=font))
    return str(path), int(getattr(path, "face_index", 0))


@lru_cache(maxsize=512)
def font_with_most(letters: frozenset[int]) -> str | None:
    """The installed font that has the most of `letters`, code points; None if no font has any."""
    best, most = _most(letters)
    if most < len(letters) and add_new_fonts():
        best, _ = _most(letters)
    return best


@cache
def add_new_fonts() -> bool:
    """Adds fonts that are newer than matplotlib's list; returns whether there are any. Looks only once."""
    count, files = len(fontManager.ttflist), {font.fname for font in fontManager.ttflist}
    for file in findSystemFonts():
        if file not in files:
            with suppress(Exception):  # matplotlib leaves out fonts that it cannot load, too
                fontManager.addfont(file)
    return len(fontManager.ttflist) > count


def _most(letters: frozenset[int]) -> tuple[str | None, int]:
    """The installed font that has the most of `letters`, and how many it has."""
    best, most = None, 0
    for name in fonts_in_order(letters):
        count = len(letters & font_letters(name))
        if count > most:
            best, most = name, count
        if most == len(letters):
            break
    return best, most


def fonts_in_order(letters: frozenset[int]) -> list[str]:
    """The installed fonts, first those whose letters look as readers of `letters` expect."""
    if any(0x3040 <= letter <= 0x30FF for letter in letters):
        first = (*JAPANESE, *CHINESE, *KOREAN)
    elif any(0xAC00 <= letter <= 0xD7A3 for letter in letters):
        first = (*KOREAN, *JAPANESE, *CHINESE)
    else:
        first = (*CHINESE, *JAPANESE, *KOREAN)
    plain = [
        font for font in fontManager.ttflist if font.weight in (400, "normal", "regular") and font.style == "normal"
    ]
    names = sorted({font.name for font in plain if not BOXES.search(font.name)})
    return [*(name for name in first if name in names), *(name for name in names if name not in first)]


@cache
def font_letters(font: str) -> frozenset[int]:
    """The code points of an installed font; empty for one that cannot be read, such as a colour bitmap font."""
    try:
        return frozenset(get_font(findfont(FontProperties(family=font), fallback_to_default=False)).get_charmap())
    except (RuntimeError, OSError, ValueError):
        return frozenset()
