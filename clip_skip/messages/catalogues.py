"""Messages in another language: one catalogue for each, of two files.

`localizations/<language>.json` has our texts, with {names} for what varies. A WebUI gives this file to its page, merged
with the user's language pack, and replaces every text of the page that equals a key, whoever wrote it. So a text that
a WebUI has on its own page too ("Seed") stands in `host_words/<language>.json`, which no WebUI reads: there the user's
language pack translates it, or nobody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache, partial
from pathlib import Path

from clip_skip.extension_files import extension_folder
from clip_skip.messages.message import Message, Template, Translate, render

__all__ = ["catalogue", "languages", "translate_for_picture", "translated", "translator"]

HOST_WORDS = Path(__file__).parent / "host_words"
NAME = re.compile(r"\{(\w+)\}")


def localizations() -> Path:
    return extension_folder() / "localizations"


def languages() -> list[str]:
    """Those that there is a catalogue of."""
    return sorted(file.stem for file in localizations().glob("*.json"))


def translator(language: str | None) -> Translate:
    """What renders messages in `language`; in English where it has no catalogue."""
    return partial(translated, language=language)


def translated(text: Message | str, language: str | None, depth: int = 3) -> str:
    """`text` in `language`; as it is, where there is no translation of it."""
    sentences = catalogue(language)
    if isinstance(text, (Message, Template)) or not sentences:
        return render(text, sentences)
    if quoted(text):
        return text
    for pieces, translation in templates(language):
        parts = matched(pieces, text)
        if parts is not None and depth:
            told = {name: translated(part, language, depth - 1) for name, part in parts.items()}
            return fill(translation, told)
    return text


def translate_for_picture(text: Message | str, translate: Translate) -> str:
    """`text` as `translate` has it if there is a font for that, else in English."""
    english, translation = str(text), translate(text)
    if translation == english:
        return english
    from clip_skip.messages.fonts import has_letters  # matplotlib takes its time

    return translation if has_letters(translation) else english


def matched(pieces: Sequence[str], text: str) -> dict[str, str] | None:
    """What `text` has in the place of each name, at least a character and as little as fits; None for another text.

    pieces: texts and names in turn, a text first and last. Linear in the length of `text` for each name.
    """
    start = pieces[0]
    if len(pieces) == 1 or not text.startswith(start):
        return {} if text == start else None
    parts, at = {}, len(start)
    for index in range(1, len(pieces), 2):
        name, after = pieces[index : index + 2]
        if index < len(pieces) - 2:
            end = text.find(after, at + 1)
        else:
            end = len(text) - len(after) if text.endswith(after) else -1
        if end <= at:
            return None
        parts[name] = text[at:end]
        at = end + len(after)
    return parts


def quoted(text: str) -> bool:
    """Whether it is a name or what a person typed."""
    return text.startswith('"') and text.endswith('"')


def fill(template: str, parts: dict[str, str]) -> str:
    return NAME.sub(lambda name: parts.get(name[1], name[0]), template)


@lru_cache(maxsize=4)
def templates(language: str) -> list[tuple[list[str], str]]:
    """Each sentence cut at its {names}, the longest first, and its translation."""
    sentences = catalogue(language)
    return [(NAME.split(text), sentences[text]) for text in sorted(sentences, key=len, reverse=True)]


@cache
def catalogue(language: str | None) -> Mapping[str, str]:
    """The translations of `language` by their templates; empty where there are none, as for English."""
    if language not in languages():
        return {}
    texts: dict[str, str] = {}
    for folder in (HOST_WORDS, localizations()):
        texts |= json.loads((folder / f"{language}.json").read_text(encoding="utf8"))
    return texts
