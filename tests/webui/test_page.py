"""The page of a running WebUI in a real browser, Chromium driven by Playwright."""

import os
import time

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser to test with")

HOSTS_OWN = (
    "ERR_NAME_NOT_RESOLVED",
    "ERR_INTERNET_DISCONNECTED",
    "hidden tab",
    "(reading 'props')",
    "favicon",
    "manifest.json",
)
READOUT, PROMPT = "#clip_skip_readout", "#txt2img_prompt textarea"


@pytest.fixture
def page(webui, browser):
    """The page, loaded, with the header at 1; at the end there must be no error of ours in its console."""
    webui.call("/sdapi/v1/options", {"CLIP_stop_at_last_layers": 1})
    webui.answer("a", steps=1)
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(webui.url)
    page.wait_for_selector(READOUT, timeout=90_000)
    page.wait_for_function("Object.keys(opts).length > 0")  # the host's own shortcuts need them
    expect(page, "stops after layer")
    yield page
    context.close()
    assert [error for error in errors if not any(known in error for known in HOSTS_OWN)] == []


def expect(page, text, place=READOUT):
    sync_api.expect(page.locator(place)).to_contain_text(text, timeout=15_000)


def header(page):
    own = page.locator("#setting_CLIP_stop_at_last_layers input[type=number]")
    return own if own.count() else page.get_by_label("number input for Clip skip", exact=True).first


def set_number(page, locator, value):
    locator.fill(str(value))
    locator.press("Enter")
    locator.blur()


def panel(page, name):
    return page.locator(f"#script_txt2img_clip_skip_{name} input[type=number]")


def test_the_readout_follows_the_slider(page):
    expect(page, "stops after layer 12 of 12 · CLIP ViT-L/14")
    set_number(page, header(page), 3)
    expect(page, "stops after layer 10 of 12")


def test_the_readout_follows_the_checkpoint(webui, page):
    if not os.environ.get("CLIP_SKIP_SDXL") or not page.locator("#setting_sd_model_checkpoint").count():
        pytest.skip("CLIP_SKIP_SDXL not set, or a host that loads a checkpoint with its first picture")
    choose = page.locator("#setting_sd_model_checkpoint input")

    def load(name):
        choose.click()
        choose.fill(name)
        page.locator("#setting_sd_model_checkpoint li", has_text=name).first.click()

    before = webui.call("/sdapi/v1/options")["sd_model_checkpoint"]
    load(f"{os.environ['CLIP_SKIP_SDXL']}.safetensors")
    expect(page, "no effect on SDXL, which stops after layer 11 of 12 · CLIP ViT-L/14; stops after layer 31 of 32")
    page.locator(PROMPT).fill("<clipskip:g=5> a cow")
    expect(page, "the tag <clipskip:g=5> decides")
    expect(page, "layer 28 of 32")
    load(before.split(" ")[0])
    expect(page, "CLIP ViT-L/14")


def test_completion_by_keyboard(page):
    prompt = page.locator(PROMPT)
    prompt.click()
    page.keyboard.type("a cow <clipskip:")
    items = page.locator("#clip_skip_completion li")
    sync_api.expect(items).to_have_count(12)
    assert "<clipskip:2>" in items.nth(1).inner_text() and "layer 11 of 12" in items.nth(1).inner_text()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert prompt.input_value() == "a cow <clipskip:2>"
    assert items.count() == 0
    expect(page, "the tag <clipskip:2> decides: stops after layer 11 of 12")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Control+ArrowUp")
    assert prompt.input_value() == "a cow <clipskip:3>"
    expect(page, "the tag <clipskip:3> decides")
    page.keyboard.press("Control+ArrowDown")
    page.keyboard.press("Control+ArrowDown")
    page.keyboard.press("Control+ArrowDown")
    assert prompt.input_value() == "a cow <clipskip:1>"
    page.keyboard.press("End")
    page.keyboard.type(" <clipskip:1")
    sync_api.expect(items).to_have_count(4)
    page.keyboard.press("Escape")
    assert items.count() == 0 and prompt.input_value() == "a cow <clipskip:1> <clipskip:1"


