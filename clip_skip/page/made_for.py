"""What the pages show of which clip skip a file was made for: one file, and a folder as a table."""

from __future__ import annotations

import base64
import csv
import html
import io
from collections.abc import Callable, Iterable, Mapping, Sequence

from PIL import Image

from clip_skip.made_for.findings import Finding, changed_blocks, inspect
from clip_skip.made_for.reading import Problem
from clip_skip.messages.message import Template, Translate
from clip_skip.messages.safe_text import table_cell

__all__ = [
    "CHOOSE",
    "DOWNLOAD",
    "HEADS",
    "IS_DARK",
    "NONE",
    "NO_BASE",
    "TYPES",
    "WIDTHS",
    "choices",
    "heads",
    "look",
    "table",
]

IS_DARK = "(file, base, dark) => [file, base, Boolean(document.querySelector('.dark'))]"
"""Gives `look` its last argument, in the browser."""

HEADS = ("LoRA", "Its model", "Its metadata says", "Changed blocks", "Clip skip", "Reason")
TYPES = ("str", "str", "number", "number", "number", "str")
WIDTHS = ("240px", "120px", "100px", "100px", "80px", "480px")
"""Of the columns, where gradio can be told: it would give a word of a head a letter's width."""

NO_BASE = Template("No base")
NONE = Template("No LoRAs were found.")
CHOOSE = Template("Choose a LoRA or a checkpoint.")
DOWNLOAD = Template("Download as CSV")

Each = Callable[[list[str]], Iterable[str]]


def choices(loras: Mapping[str, str], checkpoints: Mapping[str, str]) -> dict[str, str]:
    """The paths of the files that can be inspected, by what the page calls them."""
    return {
        **{f"LoRA: {name}": path for name, path in loras.items()},
        **{f"Checkpoint: {name}": path for name, path in checkpoints.items()},
    }


def look(path: str | None, base: str | None, dark: bool, translate: Translate) -> tuple[str, Image.Image | None]:
    """The verdict on the file at `path` in sentences, and the picture of its blocks where it has any."""
    if path is None:
        return translate(CHOOSE), None
    try:
        finding = inspect(path, base)
    except Problem as problem:
        return translate(problem.message), None
    if finding.weights is None or not finding.weights.blocks:
        return reasons(finding, translate), None
    # matplotlib is slow to import, which would delay the host's start
    from clip_skip.made_for import blocks_figure

    return reasons(finding, translate), blocks_figure.draw([finding], dark, translate)


def reasons(finding: Finding, translate: Translate) -> str:
    return "\n".join(map(translate, finding.verdict.sentences))


def heads(translate: Translate) -> list[str]:
    return [translate(head) for head in HEADS]


def table(
    files: Mapping[str, str], translate: Translate, each: Each = list, none: Template = NONE
) -> tuple[list[list[str | int]] | None, str]:
    """A row of cells, as HEADS has them, for each of `files`, paths by their names; what is not known is "".

    And HTML: a link to have the table as a file, or `none` where there are no files, and no table.
    each: goes through the names, and shows how far it is.
    """
    if not files:
        return None, html.escape(translate(none))
    rows = [[name, *cells(files[name], translate)] for name in each(list(files))]
    return rows, link(heads(translate), rows, translate(DOWNLOAD))


def cells(path: str, translate: Translate) -> list[str | int]:
    try:
        found = inspect(path)
    except Problem as problem:
        return ["", "", "", "", translate(problem.message)]
    changed = changed_blocks(found)
    numbers = [
        found.metadata.value if found.metadata else "",
        changed[0] if changed else "",
        found.verdict.clip_skip or "",
    ]
    return [f"{found.model or '?'}, {found.kind}", *numbers, reasons(found, translate)]


def link(heads: Iterable[str], rows: Iterable[Sequence[object]], text: str) -> str:
    """A link that downloads the table; it is in the link itself, so that no file is written anywhere."""
    table = io.StringIO()
    csv.writer(table, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerows(
        [[table_cell(value) for value in row] for row in ([*heads], *rows)]
    )
    data = base64.b64encode(b"\xef\xbb\xbf" + table.getvalue().encode()).decode()
    return f'<a href="data:text/csv;charset=utf-8;base64,{data}" download="loras.csv">{html.escape(text)}</a>'
