"""The extension's script, style and languages, for the standalone page."""

from __future__ import annotations

import json
import site
import sysconfig
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WORDS = HERE / "words.json"
"""What the page says beyond the extension: each text with its translations."""


def root() -> Path:
    """The folder of style.css, javascript and localizations: the extension's, or where an installed package has it."""
    extension = HERE.parents[2]
    bases: list[Any] = [
        sysconfig.get_path("data"),
        site.getuserbase(),
        extension,
    ]  # pip install, with --user, with --target
    places = [extension, *(Path(base) / "share" / "clip-skip" for base in bases)]
    return next((place for place in places if (place / "javascript" / "clip_skip.js").is_file()), extension)


def languages() -> list[str]:
    return sorted(file.stem for file in (root() / "localizations").glob("*.json"))


def words(language: str | None) -> dict[str, str]:
    """Each text of the page and of the extension in `language`; none for English."""
    if language is None:
        return {}
    own = json.loads(WORDS.read_text(encoding="utf-8"))
    shared = json.loads((root() / "localizations" / f"{language}.json").read_text(encoding="utf-8"))
    return {**{text: said[language] for text, said in own.items() if language in said}, **shared}


def script(data: dict[str, Any]) -> str:
    """A JavaScript function that puts style and scripts into the page; `data` is for shim.js.

    Every gradio runs it when the page has been built. Its `css` and `head` are elsewhere in each version, and some of
    them change the selectors.
    """
    files = [HERE / "shim.js", *sorted((root() / "javascript").glob("*.js")), HERE / "app.js"]
    texts = [("style", root() / "style.css"), ("style", HERE / "app.css"), *(("script", file) for file in files)]
    parts = [[tag, file.read_text(encoding="utf-8")] for tag, file in texts]
    return f"""() => {{
        window.clipSkipApp = {json.dumps(data)};
        for (const [tag, text] of {json.dumps(parts)}) {{
            document.head.append(Object.assign(document.createElement(tag), {{textContent: text}}));
        }}
    }}"""
