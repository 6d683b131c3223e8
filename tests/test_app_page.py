"""The standalone page as `clip-skip app` serves it, in Chromium driven by Playwright."""

import base64
import json
import queue
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from clip_skip.pictures.facts import MADE_AT_OWN
from clip_skip.standalone.app.reading import SEED_TOO_LARGE
from clip_skip.standalone.cli import main as cli
from clip_skip.sweep.axis import COLUMN_TOO_DEEP
from tests.random_model import SMALL_SDXL, random_weights

from .test_families import HEADS
from .test_pictures import graph
from .test_pictures import png as picture_of

gradio = pytest.importorskip("gradio", reason="gradio is not installed: no page to test")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser to test with")

PROMPT, NEGATIVE = "#txt2img_prompt textarea", "#txt2img_neg_prompt textarea"
SLIDER = "#setting_CLIP_stop_at_last_layers input[type=number]"
READOUT, WARNINGS, COMPLETION = "#clip_skip_readout", "#txt2img_clip_skip_warnings", "#clip_skip_completion"
STEPS, CHECKPOINT = "#txt2img_steps input[type=number]", "#clip_skip_app_checkpoint input"
WIDTH, HEIGHT = (f"#clip_skip_app_{side} input[type=number]" for side in ("width", "height"))
GENERATE, SWEEP, SHOW = "#clip_skip_app_generate", "#clip_skip_app_sweep", "#clip_skip_app_show_layers"
VIEWER = "iframe.clip-skip-viewer"
LINKS, NOTES = "#clip_skip_app_links", "#clip_skip_app_notes"


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """The address and the folder of the page as the command serves it; started once."""
    out = tmp_path_factory.mktemp("app")
    (out / "loras").mkdir()
    (out / "models").mkdir()
    save_file(dict(random_weights(SMALL_SDXL, 1)), out / "models" / "small-xl.safetensors", HEADS["SDXL"])
    command = [sys.executable, "-m", "clip_skip", "app", "--no-browser", "--out", str(out)]
    command += ["--loras", str(out / "loras"), "--models", str(out / "models")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in process.stdout:
        if address := re.match(r"(http://\S+) \(Ctrl\+C ends it\)", line):
            break
    else:
        pytest.fail(f"the command ended with {process.wait()}")
    threading.Thread(target=process.stdout.read, daemon=True).start()  # a full pipe would stop the server
    yield address[1], out
    process.terminate()
    process.wait()


@pytest.fixture
def serve_language(tmp_path, monkeypatch):
    """Runs the command in this process, which need not import everything anew for each language; the page's address."""
    addresses, ended = queue.Queue(), threading.Event()
    monkeypatch.setattr(gradio.Blocks, "block_thread", lambda blocks: addresses.put(blocks.local_url) or ended.wait())
    threads = []

    def serve_language(language):
        command = ["app", "--no-browser", "--language", language, "--out", str(tmp_path / "out")]
        threads.append(threading.Thread(target=cli.main, args=(command,)))
        threads[-1].start()
        return addresses.get(timeout=60)

    yield serve_language
    ended.set()
    for thread in threads:
        thread.join(60)


@pytest.fixture
def open_page(browser, serve):
    """Opens the page; at the end there must be no error in its console."""
    contexts, errors = [], []

    def on_console(message):
        if message.type == "error" and "://127.0.0.1" in message.location["url"]:  # gradio 3 asks other servers too
            errors.append(message.text)

    def open_page(query="", address=None, **viewport):
        contexts.append(browser.new_context(viewport={"width": 1300, "height": 900, **viewport}))
        page = contexts[-1].new_page()
        page.on("console", on_console)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((address or serve[0]) + query)
        page.wait_for_selector(READOUT, timeout=90_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def page(open_page):
    return open_page()


def expect(page, text, place=READOUT, seconds=15):
    sync_api.expect(page.locator(place).first).to_contain_text(text, timeout=seconds * 1000)


def set_number(page, selector, value):
    number = page.locator(selector)
    number.fill(str(value))
    number.press("Enter")
    number.blur()


def small(page, steps):
    """A size at which pictures take a quarter of their usual time."""
    for name, value in ((STEPS, steps), (WIDTH, 64), (HEIGHT, 64)):
        set_number(page, name, value)


def tabs(page):
    return page.locator("[role=tablist] button:visible, .tab-nav button:visible")


def tab(page, name):
    tabs(page).filter(has_text=re.compile(rf"^\s*{name}\s*$")).first.click()
    page.wait_for_timeout(300)  # gradio 6 makes what is in a tab now, and does not hear at once what is typed there


def field(page, label):
    return page.get_by_label(label, exact=True).first


def generate(page):
    """Presses the button; the infotext and the pixels of what comes."""
    infotext = page.locator("#clip_skip_app_infotext textarea")
    before = infotext.input_value()
    page.locator(GENERATE).click()
    page.wait_for_function(
        "([at, before]) => document.querySelector(at).value !== before",
        arg=["#clip_skip_app_infotext textarea", before],
        timeout=60_000,
    )
    return infotext.input_value()


def newest(folder, name="pictures/*.png"):
    return np.asarray(Image.open(max(folder.glob(name), key=lambda file: file.stat().st_mtime)).convert("RGB"))


def test_the_readout_says_where_the_encoder_stops_and_what_decides(page):
    expect(page, "stops after layer 12 of 12 (CLIP ViT-L/14)")
    set_number(page, SLIDER, 3)
    expect(page, "stops after layer 10 of 12")
    page.locator(PROMPT).fill("a red circle <clipskip:1.5>")
    expect(page, "set by the tag <clipskip:1.5>: stops between layers 11 and 12 of 12")
    page.locator(PROMPT).fill("a red circle")
    expect(page, "stops after layer 10 of 12")


POP_UPS = 1001
"""The z-index of the WebUI's pop-ups, such as the editor of styles."""


def test_completion_and_stepping_by_keyboard(page):
    prompt = page.locator(PROMPT)
    prompt.fill("")
    prompt.press_sequentially("a circle <clipskip:")
    items = page.locator(f"{COMPLETION} li")
    sync_api.expect(items).to_have_count(13)
    assert "layer 11 of 12" in items.nth(1).inner_text()
    assert int(page.locator(COMPLETION).evaluate("(list) => getComputedStyle(list).zIndex")) > POP_UPS
    prompt.press("ArrowDown")
    prompt.press("Enter")
    assert prompt.input_value() == "a circle <clipskip:2>" and items.count() == 0
    expect(page, "set by the tag <clipskip:2>")
    prompt.press("ArrowLeft")
    prompt.press("Control+ArrowUp")
    assert prompt.input_value() == "a circle <clipskip:3>"


def test_completion_undo_and_the_cursor(page):
    prompt, items = page.locator(PROMPT), page.locator(f"{COMPLETION} li")
    prompt.fill("")
    prompt.press_sequentially("a <cl")
    sync_api.expect(items).to_have_count(1)
    assert prompt.get_attribute("role") == "combobox"
    prompt.press("Enter")
    assert prompt.input_value() == "a <clipskip:"
    prompt.press_sequentially("2:")
    prompt.press("Enter")
    prompt.press("Enter")
    assert prompt.input_value() == "a <clipskip:2:hires=1>"
    expect(page, "set by the tag <clipskip:2:hires=1>")
    prompt.press("Control+ArrowUp")
    assert prompt.input_value() == "a <clipskip:2:hires=2>"
    prompt.press("Control+z")
    assert prompt.input_value() == "a <clipskip:2:hires=1>"
    prompt.fill("")
    prompt.press_sequentially("<clipskip:")
    prompt.press("Home")
    sync_api.expect(items).to_have_count(0)
    assert prompt.get_attribute("role") is None


def test_what_decides_is_what_the_picture_is_made_at(page):
    set_number(page, SLIDER, 12)
    page.locator(PROMPT).fill("[<clipskip:1>:<clipskip:3>:0.5] a red circle AND <clipskip:4> a blue square")
    page.locator(NEGATIVE).fill("<clipskip:3>")
    expect(page, "set by the prompt's tags: first part 1, then 3; second part 4; negative prompt: clip skip 3")


def test_what_is_wrong_is_below_its_own_box(page):
    page.locator(PROMPT).fill("a <clip_skip:2> circle")
    page.locator(NEGATIVE).fill("<clipskip:99> <clipskip:2 bad")
    expect(page, '"<clip_skip:2>" is not a tag', f"#txt2img_prompt {WARNINGS}")
    below = "#txt2img_neg_prompt #txt2img_neg_clip_skip_warnings"
    expect(page, '"<clipskip:99>" is deeper than the 12 layers of CLIP ViT-L/14; 12 is used.', below)
    expect(page, "the closing > is missing", below)
    assert page.locator(NEGATIVE).get_attribute("aria-describedby") == "txt2img_neg_clip_skip_warnings"


def test_the_readouts_length_moves_nothing(page):
    before = page.locator(PROMPT).bounding_box()
    page.locator(PROMPT).fill("a <clipskip:1.5:hires=2> circle")
    page.locator(NEGATIVE).fill("<clipskip:3.5>")
    expect(page, "negative prompt: clip skip 3.5")
    assert page.locator(PROMPT).bounding_box()["y"] == before["y"]


def test_a_bad_tag_is_named_while_typing_and_under_the_picture(page):
    page.locator(PROMPT).fill("a circle <clipskip:*a*>")
    expect(page, '"<clipskip:*a*>" was ignored: "*a*" is not a number', WARNINGS)
    set_number(page, STEPS, 2)
    generate(page)
    expect(page, '"<clipskip:*a*>" was ignored', NOTES)
    page.locator(PROMPT).fill("a circle")
    sync_api.expect(page.locator(WARNINGS)).to_have_text("", timeout=15_000)


def test_a_picture_at_the_sliders_value_is_the_one_of_the_tag(page, serve):
    out = serve[1]
    set_number(page, STEPS, 4)
    set_number(page, SLIDER, 12)
    infotext = generate(page)
    assert infotext.endswith(", Clip skip: 12, RNG: CPU")
    assert "Steps: 4, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7" in infotext
    by_slider = newest(out)
    picture = page.locator("#clip_skip_app_picture img")
    sync_api.expect(picture).to_be_visible()
    assert picture.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [128, 128]
    set_number(page, SLIDER, 1)
    assert generate(page).endswith(", Clip skip: 1, RNG: CPU") and (newest(out) != by_slider).any()
    page.locator(PROMPT).fill("<clipskip:12>" + page.locator(PROMPT).input_value())
    assert "Clip skip: 12" in generate(page) and (newest(out) == by_slider).all()


def test_a_sweep_with_its_grid_its_page_and_its_report(page):
    tab(page, "Sweep")
    set_number(page, STEPS, 2)
    field(page, "Clip skips").fill("1, 2, 12")
    field(page, "CFG scales").fill("4, 7")
    field(page, "Report").check()
    page.locator(SWEEP).click()
    expect(page, "6 of 6 cells are done, 6 of them now", LINKS, seconds=60)
    assert grid_width(page) > 3 * 128
    figure = page.locator("#clip_skip_app_figure img")
    sync_api.expect(figure).to_be_visible()
    sync_api.expect(page.frame_locator(VIEWER).locator("#grid img")).to_have_count(6)
    assert page.locator(f"{LINKS} img").count() == 0, "the pictures are shown twice"
    tops = [page.locator(part).bounding_box()["y"] for part in (f"{LINKS} a >> nth=0", VIEWER)]
    assert tops == sorted(tops) and tops[-1] < figure.bounding_box()["y"]
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Compare the pictures").click()
    viewer = opened.value
    sync_api.expect(viewer.locator("#grid img")).to_have_count(6)
    viewer.close()
    page.locator(SWEEP).click()
    expect(page, "all 6 cells were there already", LINKS, seconds=60)


def test_a_bad_axis_is_named_and_nothing_is_lost(page):
    tab(page, "Sweep")
    field(page, "Clip skips").fill("1-13")
    page.locator(SWEEP).click()
    expect(page, f"Clip skips: {COLUMN_TOO_DEEP(value=13, layers=12)}", "body")
    assert field(page, "Clip skips").input_value() == "1-13"
    page.locator(PROMPT).fill("a <b>bold</b> circle")
    field(page, "Clip skips").fill("<img src=x>")
    page.locator(SWEEP).click()
    expect(page, 'Clip skips: "<img src=x>" is neither a number', "body")
    assert page.locator("img[src=x]").count() == 0


def test_progress_interrupt_and_going_on(page):
    """In the first batch of three nothing is finished; so the interrupt waits for the second one."""
    tab(page, "Sweep")
    set_number(page, STEPS, 40)
    page.locator(SWEEP).click()
    expect(page, "cell 13 to 24 of 36", "body", seconds=120)
    page.locator(f"{SWEEP}_interrupt").click()
    expect(page, "Interrupted. Run the same sweep again with its seed to finish the rest.", LINKS, seconds=60)
    expect(page, "12 of 36 cells are done, 12 of them now", LINKS)
    sync_api.expect(page.locator(VIEWER)).to_be_visible()
    field(page, "CFG scales").fill("4")
    page.locator(SWEEP).click()
    expect(page, "all 12 cells were there already", LINKS, seconds=60)


def test_interrupt_ends_only_what_its_own_window_has_started(open_page):
    """The second window's sweep waits; its Interrupt ends that one alone, and the first one's goes on."""
    first, second = open_page(), open_page()
    for page, skips in ((first, "1-12"), (second, "1, 2")):
        tab(page, "Sweep")
        small(page, steps=30)
        field(page, "Clip skips").fill(skips)
        field(page, "CFG scales").fill("5, 8")
    first.locator(SWEEP).click()
    expect(first, "cell 1 to 12 of 24", "body", seconds=60)
    second.locator(SWEEP).click()
    second.wait_for_timeout(1000)
    second.locator(f"{SWEEP}_interrupt").click()
    expect(first, "24 of 24 cells are done", LINKS, seconds=120)
    expect(second, "Interrupted.", LINKS, seconds=60)


def test_a_reload_finds_the_running_sweep_again(browser, serve, open_page):
    page = browser.new_page()  # gradio writes into the console that the reload has cut its connection
    page.goto(serve[0])
    page.wait_for_selector(READOUT, timeout=60_000)
    tab(page, "Sweep")
    page.locator(PROMPT).fill("a blue star")
    small(page, steps=40)
    field(page, "CFG scales").fill("5, 6")
    page.locator(SWEEP).click()
    expect(page, "cell 1 to 12 of 24", "body", seconds=60)
    page.reload()
    sync_api.expect(page.locator(PROMPT)).to_have_value("a blue star", timeout=60_000)
    sync_api.expect(field(page, "CFG scales")).to_have_value("5, 6")
    expect(page, "24 of 24 cells are done", LINKS, seconds=120)
    sync_api.expect(page.locator(VIEWER)).to_be_visible()
    other = open_page()
    other.wait_for_timeout(1500)
    assert other.locator(PROMPT).input_value() != "a blue star"
    page.close()


def test_an_interrupted_picture_is_told(page):
    set_number(page, STEPS, 100)
    page.locator(GENERATE).click()
    expect(page, "steps", "#clip_skip_app_picture", seconds=30)
    page.locator(f"{GENERATE}_interrupt").click()
    expect(page, "Interrupted.", NOTES, seconds=30)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_layers_in_the_pages_theme(open_page, serve, theme):
    page = open_page(query=f"?__theme={theme}")
    tab(page, "Layers")
    page.locator(SHOW).click()
    sentences = page.locator("#clip_skip_app_sentences textarea")
    sync_api.expect(sentences).to_have_value(re.compile("biggest change"), timeout=60_000)
    sync_api.expect(page.locator("#clip_skip_app_layers img")).to_be_visible(timeout=30_000)
    assert (newest(serve[1], "layers.png").mean() > 150) == (theme == "light")


def test_what_loras_were_made_for(open_page, serve):
    pytest.importorskip("lycoris", reason="lycoris_lora is not installed: no LoRA to look at")
    from .trained import lycoris_adapter

    folder = serve[1] / "loras"
    for name, skip in (("ink", 2), ("crayon", 1)):
        save_file(lycoris_adapter("lora", skip), folder / f"{name}.safetensors")
    page = open_page()
    tab(page, "Made for")
    assert (
        page.get_by_text("No base").count()
        or page.locator("#clip_skip_app_made_for_base input").input_value() == "No base"
    )
    choose = page.locator("#clip_skip_app_made_for_file input")
    choose.click()
    page.get_by_role("option", name="LoRA: ink").or_(page.locator("li", has_text="LoRA: ink")).first.click()
    page.locator("#clip_skip_app_look").click()
    verdict = page.locator("#clip_skip_app_verdict textarea")
    sync_api.expect(verdict).to_have_value(re.compile("trained at clip skip 2"), timeout=60_000)
    sync_api.expect(page.locator("#clip_skip_app_blocks img")).to_be_visible(timeout=30_000)
    page.locator("#clip_skip_app_all_loras").click()
    expect(page, "The lower 11 of 12 blocks were changed", "#clip_skip_app_table", 60)
    expect(page, "The top block of 12 was changed", "#clip_skip_app_table")
    with page.expect_download() as download:
        page.locator("#clip_skip_app_csv a").click()
    assert len(Path(download.value.path()).read_text("utf-8-sig").splitlines()) == 3
    assert download.value.suggested_filename == "loras.csv"


def test_the_keyboard_alone_makes_a_picture_and_a_sweep(page):
    set_number(page, STEPS, 2)
    page.locator(PROMPT).focus()
    page.keyboard.press("Control+Enter")
    sync_api.expect(page.locator("#clip_skip_app_infotext textarea")).to_have_value(
        re.compile("Steps: 2"), timeout=60_000
    )
    for _ in range(3):  # gradio 5 has each tab twice, once out of sight
        if not field(page, "Clip skips").is_visible():
            reach(page, "Sweep")
            page.keyboard.press("Enter")
            page.wait_for_timeout(300)
    reach(page, "1-12")
    page.keyboard.press("Control+a")
    page.keyboard.type("1, 12")
    infotext = page.locator("#clip_skip_app_infotext textarea").input_value()
    page.keyboard.press("Control+Enter")
    expect(page, "sweeps/", LINKS, seconds=60)
    assert page.locator("#clip_skip_app_infotext textarea").input_value() == infotext
    reach(page, "Sweep")
    page.keyboard.press("Enter")
    expect(page, "sweeps/", LINKS, seconds=60)
    assert grid_width(page) < 4 * 128


def grid_width(page):
    """The width in pixels of the sweep's grid, which a link opens."""
    link = page.locator(LINKS).get_by_role("link", name="Grid")
    return link.evaluate("async link => (await createImageBitmap(await (await fetch(link.href)).blob())).width")


def reach(page, text):
    """Presses Tab until what has `text` has the focus."""
    reached = []
    while text not in reached and len(reached) < 40:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.value || document.activeElement.textContent.trim()"))
    assert reached[-1] == text, reached


GRADIOS = "[aria-label='Empty value'], footer img, html, head *"
"""What gradio itself gets wrong, in a place of its own: a name for an empty picture, one name twice in the footer, and
in gradio 3 no main landmark and a viewport that cannot be zoomed."""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_whole_page_has_no_violations(open_page, violations, contrast, theme):
    page = open_page(query=f"?__theme={theme}")
    page.locator(PROMPT).fill("")
    page.locator(PROMPT).press_sequentially("<clipskip:x> <clipskip:")
    page.wait_for_selector(COMPLETION)
    expect(page, "was ignored", WARNINGS)
    assert [wrong for place in (READOUT, COMPLETION, WARNINGS) for wrong in contrast(page, place)] == []
    page.locator(PROMPT).fill("<clipskip:x> a circle")
    for name in ("Sweep", "Layers", "Made for", "Picture"):
        tab(page, name)
        page.wait_for_timeout(500)  # gradio fades it in
        assert violations(page, f":not({GRADIOS})") == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_sweep_with_its_viewer_has_no_violations_and_is_as_wide_as_the_page(open_page, violations, theme):
    page = open_page(query=f"?__theme={theme}", width=1400)
    page.locator("#txt2img_hr-checkbox input").check()
    page.locator("#hires_prompt textarea").fill("<clipskip:x>")
    expect(page, "was ignored", "#hires_prompt")
    page.locator("#hires_prompt textarea").fill("")
    set_number(page, STEPS, 2)
    tab(page, "Sweep")
    field(page, "Clip skips").fill("1, 2")
    field(page, "CFG scales").fill("7")
    page.locator(SWEEP).click()
    viewer = page.frame_locator(VIEWER)
    sync_api.expect(viewer.locator("td img")).to_have_count(2, timeout=60_000)
    page.wait_for_timeout(1000)  # gradio fades it in
    assert viewer.locator("html").get_attribute("data-theme") == theme
    for width in (1400, 400):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(300)
        assert violations(page, f":not({GRADIOS})") == []
        viewer.locator("td button").first.click()
        page.wait_for_timeout(300)
        assert violations(page, f":not({GRADIOS})") == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        box = page.locator(VIEWER).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        assert viewer.locator("#view").evaluate("view => view.scrollWidth <= view.clientWidth")
        viewer.locator("#view").press("Escape")


def test_nothing_moves_for_those_who_ask_for_that(page, moving):
    page.locator(PROMPT).press_sequentially("<clipskip:")
    page.wait_for_selector(COMPLETION)
    assert moving(page) == []


@pytest.mark.parametrize(
    ("language", "sweep", "stops", "ignored"),
    [
        ("ja_JP", "スイープ", "12層中12層目の後で停止", "無視されました"),
        ("ko_KR", "스윕", "12개", "무시"),
        ("zh_CN", "扫描", "在第 12 层（共 12 层）后停止", "被忽略"),
        ("zh_TW", "掃描", "在第 12 層（共 12 層）後停止", "被忽略"),
    ],
)
def test_in_another_language(open_page, serve_language, language, sweep, stops, ignored):
    page = open_page(address=serve_language(language))
    expect(page, stops)
    assert page.locator("html").get_attribute("lang") == language.replace("_", "-")
    page.locator(PROMPT).fill("<clipskip:x> a circle")
    expect(page, ignored, WARNINGS)
    english = re.compile(
        r"^(Prompt|Negative prompt|Steps|Width|Height|Sampler|CFG scale|Seed.*|Generate|Interrupt|Sweep)$"
    )
    assert page.get_by_text(english).count() == 0
    tab(page, sweep)
    small(page, steps=1)
    page.locator(SWEEP).click()
    expect(page, "36", LINKS, seconds=120)
    tabs(page).nth(2).click()
    page.locator(SHOW).click()
    sentences = page.locator("#clip_skip_app_sentences textarea")
    sync_api.expect(sentences).to_have_value(re.compile("clip skip 1"), timeout=60_000)
    assert "biggest change" not in sentences.input_value()


def test_rows_of_seeds(browser, serve):
    """Each kind of row has its own box, which keeps its text; a reload finds the sweep and its kind again."""
    page = browser.new_page()  # gradio writes into the console that the reload has cut its connection
    page.goto(serve[0])
    page.wait_for_selector(READOUT, timeout=60_000)
    tab(page, "Sweep")
    set_number(page, STEPS, 2)
    field(page, "Clip skips").fill("1, 2")
    field(page, "CFG scales").fill("5, 6")
    page.get_by_label("Rows", exact=True).first.click()
    option(page, "Seed").click()
    sync_api.expect(field(page, "CFG scales")).to_be_hidden()
    field(page, "Seeds").fill("91-93")
    page.locator(SWEEP).click()
    expect(page, "6", LINKS, seconds=120)
    page.reload()
    sync_api.expect(field(page, "Seeds")).to_have_value("91-93", timeout=60_000)
    sync_api.expect(field(page, "Seeds")).to_be_visible()
    page.get_by_label("Rows", exact=True).first.click()
    sync_api.expect(option(page, "CFG scale")).to_be_visible()
    assert option(page, "Clip skip of CLIP-G (SDXL)").count() == 0
    option(page, "CFG scale").click()
    sync_api.expect(field(page, "CFG scales")).to_have_value("5, 6")
    page.close()


def test_a_narrow_window_needs_no_sideways_scrolling(open_page):
    page = open_page(width=400)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def choose(page, name):
    page.locator(CHECKPOINT).click()
    option(page, name).click()


def option(page, name):
    """What an open list has under this name; gradio 3 has a tick before it."""
    ends = page.locator("ul.options li", has_text=re.compile(rf"(^|\s){re.escape(name)}\s*$"))
    return page.get_by_role("option", name=name, exact=True).or_(ends).first


def test_another_checkpoint_without_a_restart(page):
    set_number(page, STEPS, 2)
    before = generate(page)
    choose(page, "small-xl")
    expect(page, "stops after layer 11 of 12 (CLIP ViT-L/14); stops after layer 31 of 32 (OpenCLIP ViT-bigG/14)")
    page.locator(PROMPT).fill("a circle <clipskip:2:g=5>")
    expect(page, "set by the tag <clipskip:2:g=5>")
    assert "Model: small-xl" in generate(page)
    tab(page, "Sweep")
    page.get_by_label("Rows", exact=True).first.click()
    option(page, "Clip skip of CLIP-G (SDXL)").click()
    field(page, "Clip skips").fill("2, 3")
    field(page, "Clip skips of CLIP-G").fill("2, 5")
    page.locator(SWEEP).click()
    expect(page, "4 of 4 cells are done", LINKS, seconds=60)
    choose(page, "clip-skip-demo")
    sync_api.expect(page.locator(READOUT)).not_to_contain_text("bigG", timeout=15_000)
    tab(page, "Picture")
    page.locator(PROMPT).fill("a small green triangle below a large orange ring on a black background")
    assert "Model: clip-skip-demo" in generate(page) and "Model: clip-skip-demo" in before


def test_a_lora_is_completed(open_page, serve):
    save_file({"lora_x": torch.zeros(1)}, serve[1] / "loras" / "my ink.safetensors")
    page = open_page()
    prompt, items = page.locator(PROMPT), page.locator(f"{COMPLETION} li")
    prompt.fill("")
    prompt.press_sequentially("a circle <lora:in")
    sync_api.expect(items.filter(has_text="<lora:my ink:1>")).to_have_count(1)
    prompt.press_sequentially("k")
    for _ in range(items.count()):
        if items.filter(has_text="my ink").get_attribute("aria-selected") == "true":
            break
        prompt.press("ArrowDown")
    prompt.press("Enter")
    assert prompt.input_value() == "a circle <lora:my ink:1>" and items.count() == 0


def test_a_dropped_picture_is_made_again(open_page, serve):
    """A picture with a hires pass, dropped on the prompt of another window."""
    page, out = open_page(), serve[1]
    set_number(page, STEPS, 3)
    set_number(page, SLIDER, 4)
    page.locator(PROMPT).fill("a red circle AND a star <clipskip:6>")
    page.locator("#txt2img_hr-checkbox input").check()
    page.locator("#hires_prompt textarea").fill("a ring <clipskip:2> <clipskip:x>")
    expect(page, "hires pass: clip skip 2")
    expect(page, "was ignored", "#hires_prompt")
    page.locator("#hires_prompt textarea").fill("a ring <clipskip:2>")
    infotext = generate(page)
    assert "Hires upscale: 2" in infotext and newest(out).shape == (256, 256, 3)
    made, pixels = max((out / "pictures").glob("*.png"), key=lambda file: file.stat().st_mtime), newest(out)
    other = open_page()
    choose(other, "small-xl")
    expect(other, "OpenCLIP ViT-bigG/14")
    with other.expect_response(lambda response: "upload" in response.url):
        drop(other, PROMPT, made)
    sync_api.expect(other.locator(PROMPT)).to_have_value("a red circle AND a star <clipskip:6>", timeout=30_000)
    sync_api.expect(other.locator(CHECKPOINT)).to_have_value("clip-skip-demo")
    expect(other, "first part 4; second part 6; negative prompt: clip skip 4; hires pass: clip skip 2")
    assert generate(other) == infotext and (newest(out) == pixels).all()


def test_a_dropped_picture_of_comfyui_tells_its_clip_skip_and_fills_the_fields(open_page, tmp_path):
    nodes = graph(-3, **{"1": ("CheckpointLoaderSimple", {"ckpt_name": "sub\\clip-skip-demo.safetensors"})})
    nodes["5"]["inputs"] |= {"seed": 2**53 + 1, "steps": 7}
    page = open_page()
    drop(page, PROMPT, picture_of(tmp_path / "comfy.png", prompt=json.dumps(nodes)))
    sync_api.expect(page.locator(PROMPT)).to_have_value("a cat", timeout=30_000)
    sync_api.expect(page.locator(STEPS)).to_have_value("7")
    sync_api.expect(page.locator(SLIDER)).to_have_value("3")
    sync_api.expect(page.locator(CHECKPOINT)).to_have_value("clip-skip-demo")
    expect(page, str(MADE_AT_OWN(tool="ComfyUI", value="3", number="-3")), "body")
    expect(page, str(SEED_TOO_LARGE(most=2**53, seed=str(2**53 + 1))), "body")


def test_a_dropped_file_without_infotext_is_named(open_page, serve, tmp_path):
    plain = tmp_path / "plain.png"
    Image.new("RGB", (8, 8)).save(plain)
    page = open_page()
    before = page.locator(PROMPT).input_value()
    drop(page, "#txt2img_neg_prompt textarea", plain)
    expect(page, "has no infotext in it", "body", seconds=30)
    assert page.locator(PROMPT).input_value() == before


def drop(page, place, file):
    """What a browser does when a person drops `file` there."""
    content = base64.b64encode(file.read_bytes()).decode()
    script = """async ([content, name]) => {
        const data = await (await fetch(`data:image/png;base64,${content}`)).blob();
        const files = new DataTransfer();
        files.items.add(new File([data], name, {type: "image/png"}));
        return files;
    }"""
    page.dispatch_event(place, "drop", {"dataTransfer": page.evaluate_handle(script, [content, file.name])})


def test_a_cells_value_is_picked_in_the_viewer_below_the_sweep(page):
    tab(page, "Sweep")
    set_number(page, STEPS, 2)
    page.locator(PROMPT).fill("a star <clipskip:5>")
    field(page, "Clip skips").fill("1, 3, 4.5")
    field(page, "CFG scales").fill("7")
    page.locator(SWEEP).click()
    viewer = page.frame_locator(VIEWER)
    sync_api.expect(viewer.locator("td img")).to_have_count(3, timeout=60_000)
    viewer.locator("td button").nth(2).click()
    viewer.locator("#use").click()
    sync_api.expect(page.locator(PROMPT)).to_have_value("a star <clipskip:4.5>")
    expect(page, "set by the tag <clipskip:4.5>")
    sync_api.expect(viewer.locator("#said")).to_contain_text("4.5")
    viewer.locator("#view").press("ArrowLeft")
    viewer.locator("#as").select_option("header")
    viewer.locator("#use").click()
    sync_api.expect(page.locator(SLIDER)).to_have_value("3")
    sync_api.expect(page.locator(PROMPT)).to_have_value(re.compile(r"^a star\s*$"))
    expect(page, "stops after layer 10 of 12")
    assert "Clip skip: 3" in infotext_of(page)


def infotext_of(page):
    tab(page, "Picture")
    return generate(page)
