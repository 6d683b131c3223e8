"""The pages' view of the clip skip that files were made for: one file, or a folder as a table."""

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
    "ADD_THEME_TO_FILE",
    "CHOOSE",
    "COLUMN_HEADINGS",
    "COLUMN_TYPES",
    "COLUMN_WIDTHS",
    "DOWNLOAD",
    "NONE",
    "NO_BASE",
    "choices",
    "explain_file",
    "heads",
    "table",
]

ADD_THEME_TO_FILE = "(file, base, dark) => [file, base, Boolean(document.querySelector('.dark'))]"
"""JavaScript that supplies the last argument of `explain_file`."""

COLUMN_HEADINGS = ("LoRA", "Its model", "Its metadata says", "Changed blocks", "Clip skip", "Reason")
COLUMN_TYPES = ("str", "str", "number", "number", "number", "str")
COLUMN_WIDTHS = ("240px", "120px", "100px", "100px", "80px", "480px")
"""Widths of the columns, where gradio accepts them: its own are too narrow for the headings."""

NO_BASE = Template("No base")
NONE = Template("No LoRAs were found.")
CHOOSE = Template("Choose a LoRA or a checkpoint.")
DOWNLOAD = Template("Download as CSV")

Each = Callable[[list[str]], Iterable[str]]


def choices(loras: Mapping[str, str], checkpoints: Mapping[str, str]) -> dict[str, str]:
    """The paths of the files that can be inspected, by their names on the page."""
    return {
        **{f"LoRA: {name}": path for name, path in loras.items()},
        **{f"Checkpoint: {name}": path for name, path in checkpoints.items()},
    }


def explain_file(
    path: str | None, base: str | None, dark: bool, translate: Translate
) -> tuple[str, Image.Image | None]:
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

    return reasons(finding, translate), blocks_figure.draw_blocks_figure([finding], dark, translate)


def reasons(finding: Finding, translate: Translate) -> str:
    return "\n".join(map(translate, finding.verdict.sentences))


def heads(translate: Translate) -> list[str]:
    return [translate(head) for head in COLUMN_HEADINGS]


def table(
    files: Mapping[str, str], translate: Translate, each: Each = list, none: Template = NONE
) -> tuple[list[list[str | int]] | None, str]:
    """A row of cells, as HEADS has them, for each of `files`, paths by their names; an unknown value is "".

    And HTML: a link to download the table. Without files: no table, and `none`.
    each: iterates over the names and shows the progress.
    """
    if not files:
        return None, html.escape(translate(none))
    rows = [[name, *cells(files[name], translate)] for name in each(list(files))]
    return rows, link(heads(translate), rows, translate(DOWNLOAD))


def cells(path: str, translate: Translate) -> list[str | int]:
    try:
        finding = inspect(path)
    except Problem as problem:
        return ["", "", "", "", translate(problem.message)]
    block_counts = changed_blocks(finding)
    numbers = [
        finding.metadata.value if finding.metadata else "",
        block_counts[0] if block_counts else "",
        finding.verdict.clip_skip or "",
    ]
    return [f"{finding.model or '?'}, {finding.kind}", *numbers, reasons(finding, translate)]


def link(heads: Iterable[str], rows: Iterable[Sequence[object]], text: str) -> str:
    """A link that downloads the table; it is in the link itself, so that no file is written anywhere."""
    table = io.StringIO()
    csv.writer(table, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerows(
        [[table_cell(value) for value in row] for row in ([*heads], *rows)]
    )
    data = base64.b64encode(b"\xef\xbb\xbf" + table.getvalue().encode()).decode()
    return f'<a href="data:text/csv;charset=utf-8;base64,{data}" download="loras.csv">{html.escape(text)}</a>'
