"""The sweep on the page of a running WebUI, in Chromium."""

import re

import pytest

from clip_skip.sweep.axis import COLUMN_TOO_DEEP
from clip_skip.sweep.rows import ROW_KINDS

from .test_page import at_64_pixels, choose_sweep, expect, open_more, page, prose, sync_api  # noqa: F401

PROMPT, NEGATIVE = "#txt2img_prompt textarea", "#txt2img_neg_prompt textarea"
LOG, COUNT = prose("#html_log_txt2img"), prose("#script_txt2img_clip_skip_sweep_count")


def button(page, name):  # noqa: F811
    return page.locator(f"#script_txt2img_clip_skip_sweep_{name}")


def field(page, name):  # noqa: F811
    return page.locator(f"#script_txt2img_clip_skip_sweep_{name}").locator("textarea, input[type=number]").first


@pytest.fixture
def small(page):  # noqa: F811
    """The page at 64 pixels and 4 steps, with the sweep chosen and all of its form in sight."""
    at_64_pixels(page, steps=4)
    choose_sweep(page)
    open_more(page)
    return page


def test_the_form_shows_what_every_sweep_needs(page):  # noqa: F811
    """The rest is under More; the margin is the API's alone."""
    choose_sweep(page)
    first, more = ("preset", "clip_skips", "rows", "cfg_scales", "report"), ("apply_to", "legend", "example")
    for name in first:
        sync_api.expect(button(page, name)).to_be_visible()
    for name in (*more, "margin"):
        sync_api.expect(button(page, name)).to_be_hidden()
    open_more(page)
    for name in more:
        sync_api.expect(button(page, name)).to_be_visible()
    sync_api.expect(button(page, "margin")).to_be_hidden()
    button(page, "apply_to").get_by_label("Negative prompt", exact=True).check()
    expect(page, "Apply to: Negative prompt", COUNT)


def test_rows_that_cannot_work_are_not_offered(page):  # noqa: F811
    choose_sweep(page)
    label = lambda option: option.inner_text().replace("✓", "").strip()
    offered = lambda: [label(one) for one in button(page, "rows").locator("ul.options li:visible").all()]
    rows = button(page, "rows").locator("input")
    rows.click()
    names = [ROW_KINDS[name].label for name in ("cfg", "seed", "negative", "prompt", "lora")]
    assert offered() == names
    seen = set()
    for _ in names:
        rows.press("ArrowDown")
        page.wait_for_timeout(200)
        seen.add(label(button(page, "rows").locator("ul.options li.active")))
    assert seen == {*names}
    page.keyboard.press("Escape")
    page.locator("#txt2img_hr-checkbox input").evaluate("box => box.click()")
    sync_api.expect(button(page, "rows")).to_have_attribute("data-clip-skip-hides", "clip_g", timeout=60_000)


@pytest.mark.parametrize("width", [400, 800, 1280])
def test_every_picture_of_a_sweep_can_be_reached(small, width):
    """By a click at every width; each thumbnail says what it is."""
    small.set_viewport_size({"width": width, "height": 1000})
    small.fill(PROMPT, "a red circle")
    field(small, "clip_skips").fill("1-12")
    field(small, "cfg_scales").fill("4, 7, 11")
    button(small, "report").locator("input").check()
    small.click("#txt2img_generate")
    thumbnails = small.locator("#txt2img_gallery .thumbnails button")
    sync_api.expect(thumbnails).to_have_count(38, timeout=300_000)
    names = ["Grid of all cells", "Report", "Clip skip 1, CFG scale 4", "Clip skip 2, CFG scale 4"]
    for index, name in enumerate(names):
        sync_api.expect(thumbnails.nth(index)).to_have_attribute("aria-label", name)
    for index in (0, 1, 2, 37):
        thumbnails.nth(index).click(timeout=10_000)
        small.wait_for_function("index => selected_gallery_index() === index", arg=index)
    report = small.locator("#txt2img_clip_skip_viewer img.clip-skip-report")
    report.scroll_into_view_if_needed()
    box = report.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width


def test_how_many_pictures_is_said_before_it_starts(small):
    field(small, "clip_skips").fill("1-12")
    field(small, "cfg_scales").fill("4, 7")
    expect(small, "24 pictures (12 × 2)", COUNT)
    small.locator("#txt2img_batch_count input[type=number]").fill("3")
    small.locator("#txt2img_batch_count input[type=number]").blur()
    expect(small, "72 pictures (12 × 2, 3 seeds)", COUNT)
    field(small, "clip_skips").fill("1-x")
    expect(small, 'Clip skips: "1-x" is neither a number nor a range', COUNT)


def test_all_of_the_example_which_can_be_taken_back(small):
    small.fill(PROMPT, "a large red circle")
    field(small, "clip_skips").fill("3")
    button(small, "example").click()
    sync_api.expect(small.locator(PROMPT)).to_have_value(re.compile("^best quality"))
    sync_api.expect(small.locator("#txt2img_seed input")).to_have_value("2881122569")
    button(small, "take_back").click()
    sync_api.expect(small.locator(PROMPT)).to_have_value("a large red circle")
    sync_api.expect(field(small, "clip_skips")).to_have_value("3")
    sync_api.expect(small.locator("#txt2img_seed input")).to_have_value("-1")
    sync_api.expect(small.locator("#txt2img_steps input[type=number]")).to_have_value("4")


