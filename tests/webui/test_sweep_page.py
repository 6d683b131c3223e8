"""The sweep on the page of a running WebUI, in Chromium."""

import re

import pytest

from clip_skip.sweep.axis import COLUMN_TOO_DEEP

from .test_page import at_64_pixels, choose_sweep, expect, page, prose, sync_api  # noqa: F401

PROMPT, NEGATIVE = "#txt2img_prompt textarea", "#txt2img_neg_prompt textarea"
LOG, COUNT = prose("#html_log_txt2img"), prose("#script_txt2img_clip_skip_sweep_count")


def button(page, name):  # noqa: F811
    return page.locator(f"#script_txt2img_clip_skip_sweep_{name}")


def field(page, name):  # noqa: F811
    return page.locator(f"#script_txt2img_clip_skip_sweep_{name}").locator("textarea, input[type=number]").first


@pytest.fixture
def small(page):  # noqa: F811
    """The page at 64 pixels and 4 steps, with the sweep chosen."""
    at_64_pixels(page, steps=4)
    choose_sweep(page)
    return page


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


def test_interrupted_and_started_again_it_makes_the_rest(webui, small):
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
