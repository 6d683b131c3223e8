"""The page of a running WebUI in a real browser, Chromium driven by Playwright."""

import os
import re
import time

import pytest

from clip_skip.sweep.axis import COLUMN_TOO_DEEP

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
NEGATIVE, WARNINGS = "#txt2img_neg_prompt textarea", "#txt2img_clip_skip_warnings"


@pytest.fixture
def page(webui, browser):
    """The page, loaded, with the header at 1; at the end there must be no error of ours in its console."""
    webui.call("/sdapi/v1/options", {"CLIP_stop_at_last_layers": 1})
    webui.answer(f"a {time.time()}", steps=1)  # Neutral Prompt remembers what the token counter saw
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(f"{error} {error.stack}"))
    page.goto(webui.url)
    page.wait_for_selector(READOUT, timeout=90_000)
    page.wait_for_function("Object.keys(opts).length > 0")  # the host's own shortcuts need them
    expect(page, "stops after layer")
    yield page
    context.close()
    assert [error for error in errors if not any(known in error for known in HOSTS_OWN) and not anothers(error)] == []


def anothers(error):
    """Whether an error was thrown in a file of another extension, and none of ours is among its callers."""
    return "extensions/" in error and "/clip_skip" not in error


def expect(page, text, place=READOUT):
    sync_api.expect(page.locator(place)).to_contain_text(text, timeout=60_000)


def prose(place):
    """The text of an HTML component: gradio 3 gives it the id of its block too, gradio 4 does not."""
    return f":is({place}.prose, {place} .prose)"


def header(page):
    own = page.locator("#setting_CLIP_stop_at_last_layers input[type=number]")
    return own if own.count() else page.get_by_label("number input for Clip skip", exact=True).first


def set_number(page, locator, value):
    locator.fill(str(value))
    locator.press("Enter")
    locator.blur()


def panel(page, name):
    return page.locator(f"#script_txt2img_clip_skip_{name} input[type=number]")


def title(page):
    """What opens the panel: gradio 4 has a button for it, with an arrow after its text."""
    return page.locator("#script_txt2img_clip_skip_enabled").locator(".clip-skip-title, button.label-wrap")


def expect_title(page, text):
    sync_api.expect(title(page)).to_have_text(re.compile(rf"^\s*{re.escape(text)}\s*[▼◀]?\s*$"))


def test_the_readout_follows_the_slider(page):
    expect(page, "stops after layer 12 of 12 (CLIP ViT-L/14)")
    set_number(page, header(page), 3)
    expect(page, "stops after layer 10 of 12")


@pytest.fixture
def checkpoint(webui):
    """The checkpoint that is loaded, and will be again."""
    before = webui.call("/sdapi/v1/options")["sd_model_checkpoint"]
    yield before
    webui.call("/sdapi/v1/options", {"sd_model_checkpoint": before})


def test_the_readout_follows_the_checkpoint(webui, page, checkpoint):
    later = "forge_preset" in webui.call("/sdapi/v1/options")
    if later or not page.locator("#setting_sd_model_checkpoint").count() or not os.environ.get("CLIP_SKIP_SDXL"):
        pytest.skip("CLIP_SKIP_SDXL not set, or a host that loads a checkpoint with its first picture")
    choose = page.locator("#setting_sd_model_checkpoint input")
    height = page.locator(READOUT).bounding_box()["height"]

    def load(name):
        choose.click()
        choose.fill(name)
        page.locator("#setting_sd_model_checkpoint li", has_text=name).first.click()

    load(f"{os.environ['CLIP_SKIP_SDXL']}.safetensors")
    both = re.compile(r"stops after layer 11 of 12 \(CLIP ViT-L/14\); stops after layer 31 of 32")
    sync_api.expect(page.locator(READOUT)).to_have_attribute("title", both, timeout=60_000)
    expect(
        page,
        both
        if webui.call("/clip-skip/v1/encoders")["header_acts"]
        else "No effect on SDXL, which already stops at 2. To change it, use a tag or the panel.",
    )
    assert page.locator(READOUT).bounding_box()["height"] == height
    sync_api.expect(page.locator("#script_txt2img_clip_skip_enabled")).to_have_attribute(
        "data-clip-skip-hides", "hires"
    )
    page.locator(PROMPT).fill("<clipskip:g=5> a cow")
    expect(page, "set by the tag <clipskip:g=5>")
    expect(page, "layer 28 of 32")
    load(checkpoint.split(" ")[0])
    expect(page, "CLIP ViT-L/14")