def test_the_hosts_shortcut_still_weighs_words(page):
    prompt = page.locator(PROMPT)
    prompt.fill("cow <clipskip:2>")
    prompt.evaluate("area => area.setSelectionRange(1, 1)")
    prompt.focus()
    page.keyboard.press("Control+ArrowUp")
    assert prompt.input_value() == "(cow:1.1) <clipskip:2>"


def test_a_bad_tag_is_named_while_typing(page):
    prompt = page.locator(PROMPT)
    width = prompt.bounding_box()["width"]
    prompt.click()
    page.keyboard.type("a <clipskip:abc> cow")
    expect(page, '"<clipskip:abc>" was ignored: "abc" is not a number', "#txt2img_clip_skip_warnings")
    assert prompt.get_attribute("aria-invalid") == "true"
    assert prompt.bounding_box()["width"] == width
    prompt.fill("a cow")
    sync_api.expect(page.locator("#txt2img_clip_skip_warnings")).to_have_text("", timeout=15_000)
    assert prompt.get_attribute("aria-invalid") == "false"


def test_the_panel_starts_from_the_header_and_becomes_a_tag(page):
    set_number(page, header(page), 4)
    page.locator("#script_txt2img_clip_skip_enabled .label-wrap").click()
    expect(page, "the panel decides: stops after layer 9 of 12")
    assert panel(page, "clip_skip").input_value() == "4"
    set_number(page, panel(page, "negative"), 2)
    page.locator(PROMPT).fill("a cow")
    page.get_by_role("button", name="Insert as a tag").first.click()
    assert page.locator(PROMPT).input_value() == "a cow <clipskip:4>"
    assert page.locator("#txt2img_neg_prompt textarea").input_value() == "<clipskip:2>"
    expect(page, "the tag <clipskip:4> decides")
    sync_api.expect(page.locator("#script_txt2img_clip_skip_depths")).to_be_hidden()


def test_a_pasted_infotext_restores_the_panel(webui, page):
    text = "a cow <clipskip:x>\nSteps: 4, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64, "
    page.locator(PROMPT).fill(text + "Clip skip panel: 2.5, Clip skip negative: 3")
    page.locator("#paste").first.click()
    sync_api.expect(panel(page, "clip_skip")).to_have_value("2.5", timeout=15_000)
    sync_api.expect(panel(page, "negative")).to_have_value("3")
    expect(page, "the panel decides: stops between layers 10 and 11 of 12")


def test_a_pasted_clip_skip_is_what_the_readout_says(page):
    page.locator(PROMPT).fill("a cow\nSteps: 4, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64, Clip skip: 5")
    page.locator("#paste").first.click()
    expect(page, "stops after layer 8 of 12")


def test_the_header_survives_a_reload(page):
    set_number(page, header(page), 3)
    expect(page, "layer 10 of 12")
    page.wait_for_timeout(1000)
    page.reload()
    page.wait_for_selector(READOUT, timeout=90_000)
    expect(page, "layer 10 of 12")
    page.wait_for_timeout(2000)
    assert header(page).input_value() == "3"
    presets = page.locator("#forge_ui_preset input[type=radio]")
    if presets.count():
        presets.nth(1).click()
        page.wait_for_timeout(2000)
        assert header(page).is_visible() and header(page).input_value() == "3"
        presets.nth(0).click()
        page.wait_for_timeout(2000)


def small(page, steps):
    for name, value in (("width", 64), ("height", 64), ("steps", steps)):
        set_number(page, page.locator(f"#txt2img_{name} input[type=number]"), value)
    page.locator("#txt2img_seed input").fill("1")


def choose_sweep(page, **fields):
    choose = page.locator("#script_list input").first
    choose.click()
    page.locator("ul.options li", has_text="Clip skip sweep").first.click()
    for name, value in fields.items():
        place = f"#script_txt2img_clip_skip_sweep_{name}"
        page.locator(f"{place} textarea, {place} input[type=number], {place} input:not([type])").first.fill(value)


