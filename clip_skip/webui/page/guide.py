"""The guide and the other pages of docs/, which the page links to."""

from __future__ import annotations

import html
from importlib.util import find_spec
from pathlib import Path

from fastapi import HTTPException
from fastapi.responses import FileResponse, HTMLResponse, Response

from clip_skip.extension_files import extension_folder

__all__ = ["address", "document"]

PICTURES = {".png", ".jpg", ".webp", ".svg"}
STYLE = """
:root { color-scheme: light dark; }
body { margin: 2em auto; max-width: 48em; padding: 0 1em; font: 16px/1.6 system-ui, sans-serif; }
img { max-width: 100%; } table { border-collapse: collapse; display: block; overflow-x: auto; }
td, th { border: 1px solid #8888; padding: 0.2em 0.6em; } pre { overflow-x: auto; }
"""


def address(language: str) -> str | None:
    """The address of the guide in `language`, else in English; None where the documentation is not installed."""
    for name in (f"guide.{language}.md", f"guide.{language.partition('_')[0]}.md", "guide.md"):
        if (folder() / name).is_file():
            return f"./clip-skip/v1/docs/{name}"
    return None


def document(name: str) -> Response:
    """A file of docs/: a text as a web page, or a picture. 404 for anything else."""
    path = (folder() / name).resolve()
    if not path.is_relative_to(folder().resolve()) or not path.is_file():
        raise HTTPException(404)
    if path.suffix in PICTURES:
        return FileResponse(path)
    if path.suffix != ".md":
        raise HTTPException(404)
    text = path.read_text(encoding="utf-8")
    title = html.escape(text.partition("\n")[0].lstrip("# "))
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    return HTMLResponse(
        f"<!DOCTYPE html><html><head>{head}<style>{STYLE}</style></head><body>{as_html(text)}</body></html>"
    )


def folder() -> Path:
    return extension_folder() / "docs"


def as_html(text: str) -> str:
    """Markdown as HTML, with what gradio brings for it; as it is where that is missing."""
    if find_spec("markdown_it") is None:
        return f"<pre style='white-space: pre-wrap'>{html.escape(text)}</pre>"
    from markdown_it import MarkdownIt

    return str(MarkdownIt("commonmark").enable("table").render(text))