def test_completion_by_keyboard(page):
    prompt = page.locator(PROMPT)
    prompt.click()
    page.keyboard.type("a cow <clipskip:")
    items = page.locator("#clip_skip_completion li")
    sync_api.expect(items).to_have_count(13)
    assert "<clipskip:2>" in items.nth(1).inner_text() and "layer 11 of 12" in items.nth(1).inner_text()
    assert "most anime models" in items.nth(1).inner_text() and "hires" in items.nth(12).inner_text()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert prompt.input_value() == "a cow <clipskip:2>"
    assert items.count() == 0
    expect(page, "set by the tag <clipskip:2>: stops after layer 11 of 12")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Control+ArrowUp")
    assert prompt.input_value() == "a cow <clipskip:3>"
    expect(page, "set by the tag <clipskip:3>")
    page.keyboard.press("Control+ArrowDown")
    page.keyboard.press("Control+ArrowDown")
    page.keyboard.press("Control+ArrowDown")
    assert prompt.input_value() == "a cow <clipskip:1>"
    page.keyboard.press("End")
    page.keyboard.type(" <clipskip:1")
    sync_api.expect(items).to_have_count(4)
    page.keyboard.press("Escape")
    assert items.count() == 0 and prompt.input_value() == "a cow <clipskip:1> <clipskip:1"


def test_completion_opens_at_the_first_letters_and_closes_with_the_cursor(page):
    prompt, items = page.locator(PROMPT), page.locator("#clip_skip_completion li")
    prompt.click()
    page.keyboard.type("a cow <cl")
    sync_api.expect(items).to_have_count(1)
    assert prompt.get_attribute("role") == "combobox" and prompt.get_attribute("aria-expanded") == "true"
    assert prompt.get_attribute("aria-controls") == "clip_skip_completion"
    assert prompt.get_attribute("aria-activedescendant") == "clip_skip_choice_0"
    page.keyboard.press("Enter")
    assert prompt.input_value() == "a cow <clipskip:" and items.count() == 13
    page.keyboard.press("ArrowLeft")
    sync_api.expect(items).to_have_count(0)
    assert prompt.get_attribute("role") is None and prompt.get_attribute("aria-controls") is None
    page.keyboard.press("End")
    page.keyboard.type("2")
    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    assert prompt.input_value() == "a cow <clipskip:2"


COMPLETED = [
    ("<clipskip:1.", ["Enter"], "<clipskip:1.5>"),
    ("<clipskip:1.3", ["Enter"], "<clipskip:1.3>"),
    ("<clipskip:-1", ["Enter"], "<clipskip:-1>"),
    ("<clipskip:2:", ["Enter", "Enter"], "<clipskip:2:hires=1>"),
    ("<clipskip:2:h", ["Tab", "ArrowDown", "Tab"], "<clipskip:2:hires=2>"),
    ("<clipskip:l=", ["Enter"], "<clipskip:l=1>"),
    ("<CLIPSKIP:3", ["Enter"], "<CLIPSKIP:3>"),
    ("<clipskip:3>", ["ArrowLeft", ":", "Enter", "4", "Enter"], "<clipskip:3:hires=4>"),
]


def test_completion_of_every_part(page):
    prompt = page.locator(PROMPT)
    for typed, keys, written in COMPLETED:
        prompt.fill("")
        page.keyboard.type(typed)
        for key in keys:
            page.keyboard.press(key)
        assert prompt.input_value() == written, typed
        assert page.locator("#clip_skip_completion").count() == 0, typed
        assert prompt.evaluate("area => area.selectionStart") == len(written), typed


