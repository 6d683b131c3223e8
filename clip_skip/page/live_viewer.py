"""The viewer inside a page: the cells of a sweep that was just made, which the page shows already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clip_skip.messages.message import Translate
from clip_skip.sweep import viewer
from clip_skip.sweep.axis import Axis
from clip_skip.sweep.plan import Cell, Plan
from clip_skip.sweep.settings import TITLE

__all__ = ["described", "page"]


def described(plan: Plan, cells: Mapping[Cell, int], about: str, size: int) -> dict[str, Any]:
    """What the page is told of a grid. cells: of each that is made, which of the shown pictures it is."""
    columns, rows = plan.axes
    return {
        "about": about,
        "columns": [columns.title, *columns.labels],
        "rows": [rows.title, *rows.labels],
        "cells": [[cell.column, cell.row, picture] for cell, picture in cells.items()],
        "reference": plan.reference,
        "size": size,
    }


def page(asked: Mapping[str, Any], language: str, translate: Translate) -> dict[str, str]:
    """The viewer's "page" of a "grid" as `described` has it, or why there is none, as "error".

    "sources": addresses of all shown pictures, and "infotexts", theirs; "dark": the theme
    """
    try:
        grid, sources, infotexts = asked["grid"], asked["sources"], asked["infotexts"]
        columns, rows = (Axis(str(names[0]), tuple(map(str, names[1:]))) for names in (grid["columns"], grid["rows"]))
        views = [
            viewer.View(int(column), int(row), str(sources[picture]), str(infotexts[picture]))
            for column, row, picture in grid["cells"]
        ]
        size, reference = int(grid["size"]), int(grid["reference"])
        about = str(grid["about"])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    theme = "dark" if asked.get("dark") else "light"
    return {"page": viewer.page(TITLE, about, columns, rows, views, size, reference, language, translate, theme, True)}
