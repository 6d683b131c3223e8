"""The figure of a grid made with several seeds: the answer, the shares, similarity and change with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from clip_skip.messages.catalogues import translate_for_picture
from clip_skip.messages.message import Translate
from clip_skip.sweep.over_seeds import OverSeeds, conclude_over_seeds
from clip_skip.sweep.report import Interval
from clip_skip.sweep.report_figure import (
    CHANGE,
    CHANGE_OVER_SEEDS,
    CLIP_SKIP,
    MOST_NAMES,
    PIXELS,
    QUIET,
    begin_figure,
    clip_skip_names,
    draw_bars,
    finish_figure,
    finish_similarity,
    hide_frame,
    name_curves,
    pictures_height,
    row_names,
    step_names,
    title_pictures,
)

__all__ = ["draw_over_seeds"]


def draw_over_seeds(
    result: OverSeeds,
    about: Sequence[str],
    pictures: Sequence[Image.Image],
    translate: Translate = str,
) -> Image.Image:
    """The report as one picture.

    about:     lines with the pictures' settings, below the answer
    pictures:  those of the first seed's middle row
    translate: for the figure's own texts
    """
    first, say = result.first, partial(translate_for_picture, translate=translate)
    rows = row_names(first, say)
    parts = {"shares": 1.35, "pictures": pictures_height(first, pictures), "likeness": 3.2, "change": 3.2}
    if len(first.clip_skips) == 1:
        del parts["shares"]
    figure, places = begin_figure(parts, first)
    if "shares" in places:
        draw_bars(places["shares"], first.factor, [PIXELS], [[share.mean] for share in result.shares], say)
    title_pictures(places["pictures"], first, say)
    draw_rows(places["likeness"], clip_skip_names(first), rows, result.similarity(), 1)
    finish_similarity(places["likeness"], first, say)
    draw_rows(places["change"], step_names(first), rows, result.change(), 255)
    places["change"].set_title(say(CHANGE_OVER_SEEDS), fontsize=10, color=QUIET)
    places["change"].set(xlabel=say(CLIP_SKIP), ylabel=say(CHANGE))
    places["change"].set_ylim(bottom=0)
    name_curves(places["change"], rows)
    return finish_figure(figure, places, say(conclude_over_seeds(result)), about, pictures)


def draw_rows(
    axes: Axes, names: Sequence[str], rows: Sequence[str], over: Sequence[Sequence[Interval]], most: float
) -> None:
    """A line for each row: the means with their intervals, side by side, up to `most`, the highest possible value."""
    colours = matplotlib.colormaps["plasma"](np.linspace(0.05, 0.8, len(rows)))
    offsets = np.linspace(-0.12, 0.12, len(rows)) if len(rows) > 1 else [0.0]
    for name, row, colour, offset in zip(rows, over, colours, offsets):
        means = [one.mean for one in row]
        reach = [[one.mean - max(one.low, 0) for one in row], [min(one.high, most) - one.mean for one in row]]
        axes.errorbar(
            np.arange(len(names)) + offset,
            means,
            yerr=np.maximum(reach, 0) if len(rows) <= MOST_NAMES else None,
            marker="o",
            markersize=4,
            capsize=3,
            color=colour,
            label=name,
        )
    axes.set_xticks(range(len(names)), names)
    hide_frame(axes)
