"""The figure of a report: the answer, the shares, likeness as a heat map under the pictures, and change as curves.

For rows of seeds likeness and change are means with their intervals, and there are no shares.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from clip_skip.messages.catalogues import translate_for_picture
from clip_skip.messages.fonts import font_families, replace_missing_letters
from clip_skip.messages.lines import cut, wrap
from clip_skip.messages.message import Translate
from clip_skip.sweep.report import Interval, Report, conclusion, intervals
from clip_skip.sweep.rows import KINDS

__all__ = ["draw"]

BLUE, ORANGE, GREY = "#3b6fb6", "#e08a2e", "#8a8a94"
QUIET = "#5b5b66"
ABOUT_LINES = 3

CHANGE_OVER_SEEDS = "How different each picture is from the next, mean over the seeds and its 95% interval"

Say = Callable[[str], str]
"""A text of the figure in its language."""


def draw(
    report: Report,
    about: Sequence[str] = (),
    pictures: Sequence[Image.Image] = (),
    translate: Translate = str,
) -> Image.Image:
    """The report as one picture.

    about: lines on what the pictures were made of (prompt, model, seed), for below the answer
    pictures: those of the middle row, which then stand over the likeness
    translate: the figure's own words, into another language
    """
    say = partial(translate_for_picture, translate=translate)
    parts = {"shares": 0.75, "pictures": 0.75, "likeness": 1.3, "change": 1.6}
    if report.of_seeds:
        del parts["shares"]
    if not pictures:
        del parts["pictures"]
    figure, places = begin(parts, report, (8.9 if report.of_seeds else 9.6) - (0 if pictures else 0.7))
    if "shares" in places:
        draw_shares(places["shares"], report, say)
    if "pictures" in places:
        draw_pictures(places["pictures"], report, pictures, say)
    if report.of_seeds:
        draw_similarity_over_seeds(places["likeness"], report, say)
        draw_change_over_seeds(places["change"], report, say)
    else:
        draw_similarity(figure, [places[name] for name in ("pictures", "likeness") if name in places], report, say)
        draw_change(places["change"], report, say)
    return finish(figure, next(iter(places.values())), say(conclusion(report)), about)


def begin(parts: Mapping[str, float], report: Report, height: float) -> tuple[Figure, dict[str, Axes]]:
    """An empty figure, and a place in it for each of `parts`, whose numbers are their heights beside one another."""
    figure = Figure(figsize=(max(9.5, 0.55 * len(report.clip_skips) + 4), height), dpi=130, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)
    return figure, dict(zip(parts, figure.subplots(len(parts), 1, height_ratios=list(parts.values()))))


def finish(figure: Figure, first: Axes, answer: str, about: Sequence[str]) -> Image.Image:
    """The figure as a picture, with the answer and what it is about above the place `first`."""
    lines = [part for line in about for part in wrap(replace_missing_letters(line), 120)]
    kept = [*lines[:ABOUT_LINES], *(["…"] if len(lines) > ABOUT_LINES else [])]
    figure.suptitle("\n".join(wrap(answer, 74)), fontsize=14.5, fontweight="bold", x=0.02, ha="left")
    title = first.get_title(loc="left") or first.get_title()
    first.set_title("")
    first.set_title("\n".join([*kept, "", title]).lstrip("\n"), loc="left", fontsize=10, color=QUIET)
    for text in figure.findobj(Text):
        text.set(fontfamily=font_families(text.get_text()), parse_math=False)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def draw_shares(axes: Axes, report: Report, say: Say) -> None:
    kinds = [("pixels", report.pixels)] + ([("latents", report.latents)] if report.latents else [])
    fields = ("clip_skip", "rows", "interaction")
    shares = [[getattr(share, field) for _, share in kinds] for field in fields]
    draw_bars(axes, report.factor, [kind for kind, _ in kinds], shares, say)


def draw_bars(axes: Axes, factor: str, kinds: Sequence[str], shares: Sequence[Sequence[float]], say: Say) -> None:
    """A bar for each of `kinds`, of the shares of clip skip, of the rows and of the interaction, each by kind."""
    left = np.zeros(len(kinds))
    axes.set_title(say("What the differences go with"), loc="left")
    parts = (("clip skip", BLUE), (factor, ORANGE), ("interaction", GREY))
    for (label, colour), of_kinds in zip(parts, shares):
        widths = np.array(of_kinds)
        bars = axes.barh(range(len(kinds)), widths, left=left, label=say(label), color=colour, height=0.62)
        texts = [f"{width:.0%}" if width >= 0.05 else "" for width in widths]
        axes.bar_label(bars, texts, label_type="center", color="white", fontweight="bold")
        left += widths
    axes.set(xlim=(0, 1), xticks=[])
    axes.set_yticks(range(len(kinds)), [say(kind) for kind in kinds])
    axes.spines[:].set_visible(False)
    axes.tick_params(left=False)
    axes.invert_yaxis()
    axes.legend(ncols=3, loc="upper left", bbox_to_anchor=(0, 0.02), frameon=False)


def middle_row(report: Report) -> int:
    return (len(report.rows) - 1) // 2


def draw_pictures(axes: Axes, report: Report, pictures: Sequence[Image.Image], say: Say) -> None:
    """One picture for each column, on the map's own scale across."""
    for column, picture in enumerate(pictures):
        axes.imshow(picture, extent=(column - 0.47, column + 0.47, 0, 0.94 * picture.height / picture.width))
    tallest = max(picture.height / picture.width for picture in pictures)
    axes.set(xlim=(-0.5, len(report.clip_skips) - 0.5), ylim=(0, 0.94 * tallest), xticks=[], yticks=[], anchor="S")
    row = row_names(report, say)[middle_row(report)]
    axes.set_title(f"{say('The pictures')}: {row}", fontsize=10, color=QUIET)
    axes.spines[:].set_visible(False)


