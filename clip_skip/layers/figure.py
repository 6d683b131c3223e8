"""The layers of a text encoder as one picture: how alike they are, each step between them, and some tokens' curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from clip_skip.messages.message import Message, Template, Translate

__all__ = ["DARK", "LIGHT", "Colours", "Say", "draw_layers", "paint"]

WIDTH, TOP, BOTTOM, DPI = 13.0, 6.3, 3.6, 110
"""Inches: the picture, its upper and its lower part; and dots per inch."""

TITLE = 10.5
"""The size of the parts' titles, in points."""

LONGEST_LABEL = 16
"""Letters of a token's label."""

Say = Callable[[Message | str], str]
"""Renders a text in the language of the picture."""


@dataclass(frozen=True)
class Colours:
    back: str
    text: str
    faint: str
    step: str
    largest: str
    curves: tuple[str, ...]

    @property
    def curve(self) -> str:
        return self.curves[0]


LIGHT = Colours("#ffffff", "#1f2430", "#8f95a3", "#7f9fbf", "#d55e00", ("#0072b2", "#d55e00", "#009e73"))
DARK = Colours("#0b0f19", "#e6e8ee", "#767d8f", "#5d7f9f", "#f08a3c", ("#56b4e9", "#f08a3c", "#2fc9a0"))
"""Blue, vermilion and green of Okabe and Ito, which colour-blind people can distinguish."""

DASHES = ("-", "--", "-.")
"""Line styles of curves; each is used with all colours before the next."""

LAYER = Template("layer")
CLIP_SKIP = Template("clip skip")
LAYER_AND_SKIP = Template("layer (clip skip)")
LAYERS_AND_SKIPS = Template("layers (clip skips)")
SIMILARITY = Template("How alike the layers are (cosine similarity, mean over the tokens)")
LAYER_CHANGES = Template("Change from layer to layer")
STEP_AXIS = Template("1 - cosine similarity; at the bar: cosine similarity")
TOKENS = Template("How far tokens are from their state at the last layer")
TOKEN_AXIS = Template("1 - cosine similarity")
MEAN = Template("mean of all tokens")


def draw_layers(
    layers: Layers, dark: bool = False, translate: Translate = str, tokens: Sequence[int] = (), sentences: bool = False
) -> Image.Image:
    """The picture (RGB): a heat map of the layers' similarity, the steps between neighbours, a curve for some tokens.

    translate: for the words in it
    tokens:    their places in the prompt; if not given, those that change most
    sentences: whether the figure includes `Layers.sentences`, for a picture that is shown on its own
    """
    say = partial(translate_for_picture, translate=translate)
    colours = DARK if dark else LIGHT
    heading = [line for sentence in layers.sentences() for line in wrap(say(sentence), 165)] if sentences else []
    heights = (0.45 + 0.21 * len(heading), TOP, BOTTOM)
    figure = Figure(figsize=(WIDTH, sum(heights)), dpi=DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    head, top, bottom = figure.subfigures(3, 1, height_ratios=heights)
    draw_head(head, heights[0], layers.title, heading)
    left, right = top.subplots(1, 2, width_ratios=(1.25, 1))
    draw_similarity(top, left, layers, say)
    draw_steps(right, layers, colours, say)
    draw_tokens(bottom, layers, tokens or layers.most_changed_tokens(), colours, say)
    paint(figure, colours)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def paint(figure: Figure, colours: Colours) -> None:
    """The colours of all but the data, and the fonts, in this figure alone: matplotlib's settings are global."""
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
        axis.set_label_text(say(LAYER))
        second.set_label_text(say(CLIP_SKIP))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(say(SIMILARITY), fontsize=TITLE)
    part.colorbar(image, ax=axes, pad=0.02, shrink=0.8).outline.set_visible(False)
    if count <= 14:
        middle = (image.norm.vmin + 1) / 2
        for (row, column), value in np.ndenumerate(values):
            colour = "#000000" if value > middle else "#ffffff"
            text = f"{value:.2f}".replace("0.", ".", 1)
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7.5)


def draw_steps(axes: Axes, layers: Layers, colours: Colours, say: Say) -> None:
    """A bar for each step from a layer to the next, as long as their distance."""
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
        ylabel=say(LAYERS_AND_SKIPS),
        xlabel=say(STEP_AXIS),
        xlim=(0, 1.2 * max(apart, default=0) or 1),
    )
    axes.set_title(say(LAYER_CHANGES), fontsize=TITLE)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)


def draw_tokens(part: SubFigure, layers: Layers, tokens: Sequence[int], colours: Colours, say: Say) -> None:
    """The curves of some tokens, and the mean of all as a dotted line."""
    axes = part.subplots()
    styles = [(colour, dash) for dash in DASHES for colour in colours.curves]
    for token, (colour, dash) in zip(tokens, styles):
        name = f"{token}: {shown_token(layers.tokens[token])}"
        axes.plot(layers.numbers, layers.distance[:, token], color=colour, ls=dash, lw=1.8, label=name)
    axes.plot(layers.numbers, layers.distance.mean(1), color=colours.text, lw=1.2, ls=":", label=say(MEAN))
    names = [f"{number}\n({skip})" for number, skip in zip(layers.numbers, layers.clip_skips)]
    axes.set_xticks(layers.numbers, names, fontsize=9 if len(names) <= 24 else 7)
    axes.set(xlabel=say(LAYER_AND_SKIP), ylabel=say(TOKEN_AXIS), ylim=(0, None))
    axes.set_title(say(TOKENS), fontsize=TITLE)
    axes.margins(x=0.02)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=10)


def shown_token(token: str) -> str:
    """`token` in letters that a font has, cut to a length that fits."""
    return cut(replace_missing_letters(token, lambda letter: f"U+{ord(letter):04X}"), LONGEST_LABEL)
