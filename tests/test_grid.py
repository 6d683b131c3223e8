import numpy as np
import pytest
from PIL import Image

from clip_skip.sweep import grid

COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200))


def cells(width, height):
    return [[Image.new("RGB", (width, height), colour) for colour in COLOURS] for _ in range(2)]


def find(picture, colour):
    """The boxes, as (left, upper, right, lower), that `colour` fills, row by row."""
    mask = (np.asarray(picture) == colour).all(-1)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@pytest.mark.parametrize("size", [(48, 48), (64, 96), (128, 128), (512, 512), (1024, 768)])
@pytest.mark.parametrize("margin", [0, 6])
def test_every_pixel_of_every_cell_is_there(size, margin):
    width, height = size
    picture = grid.draw_grid(cells(*size), ["1", "2", "3"], ["4", "7"], margin)
    for column, colour in enumerate(COLOURS):
        left, upper, right, lower = find(picture, colour)
        assert (right - left, lower - upper) == (width, 2 * height + margin)
        assert right == picture.width - (2 - column) * (width + margin)
    mask = (np.asarray(picture) == COLOURS[0]).all(-1)
    assert mask.sum() == 2 * width * height


def test_a_missing_cell_is_blank():
    rows = cells(64, 64)
    rows[1][2] = None
    picture = grid.draw_grid(rows, ["1", "2", "3"], ["4", "7"])
    assert picture.getpixel((picture.width - 32, picture.height - 32)) == grid.BLANK
    assert find(picture, COLOURS[2])[3] == picture.height - 64


def test_rows_may_come_one_at_a_time():
    whole = grid.draw_grid(cells(64, 64), ["1", "2", "3"], ["4", "7"])
    lazy = grid.draw_grid((iter(row) for row in cells(64, 64)), ["1", "2", "3"], ["4", "7"], cell_size=(64, 64))
    assert whole.tobytes() == lazy.tobytes()


def test_small_pictures_are_centred_and_other_modes_converted():
    rows = [[Image.new("RGB", (64, 64), COLOURS[0]), Image.new("L", (32, 32), 7)]]
    picture = grid.draw_grid(rows, ["1", "2"], ["4"])
    assert find(picture, (7, 7, 7)) == (
        picture.width - 48,
        picture.height - 48,
        picture.width - 16,
        picture.height - 16,
    )


def test_without_labels_there_is_only_the_grid():
    assert grid.draw_grid(cells(64, 64), ["", "", ""], ["", ""], margin=2).size == (3 * 64 + 4, 2 * 64 + 2)


@pytest.mark.parametrize("size", [48, 128, 512])
@pytest.mark.parametrize("label", ["Clip skip 12", "Clip skip 4.6667", "W" * 60, "a b " * 30])
def test_labels_stay_in_their_columns(size, label):
    pictures = [[Image.new("RGB", (size, size), COLOURS[0]) for _ in range(3)]]
    left, upper, right, _ = find(grid.draw_grid(pictures, ["", label, ""], ["x"]), COLOURS[0])
    heads = np.asarray(grid.draw_grid(pictures, ["", label, ""], ["x"]).convert("L"))[:upper]
    inked = np.flatnonzero((heads < 200).any(0))
    assert inked.size
    assert left + size <= inked[0] and inked[-1] < right - size


def test_labels_are_drawn_for_each_row_and_title_lines_above():
    bare = grid.draw_grid(cells(64, 64), ["1", "2", "3"], ["4", "7"])
    titled = grid.draw_grid(
        cells(64, 64), ["1", "2", "3"], ["4", "7"], title=["a title that is much too long " * 4, "two"]
    )
    assert titled.width == bare.width and titled.height > bare.height + 40
    assert titled.crop((0, titled.height - bare.height, *titled.size)).tobytes() == bare.tobytes()
    side = np.asarray(bare.convert("L"))[-128:, : bare.width - 3 * 64]
    assert (side[:64] < 128).any() and (side[64:] < 128).any()


def test_no_picture_and_no_size_is_an_error():
    with pytest.raises(ValueError, match="size of the cells"):
        grid.draw_grid([[None]], ["1"], ["4"])
