"""What the pages show of which clip skip a file was made for: one file, and a folder as a table."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterable, Mapping

from PIL import Image

from clip_skip.made_for import blocks_figure, table
from clip_skip.made_for.findings import Finding, inspect
from clip_skip.made_for.metadata import Problem

__all__ = ["HEADS", "NO_BASE", "choices", "link", "look", "rows"]

HEADS = ("LoRA", "Model", "Metadata", "Weights", "Clip skip", "Why")
NO_BASE = "None"

Translate = Callable[[str], str]


def choices(loras: Mapping[str, str], checkpoints: Mapping[str, str]) -> dict[str, str]:
    """The files that can be looked at, by what the page calls them."""
    return {
        **{f"LoRA: {name}": path for name, path in loras.items()},
        **{f"Checkpoint: {name}": path for name, path in checkpoints.items()},
    }


def look(path: str | None, base: str | None, dark: bool, translate: Translate) -> tuple[str, Image.Image | None]:
    """The verdict on the file at `path` in sentences, and the picture of its blocks where it tells of any."""
    if path is None:
        return translate("Choose a LoRA or a checkpoint."), None
    try:
        finding = inspect(path, base)
    except Problem as problem:
        return translate(f"{problem}."), None
    blocks = finding.weights is not None and bool(finding.weights.blocks)
    return told(finding, translate), blocks_figure.draw([finding], dark) if blocks else None


def told(finding: Finding, translate: Translate) -> str:
    return "\n".join(map(translate, finding.verdict.sentences))


def rows(
    files: Mapping[str, str], translate: Translate, each: Callable[[Iterable[str]], Iterable[str]]
) -> list[list[str]]:
    """A row of cells, as HEADS has them, for each of `files`, paths by their names.

    each: goes through the names, and shows how far it is.
    """
    found = []
    for name in each(list(files)):
        try:
            finding = inspect(files[name])
        except Problem as problem:
            found.append([name, "-", "-", "-", "-", translate(f"{problem}.")])
        else:
            found.append([name, *table.row(finding)[1:], told(finding, translate)])
    return found


def link(heads: Iterable[str], found: Iterable[list[str]], text: str) -> str:
    """A link that downloads the table; it is in the link itself, so that no file is written anywhere."""
    data = base64.b64encode(b"\xef\xbb\xbf" + table.as_csv([*heads], found).encode()).decode()
    return f'<a href="data:text/csv;charset=utf-8;base64,{data}" download="loras.csv">{html.escape(text)}</a>'