STEPPED = [
    ("a <clipskip:3> b", (14, 14), "a <clipskip:4> b"),
    ("a <clipskip:3> b", (2, 2), "a <clipskip:4> b"),
    ("a <clipskip:3> b", (2, 14), "a <clipskip:4> b"),
    ("<clipskip:l=2:g=3>", (16, 16), "<clipskip:l=2:g=4>"),
    ("<clipskip:l=2:g=3>", (12, 12), "<clipskip:l=3:g=3>"),
    ("<clipskip:2:hires=1>", (5, 5), "<clipskip:3:hires=1>"),
    ("<clipskip:12>", (11, 11), "<clipskip:12>"),
    ("<clipskip:9>", (12, 12), "<clipskip:10>"),
]


def test_ctrl_up_changes_the_number_at_the_cursor_and_can_be_undone(page):
    prompt = page.locator(PROMPT)
    prompt.click()
    for text, selection, changed in STEPPED:
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(text)
        prompt.evaluate("(area, [start, end]) => area.setSelectionRange(start, end)", list(selection))
        page.keyboard.press("Control+ArrowUp")
        assert prompt.input_value() == changed, (text, selection)
        if changed != text:
            page.keyboard.press("Control+z")
            assert prompt.input_value() == text


def test_an_accepted_choice_can_be_undone(page):
    page.locator(PROMPT).click()
    page.keyboard.type("a cow <clipskip:")
    page.keyboard.press("Enter")
    assert page.locator(PROMPT).input_value() == "a cow <clipskip:1>"
    page.keyboard.press("Control+z")
    assert page.locator(PROMPT).input_value() == "a cow <clipskip:"


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
    sync_api.expect(page.locator("#txt2img_clip_skip_warnings")).to_have_text("", timeout=60_000)
    assert prompt.get_attribute("aria-invalid") == "false"


WRONG = [
    ("<clipskip:2 a red cow", '"<clipskip:2 a red cow" is not a tag: the closing > is missing.'),
    ("<clip_skip:2> a cow", '"<clip_skip:2>" is not a tag: a tag is written <clipskip:2>.'),
    ("<clip-skip:2> a cow", '"<clip-skip:2>" is not a tag: a tag is written <clipskip:2>.'),
    ("<clipskip:99> a cow", '"<clipskip:99>" is deeper than the 12 layers of CLIP ViT-L/14; 12 is used.'),
    ("<clipskip:2:g=3> a cow", 'g= in "<clipskip:2:g=3>" has no effect on SD1.'),
]


@pytest.mark.parametrize("box", ["txt2img_prompt", "txt2img_neg_prompt", "hires_prompt", "hires_neg_prompt"])
def test_what_is_wrong_is_named_below_its_own_box(page, box):
    area = page.locator(f"#{box} textarea")
    if not area.count():
        pytest.skip("this host has no such box")
    note = f"{box.removesuffix('prompt').removesuffix('_')}_clip_skip_warnings"
    for text, message in WRONG:
        area.evaluate("(area, text) => { area.value = text; updateInput(area); }", text)
        sync_api.expect(page.locator(f"#{box} #{note}")).to_have_text(message, timeout=60_000)
        assert area.get_attribute("aria-invalid") == "true" and area.get_attribute("aria-describedby") == note
        assert page.locator("textarea[aria-invalid=true]").count() == 1
    area.evaluate("area => { area.value = ''; updateInput(area); }")
    sync_api.expect(page.locator(f"#{note}")).to_have_text("", timeout=60_000)
    assert area.get_attribute("aria-describedby") is None


def test_a_tag_that_is_being_completed_is_not_wrong_yet(page):
    page.locator(PROMPT).click()
    page.keyboard.type("a cow <clipskip:2")
    page.wait_for_timeout(1500)
    assert page.locator(WARNINGS).count() == 0
    page.keyboard.press("Escape")
    expect(page, "the closing > is missing", WARNINGS)


QWEN = {"name": "Qwen3 4B", "tower": "qwen", "layers": 36, "native": 2, "deepest": 36, "header": None}


