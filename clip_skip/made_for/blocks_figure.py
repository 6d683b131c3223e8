"""How much each file changes each block of a text encoder, as one picture: a bar for each block of each file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from clip_skip.layers.figure import DARK, LIGHT, Colours, paint
from clip_skip.made_for.adapters import Block
from clip_skip.made_for.findings import Finding
from clip_skip.messages.catalogues import translate_for_picture
from clip_skip.messages.fonts import replace_missing_letters
from clip_skip.messages.lines import wrap
from clip_skip.messages.message import MessageError, Template, Translate

__all__ = ["LEGEND", "MOST_FILES", "NO_BLOCKS", "draw_blocks_figure"]

LEGEND = Template("bars: each block's largest change relative to the file's maximum   ○ not changed   × unknown")
NO_BLOCKS = Template("no file contains blocks of a text encoder, so there is no picture")

MOST_FILES = 400
"""Files in one picture."""

WIDTH, HEIGHT, LINE, DPI = 5.6, 1.25, 0.16, 110
"""Inches: a file's column, its bars, a line of text; and dots per inch."""

LETTERS = 84
"""Letters to a line of text."""

LOWEST = 0.03
"""The least height of a bar (1 is the most), so that no changed block looks unchanged."""


def draw_blocks_figure(findings: Sequence[Finding], dark: bool = False, translate: Translate = str) -> Image.Image:
    """The picture (RGB) of the first `MOST_FILES` of those `findings` whose weights show blocks.

    A bar is as high as the block's largest change, where the file's most changed block is 1; an encoder of SDXL has
    bars of its own. Raises MessageError if no weights show blocks.

    translate: for the words in it
    """
    say = partial(translate_for_picture, translate=translate)
    towers = [(one, name) for one in findings if one.weights for name in one.weights.blocks][:MOST_FILES]
    if not towers:
        raise MessageError(NO_BLOCKS)
    colours = DARK if dark else LIGHT
    columns = 1 if len(towers) < 3 else 2 if len(towers) < 13 else 3
    rows = -(-len(towers) // columns)
    texts = [heading(one, name, say) for one, name in towers]
    lines = [max(len(text) for text in texts[row * columns : (row + 1) * columns]) for row in range(rows)]
    heights = [HEIGHT + LINE * count for count in lines]
    figure = Figure(figsize=(WIDTH * columns, sum(heights) + 0.5), dpi=DPI)
    canvas = FigureCanvasAgg(figure)
    total, top = figure.get_figheight(), figure.get_figheight() - 0.1
    for row, height in enumerate(heights):
        for column, (one, name) in enumerate(towers[row * columns : (row + 1) * columns]):
            x = (column + 0.06) / columns
            axes = figure.add_axes((x, (top - height + 0.3) / total, 0.9 / columns, (HEIGHT - 0.45) / total))
            assert one.weights is not None
            untouched_count = (one.weights.untouched_blocks or 0) if name == next(iter(one.weights.blocks)) else 0
            draw_blocks(axes, one.weights.blocks[name], untouched_count, colours)
            for line, text in enumerate(texts[row * columns + column]):
                size, weight = (9, "bold") if line == 0 else (8, "normal")
                figure.text(x, (top - LINE * line) / total, text, va="top", fontsize=size, fontweight=weight)
        top -= height
    figure.text(0.06 / columns, 0.12 / total, say(LEGEND), fontsize=8, color=colours.faint)
    paint(figure, colours)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def heading(finding: Finding, tower: str, say: Translate) -> list[str]:
    """The file's name, its kind and the reason of the verdict, in lines."""
    encoder = {"l": "CLIP-L", "h": "OpenCLIP-H", "g": "OpenCLIP-G"}[tower]
    name = os.path.basename(finding.file)
    drawable = replace_missing_letters(name)
    name = drawable if len(drawable) <= 44 else f"{drawable[:21]}…{drawable[-22:]}"
    return [
        f"{name}   {finding.model} {finding.kind}, {encoder}",
        *wrap(" ".join(map(say, finding.verdict.sentences)), LETTERS),
    ]


def draw_blocks(axes: Axes, blocks: Sequence[Block], untouched_count: int, colours: Colours) -> None:
    """The bars of one text encoder, the lowest block to the left; untouched ones at the top in another colour."""
    highest = max((block.largest or 0.0 for block in blocks), default=0.0) or 1.0
    numbers = range(1, len(blocks) + 1)
    heights = [max((block.largest or 0.0) / highest, LOWEST) if block.largest else 0.0 for block in blocks]
    bars = axes.bar(numbers, heights, color=colours.curve, width=0.75)
    for bar in bars[len(blocks) - untouched_count :]:
        bar.set_facecolor(colours.largest)
    for marker, has_marker in (("o", [b.largest == 0 for b in blocks]), ("x", [b.largest is None for b in blocks])):
        places = [number for number, one in zip(numbers, has_marker) if one]
        back = {"markerfacecolor": "none"} if marker == "o" else {}
        axes.plot(places, [0.09] * len(places), marker, color=colours.largest, markersize=5, linestyle="none", **back)
    each = 1 if len(blocks) <= 24 else 2
    labels = [*numbers][::-1][::each]
    axes.set_xticks(labels, [f"{number}" for number in labels], fontsize=7)
    axes.set(xlim=(0.4, len(blocks) + 0.6), ylim=(0, 1.05), yticks=[])
    axes.tick_params(length=0, pad=2)
    axes.spines[["top", "right", "left"]].set_visible(False)
