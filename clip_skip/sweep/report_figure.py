"""The figure of a report: the answer, the shares, similarity as a heat map under the pictures, and change as curves.

For rows of seeds similarity and change are means with their intervals. Shares are only drawn where both vary.
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
from clip_skip.messages.lines import columns, cut, wrap
from clip_skip.messages.message import Message, Template, Translate
from clip_skip.sweep.report import Interval, Report, conclude, t_intervals

__all__ = ["draw_report"]

BLUE, ORANGE, GREY = "#3b6fb6", "#e08a2e", "#8a8a94"
QUIET = "#5b5b66"
ABOUT_LINES = 3

FIGURE_WIDTH = 9.5
"""Inches of the narrowest figure."""

PLOT_SHARE = 0.84
"""The share of the figure's width that the plots take, roughly: for the height of the pictures."""

TALLEST = 2.2
"""The pictures' greatest height, in inches."""

MOST_NAMES = 12
"""Rows up to which the curves have a legend."""

LEGEND_COLUMNS = 96
"""The width of a legend in letters."""

CLIP_SKIP = Template("clip skip")
PIXELS, LATENTS, INTERACTION = Template("pixels"), Template("latents"), Template("interaction")
SHARES_TITLE = Template("What the differences come from")
PICTURES_TITLE = Template("The pictures: {row}")
SIMILARITY_TITLE = Template(
    "Similarity to the picture at clip skip {value} (SSIM: 1 is equal; the colours begin at {least})"
)
SIMILARITY_OVER_SEEDS = Template(
    "Similarity to the picture at clip skip {value} (SSIM: 1 is equal), mean over the seeds and its 95% interval"
)
SIMILARITY = Template("Similarity (SSIM)")
CHANGE_TITLE = Template("Difference between each picture and the next")
CHANGE_OVER_SEEDS = Template("Difference between each picture and the next, mean over the seeds and its 95% interval")
CHANGE = Template("Difference (0-255, RMS)")

Say = Callable[[Message | str], str]
"""Renders a text in the figure's language."""


def draw_report(
    report: Report,
    about: Sequence[str] = (),
    pictures: Sequence[Image.Image] = (),
    translate: Translate = str,
) -> Image.Image:
    """The report as one picture.

    about: lines with the pictures' settings (prompt, model, seed), below the answer
    pictures: those of the middle row, drawn above the similarities
    translate: for the figure's own texts
    """
    say = partial(translate_for_picture, translate=translate)
    parts = {"likeness": 2.9, "change": 3.2}
    if pictures:
        parts = {"pictures": pictures_height(report, pictures), **parts}
    if report.has_shares:
        parts = {"shares": 1.6 if report.latents else 1.35, **parts}
    figure, places = begin_figure(parts, report)
    if "shares" in places:
        draw_shares(places["shares"], report, say)
    if pictures:
        title_pictures(places["pictures"], report, say)
    if report.of_seeds:
        draw_similarity_over_seeds(places["likeness"], report, say)
        draw_change_over_seeds(places["change"], report, say)
    else:
        draw_similarity(figure, [places[name] for name in ("pictures", "likeness") if name in places], report, say)
        draw_change(places["change"], report, say)
    return finish_figure(figure, places, say(conclude(report)), about, pictures)


def begin_figure(parts: Mapping[str, float], report: Report) -> tuple[Figure, dict[str, Axes]]:
    """An empty figure with axes for each of `parts`, which has their heights in inches."""
    size = figure_width(report), sum(parts.values()) + 1.4
    figure = Figure(figsize=size, dpi=130, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)
    return figure, dict(zip(parts, figure.subplots(len(parts), 1, height_ratios=list(parts.values()))))


def figure_width(report: Report) -> float:
    return max(FIGURE_WIDTH, 0.55 * len(report.clip_skips) + 4)


