"""The cells of a sweep below the gallery, and a sweep of a picture, in Chromium."""

import re

import pytest

from .conftest import SETTINGS, pixels, same
from .test_page import NEGATIVE, PROMPT, at_64_pixels, choose_sweep, expect, header, page, panel, prose, sync_api, title  # noqa: F401

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
    viewer.locator("#whole").uncheck()
    viewer.get_by_role("button", name="Use clip skip 2").click()
    sync_api.expect(swept.locator(PROMPT)).to_have_value("a red cow <clipskip:2> at night", timeout=60_000)
    told = viewer.locator("dialog #done")
    sync_api.expect(told).to_have_text("Clip skip 2 is now the prompt's tag.")
    assert told.is_visible()
    sync_api.expect(viewer.locator("dialog #said[aria-live]")).to_have_text("Clip skip 2 is now the prompt's tag.")
    assert swept.locator("#script_list input").first.input_value() == "Clip skip sweep"
    viewer.get_by_role("combobox", name="Pick its value").select_option("in the header")
    viewer.get_by_role("button", name="Use clip skip 2").click()
    sync_api.expect(header(swept)).to_have_value("2", timeout=60_000)
    sync_api.expect(swept.locator(PROMPT)).to_have_value(re.compile("^a red cow +at night$"), timeout=60_000)
    viewer.locator("body").press("ArrowRight")  # the header takes no fraction
    assert viewer.locator("#as").input_value() == "tag"
    viewer.get_by_role("button", name="Use clip skip 3.5").click()
    sync_api.expect(swept.locator(PROMPT)).to_have_value(re.compile("<clipskip:3.5>"), timeout=60_000)


def test_one_click_makes_the_cell_the_next_picture(webui, swept):
    """Prompt, value, row and seed, and no script; the picture is then that of the cell, pixel for pixel."""
    viewer = swept.frame_locator(FRAME)
    swept.locator(PROMPT).fill("something else")
    swept.locator("#txt2img_seed input").fill("99")
    swept.locator("#txt2img_cfg_scale input[type=number]").fill("9")
    viewer.locator('[data-place="2,0"]').click()
    cell = source(viewer.locator("#picture"))
    viewer.get_by_role("button", name="Use clip skip 3.5").click()
    sync_api.expect(viewer.locator("dialog #done")).to_contain_text("Generate makes this picture.", timeout=60_000)
    assert swept.locator(PROMPT).input_value() == "a red cow <clipskip:3.5>"
    assert swept.locator("#script_list input").first.input_value() == "None"
    assert swept.locator("#txt2img_seed input").input_value() == "5"
    assert swept.locator("#txt2img_cfg_scale input[type=number]").input_value() == "4"
    viewer.get_by_role("button", name="Close").click()
    swept.locator("#txt2img_generate").click()
    expect(swept, "<clipskip:3.5>", prose("#html_info_txt2img"))
    sync_api.expect(swept.locator(FRAME)).to_have_count(0, timeout=60_000)
    made = swept.locator("#txt2img_gallery img").first
    assert same(cell, source(made), within=2)


def source(image):
    """The pixels of an image of the page."""
    data = image.evaluate(
        """async image => {
            const blob = await (await fetch(image.src)).blob();
            return new Promise(done => {
                const reader = new FileReader();
                reader.onload = () => done(reader.result);
                reader.readAsDataURL(blob);
            });
        }"""
    )
    return pixels(data.partition(",")[2])


def test_the_header_is_offered_only_where_it_makes_the_cell(swept):
    """Not for 3.5."""
    viewer = swept.frame_locator(FRAME)
    offered = lambda: viewer.locator("#as option[value=header]").evaluate("option => !option.disabled")
    viewer.locator('[data-place="1,0"]').click()
    assert offered()
    viewer.locator("body").press("ArrowRight")
    assert not offered()


def test_a_cell_sent_to_img2img_keeps_its_clip_skip(swept):
    swept.locator(PROMPT).fill("a red cow <clipskip:7>")
    swept.locator("#txt2img_gallery .thumbnails button").nth(3).click()  # after the grid: 1, 2, 3.5 at CFG 4
    swept.wait_for_function("selected_gallery_index() === 3")
    swept.locator("#image_buttons_txt2img [id$=send_to_img2img], #image_buttons_txt2img #img2img_tab").first.click()
    prompt = swept.locator("#img2img_prompt textarea")
    sync_api.expect(prompt).to_have_value("a red cow <clipskip:3.5>", timeout=60_000)
    swept.wait_for_timeout(1000)
    assert prompt.input_value() == "a red cow <clipskip:3.5>"
    assert swept.locator(PROMPT).input_value() == "a red cow <clipskip:7>"


@pytest.mark.parametrize("width", [400, 1280])
def test_a_cell_is_shown_large_and_no_room_is_wasted(swept, width):
    swept.set_viewport_size({"width": width, "height": 900})
    viewer = swept.frame_locator(FRAME)
    iframe = swept.locator(FRAME)
    blank = (
        "[innerHeight, document.querySelector('header').offsetHeight + document.querySelector('#grid').offsetHeight]"
    )
    swept.wait_for_timeout(500)
    high, used = viewer.locator("body").evaluate(f"() => {blank}")
    assert high <= used + 40
    viewer.locator('[data-place="0,0"]').click()
    swept.wait_for_timeout(500)
    assert viewer.locator("#picture").bounding_box()["width"] > 0.6 * iframe.bounding_box()["width"]


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


def test_an_infotext_never_becomes_the_prompt(swept):
    """The host's answer about the prompt got lost now and then; here it always does."""
    swept.evaluate(
        """() => {
            const area = gradioApp().querySelector("#txt2img_prompt textarea");
            const {get, set} = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value");
            let lost = false;
            const write = function (value) {
                if (!lost) set.call(this, value);
                lost = value.includes("Steps:");
            };
            Object.defineProperty(area, "value", {configurable: true, get, set: write});
            window.clipSkip.until = async () => {
                await new Promise((done) => setTimeout(done, 3000));
                lost = false;
            };
        }"""
    )
    swept.locator("#txt2img_results").get_by_role("button", name="Sweep clip skip").click()
    sync_api.expect(swept.locator(PROMPT)).to_have_value("a red cow", timeout=60_000)


def test_a_sweep_of_a_picture_in_png_info(webui, page, tmp_path):  # noqa: F811
    import base64

    answer = webui.answer("a blue cow,\nat night", "bad", **{**SETTINGS, "cfg_scale": 6.5, "seed": 11})
    (tmp_path / "cow.png").write_bytes(base64.b64decode(answer["images"][0]))
    page.locator("#tabs button", has_text="PNG Info").first.click()
    button = page.locator("#tab_pnginfo").get_by_role("button", name="Sweep clip skip")
    button.click()
    expect(page, "There is no picture yet.", "#tab_pnginfo .clip-skip-note")
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
