"""Messages in another language: one catalogue for each, of two files.

`localizations/<language>.json` has our texts, with {names} for the parts that vary. A WebUI gives this file to its
page, merged with the user's language pack, and replaces every text of the page that equals a key, whoever wrote it. So
a text that a WebUI has on its own page too ("Seed") is in `host_words/<language>.json`, which no WebUI reads: there the
user's language pack translates it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path

from clip_skip.extension_files import extension_folder
from clip_skip.messages.message import Message, Translate, render

__all__ = ["catalogue", "languages", "translate_for_picture", "translator"]

HOST_WORDS = Path(__file__).parent / "host_words"


def localizations() -> Path:
    return extension_folder() / "localizations"


def languages() -> list[str]:
    """The languages that have a catalogue."""
    return sorted(file.stem for file in localizations().glob("*.json"))


def translator(language: str | None) -> Translate:
    """A function that renders messages in `language`; in English where it has no catalogue."""
    return partial(render, catalogue=catalogue(language))


def translate_for_picture(text: Message | str, translate: Translate) -> str:
    """`text` translated if a font has the letters of the translation, else in English."""
    english, translation = str(text), translate(text)
    if translation == english:
        return english
    from clip_skip.messages.fonts import has_letters  # matplotlib is slow to import

    return translation if has_letters(translation) else english


@cache
def catalogue(language: str | None) -> Mapping[str, str]:
    """The translations of `language` by their templates; empty where there are none, as for English."""
    if language not in languages():
        return {}
    texts: dict[str, str] = {}
    for folder in (HOST_WORDS, localizations()):
        texts |= json.loads((folder / f"{language}.json").read_text(encoding="utf8"))
    return texts