def pictures_height(report: Report, pictures: Sequence[Image.Image]) -> float:
    """The inches that a row of `pictures` with its title needs."""
    tallest = max(picture.height / picture.width for picture in pictures)
    return min(tallest * PLOT_SHARE * figure_width(report) / len(report.clip_skips), TALLEST) + 0.4


def finish_figure(
    figure: Figure, places: Mapping[str, Axes], answer: str, about: Sequence[str], pictures: Sequence[Image.Image]
) -> Image.Image:
    """The figure as a picture, with the answer and `about` above the first of `places`."""
    lines = [part for line in about for part in wrap(replace_missing_letters(line), 120)]
    about_lines = [*lines[:ABOUT_LINES], *(["…"] if len(lines) > ABOUT_LINES else [])]
    first = next(iter(places.values()))
    figure.suptitle("\n".join(wrap(answer, 74)), fontsize=14.5, fontweight="bold", x=0.02, ha="left")
    title = first.get_title(loc="left") or first.get_title()
    first.set_title("")
    first.set_title("\n".join([*about_lines, "", title]).lstrip("\n"), loc="left", fontsize=10, color=QUIET)
    for text in figure.findobj(Text):
        text.set(fontfamily=font_families(text.get_text()), parse_math=False)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # lays the plots out; the pictures fit into the place that they have now
    if pictures:
        figure.set_layout_engine("none")
        put_pictures(figure, places["pictures"], pictures)
        canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def draw_shares(axes: Axes, report: Report, say: Say) -> None:
    kinds = [(PIXELS, report.pixels)] + ([(LATENTS, report.latents)] if report.latents else [])
    fields = ("clip_skip", "rows", "interaction")
    shares = [[getattr(share, field) for _, share in kinds] for field in fields]
    draw_bars(axes, report.factor, [kind for kind, _ in kinds], shares, say)


def draw_bars(axes: Axes, factor: str, kinds: Sequence[str], shares: Sequence[Sequence[float]], say: Say) -> None:
    """A bar for each of `kinds`: the shares of clip skip, of the rows and of the interaction, each by kind."""
    left = np.zeros(len(kinds))
    axes.set_title(say(SHARES_TITLE), loc="left")
    parts = ((CLIP_SKIP, BLUE), (factor, ORANGE), (INTERACTION, GREY))
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


def title_pictures(axes: Axes, report: Report, say: Say) -> None:
    """An empty place for a picture above each column of the plot below; `put_pictures` fills it."""
    row = row_names(report, say)[middle_row(report)]
    axes.set_title(say(PICTURES_TITLE(row=row)), fontsize=10, color=QUIET)
    axes.set(xlim=(-0.5, len(report.clip_skips) - 0.5), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def put_pictures(figure: Figure, axes: Axes, pictures: Sequence[Image.Image]) -> None:
    """Each of `pictures` above its column, as large as fits into `axes`."""
    box, (low, high) = axes.get_position(), axes.get_xlim()
    column = box.width * figure.get_figwidth() / (high - low)
    height = box.height * figure.get_figheight() / column
    tallest = max(picture.height / picture.width for picture in pictures)
    width = min(0.94, height / tallest)
    for index, picture in enumerate(pictures):
        across = index - width / 2, index + width / 2
        axes.imshow(picture, extent=(*across, 0, width * picture.height / picture.width), aspect="auto")
    axes.set(xlim=(low, high), ylim=(0, height))


def draw_similarity(figure: Figure, places: Sequence[Axes], report: Report, say: Say) -> None:
    """The heat map in the last of `places`; its colours cover the range of the values."""
    axes, values = places[-1], np.array(report.similarity)
    least = min(math.floor(values.min() * 10) / 10, 0.9)
    image = axes.imshow(values, vmin=least, vmax=1, cmap="Blues_r", aspect="auto")
    axes.set_title(say(SIMILARITY_TITLE(value=reference(report), least=f"{least:.1f}")), fontsize=10, color=QUIET)
    axes.set_xticks(range(len(report.clip_skips)), clip_skip_names(report))
    axes.set_yticks(range(len(report.rows)), row_names(report, say))
    axes.set(xlabel=say(CLIP_SKIP))
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=list(places), pad=0.01, aspect=30)
    if values.size <= 120:
        for (row, column), value in np.ndenumerate(values):
            colour = "white" if (value - least) / (1 - least) < 0.55 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)


