"""The viewer in a real browser, opened from disk."""

import numpy as np
import pytest
from PIL import Image

from clip_skip.sweep import viewer

COLUMNS, ROWS = ["Clip skip 1", "Clip skip 2", "Clip skip 3"], ["CFG scale 4", "CFG scale 7"]


def picture(number):
    return Image.fromarray(np.full((32, 32, 3), 20 * number, dtype=np.uint8))


@pytest.fixture
def page(browser, tmp_path):
    source = viewer.embed(6, (32, 32))
    places = [(column, row) for row in range(2) for column in range(3) if (column, row) != (2, 1)]
    views = [viewer.View(c, r, source(picture(c + 3 * r)), f"infotext of {c}, {r}") for c, r in places]
    file = tmp_path / "index.html"
    file.write_text(viewer.page("A sweep", "its settings", COLUMNS, ROWS, views, 32), encoding="utf8")
    page = browser.new_page()
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    yield page
    page.close()
    assert errors == []


def test_the_grid(page):
    assert page.locator("#grid thead th").all_inner_texts()[1:] == COLUMNS
    assert page.locator("#grid tbody th").all_inner_texts() == ROWS
    assert page.locator("#grid img").count() == 5
    assert page.get_by_label("Clip skip 3, CFG scale 7: missing").count() == 1


def test_a_cell_large_with_its_infotext_and_its_neighbours(page):
    page.locator('[data-place="0,0"]').click()
    assert page.inner_text("#name") == "Clip skip 1, CFG scale 4"
    assert page.inner_text("#infotext") == "infotext of 0, 0"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.inner_text("#name") == "Clip skip 2, CFG scale 7"
    page.keyboard.down("c")
    assert "Clip skip 1, CFG scale 7 (compared with Clip skip 2)" in page.inner_text("#name")
    page.keyboard.up("c")
    assert page.inner_text("#infotext") == "infotext of 1, 1"
    page.click("#copy")
    assert page.inner_text("#copy") == "Copied"
    page.keyboard.press("Escape")
    assert not page.locator("#view").is_visible()
    assert page.evaluate("document.activeElement.dataset.place") == "1,1"


def test_the_keyboard_alone(page):
    reached = []
    while "0,0" not in reached and len(reached) < 10:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.dataset.place"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.inner_text("#name") == "Clip skip 2, CFG scale 4"
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    assert page.locator("#grid thead th").all_inner_texts()[1:] == ROWS
    assert page.evaluate("document.activeElement.dataset.place") == "1,0"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_and_names(page, contrast, scheme):
    page.emulate_media(color_scheme=scheme)
    assert contrast(page, "body") == []
    page.locator('[data-place="0,0"]').click()
    assert contrast(page, "#view") == []
