"""The viewer inside a page: the cells of a sweep that was just made, which the page shows already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clip_skip.messages.message import Translate
from clip_skip.sweep import viewer
from clip_skip.sweep.axis import Axis
from clip_skip.sweep.plan import SweepCell, SweepPlan
from clip_skip.sweep.settings import SWEEP_TITLE

__all__ = ["describe_grid", "live_viewer_page"]


def describe_grid(
    plan: SweepPlan,
    cells: Mapping[SweepCell, int],
    about: str,
    size: int,
    translate: Translate,
    header_values: Sequence[int | None] = (),
) -> dict[str, Any]:
    """A grid's description for the page.

    cells: the index of each finished cell's picture among those shown
    header_values: for each column, the header's value that by itself gives the same cells, or None
    """
    columns, rows = plan.axes
    return {
        "about": about,
        "columns": [translate(columns.title), *columns.labels],
        "rows": [translate(rows.title), *rows.labels],
        "cells": [[cell.column, cell.row, picture] for cell, picture in cells.items()],
        "reference": plan.reference,
        "size": size,
        "header_values": [*header_values],
    }


def live_viewer_page(request: Mapping[str, Any], language: str, translate: Translate) -> dict[str, str]:
    """The viewer's "page" of a "grid" that `describe_grid` made, or the reason why there is none, as "error".

    "sources": addresses of all shown pictures, and "infotexts", theirs; "dark": the theme
    """
    try:
        grid, sources, infotexts = request["grid"], request["sources"], request["infotexts"]
        columns, rows = (Axis(str(names[0]), tuple(map(str, names[1:]))) for names in (grid["columns"], grid["rows"]))
        views = [
            viewer.ViewerCell(int(column), int(row), str(sources[picture]), str(infotexts[picture]))
            for column, row, picture in grid["cells"]
        ]
        size, reference = int(grid["size"]), int(grid["reference"])
        about, header_values = str(grid["about"]), [*grid.get("header_values", [])]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    theme = "dark" if request.get("dark") else "light"
    more = size, reference, language, translate, theme, True, header_values
    return {"page": viewer.viewer_page(SWEEP_TITLE, about, columns, rows, views, *more)}
