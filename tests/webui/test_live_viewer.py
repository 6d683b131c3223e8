"""The cells of a sweep below the gallery, and a sweep of a picture, in Chromium."""

import re

import pytest

from .conftest import SETTINGS
from .test_page import NEGATIVE, PROMPT, at_64_pixels, choose_sweep, expect, header, page, panel, sync_api, title  # noqa: F401

FRAME = "#tab_txt2img iframe.clip-skip-viewer"


@pytest.fixture
def swept(page):  # noqa: F811
    """The page after a sweep of clip skip 1, 2, 3.5 at two CFG scales."""
    at_64_pixels(page, steps=4)
    page.locator("#txt2img_seed input").fill("5")
    page.locator(PROMPT).fill("a red cow")
    choose_sweep(page, clip_skips="1, 2, 3.5", cfg_scales="4, 7")
    page.locator("#txt2img_generate").click()
    page.wait_for_selector(FRAME, timeout=120_000)
    page.frame_locator(FRAME).locator("#grid img").nth(5).wait_for()
    return page


def test_the_cells_are_below_the_gallery_and_each_is_its_own_picture(swept):
    viewer = swept.frame_locator(FRAME)
    assert viewer.locator("#grid thead th").all_inner_texts() == ["Clip skip →\nCFG scale ↓", "1", "2", "3.5"]
    assert viewer.locator("#grid tbody th").all_inner_texts() == ["4", "7"]
    gallery = swept.locator("#txt2img_gallery .thumbnails img")
    addresses = [gallery.nth(index).get_attribute("src") for index in range(gallery.count())]
    shown = [viewer.locator("#grid img").nth(index).evaluate("image => image.src") for index in range(6)]
    assert len(addresses) == 7 and [one.split("/file=")[-1] for one in shown] == [
        one.split("/file=")[-1] for one in addresses[1:]
    ]
    assert viewer.locator("#grid img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    viewer.locator('[data-place="1,1"]').click()
    assert viewer.locator("#name").inner_text() == "Clip skip 2, CFG scale 7"
    assert "CFG scale: 7" in viewer.locator("#infotext").inner_text()
    viewer.locator("body").press("ArrowRight")
    assert viewer.locator("#name").inner_text() == "Clip skip 3.5, CFG scale 7"


def test_a_cells_value_becomes_the_tag_or_the_headers(swept):
    viewer = swept.frame_locator(FRAME)
    swept.locator(PROMPT).fill("a red cow <clipskip:7> at night")
    viewer.locator('[data-place="1,0"]').click()
    viewer.get_by_role("button", name="Use clip skip 2").click()
    sync_api.expect(swept.locator(PROMPT)).to_have_value("a red cow <clipskip:2> at night", timeout=60_000)
    sync_api.expect(viewer.locator("#said")).to_have_text("Clip skip 2 is now the prompt's tag.")
    viewer.get_by_role("combobox", name="Pick its value").select_option("in the header")
    viewer.get_by_role("button", name="Use clip skip 2").click()
    sync_api.expect(header(swept)).to_have_value("2", timeout=60_000)
    sync_api.expect(swept.locator(PROMPT)).to_have_value(re.compile("^a red cow +at night$"), timeout=60_000)
    viewer.locator("body").press("ArrowRight")  # the header takes no fraction
    assert viewer.locator("#as").input_value() == "tag"
    viewer.get_by_role("button", name="Use clip skip 3.5").click()
    sync_api.expect(swept.locator(PROMPT)).to_have_value(re.compile("<clipskip:3.5>"), timeout=60_000)


def test_the_value_of_a_negative_row_goes_to_the_negative_prompt(page):  # noqa: F811
    """What a cell was made at, its infotext knows."""
    infotext = "x\nSteps: 4, Clip skip panel: 2, Clip skip negative: 5, Clip skip hires: 3"
    page.evaluate(
        r"""infotext => {
            const picked = JSON.stringify({clipSkipPick: {as: "tag", value: "2", infotext}});
            const iframe = document.createElement("iframe");
            iframe.className = "clip-skip-viewer";
            iframe.dataset.tab = "txt2img";
            iframe.srcdoc = `<script>parent.postMessage(${picked}, self.origin)<\/script>`;
            gradioApp().append(iframe);
        }""",
        infotext,
    )
    sync_api.expect(page.locator(PROMPT)).to_have_value("<clipskip:2:hires=3>", timeout=60_000)
    sync_api.expect(page.locator(NEGATIVE)).to_have_value("<clipskip:5:hires=3>", timeout=60_000)


def test_a_message_of_anything_else_changes_nothing(page):  # noqa: F811
    page.evaluate("postMessage({clipSkipPick: {as: 'tag', value: '2', infotext: ''}}, location.origin)")
    page.wait_for_timeout(1000)
    assert page.locator(PROMPT).input_value() == ""


def test_the_setting_takes_the_viewer_away(webui, page):  # noqa: F811
    page.evaluate("opts.clip_skip_viewer = opts.clip_skip_completion = opts.clip_skip_readout = false")
    page.locator(PROMPT).click()
    page.keyboard.type("<clipskip:")
    page.wait_for_timeout(800)
    assert page.locator("#clip_skip_completion").count() == 0 and page.locator("#clip_skip_readout").count() == 0
    page.evaluate("opts.clip_skip_readout = true")
    page.keyboard.type("2> a")
    expect(page, "set by the tag <clipskip:2>")


def test_a_sweep_of_a_picture_in_the_gallery(swept):
    swept.locator("#txt2img_gallery .thumbnails button").nth(2).click()
    swept.locator(PROMPT).fill("something else")
    swept.locator("#txt2img_steps input[type=number]").fill("9")
    swept.locator("#txt2img_seed input").fill("-1")
    swept.locator("#txt2img_results").get_by_role("button", name="Sweep clip skip").click()
    part = "#script_txt2img_clip_skip_sweep"
    sync_api.expect(swept.locator(PROMPT)).to_have_value("a red cow", timeout=60_000)
    sync_api.expect(swept.locator("#txt2img_seed input")).to_have_value("5", timeout=60_000)
    sync_api.expect(swept.locator("#txt2img_steps input[type=number]")).to_have_value("4", timeout=60_000)
    sync_api.expect(swept.locator(f"{part}_clip_skips textarea")).to_have_value("1-12", timeout=60_000)
    sync_api.expect(swept.locator(f"{part}_cfg_scales textarea")).to_have_value("4", timeout=60_000)


def test_a_sweep_of_a_picture_in_png_info(webui, page, tmp_path):  # noqa: F811
    import base64

    answer = webui.answer("a blue cow,\nat night", "bad", **{**SETTINGS, "cfg_scale": 6.5, "seed": 11})
    (tmp_path / "cow.png").write_bytes(base64.b64decode(answer["images"][0]))
    page.locator("#tabs button", has_text="PNG Info").first.click()
    button = page.locator("#tab_pnginfo").get_by_role("button", name="Sweep clip skip")
    button.click()
    expect(page, "This picture has no settings in it.", "#tab_pnginfo .clip-skip-note")
    page.locator("#pnginfo_image input[type=file]").set_input_files(tmp_path / "cow.png")
    expect(page, "Seed: 11", "#tab_pnginfo")
    expect(page, "at clip skip", "#clip_skip_png_info")
    button.click()
    sync_api.expect(page.locator(NEGATIVE)).to_have_value("bad", timeout=60_000)
    assert page.locator(PROMPT).input_value() == "a blue cow,\nat night"
    part = "#script_txt2img_clip_skip_sweep"
    sync_api.expect(page.locator(f"{part}_cfg_scales textarea")).to_have_value("6.5", timeout=60_000)
    assert page.locator("#script_list input").first.input_value() == "Clip skip sweep"
    assert page.locator("#txt2img_seed input").input_value() == "11"
    page.wait_for_function("id => document.activeElement.closest(id)", arg=f"{part}_clip_skips")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_axe_finds_nothing_in_the_viewer_and_nothing_is_wider_than_the_page(webui, swept, violations, theme, width):
    swept.set_viewport_size({"width": width, "height": 1000})
    swept.evaluate("dark => document.body.classList.toggle('dark', dark)", theme == "dark")
    frame = swept.frame_locator(FRAME)
    frame.locator("html").evaluate("(html, theme) => { html.dataset.theme = theme; }", theme)
    frame.locator('[data-place="0,0"]').click()
    assert violations(swept) == []
    box = swept.locator(FRAME).bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    inside = frame.locator("#view").evaluate("view => view.scrollWidth <= view.clientWidth")
    assert inside
