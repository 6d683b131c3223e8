"""The figure of a grid made with several seeds: the answer, the shares, likeness and change with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from clip_skip.sweep.over_seeds import OverSeeds, conclusion
from clip_skip.sweep.report import Interval
from clip_skip.sweep.report_figure import (
    OVER_SEEDS,
    QUIET,
    begin,
    draw_bars,
    draw_pictures,
    finish,
    plain,
    shortened,
)

__all__ = ["draw"]

MOST_INTERVALS = 12
"""Rows up to which each line has its intervals: more would hide one another."""


def draw(found: OverSeeds, about: Sequence[str], pictures: Sequence[Image.Image]) -> Image.Image:
    """The report as one picture.

    about:    lines on what the pictures were made of, for below the answer
    pictures: those of the first seed's middle row
    """
    first = found.first
    figure, places = begin({"shares": 0.6, "pictures": 0.75, "likeness": 1.5, "change": 1.5}, first, 9.6)
    draw_bars(places["shares"], first.factor, ["pixels"], [[share.mean] for share in found.shares])
    draw_pictures(places["pictures"], first, pictures)
    names = [f"{value:g}" for value in first.clip_skips]
    draw_rows(places["likeness"], names, first.rows, found.similarity(), 1)
    places["likeness"].set_title(
        f"Likeness to the picture at clip skip {names[first.reference]} (SSIM: 1 is equal), {OVER_SEEDS}",
        fontsize=10,
        color=QUIET,
    )
    places["likeness"].set(xlabel="clip skip", ylabel="Likeness (SSIM)", xlim=(-0.5, len(names) - 0.5))
    steps = [f"{one}→{other}" for one, other in pairwise(names)]
    draw_rows(places["change"], steps, first.rows, found.change(), 255)
    places["change"].set_title(f"How different each picture is from the next, {OVER_SEEDS}", fontsize=10, color=QUIET)
    places["change"].set(xlabel="clip skip", ylabel="How different (0-255, RMS)")
    places["change"].set_ylim(bottom=0)
    return finish(figure, places["shares"], conclusion(found), about)


def draw_rows(
    axes: Axes, names: Sequence[str], rows: Sequence[str], over: Sequence[Sequence[Interval]], most: float
) -> None:
    """A line for each row: the means with their intervals, beside one another, up to the `most` that there can be."""
    colours = matplotlib.colormaps["plasma"](np.linspace(0.05, 0.8, len(rows)))
    apart = np.linspace(-0.12, 0.12, len(rows)) if len(rows) > 1 else [0.0]
    for name, row, colour, aside in zip(rows, over, colours, apart):
        means = [one.mean for one in row]
        reach = [[one.mean - max(one.low, 0) for one in row], [min(one.high, most) - one.mean for one in row]]
        axes.errorbar(
            np.arange(len(names)) + aside,
            means,
            yerr=np.maximum(reach, 0) if len(rows) <= MOST_INTERVALS else None,
            marker="o",
            markersize=4,
            capsize=3,
            color=colour,
            label=shortened(name),
        )
    axes.set_xticks(range(len(names)), names)
    plain(axes)
    if names and len(rows) <= MOST_INTERVALS:
        axes.legend(frameon=False, ncols=min(len(rows), 6))