def draw_change(axes: Axes, report: Report, say: Say) -> None:
    steps = step_names(report)
    names = row_names(report, say)
    colours = matplotlib.colormaps["plasma"](np.linspace(0.05, 0.8, len(names)))
    for name, row, colour in zip(names, report.change, colours):
        axes.plot(steps, row, marker="o", color=colour, label=name)
    finish_change(axes, report, CHANGE_TITLE, say)
    if steps:
        name_curves(axes, names)


def name_curves(axes: Axes, names: Sequence[str]) -> None:
    """A legend for up to `MOST_NAMES` curves, below `axes`, where it hides none; a single curve needs no legend."""
    if 1 < len(names) <= MOST_NAMES:
        across = max(1, min(6, LEGEND_COLUMNS // (6 + max(map(columns, names)))))
        axes.legend(frameon=False, ncols=across, loc="upper center", bbox_to_anchor=(0.5, -0.2))


def finish_change(axes: Axes, report: Report, title: Template, say: Say) -> None:
    axes.set_title(say(title), fontsize=10, color=QUIET)
    axes.set(xlabel=say(CLIP_SKIP), ylabel=say(CHANGE))
    axes.set_ylim(0, 1.1 * max((value for row in report.change for value in row), default=0) or 1)
    hide_frame(axes)


def draw_similarity_over_seeds(axes: Axes, report: Report, say: Say) -> None:
    draw_intervals(axes, clip_skip_names(report), report.similarity, t_intervals(report.similarity), 1)
    finish_similarity(axes, report, say)


def finish_similarity(axes: Axes, report: Report, say: Say) -> None:
    """Title and labels of similarities over several seeds."""
    axes.set_title(say(SIMILARITY_OVER_SEEDS(value=reference(report))), fontsize=10, color=QUIET)
    axes.set(xlabel=say(CLIP_SKIP), ylabel=say(SIMILARITY), xlim=(-0.5, len(report.clip_skips) - 0.5))


def draw_change_over_seeds(axes: Axes, report: Report, say: Say) -> None:
    draw_intervals(axes, step_names(report), report.change, t_intervals(report.change), 255)
    finish_change(axes, report, CHANGE_OVER_SEEDS, say)


def draw_intervals(
    axes: Axes, names: Sequence[str], rows: Sequence[Sequence[float]], over: Sequence[Interval], most: float
) -> None:
    """Each row as a faint line, and the means with their intervals over them, up to the highest possible value."""
    for row in rows:
        axes.plot(names, row, color=GREY, alpha=0.35, linewidth=1)
    means = [one.mean for one in over]
    reach = [[one.mean - one.low for one in over], [min(one.high, most) - one.mean for one in over]]
    axes.errorbar(names, means, yerr=reach, marker="o", color=BLUE, capsize=4, linewidth=1.8)
    hide_frame(axes)


def hide_frame(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)


def reference(report: Report) -> str:
    return f"{report.clip_skips[report.reference]:g}"


def clip_skip_names(report: Report) -> list[str]:
    return [f"{value:g}" for value in report.clip_skips]


def step_names(report: Report) -> list[str]:
    return [f"{one}→{other}" for one, other in pairwise(clip_skip_names(report))]


def row_names(report: Report, say: Say) -> list[str]:
    """The names of the rows; a text that a person typed stays as it is."""
    names = [replace_missing_letters(name) if isinstance(name, str) else say(name) for name in report.rows]
    return [cut(" ".join(name.split()), 24) for name in names]
