"""The layers of a text encoder as one picture: how alike they are, each step between them, and every token's way up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.text import Text
from PIL import Image

from clip_skip.layers.measure import Layers
from clip_skip.messages.catalogues import translate_for_picture
from clip_skip.messages.fonts import font_families, replace_missing_letters
from clip_skip.messages.lines import cut, wrap
from clip_skip.messages.message import Translate

__all__ = ["draw"]

WIDTH, TOP, ROW, DPI = 13.0, 6.3, 0.32, 110
"""Inches: the picture, its upper part, a token's row; and dots per inch."""

FILLED = 0.9
"""How much of a row the highest curve takes."""

TITLE = 10.5
"""The size of the parts' titles, in points."""

LONGEST = 16
"""Letters of a token's label."""

Say = Callable[[str], str]
"""A text of the picture in its language."""


@dataclass(frozen=True)
class Colours:
    back: str
    text: str
    faint: str
    curve: str
    step: str
    largest: str


LIGHT = Colours("#ffffff", "#1f2430", "#8f95a3", "#0072b2", "#7f9fbf", "#d55e00")
DARK = Colours("#0b0f19", "#e6e8ee", "#767d8f", "#56b4e9", "#5d7f9f", "#f08a3c")
"""Blue and vermilion of Okabe and Ito, which colour-blind people tell apart."""


def draw(layers: Layers, dark: bool = False, translate: Translate = str) -> Image.Image:
    """The picture (RGB): a heat map of the layers' similarity, the steps between neighbours, a curve for each token.

    translate: its words, into another language
    """
    say = partial(translate_for_picture, translate=translate)
    colours = DARK if dark else LIGHT
    columns = next((count for count in (1, 2, 3) if len(layers.tokens) <= count * 4 * count), 4)
    rows = -(-len(layers.tokens) // columns)
    heading = [line for sentence in layers.sentences() for line in wrap(say(sentence), 165)]
    heights = (0.65 + 0.21 * len(heading), TOP, 1.25 + ROW * rows)
    figure = Figure(figsize=(WIDTH, sum(heights)), dpi=DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    head, top, bottom = figure.subfigures(3, 1, height_ratios=heights)
    draw_head(head, heights[0], layers.title, heading)
    left, right = top.subplots(1, 2, width_ratios=(1.25, 1))
    draw_similarity(top, left, layers, say)
    draw_steps(right, layers, colours, say)
    draw_tokens(bottom, layers, rows, columns, colours, say)
    paint(figure, colours)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def paint(figure: Figure, colours: Colours) -> None:
    """The colours of all but the data, and the fonts, on this figure alone: matplotlib's settings are the process's."""
    figure.set_facecolor(colours.back)
    for part in figure.subfigs:
        part.set_facecolor(colours.back)
    for axes in figure.findobj(lambda artist: hasattr(artist, "spines")):
        axes.set_facecolor(colours.back)
        axes.tick_params(colors=colours.faint, labelcolor=colours.text)
        axes.spines[:].set_edgecolor(colours.faint)
    for text in figure.findobj(Text):
        text.set(fontfamily=font_families(text.get_text()), parse_math=False)
        if text.get_color() == "black":
            text.set_color(colours.text)


def draw_head(head: SubFigure, height: float, title: str, lines: list[str]) -> None:
    head.text(0.008, 1 - 0.12 / height, title, va="top", fontsize=13, fontweight="bold")
    head.text(0.008, 1 - 0.45 / height, "\n".join(lines), va="top", fontsize=10, linespacing=1.45)


def draw_similarity(part: SubFigure, axes: Axes, layers: Layers, say: Say) -> None:
    """The heat map; every side has its layers or its clip skips."""
    values, count = layers.similarity, len(layers.numbers)
    image = axes.imshow(values, vmin=min(values.min(), 0.99), vmax=1, cmap="viridis", origin="lower")
    size = 9 if count <= 16 else 7 if count <= 24 else 6
    for axis, make in ((axes.xaxis, axes.secondary_xaxis), (axes.yaxis, axes.secondary_yaxis)):
        axis.set_ticks(range(count), [str(number) for number in layers.numbers], fontsize=size)
        other = make("top" if axis is axes.xaxis else "right")
        second = other.xaxis if axis is axes.xaxis else other.yaxis
        second.set_ticks(range(count), [str(skip) for skip in layers.clip_skips], fontsize=size)
        other.tick_params(length=0)
        other.spines[:].set_visible(False)
        axis.set_label_text(say("layer"))
        second.set_label_text(say("clip skip"))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(say("How alike the layers are (cosine similarity, mean over the tokens)"), fontsize=TITLE)
    part.colorbar(image, ax=axes, pad=0.02, shrink=0.8).outline.set_visible(False)
    if count <= 14:
        middle = (image.norm.vmin + 1) / 2
        for (row, column), value in np.ndenumerate(values):
            colour = "#000000" if value > middle else "#ffffff"
            text = f"{value:.2f}".replace("0.", ".", 1)
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7.5)


def draw_steps(axes: Axes, layers: Layers, colours: Colours, say: Say) -> None:
    """A bar for each step from a layer to the next, as long as the layers are apart."""
    apart, largest = 1 - layers.steps, layers.largest_step
    bars = axes.barh(range(len(apart)), apart, color=colours.step, height=0.7)
    if largest is not None:
        bars[largest].set_color(colours.largest)
    size = 9 if len(apart) <= 16 else 6.5
    axes.bar_label(bars, [f"{step:.3f}" for step in layers.steps], padding=3, fontsize=size)
    pairs = zip(layers.numbers, layers.numbers[1:], layers.clip_skips, layers.clip_skips[1:])
    names = [f"{low}→{high}  ({skip}→{less})" for low, high, skip, less in pairs]
    axes.set_yticks(range(len(apart)), names, fontsize=size)
    axes.set(
        ylabel=say("layers (clip skips)"),
        xlabel=say("1 - cosine similarity; at the bar: cosine similarity"),
        xlim=(0, 1.2 * max(apart, default=0) or 1),
    )
    axes.set_title(say("Each step from a layer to the next"), fontsize=TITLE)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)


