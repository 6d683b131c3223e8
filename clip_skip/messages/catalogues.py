"""Messages in another language.

`localizations/<language>.json` has the sentences of the library and of the page, with {names} for what varies. A WebUI
gives the same file to the page, merged with the user's language pack.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from clip_skip.messages.message import Message, Translate, render

__all__ = ["catalogue", "in_picture", "languages", "translated", "translator"]

FOLDER = Path(__file__).parents[2] / "localizations"
NAME = re.compile(r"\{(\w+)\}")


def languages(folder: Path = FOLDER) -> list[str]:
    """Those that there are sentences in."""
    return sorted(file.stem for file in folder.glob("*.json"))


def translator(language: str) -> Translate:
    """What renders messages in `language`; in English where it has no catalogue."""
    return lambda message: translated(message, language)


def translated(text: Message | str, language: str, depth: int = 3, folder: Path = FOLDER) -> str:
    """`text` in `language`; as it is, where there is no translation of it."""
    if isinstance(text, Message):
        return render(text, catalogue(language, folder))
    if quoted(text):
        return text
    for pieces, translation in templates(language, folder):
        parts = matched(pieces, text)
        if parts is not None and depth:
            told = {name: translated(part, language, depth - 1, folder) for name, part in parts.items()}
            return fill(translation, told)
    return text


def in_picture(text: Message | str, translate: Translate) -> str:
    """A word of a picture as `translate` has it, where there is a font for that."""
    if translate(text) == str(text):
        return str(text)
    from clip_skip.messages.fonts import said  # matplotlib takes its time

    return said(text, translate)


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
def templates(language: str, folder: Path = FOLDER) -> list[tuple[list[str], str]]:
    """Each sentence cut at its {names}, the longest first, and its translation."""
    sentences = catalogue(language, folder)
    return [(NAME.split(text), sentences[text]) for text in sorted(sentences, key=len, reverse=True)]


@lru_cache(maxsize=8)
def catalogue(language: str, folder: Path = FOLDER) -> Mapping[str, str]:
    """The translations of `language` by their templates; empty where there are none."""
    file = folder / f"{Path(str(language)).name}.json"
    if not file.is_file():
        return {}
    sentences: dict[str, str] = json.loads(file.read_text(encoding="utf8"))
    return sentences
