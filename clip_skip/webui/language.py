"""Messages in the language that the host's user has chosen.

`localizations/<language>.json` of this extension has the sentences of the library
and of the page, with {names} for what varies. The host itself gives the same file
to the page, merged with the user's language pack.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

from modules import shared

__all__ = ["translate"]

FOLDER = Path(__file__).parents[2] / "localizations"


def translate(text: str) -> str:
    """`text` in the host's language; as it is, where there is no translation of it."""
    return translated(text, getattr(shared.opts, "localization", "None"))


def translated(text: str, language: str, depth: int = 3) -> str:
    for pattern, translation in templates(language):
        match = pattern.fullmatch(text)
        if match and depth:
            parts = {name: translated(part, language, depth - 1) for name, part in match.groupdict().items()}
            return fill(translation, parts)
    return text


def fill(template: str, parts: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: parts.get(name[1], name[0]), template)


@lru_cache(maxsize=4)
def templates(language: str) -> list[tuple[re.Pattern[str], str]]:
    """Each sentence as a pattern, the longest first, and its translation."""
    file = FOLDER / f"{Path(str(language)).name}.json"
    if not file.is_file():
        return []
    sentences = json.loads(file.read_text(encoding="utf8"))
    return [(pattern(text), sentences[text]) for text in sorted(sentences, key=len, reverse=True)]


def pattern(template: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", template)
    return re.compile(
        "".join(f"(?P<{piece}>.+?)" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces)),
        re.DOTALL,
    )
