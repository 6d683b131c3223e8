"""Tables in Markdown; contact sheets and curves, drawn with matplotlib."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from torch import Tensor

CURVES = ("colour", "shape", "colour and shape", "place", "background", "count")


def table(rows: dict[str, dict[str, float | None]], label: str) -> str:
    """A Markdown table of fractions as percentages; a row per entry, a column per measure."""
    columns = [name for name in next(iter(rows.values())) if name != "captions"]
    lines = [f"| {label} | captions | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for name, row in rows.items():
        cells = ["-" if row[column] is None else f"{100 * row[column]:.1f}" for column in columns]
        lines.append(f"| {name} | {row['captions']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def fill(page: Path, tables: dict[str, dict[str, dict]]) -> None:
    """Put each table into ``page`` between ``<!-- table: LABEL -->`` and ``<!-- end -->``."""
    text = page.read_text(encoding="utf-8")
    for label, rows in tables.items():
        start = f"<!-- table: {label} -->"
        pattern = re.escape(start) + r".*?<!-- end -->"
        text = re.sub(pattern, f"{start}\n{table(rows, label)}<!-- end -->", text, flags=re.DOTALL)
    page.write_text(text, encoding="utf-8")


def sheet(made: Tensor, titles: list[str], columns: int, path: Path, heading: str = "") -> None:
    """Save ``made`` [n, 3, height, width] (0..1) in rows of ``columns``, each under its title."""
    rows = -(-len(made) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(1.7 * columns, 2.05 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, picture, title in zip(axes.flat, made, titles):
        axis.imshow(picture.permute(1, 2, 0).numpy())
        axis.set_title("\n".join(textwrap.wrap(title, 26)), fontsize=6)
    figure.suptitle(heading, fontsize=10)
    figure.tight_layout(pad=0.4)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def curves(points: dict[int, dict[str, float]], label: str, path: Path) -> None:
    """Save the fractions of right answers over ``points``."""
    figure, axis = pyplot.subplots(figsize=(6.5, 3.6))
    for name in CURVES:
        axis.plot(list(points), [100 * point[name] for point in points.values()], marker="o", markersize=3, label=name)
    axis.set(xlabel=label, ylabel="right, %", ylim=(0, 102), xticks=list(points))
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
