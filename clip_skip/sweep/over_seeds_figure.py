"""The figure of a grid made with several seeds: the answer, the shares, likeness and change with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from clip_skip.messages.catalogues import translate_for_picture
from clip_skip.messages.message import Translate
from clip_skip.sweep.over_seeds import OverSeeds, conclusion
from clip_skip.sweep.report import Interval
from clip_skip.sweep.report_figure import (
    CHANGE_OVER_SEEDS,
    QUIET,
    begin,
    draw_bars,
    draw_pictures,
    finish,
    likeness_over_seeds,
    plain,
    row_names,
)

__all__ = ["draw"]

MOST_INTERVALS = 12
"""Rows up to which each line has its intervals: more would hide one another."""


def draw(
    found: OverSeeds,
    about: Sequence[str],
    pictures: Sequence[Image.Image],
    translate: Translate = str,
) -> Image.Image:
    """The report as one picture.

    about:     lines on what the pictures were made of, for below the answer
    pictures:  those of the first seed's middle row
    translate: the figure's own words, into another language
    """
    first, say = found.first, partial(translate_for_picture, translate=translate)
    rows = row_names(first, say)
    figure, places = begin({"shares": 0.6, "pictures": 0.75, "likeness": 1.5, "change": 1.5}, first, 9.6)
    draw_bars(places["shares"], first.factor, ["pixels"], [[share.mean] for share in found.shares], say)
    draw_pictures(places["pictures"], first, pictures, say)
    names = [f"{value:g}" for value in first.clip_skips]
    draw_rows(places["likeness"], names, rows, found.similarity(), 1)
    places["likeness"].set_title(say(likeness_over_seeds(first)), fontsize=10, color=QUIET)
    places["likeness"].set(xlabel=say("clip skip"), ylabel=say("Likeness (SSIM)"), xlim=(-0.5, len(names) - 0.5))
    steps = [f"{one}→{other}" for one, other in pairwise(names)]
    draw_rows(places["change"], steps, rows, found.change(), 255)
    places["change"].set_title(say(CHANGE_OVER_SEEDS), fontsize=10, color=QUIET)
    places["change"].set(xlabel=say("clip skip"), ylabel=say("How different (0-255, RMS)"))
    places["change"].set_ylim(bottom=0)
    return finish(figure, places["shares"], say(conclusion(found)), about)


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
            label=name,
        )
    axes.set_xticks(range(len(names)), names)
    plain(axes)
    if names and len(rows) <= MOST_INTERVALS:
        axes.legend(frameon=False, ncols=min(len(rows), 6))
