"""The extension's scripts and styles, for the standalone page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from clip_skip.extension_files import extension_folder

HERE = Path(__file__).parent


def script(data: dict[str, Any]) -> str:
    """A JavaScript function that puts style and scripts into the page; `data` is for shim.js.

    Every gradio runs it once the page is built. `css` and `head` are passed differently in each version, and some
    versions change the selectors.
    """
    extension = extension_folder()
    files = [HERE / "shim.js", *sorted((extension / "javascript").glob("*.js")), HERE / "app.js"]
    texts = [("style", extension / "style.css"), ("style", HERE / "app.css"), *(("script", file) for file in files)]
    parts = [[tag, file.read_text(encoding="utf-8")] for tag, file in texts]
    return f"""() => {{
        window.clipSkipApp = {json.dumps(data)};
        for (const [tag, text] of {json.dumps(parts)}) {{
            document.head.append(Object.assign(document.createElement(tag), {{textContent: text}}));
        }}
    }}"""