def test_what_is_said_under_a_sweep(small):
    small.fill(PROMPT, "<clipskip:4>a red circle")
    field(small, "clip_skips").fill("1, 2")
    field(small, "cfg_scales").fill("7")
    small.locator("#script_txt2img_clip_skip_sweep_save_cells input").check()
    small.locator("#script_txt2img_clip_skip_sweep_report input").check()
    small.click("#txt2img_generate")
    expect(small, "values replaced the tag", LOG)
    link = small.locator(f"{LOG} a.clip-skip-page")
    sync_api.expect(link).to_have_count(1, timeout=60_000)
    with small.context.expect_page() as opened:
        link.click()
    viewer = opened.value
    viewer.wait_for_selector("#grid img")
    assert viewer.locator("#grid img").count() == 2
    viewer.close()
    gallery = small.locator("#txt2img_gallery .thumbnails button")
    assert gallery.count() == 4  # the grid, the report, two cells


def test_a_mistake_is_told_without_the_name_of_a_class(small):
    field(small, "clip_skips").fill("1-13")
    small.fill(PROMPT, "a")
    small.click("#txt2img_generate")
    expect(small, f"ClipSkip: Clip skips: {COLUMN_TOO_DEEP(value=13, layers=12)}", LOG)
    assert "Error" not in small.inner_text(LOG)


@pytest.fixture
def reused_cells(webui):
    """Finished cells are kept for the next sweep."""
    webui.call("/sdapi/v1/options", {"clip_skip_finished_cells": 64})
    yield
    webui.call("/sdapi/v1/options", {"clip_skip_finished_cells": 0})


def test_interrupted_and_started_again_it_makes_the_rest(webui, reused_cells, small):
    small.fill(PROMPT, "a red circle")
    seed = small.locator("#txt2img_seed input")
    seed.fill("7")
    seed.blur()
    field(small, "clip_skips").fill("1-12")
    field(small, "cfg_scales").fill("4, 7, 11")
    field(small, "cells_per_batch").fill("1")
    field(small, "cells_per_batch").blur()
    small.click("#txt2img_generate")
    for _ in range(100):
        small.wait_for_timeout(100)
        if webui.call("/sdapi/v1/progress")["state"]["job_no"] > 3:
            break
    small.click("#txt2img_interrupt")
    expect(small, "of 36 cells are done. Run the same sweep again with seed 7 to finish the rest.", LOG)
    made = int(small.inner_text(LOG).partition(" of 36 cells")[0].split()[-1])
    assert 0 < made < 36
    small.click("#txt2img_generate")
    sync_api.expect(small.locator("#txt2img_gallery .thumbnails button")).to_have_count(37, timeout=300_000)
    assert "to finish the rest" not in small.inner_text(LOG)


def choose(page, name, option):  # noqa: F811
    """Chooses from a dropdown of the sweep."""
    button(page, name).locator("input").click()
    page.locator(f'ul.options li[data-value="{option}"], ul.options li[aria-label="{option}"]').first.click()


def test_each_kind_of_row_keeps_its_text_and_paste_restores_it(small):
    """Labels and examples follow the kind; the number of pictures too."""
    boxes = {"CFG scale": "cfg_scales", "Seed": "seeds", "Prompt S/R": "replacements"}

    def seen(kind):
        for other, name in boxes.items():
            sync_api.expect(button(small, name)).to_be_visible(visible=other == kind)
        return field(small, boxes[kind])

    seen("CFG scale").fill("4, 7")
    choose(small, "rows", "Seed")
    seen("Seed").fill("5-7")
    assert "random" in seen("Seed").get_attribute("placeholder")
    expect(small, "36 pictures (12 × 3)", COUNT)
    choose(small, "rows", "Prompt S/R")
    seen("Prompt S/R").fill("circle, square")
    expect(small, "24 pictures (12 × 2)", COUNT)
    choose(small, "rows", "CFG scale")
    sync_api.expect(seen("CFG scale")).to_have_value("4, 7")
    choose(small, "rows", "Seed")
    sync_api.expect(seen("Seed")).to_have_value("5-7")
    choose(small, "rows", "CFG scale")
    said = "Steps: 4, Sampler: Euler, CFG scale: 7, Seed: 3, Size: 64x64, Script: Clip skip sweep"
    said += ', Sweep clip skips: "1, 2"'
    said += ', Sweep apply to: prompt, Sweep rows: prompt, Sweep row values: "circle, hen"'
    small.fill(PROMPT, f"a circle\n{said}")
    small.click("#paste")
    sync_api.expect(seen("Prompt S/R")).to_have_value("circle, hen")
    sync_api.expect(button(small, "rows").locator("input")).to_have_value("Prompt S/R")
    sync_api.expect(field(small, "clip_skips")).to_have_value("1, 2")
    sync_api.expect(field(small, "seeds")).to_have_value("5-7")
    small.click("#txt2img_generate")
    gallery = small.locator("#txt2img_gallery .thumbnails button")
    sync_api.expect(gallery).to_have_count(5, timeout=60_000)
