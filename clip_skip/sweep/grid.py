"""The labelled picture of a grid: a column head per column, a row head per row, blank where a cell is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from typing import cast

from PIL import Image, ImageDraw, ImageFont

from clip_skip.messages.lines import unbreakable_parts, wrap

INK = (24, 24, 27)
QUIET = (91, 91, 102)
PAPER = (255, 255, 255)
BLANK = (240, 240, 242)
SMALLEST_TYPE = 9


def draw_grid(
    pictures: Iterable[Iterable[Image.Image | None]],
    column_labels: Sequence[str],
    row_labels: Sequence[str],
    margin: int = 0,
    title: Sequence[str] = (),
    cell_size: tuple[int, int] | None = None,
    column_title: str = "",
    row_title: str = "",
) -> Image.Image:
    """An RGB picture of all cells at full size.

    `pictures` holds a row per entry of `row_labels`, and each row a picture, or None where there is none, per entry
    of `column_labels`. `margin` is the space between cells in pixels; every line of `title` is above the grid,
    and `column_title` and `row_title` beside their labels.
    With `cell_size` (width, height) given, rows are taken one at a time, so that a generator keeps memory low;
    without it the cells are as large as the largest picture. Smaller pictures are centred in their cells.
    """
    if cell_size is None:
        pictures = [list(row) for row in pictures]
        cell_size = _largest(chain.from_iterable(pictures))
    width, height = cell_size
    words, numbers = _type_size(width, height, 22, 40), _type_size(width, height, 11, 72)
    heads = _Labels.fit(column_labels, width - 8, numbers)
    sides = _Labels.fit(row_labels, max(width * 3 // 4, 48), numbers)
    corner = _Labels.fit([row_title], max(width * 3 // 4, 48), words, QUIET)
    left = max(sides.width, corner.width) + sides.line // 2 if any(row_labels) else 0
    across = left + _extent(width, len(column_labels), margin)
    names = _Labels.fit([column_title] if column_title else [], across - left - 8, words, QUIET)
    lines = _Labels.fit(title, across - 8, words) if title else None
    title_height = sum(lines.heights) + lines.line // 2 if lines else 0
    names_height = sum(names.heights)
    heads_height = max(heads.heights) + heads.line // 3 if any(column_labels) else 0
    corner_height = sum(corner.heights) + corner.line // 2 if row_title else 0
    top = title_height + max(names_height + heads_height, corner_height)

    canvas = Image.new("RGB", (across, top + _extent(height, len(row_labels), margin)), PAPER)
    ink = ImageDraw.Draw(canvas)
    if lines:
        offset = lines.line // 4
        for index, lines_height in enumerate(lines.heights):
            lines.write(ink, index, across / 2, offset + lines_height / 2)
            offset += lines_height
    if names.heights:
        names.write(ink, 0, (left + across) / 2, top - heads_height - names_height / 2)
    if row_title:
        corner.write(ink, 0, left / 2, top - corner_height / 2)
    for column in range(len(column_labels)):
        heads.write(ink, column, left + column * (width + margin) + width / 2, top - heads_height / 2)
    for row, cells in zip(range(len(row_labels)), pictures):
        upper = top + row * (height + margin)
        sides.write(ink, row, left / 2, upper + height / 2)
        for column, picture in zip(range(len(column_labels)), cells):
            box = (left + column * (width + margin), upper)
            if picture is None:
                canvas.paste(BLANK, (*box, box[0] + width, box[1] + height))
            else:
                spare = (width - picture.width) // 2, (height - picture.height) // 2
                canvas.paste(picture.convert("RGB"), (box[0] + spare[0], box[1] + spare[1]))
    return canvas


class _Labels:
    """Labels broken into lines that fit into a width, all in one size of type."""

    def __init__(self, font: ImageFont.FreeTypeFont, labels: list[list[str]], colour: tuple[int, int, int]) -> None:
        self.font, self.colour = font, colour
        self.labels = labels
        ascent, descent = font.getmetrics()
        self.line = ascent + descent
        self.heights = [self.line * len(lines) for lines in labels]
        self.width = max((round(font.getlength(line)) for lines in labels for line in lines), default=0)

    @classmethod
    def fit(cls, labels: Sequence[str], width: int, size: int, colour: tuple[int, int, int] = INK) -> _Labels:
        """A font of `size`, or of the largest smaller size at which the longest word fits `width` pixels."""
        labels, name = _lettered(labels)
        words = [word for label in labels for word in unbreakable_parts(label)]
        while size > SMALLEST_TYPE and any(_font(size, name).getlength(word) > width for word in words):
            size -= 1
        font = _font(size, name)
        letter_width = cache(font.getlength)
        return cls(font, [wrap(label, width, letter_width) or [""] for label in labels], colour)

    def write(self, ink: ImageDraw.ImageDraw, index: int, x: float, y: float) -> None:
        """Write label `index` with its middle at `x`, `y`."""
        y -= self.heights[index] / 2
        for line in self.labels[index]:
            ink.text((round(x - self.font.getlength(line) / 2), round(y)), line, font=self.font, fill=self.colour)
            y += self.line


def _lettered(labels: Sequence[str]) -> tuple[list[str], str]:
    """`labels` in letters of one installed font, and that font; "" if Pillow's own has all of them."""
    text = "".join(labels)
    if all(ord(letter) < 256 or letter == "…" for letter in text):
        return [*labels], ""
    from clip_skip.messages import fonts as lettering  # imports matplotlib, which is slow

    name = lettering.single_font(text)
    letters = lettering.font_letters(name)
    replace_missing = lambda letter: letter if letter.isspace() or ord(letter) in letters else "?"
    return ["".join(map(replace_missing, label)) for label in labels], name


@cache
def _font(size: int, name: str = "") -> ImageFont.FreeTypeFont:
    """An installed font in `size` pixels; "" is Pillow's own type (Pillow 10.1 and later), else matplotlib's."""
    if not name:
        try:
            return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size))
        except TypeError:
            name = "DejaVu Sans"
    from clip_skip.messages import fonts as lettering

    file, number = lettering.font_file(name)
    return ImageFont.truetype(file, size, index=number)


def _type_size(width: int, height: int, part: int, most: int) -> int:
    """A `part` of a cell's width and height, legible in any case, `most` pixels at most."""
    return min(max((width + height) // part, 12), most)


def _extent(size: int, count: int, margin: int) -> int:
    return size * count + margin * max(count - 1, 0)


def _largest(pictures: Iterable[Image.Image | None]) -> tuple[int, int]:
    sizes = [picture.size for picture in pictures if picture is not None]
    if not sizes:
        raise ValueError("there is no picture to take the size of the cells from")
    return max(width for width, _ in sizes), max(height for _, height in sizes)
