"""One self-contained HTML page that shows a grid: pictures, script and style are all in it."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from PIL import Image

from clip_skip.extension_files import page_part
from clip_skip.messages.message import Translate
from clip_skip.sweep.axis import Axis

EXACT_LIMIT = 24_000_000
"""The largest total number of pixels of all cells that the page holds without loss."""


WORD = re.compile(r'\btr\(\s*"([^"]+)"')
"""A text in the script, and below one in the page's frame."""

PLACE = re.compile(r"\{\{(.+?)\}\}")


@dataclass(frozen=True)
class ViewerCell:
    """A cell of the page: its place, the address of its picture, and its infotext."""

    column: int
    row: int
    source: str
    infotext: str


def viewer_page(
    title: str,
    about: str,
    columns: Axis,
    rows: Axis,
    cells: Iterable[ViewerCell],
    size: int,
    reference: int = 0,
    language: str = "en",
    translate: Translate = str,
    theme: str = "",
    picks: bool = False,
    header_values: Sequence[int | None] | None = None,
) -> str:
    """The page as text, to be written in UTF-8.

    `about` is shown under `title`, `size` is the width of a cell's picture in pixels, and `reference` the column to
    compare with at first. Cells that are absent are drawn as missing.

    language, translate: of the page's words. theme: "light" or "dark"; "" is the reader's own.
    picks: whether a cell's value can be picked; the page around this one then gets a message.
    header_values: for each column, the header's value that by itself gives the same cells, or None; by default taken
    from the infotexts.
    """
    script = page_part(__file__, ".js")
    data = {
        "title": translate(title),
        "about": about,
        "columns": {**asdict(columns), "title": translate(columns.title)},
        "rows": {**asdict(rows), "title": translate(rows.title)},
        "words": {text: translate(text) for text in WORD.findall(script)},
        "picks": picks,
        "headers": header_values,
        "cells": [asdict(cell) for cell in cells],
        "size": size,
        "reference": reference,
    }
    # "<" only occurs inside strings, where JSON may write it so that no text can end the script element.
    safe = json.dumps(data).replace("<", "\\u003c")
    frame = PLACE.sub(lambda place: html.escape(translate(place[1])), page_part(__file__, ".html"))
    parts = {"/*STYLE*/": page_part(__file__, ".css"), "/*SCRIPT*/": script, "/*DATA*/": safe}
    parts |= {"/*LANGUAGE*/": html.escape(language.replace("_", "-")), "/*THEME*/": html.escape(theme)}
    return re.sub("|".join(map(re.escape, parts)), lambda place: parts[place[0]], frame)


def is_viewer_page(page: str) -> bool:
    """Whether `viewer_page` of this version made `page`, by its style and its script."""
    return all(part in page for part in inline_parts())


def content_policy() -> str:
    """The Content-Security-Policy of a page: nothing in it but its own style, script and pictures does anything."""
    style, script = (base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in inline_parts())
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )


def inline_parts() -> tuple[str, str]:
    """The contents of a page's style element and of its script element."""
    frame = page_part(__file__, ".html")
    places = (frame.split(f"<{tag}>")[1].split(f"</{tag}>")[0] for tag in ("style", "script"))
    style, script = places
    css, js = page_part(__file__, ".css"), page_part(__file__, ".js")
    return style.replace("/*STYLE*/", css), script.replace("/*SCRIPT*/", js)


def picture_embedder(count: int, size: tuple[int, int]) -> Callable[[Image.Image], str]:
    """A function that encodes a picture as a data URL, for pages of `count` pictures of `size`.

    PNG for up to `EXACT_LIMIT` pixels in all, which keeps every pixel; WebP above, which keeps the page small.
    """
    exact = count * size[0] * size[1] <= EXACT_LIMIT

    def embed_picture(picture: Image.Image) -> str:
        stream = io.BytesIO()
        if exact:
            picture.convert("RGB").save(stream, format="PNG")
        else:
            picture.convert("RGB").save(stream, format="WEBP", quality=90)
        kind = "png" if exact else "webp"
        return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"

    return embed_picture
