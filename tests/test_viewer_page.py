"""The viewer in a real browser, opened from disk."""

import numpy as np
import pytest
from PIL import Image

from clip_skip.sweep import viewer
from clip_skip.sweep.axis import Axis

COLUMNS, ROWS = Axis("Clip skip", ("1", "2", "3")), Axis("CFG scale", ("4", "7"))


def picture(number):
    return Image.fromarray(np.full((32, 32, 3), 20 * number, dtype=np.uint8))


@pytest.fixture
def page(browser, tmp_path):
    source = viewer.picture_embedder(6, (32, 32))
    places = [(column, row) for row in range(2) for column in range(3) if (column, row) != (2, 1)]
    views = [viewer.ViewerCell(c, r, source(picture(c + 3 * r)), f"infotext of {c}, {r}") for c, r in places]
    file = tmp_path / "index.html"
    file.write_text(viewer.viewer_page("A sweep", "its settings", COLUMNS, ROWS, views, 32), encoding="utf8")
    page = browser.new_page()
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    yield page
    page.close()
    assert errors == []


def test_the_grid(page):
    assert page.locator("#grid thead th").all_inner_texts() == ["Clip skip →\nCFG scale ↓", *COLUMNS.labels]
    assert page.locator("#grid tbody th").all_inner_texts() == [*ROWS.labels]
    assert page.locator("#grid img").count() == 5
    missing = page.get_by_label("Clip skip 3, CFG scale 7: missing")
    assert missing.count() == 1 and missing.inner_text() == "missing"


def test_a_cell_large_with_its_infotext_and_its_neighbours(page):
    page.locator('[data-place="0,0"]').click()
    assert page.inner_text("#name") == "Clip skip 1, CFG scale 4"
    assert page.inner_text("#infotext") == "infotext of 0, 0"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.inner_text("#name") == "Clip skip 2, CFG scale 7"
    page.keyboard.down("c")
    assert page.inner_text("#name") == "Clip skip 1, CFG scale 7 (compared with Clip skip 2, CFG scale 7)"
    assert page.inner_text("#infotext") == "infotext of 0, 1"
    page.keyboard.up("c")
    assert page.inner_text("#infotext") == "infotext of 1, 1"
    page.click("#copy")
    page.wait_for_function("document.querySelector('#copy').textContent === 'Copied'", timeout=10_000)
    page.keyboard.press("Escape")
    assert not page.locator("#view").is_visible()
    page.wait_for_function("document.activeElement.dataset.place === '1,1'", timeout=10_000)


def test_compared_with_any_cell(page):
    page.locator('[data-place="2,0"]').click()
    page.click("#choose")
    for _ in range(2):
        page.click("#left")
    page.click("#down")
    page.click("#compare")
    assert page.inner_text("#name") == "Clip skip 3, CFG scale 4 (compared with Clip skip 1, CFG scale 7)"
    assert page.inner_text("#infotext") == "infotext of 2, 0"
    page.click("#close")
    assert page.inner_text("#reference") == "Clip skip 3, CFG scale 4"


def test_a_missing_cell_in_the_large_view(page):
    page.locator('[data-place="1,1"]').click()
    page.click("#right")
    assert page.inner_text("#name") == "Clip skip 3, CFG scale 7"
    assert page.locator("#missing").is_visible() and not page.locator("#picture").is_visible()
    assert page.inner_text("#infotext") == "This cell is missing." and not page.locator("#copy").is_visible()
    assert page.locator("#choose").is_disabled()
    page.click("#up")
    assert page.locator("#picture").is_visible() and page.locator("#copy").is_visible()


def test_swiping(page):
    page.locator('[data-place="0,0"]').click()
    box = page.locator("#large").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for by, name in (((-80, 5), "Clip skip 2, CFG scale 4"), ((5, -80), "Clip skip 2, CFG scale 7"), ((5, 5), "")):
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + by[0], y + by[1])
        page.mouse.up()
        assert not name or page.inner_text("#name") == name
    assert page.inner_text("#name") == "Clip skip 2, CFG scale 7"


def test_the_focus_is_where_one_expects_it(page):
    page.locator('[data-place="0,0"]').click()
    assert page.evaluate("document.activeElement.id") == "view"
    page.keyboard.press("Enter")
    assert page.inner_text("#name") == "Clip skip 1, CFG scale 4"
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement.dataset.place === '0,0'")
    for key, place in (("End", "2,0"), ("PageDown", "2,1"), ("Home", "0,1"), ("PageUp", "0,0")):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.dataset.place") == place


def test_twelve_columns_fit_and_the_cell_size_is_the_width(browser, tmp_path):
    columns, source = Axis("Clip skip", tuple(map(str, range(1, 13)))), viewer.picture_embedder(36, (128, 128))
    image = source(Image.new("RGB", (128, 128), "teal"))
    views = [viewer.ViewerCell(column, row, image, "") for row in range(3) for column in range(12)]
    rows = Axis("CFG scale", ("4", "7", "11"))
    (tmp_path / "index.html").write_text(viewer.viewer_page("A sweep", "", columns, rows, views, 128), encoding="utf8")
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto((tmp_path / "index.html").as_uri())
    assert page.locator("#scroll").evaluate("place => place.scrollWidth <= place.clientWidth")
    page.locator("#size").evaluate("size => { size.value = 48; size.dispatchEvent(new Event('input')); }")
    assert page.locator("#grid tbody td").first.bounding_box()["width"] <= 56
    page.close()


def test_the_keyboard_alone(page):
    reached = []
    while "0,0" not in reached and len(reached) < 10:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.dataset.place"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.inner_text("#name") == "Clip skip 2, CFG scale 4"
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement.dataset.place === '1,0'", timeout=10_000)
    page.keyboard.press("x")
    assert page.locator("#grid thead th").all_inner_texts() == ["CFG scale →\nClip skip ↓", *ROWS.labels]
    assert page.evaluate("document.activeElement.dataset.place") == "1,0"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_and_names(page, contrast, scheme):
    page.emulate_media(color_scheme=scheme)
    assert contrast(page, "body") == []
    page.locator('[data-place="0,0"]').click()
    assert contrast(page, "#view") == []