def test_the_readout_of_a_model_without_clip(page):
    """The server's answer is that of Z-Image; what is done with it on the page is real."""
    real = page.evaluate("fetch('./clip-skip/v1/encoders').then(answer => answer.json())")
    answer = {**real, "model": "Z-Image", "encoders": [], "named": [{**QWEN, "example": "<clipskip:qwen=3>"}]}
    page.route("**/clip-skip/v1/encoders*", lambda route: route.fulfill(json=answer))
    page.reload()
    page.wait_for_selector(READOUT, timeout=90_000)
    expect(page, "No effect on Z-Image: its text encoder is not CLIP.")
    expect(page, "Qwen3 4B: 36 layers, as published 2; <clipskip:qwen=3> stops earlier")
    dimmed(page)
    page.locator(PROMPT).fill("a cow <clipskip:qwen=5>")
    expect(page, "set by the prompt's tags: stops after layer 32 of 36 (Qwen3 4B)")
    dimmed(page)
    answer |= {"model": "Flux.2", "named": [], "several_layers": True}
    page.reload()
    page.wait_for_selector(READOUT, timeout=90_000)
    expect(page, "no effect on Flux.2, which uses several layers of its text encoder at once")


def test_the_readout_says_who_decides_what(page):
    set_number(page, header(page), 12)
    page.locator(PROMPT).fill("[<clipskip:1>:<clipskip:3>:0.5] a red circle AND <clipskip:4> a blue square")
    expect(page, "set by the prompt's tags: first part 1, then 3; second part 4; negative prompt: clip skip 12")
    page.locator(PROMPT).fill("[a:<clipskip:3> b:0.5]")
    expect(page, "set by the prompt's tags: clip skip 12, then 3")
    page.locator(PROMPT).fill("[<clipskip:2> a|<clipskip:3> b]")
    expect(page, "set by the prompt's tags: clip skip 2 and 3 in turn")
    page.locator(PROMPT).fill("a cow")
    page.locator(NEGATIVE).fill("<clipskip:3>")
    expect(page, "stops after layer 1 of 12 (CLIP ViT-L/14); negative prompt: clip skip 3")
    page.locator(NEGATIVE).fill("")
    page.locator("#txt2img_hr-visible-checkbox").click()
    page.locator(PROMPT).fill("a cow <clipskip:2:hires=1>")
    expect(
        page,
        "set by the tag <clipskip:2:hires=1>: stops after layer 11 of 12 (CLIP ViT-L/14); hires pass: clip skip 1",
    )
    page.locator(PROMPT).fill("a cow")
    page.locator("#script_txt2img_clip_skip_enabled-visible-checkbox").click()
    title(page).click()
    for name, value in (("clip_skip", 3), ("negative", 4), ("hires", 2)):
        set_number(page, panel(page, name), value)
    expect(
        page,
        "set by the panel: stops after layer 10 of 12 (CLIP ViT-L/14); negative prompt: clip skip 4; hires pass: ",
    )
    expect_title(page, "Clip Skip: 3, negative 4, hires 2")
    page.locator("#txt2img_hr-visible-checkbox").click()
    sync_api.expect(page.locator("#script_txt2img_clip_skip_hires")).to_be_hidden()


def test_the_readout_says_that_the_sweep_decides(page):
    choose_sweep(page, clip_skips="1, 2.5")
    expect(page, "set by the sweep: clip skip 1, 2.5")
    page.locator("#script_txt2img_clip_skip_sweep_clip_skips textarea").fill("abc")
    expect(page, "clip skip 1: stops after layer 12 of 12 (CLIP ViT-L/14)")
    page.locator("#script_txt2img_clip_skip_sweep_clip_skips textarea").fill("1, 2.5")
    open_more(page)
    page.locator("#script_txt2img_clip_skip_sweep_apply_to").get_by_label("Negative prompt", exact=True).check()
    expect(page, "stops after layer 12 of 12 (CLIP ViT-L/14); negative prompt: clip skip 1, 2.5")