def test_a_picture_and_a_sweep_from_the_page(webui, page):
    page.locator(PROMPT).fill("a red cow on a green field <clipskip:3>")
    small(page, steps=4)
    page.locator("#txt2img_generate").click()
    infotext = page.locator("#html_info_txt2img").first
    sync_api.expect(infotext).to_contain_text("<clipskip:3>", timeout=120_000)
    choose_sweep(page, clip_skips="1, 2, 12", cfg_scales="7")
    page.locator("#txt2img_generate").click()
    sync_api.expect(infotext).to_contain_text('Sweep clip skips: "1, 2, 12"', timeout=240_000)
    assert page.locator("#txt2img_gallery .thumbnails button").count() == 4


def test_a_sweep_shows_its_progress_and_is_interrupted(webui, page):
    began = time.monotonic()
    webui.answer("a", steps=4)
    a_step = (time.monotonic() - began) / 4
    page.locator(PROMPT).fill("a red cow")
    small(page, steps=min(max(round(20 / 36 / a_step), 1), 20))  # some 20 seconds in all
    choose_sweep(page, clip_skips="1-12", cfg_scales="4, 7, 11", cells_per_batch="1")
    page.locator("#txt2img_generate").click()
    page.wait_for_function(
        "[...document.querySelectorAll('.progressDiv .progress')].some(bar => parseFloat(bar.style.width) > 15)",
        timeout=120_000,
    )
    page.locator("#txt2img_interrupt").click()
    sync_api.expect(page.locator("#html_info_txt2img").first).to_contain_text("Sweep clip skips: 1-12", timeout=60_000)
    pictures = page.locator("#txt2img_gallery .thumbnails button").count()
    assert 3 < pictures < 37
    assert page.locator("#txt2img_generate").is_visible()


def test_ticking_the_panel_starts_from_the_header(page):
    set_number(page, header(page), 4)
    page.locator("#script_txt2img_clip_skip_enabled-visible-checkbox").click()
    expect(page, "the panel decides: stops after layer 9 of 12")


def test_the_keyboard_alone_reaches_everything(page):
    """Enter opens the panel, Tab leads through it to its button, Enter presses that."""
    set_number(page, header(page), 2)
    page.locator("#script_txt2img_clip_skip_enabled .label-wrap").focus()
    page.keyboard.press("Enter")
    expect(page, "the panel decides: stops after layer 11 of 12")
    reached = []
    while "Insert as a tag" not in reached and len(reached) < 30:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent || document.activeElement.type"))
    assert reached[-1] == "Insert as a tag" and reached.count("range") == 4, reached
    page.keyboard.press("Enter")
    assert page.locator(PROMPT).input_value() == "<clipskip:2>"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast_of_what_is_ours(webui, page, contrast, theme):
    page.goto(f"{webui.url}/?__theme={theme}")
    page.wait_for_selector(READOUT, timeout=90_000)
    page.locator("#script_txt2img_clip_skip_enabled .label-wrap").click()
    prompt = page.locator(PROMPT)
    prompt.click()
    page.keyboard.type("<clipskip:x> <clipskip:")
    page.wait_for_selector("#clip_skip_completion")
    expect(page, "was ignored", "#txt2img_clip_skip_warnings")
    ours = (READOUT, "#clip_skip_completion", "#txt2img_clip_skip_warnings", "#script_txt2img_clip_skip_tools")
    assert [found for place in ours for found in contrast(page, place)] == []


def test_the_layers_tab(page):
    page.locator("#tabs button", has_text="Clip Skip layers").first.click()
    page.locator("#clip_skip_layers_prompt textarea").fill("a red cow <clipskip:3>")
    page.locator("#clip_skip_layers_show").click()
    sentence = page.locator("#clip_skip_layers_sentence textarea")
    for _ in range(120):
        if "most changes from" in sentence.input_value():
            break
        page.wait_for_timeout(500)
    assert "most changes from" in sentence.input_value()
    picture = page.locator("#clip_skip_layers_picture img")
    sync_api.expect(picture).to_be_visible(timeout=30_000)
    assert picture.evaluate("image => image.naturalWidth") == 1430
    page.locator("#clip_skip_layers_prompt textarea").fill("a red cow AND a field")
    page.locator("#clip_skip_layers_show").click()
    for _ in range(60):
        if "2 sub-prompts" in sentence.input_value():
            break
        page.wait_for_timeout(500)
    assert "The prompt has 2 sub-prompts; this is the first." in sentence.input_value()