def draw_similarity(figure: Figure, places: Sequence[Axes], report: Report, say: Say) -> None:
    """The heat map in the last of `places`; its colours go over the values that there are."""
    axes, values = places[-1], np.array(report.similarity)
    least = min(math.floor(values.min() * 10) / 10, 0.9)
    image = axes.imshow(values, vmin=least, vmax=1, cmap="Blues_r", aspect="auto")
    title = (
        f"Likeness to the picture at clip skip {report.clip_skips[report.reference]:g} "
        f"(SSIM: 1 is equal; the colours begin at {least:.1f})"
    )
    axes.set_title(say(title), fontsize=10, color=QUIET)
    axes.set_xticks(range(len(report.clip_skips)), [f"{value:g}" for value in report.clip_skips])
    axes.set_yticks(range(len(report.rows)), row_names(report, say))
    axes.set(xlabel=say("clip skip"))
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=list(places), pad=0.01, aspect=30)
    if values.size <= 120:
        for (row, column), value in np.ndenumerate(values):
            colour = "white" if (value - least) / (1 - least) < 0.55 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)


def draw_change(axes: Axes, report: Report, say: Say) -> None:
    names = [f"{value:g}" for value in report.clip_skips]
    steps = [f"{one}→{other}" for one, other in pairwise(names)]
    colours = matplotlib.colormaps["plasma"](np.linspace(0.05, 0.8, len(report.rows)))
    for name, row, colour in zip(row_names(report, say), report.change, colours):
        axes.plot(steps, row, marker="o", color=colour, label=name)
    axes.set_title(say("How different each picture is from the next"), fontsize=10, color=QUIET)
    axes.set(xlabel=say("clip skip"), ylabel=say("How different (0-255, RMS)"))
    axes.set_ylim(0, 1.1 * max((value for row in report.change for value in row), default=0) or 1)
    plain(axes)
    if steps and len(report.rows) <= 12:
        axes.legend(frameon=False, ncols=min(len(report.rows), 6))


def likeness_over_seeds(report: Report) -> str:
    at = f"{report.clip_skips[report.reference]:g}"
    return f"Likeness to the picture at clip skip {at} (SSIM: 1 is equal), mean over the seeds and its 95% interval"


def draw_similarity_over_seeds(axes: Axes, report: Report, say: Say) -> None:
    names = [f"{value:g}" for value in report.clip_skips]
    draw_intervals(axes, names, report.similarity, intervals(report.similarity), 1)
    axes.set_title(say(likeness_over_seeds(report)), fontsize=10, color=QUIET)
    axes.set(xlabel=say("clip skip"), ylabel=say("Likeness (SSIM)"), xlim=(-0.5, len(names) - 0.5))


def draw_change_over_seeds(axes: Axes, report: Report, say: Say) -> None:
    steps = [f"{one:g}→{other:g}" for one, other in pairwise(report.clip_skips)]
    draw_intervals(axes, steps, report.change, intervals(report.change), 255)
    axes.set_title(say(CHANGE_OVER_SEEDS), fontsize=10, color=QUIET)
    axes.set(xlabel=say("clip skip"), ylabel=say("How different (0-255, RMS)"))
    axes.set_ylim(0, 1.1 * max((value for row in report.change for value in row), default=0) or 1)


def draw_intervals(
    axes: Axes, names: Sequence[str], rows: Sequence[Sequence[float]], over: Sequence[Interval], most: float
) -> None:
    """Each row as a faint line, and the means with their intervals over them, up to the `most` that there can be."""
    for row in rows:
        axes.plot(names, row, color=GREY, alpha=0.35, linewidth=1)
    means = [one.mean for one in over]
    reach = [[one.mean - one.low for one in over], [min(one.high, most) - one.mean for one in over]]
    axes.errorbar(names, means, yerr=reach, marker="o", color=BLUE, capsize=4, linewidth=1.8)
    plain(axes)


def plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)


def row_names(report: Report, say: Say) -> list[str]:
    """What each row is; texts that a person typed are as they were typed."""
    typed = report.factor == KINDS["prompt"].factor
    return [cut(" ".join(replace_missing_letters(name if typed else say(name)).split()), 24) for name in report.rows]