def dimmed(page, yes=True):
    """Whether the slider is: it has no effect."""
    place = page.locator("[data-clip-skip-idle]")
    sync_api.expect(place).to_have_attribute("data-clip-skip-idle", str(yes).lower(), timeout=60_000)


def test_the_slider_is_dimmed_while_something_else_decides(page):
    dimmed(page, False)
    page.locator(PROMPT).fill("a cow <clipskip:3>")
    dimmed(page)
    page.locator(PROMPT).fill("a cow AND a field <clipskip:3>")  # of the first part and the negative prompt it has one
    dimmed(page, False)
    page.locator(PROMPT).fill("a cow")
    page.locator("#script_txt2img_clip_skip_enabled-visible-checkbox").click()
    dimmed(page)
    page.locator("#script_txt2img_clip_skip_enabled-visible-checkbox").click()
    dimmed(page, False)
    choose_sweep(page, clip_skips="1, 2")
    dimmed(page)


def test_the_readout_says_that_the_prompt_matrix_decides(page):
    page.locator("#tab_txt2img #script_list input").click()
    page.locator("ul.options li", has_text="Prompt matrix").first.click()
    page.locator(PROMPT).fill("a cow|<clipskip:3>|<clipskip:5>")
    expect(page, "set by the tags of the prompt matrix, for each picture by its own")
    dimmed(page, False)
    page.locator(PROMPT).fill("a cow <clipskip:3>|at night")
    expect(page, "set by the tag <clipskip:3>: stops after layer 10 of 12")


def test_a_pasted_value_that_is_too_deep_is_named(webui, page):
    webui.check_clip_skip_is_pasted()
    page.locator(PROMPT).fill("a cow\nSteps: 4, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64, Clip skip: 14")
    page.locator("#paste").first.click()
    expect(page, str(COLUMN_TOO_DEEP(value=14, layers=12)))


def test_a_pasted_value_on_sdxl_decides_nothing(webui, page, checkpoint):
    """The model is stood in for: A1111's SDXL, on which the header's value does not act."""
    webui.check_clip_skip_is_pasted()
    encoders = [
        {"name": "CLIP ViT-L/14", "tower": "l", "layers": 12, "native": 2, "header": None},
        {"name": "OpenCLIP ViT-bigG/14", "tower": "g", "layers": 32, "native": 2, "header": None},
    ]
    sdxl = {"model": "SDXL", "checkpoint": "xl", "header_acts": False, "encoders": encoders, "guide": None}
    page.route("**/clip-skip/v1/encoders*", lambda route: route.fulfill(json=sdxl))
    page.reload()
    page.wait_for_selector(READOUT, timeout=90_000)
    page.locator(PROMPT).fill("a cow\nSteps: 4, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64, Clip skip: 2")
    page.locator("#paste").first.click()
    sync_api.expect(page.locator("#txt2img_override_settings")).to_contain_text("Clip skip: 2", timeout=60_000)
    page.wait_for_timeout(1000)
    expect(page, "No effect on SDXL, which already stops at 2.")
    dimmed(page)
    page.locator(PROMPT).fill("")
    page.locator(PROMPT).click()
    page.keyboard.type("<clipskip:")
    assert page.locator("#clip_skip_completion li b").all_inner_texts()[0] == "<clipskip:2>"