def draw_tokens(part: SubFigure, layers: Layers, rows: int, columns: int, colours: Colours, say: Say) -> None:
    """A row for each token, with its curve; all have the same scale, and the mean as a dotted line."""
    highest = float(layers.distance.max()) or 1.0
    title = (
        "How far each token is from itself at the last layer (1 - cosine similarity); "
        f"a row is {highest / FILLED:.2g} high; dotted: the mean of all tokens"
    )
    part.suptitle(say(title), fontsize=TITLE)
    scaled = FILLED * layers.distance / highest
    mean = scaled.mean(1)
    places = range(len(layers.tokens))
    for column, axes in enumerate(part.subplots(1, columns, squeeze=False)[0]):
        shown = places[column * rows : (column + 1) * rows]
        for row, place in enumerate(shown, 1):
            curve = row - scaled[:, place]
            axes.axhline(row, color=colours.faint, lw=0.5)
            axes.fill_between(layers.numbers, row, curve, color=colours.curve, alpha=0.25, lw=0)
            axes.plot(layers.numbers, row - mean, color=colours.text, lw=0.9, ls=":")
            axes.plot(layers.numbers, curve, color=colours.curve, lw=1.4)
        axes.set_yticks(np.arange(len(shown)) + 0.6, [f"{written(layers.tokens[n])}  {n}" for n in shown], fontsize=8.5)
        each = max(1, -(-len(layers.numbers) * columns // 26))
        ticks = range(len(layers.numbers))[::-1][::each]
        names = [f"{layers.numbers[index]}\n({layers.clip_skips[index]})" for index in ticks]
        axes.set_xticks([layers.numbers[index] for index in ticks], names, fontsize=8)
        axes.set(ylim=(rows + 0.1, 0), xlabel=say("layer (clip skip)"))
        axes.margins(x=0.02)
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)


def written(token: str) -> str:
    """`token` in letters that there is a font for, and cut to a length that fits."""
    return cut(replace_missing_letters(token, lambda letter: f"U+{ord(letter):04X}"), LONGEST)