@pytest.mark.parametrize("width", [400, 1400])
def test_the_guide_is_one_click_away(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    advice = page.locator("#clip_skip_advice")
    sync_api.expect(advice).to_contain_text("2 for most anime models, 1 for the rest", timeout=60_000)
    assert advice.is_visible()
    with page.context.expect_page() as opened:
        advice.get_by_role("link", name="Guide").click()
    opened.value.wait_for_load_state()
    assert "clip skip" in opened.value.inner_text("h1").lower()
    assert opened.value.locator("img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    opened.value.close()


def test_completion_and_readout_of_prompts_from_file(page):
    page.locator("#tab_txt2img #script_list input").click()
    page.locator("ul.options li", has_text="Prompts from file").first.click()
    area = page.locator("#script_txt2img_prompts_from_file_or_textbox_prompt_txt textarea")
    area.click()
    page.keyboard.type("a cow <clipskip:3")
    page.keyboard.press("Enter")
    sync_api.expect(area).to_have_value("a cow <clipskip:3>")
    expect(page, "set by the tags of the list of prompts, for each picture by its own")
    area.fill("a cow")
    page.locator(PROMPT).fill("<clipskip:5>")
    expect(page, "set by the tag <clipskip:5>: stops after layer 8 of 12")


def test_the_readout_says_that_a_plot_decides(page):
    page.locator("#tab_txt2img #script_list input").click()
    page.locator("ul.options li", has_text="X/Y/Z plot").first.click()
    expect(page, "stops after layer 12 of 12")
    kind = page.locator("#script_txt2img_xyz_plot_x_type input")
    kind.click()
    kind.fill("[Clip Skip] Prompt and")
    page.locator("ul.options li", has_text="[Clip Skip] Prompt and negative").click()
    expect(page, "set by the X/Y/Z plot: [Clip Skip] Prompt and negative")
    kind.click()
    kind.fill("[Clip Skip] Negative")
    page.locator("ul.options li", has_text="[Clip Skip] Negative").first.click()
    expect(page, "stops after layer 12 of 12 (CLIP ViT-L/14); set by the X/Y/Z plot: [Clip Skip] Negative")
    kind.click()
    kind.fill("Clip skip")
    page.locator("ul.options li", has_text="Clip skip").first.click()
    expect(page, "set by the X/Y/Z plot: Clip skip")
    page.locator(PROMPT).fill("<clipskip:3> a cow")  # a tag wins over the host's own value
    expect(page, "set by the tag <clipskip:3>: stops after layer 10 of 12")
    sync_api.expect(page.locator(READOUT)).not_to_contain_text("plot")


def test_the_readouts_length_moves_nothing(page):
    places = ("#setting_CLIP_stop_at_last_layers", "#tabs")
    boxes = lambda: [page.locator(place).first.bounding_box() for place in places]
    before = boxes()
    page.locator(PROMPT).fill(
        "a cow <clipskip:1.5:hires=2> [<clipskip:2>:<clipskip:3>:0.5] AND <clipskip:4> AND <clipskip:5>"
    )
    expect(page, "set by the prompt's tags")
    assert boxes()[0]["width"] == before[0]["width"] and boxes()[1]["y"] == before[1]["y"]


def test_a_style_that_is_selected_decides(webui, page):
    edit = page.locator("#txt2img_styles_edit_button")
    if not edit.count():
        pytest.skip("this host has its styles elsewhere")
    edit.click()
    page.locator("#txt2img_styles_edit_select input").fill("clip skip test")
    page.locator("#txt2img_styles_edit_select input").press("Enter")
    page.locator("#txt2img_edit_style_prompt textarea").fill("{prompt}, masterpiece <clipskip:2> <clipskip:x>")
    page.locator("#txt2img_edit_style_save").click()
    page.wait_for_timeout(1000)
    page.locator("#txt2img_edit_style_close").click()
    try:
        page.locator("#txt2img_styles input").click()
        page.locator("#txt2img_styles li", has_text="clip skip test").click()
        page.locator(PROMPT).fill("a cow")
        expect(page, "set by the tag <clipskip:2> of a style: stops after layer 11 of 12")
        expect(page, 'In a style: "<clipskip:x>" was ignored', WARNINGS)
        assert page.locator(PROMPT).get_attribute("aria-invalid") == "false"
    finally:
        page.once("dialog", lambda dialog: dialog.accept())
        edit.click()
        page.locator("#txt2img_edit_style_delete").click()
        page.wait_for_timeout(500)


def test_a_value_between_0_and_1_never_fails(page):
    small(page, steps=1)
    title(page).click()
    negative = panel(page, "negative")
    negative.fill("0.5")
    page.locator(PROMPT).fill("a cow")
    page.locator("#txt2img_generate").click()
    infotext = page.locator("#html_info_txt2img").first
    sync_api.expect(infotext).to_contain_text("Clip skip panel: 1", timeout=120_000)
    assert "Clip skip negative" not in infotext.inner_text()
    set_number(page, negative, 0.5)
    sync_api.expect(negative).to_have_value("0")


def test_a_suggestion_is_seen_and_followed(webui, page):
    """The LoRA's answer is stood in for: the page has what the server says, below the prompt and under the picture."""
    suggestion = {"text": 'LoRA "two" was trained at clip skip 2; now it is 4.', "value": 2}

    def answer(route):
        told = route.fetch().json()
        follows = told["tag"] == "<clipskip:2>" or "cow" not in (route.request.post_data or "")
        route.fulfill(json={**told, "suggestions": [] if follows else [suggestion]})

    page.route("**/clip-skip/v1/read", answer)
    page.locator(PROMPT).fill("a red circle <clipskip:4> and a cow")
    place = page.locator("#txt2img_prompt .clip-skip-suggestions")
    sync_api.expect(place).to_contain_text("was trained at clip skip 2", timeout=60_000)
    assert not page.locator("#script_txt2img_clip_skip_enabled-visible-checkbox").is_checked()
    page.locator(PROMPT).evaluate("area => area.setSelectionRange(3, 3)")
    place.get_by_role("button", name="Use 2").click()
    sync_api.expect(page.locator(PROMPT)).to_have_value("a red circle <clipskip:2> and a cow")
    sync_api.expect(place).to_have_text("", timeout=60_000)
    page.locator(PROMPT).press("Control+z")
    assert page.locator(PROMPT).input_value() == "a red circle <clipskip:4> and a cow"
    page.evaluate(
        """text => {
            const place = document.querySelector("#html_log_txt2img .prose");
            place.innerHTML = `<p class="comments">Clip skip: ${text}</p>`;
            const made = document.querySelector("#generation_info_txt2img textarea");
            made.value = JSON.stringify({clip_skip_suggestions: [{text, value: 3}]});
            updateInput(made);
        }""",
        suggestion["text"],
    )
    page.locator(".comments").get_by_role("button", name="Use 3").click()
    sync_api.expect(page.locator(PROMPT)).to_have_value("a red circle <clipskip:3> and a cow")


def test_completion_in_the_other_boxes(page):
    page.locator("#tabs button", has_text="Clip Skip").first.click()
    page.locator("#clip_skip_layers_prompt textarea").click()
    page.keyboard.type("<cl")
    page.keyboard.press("Enter")
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    assert page.locator("#clip_skip_layers_prompt textarea").input_value() == "<clipskip:3>"
    page.locator("#tabs button", has_text="txt2img").first.click()
    hires = page.locator("#hires_prompt textarea")
    if not hires.count():
        pytest.skip("this host has no such box")
    hires.evaluate("area => document.body.append(area.closest('.prompt'))")  # a setting of the host hides it
    hires.click()
    page.keyboard.type("<clipskip:3")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+ArrowUp")
    assert hires.input_value() == "<clipskip:4>"


def test_the_panel_starts_from_the_header_and_becomes_a_tag(page):
    set_number(page, header(page), 4)
    page.locator("#script_txt2img_clip_skip_enabled .label-wrap").click()
    expect(page, "set by the panel: stops after layer 9 of 12")
    assert panel(page, "clip_skip").input_value() == "4"
    set_number(page, panel(page, "negative"), 2)
    page.locator(PROMPT).fill("a cow")
    page.get_by_role("button", name="Insert as a tag").first.click()
    sync_api.expect(page.locator(PROMPT)).to_have_value("a cow <clipskip:4>")
    sync_api.expect(page.locator(NEGATIVE)).to_have_value("<clipskip:2>")
    expect(page, "set by the tag <clipskip:4>: stops after layer 9 of 12 (CLIP ViT-L/14); negative prompt: clip skip 2")
    set_number(page, panel(page, "clip_skip"), 3)
    for _ in range(2):
        page.get_by_role("button", name="Insert as a tag").first.click()
        sync_api.expect(page.locator(PROMPT)).to_have_value("a cow <clipskip:3>")
    expect_title(page, "Clip Skip: 3, negative 2")
    sync_api.expect(page.locator("#script_txt2img_clip_skip_depths")).to_be_hidden()


def test_a_pasted_infotext_restores_the_panel(webui, page):
    text = "a cow <clipskip:x>\nSteps: 4, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64, "
    page.locator(PROMPT).fill(text + "Clip skip panel: 2.5, Clip skip negative: 3")
    page.locator("#paste").first.click()
    sync_api.expect(panel(page, "clip_skip")).to_have_value("2.5", timeout=60_000)
    sync_api.expect(panel(page, "negative")).to_have_value("3")
    expect(page, "set by the panel: stops between layers 10 and 11 of 12")


def test_a_pasted_clip_skip_is_what_the_readout_says(webui, page):
    webui.check_clip_skip_is_pasted()
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


def at_64_pixels(page, steps):
    for name, value in (("width", 64), ("height", 64), ("steps", steps)):
        set_number(page, page.locator(f"#txt2img_{name} input[type=number]"), value)


def small(page, steps):
    at_64_pixels(page, steps)
    page.locator("#txt2img_seed input").fill("1")


def choose_sweep(page, **fields):
    choose = page.locator("#script_list input").first
    choose.click()
    page.locator("ul.options li", has_text="Clip skip sweep").first.click()
    if "cells_per_batch" in fields:
        open_more(page)
    for name, value in fields.items():
        place = f"#script_txt2img_clip_skip_sweep_{name}"
        page.locator(f"{place} textarea, {place} input[type=number], {place} input:not([type])").first.fill(value)


def open_more(page):
    """Opens what the sweep's form shows when it is asked for."""
    page.locator("#script_txt2img_clip_skip_sweep_more .label-wrap").click()


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
    expect(page, "set by the panel: stops after layer 9 of 12")


def test_the_keyboard_alone_reaches_everything(page):
    """Enter opens the panel, Tab leads through it to its button, Enter presses that."""
    set_number(page, header(page), 2)
    title(page).focus()
    page.keyboard.press("Enter")
    expect(page, "set by the panel: stops after layer 11 of 12")
    reached = []
    sync_api.expect(title(page)).to_have_attribute("aria-expanded", "true")
    while "Insert as a tag" not in reached and len(reached) < 30:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent || document.activeElement.type"))
    assert reached[-1] == "Insert as a tag" and reached.count("range") == 2, reached
    page.keyboard.press("Enter")
    sync_api.expect(page.locator(PROMPT)).to_have_value("<clipskip:2>")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_what_is_ours(webui, page, violations, theme):
    page.goto(f"{webui.url}/?__theme={theme}")
    page.wait_for_selector(READOUT, timeout=90_000)
    page.locator("#script_txt2img_clip_skip_enabled .label-wrap").click()
    choose_sweep(page, clip_skips="1, 2.5")
    expect(page, "set by the sweep")
    assert violations(page) == []
    page.locator("#tabs button", has_text="Clip Skip").first.click()
    assert violations(page) == []
    page.locator("#clip_skip_parts button", has_text="Made for").click()
    assert violations(page) == []


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


def test_nothing_moves_for_those_who_ask_for_that(page, moving):
    page.locator("#script_txt2img_clip_skip_enabled .label-wrap").click()
    choose_sweep(page, clip_skips="1, 2.5")
    page.locator(PROMPT).click()
    page.keyboard.type("<clipskip:")
    page.wait_for_selector("#clip_skip_completion")
    assert moving(page) == []


def test_the_layers_part_of_the_tab(page):
    assert page.get_by_text("undefined", exact=True).count() == 0, "gradio has called what should be a text"
    page.locator("#tabs button", has_text="Clip Skip").first.click()
    page.locator("#clip_skip_layers_prompt textarea").fill("a red cow <clipskip:3>")
    page.locator("#clip_skip_layers_show").click()
    sentence = page.locator("#clip_skip_layers_sentence textarea")
    for _ in range(120):
        if "biggest change" in sentence.input_value():
            break
        page.wait_for_timeout(500)
    assert "biggest change" in sentence.input_value()
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
