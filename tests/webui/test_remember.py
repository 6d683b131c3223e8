"""A checkpoint's own clip skip on a running WebUI: remembered, followed, seen, and never saved as the user's own.

Writes JSON beside three checkpoints, which CLIP_SKIP_REMEMBER names with commas, and takes it back at the end: 2 and 3
are remembered for the first two, nothing for the third. They are of the same kind, and best not of the same weights.
"""

import json
import os
import re
import urllib.error
from pathlib import Path

import pytest

from .conftest import HIRES, infotext, pixels, plot_arguments, same
from .test_page import page as browser_page  # noqa: F401
from .test_page import sync_api

NAMES = [name for name in os.environ.get("CLIP_SKIP_REMEMBER", "").split(",") if name]
pytestmark = pytest.mark.skipif(len(NAMES) != 3, reason="CLIP_SKIP_REMEMBER does not name three checkpoints")

PROMPT = "a red circle"
OPTION, CHECKPOINT = "CLIP_stop_at_last_layers", "sd_model_checkpoint"
TURNS = [0, 1, 2, 0, 2, 1, 0, 1, 2, 2]
"""Ten switches between the three."""

VALUES = (2, 3)


def option(webui, name):
    return webui.call("/sdapi/v1/options")[name]


def choose(webui, name):
    webui.call("/sdapi/v1/options", {CHECKPOINT: name})


def remember(webui, value, checkpoint=None):
    return webui.call("/clip-skip/v1/remember", {"clip_skip": value, "checkpoint": checkpoint})


def answer(webui):
    return webui.call("/clip-skip/v1/remembered")


def path_of(webui, name):
    return next(Path(one["filename"]) for one in webui.call("/sdapi/v1/sd-models") if one["title"].startswith(name))


def own(webui):
    """The clip skip in the host's own file of settings."""
    file = os.environ.get("CLIP_SKIP_CONFIG")
    return json.loads(Path(file).read_text(encoding="utf8"))[OPTION] if file else 1


@pytest.fixture(scope="module")
def checkpoints(webui):
    """Nothing is remembered, and the header is at 1 for the third, which is loaded."""
    before = option(webui, CHECKPOINT)
    for name in NAMES:
        remember(webui, None, name)
    choose(webui, NAMES[2])
    webui.call("/sdapi/v1/options", {OPTION: 1})
    yield [option_name(webui, name) for name in NAMES]
    for name in NAMES:
        remember(webui, None, name)
    choose(webui, before)


def option_name(webui, name):
    return next(one["title"] for one in webui.call("/sdapi/v1/sd-models") if one["title"].startswith(name))


@pytest.fixture(scope="module")
def wanted(webui, checkpoints):
    """The picture of each checkpoint at each clip skip, by the host's own overrides, while nothing is remembered."""
    found = {}
    for name in NAMES:
        choose(webui, name)
        for skip in (1, 2, 3, 5):
            found[name, skip] = webui.at(skip, PROMPT)
    choose(webui, NAMES[2])
    assert len({picture.tobytes() for picture in found.values()}) >= 4, "clip skip changes nothing on these checkpoints"
    return found


@pytest.fixture
def remembered(webui, wanted):
    """2 and 3 are remembered for the first two; the user's own value is 1, and the third is loaded."""
    choose(webui, NAMES[2])
    webui.call("/sdapi/v1/options", {OPTION: 1})
    for name, value in zip(NAMES, VALUES):
        remember(webui, value, name)
    assert answer(webui)["header"] == 1
    yield wanted
    choose(webui, NAMES[2])
    webui.call("/sdapi/v1/options", {OPTION: 1, "clip_skip_follow": True, "disable_weights_auto_swap": True})


def value_of(name, own_value=1):
    return dict(zip(NAMES, VALUES)).get(name, own_value)


def check(webui, image, wanted, name, skip):
    """The picture is that of the checkpoint at `skip`, and its infotext says so."""
    assert same(pixels(image), wanted[name, skip]), (name, skip)
    said = re.search(r"Clip skip: (\d+)", infotext(image))
    assert (int(said[1]) if said else 1) == skip


def test_nothing_is_there_before_the_button_is_pressed(webui, wanted):
    for name in NAMES:
        path = path_of(webui, name).with_suffix(".json")
        assert not path.exists()
        choose(webui, name)
        assert answer(webui)["header"] == 1 and same(webui.picture(PROMPT), wanted[name, 1])


def test_ten_switches_by_the_api(webui, remembered):
    for turn in TURNS:
        name = NAMES[turn]
        choose(webui, name)
        made = webui.answer(PROMPT)["images"][0]
        check(webui, made, remembered, name, value_of(name))
        assert answer(webui)["header"] == option(webui, OPTION) == value_of(name)
        assert own(webui) == 1


def test_ten_switches_by_override_settings(webui, remembered):
    for selected in (NAMES[2], NAMES[0]):
        choose(webui, selected)
        for turn in TURNS:
            name = NAMES[turn]
            made = webui.answer(PROMPT, override_settings={CHECKPOINT: name})["images"][0]
            check(webui, made, remembered, name, value_of(name))
            assert option(webui, OPTION) == value_of(selected)
            both = {OPTION: 5, CHECKPOINT: name} if turn % 2 else {CHECKPOINT: name, OPTION: 5}
            check(webui, webui.answer(PROMPT, override_settings=both)["images"][0], remembered, name, 5)
            assert option(webui, OPTION) == value_of(selected)
        check(webui, webui.answer(PROMPT)["images"][0], remembered, selected, value_of(selected))
        assert own(webui) == 1


def test_overrides_tags_and_the_panel_win(webui, remembered):
    choose(webui, NAMES[0])
    check(webui, webui.answer(PROMPT, override_settings={OPTION: 5})["images"][0], remembered, NAMES[0], 5)
    check(webui, webui.answer(PROMPT, override_settings={OPTION: 1})["images"][0], remembered, NAMES[0], 1)
    assert same(webui.picture(f"<clipskip:5>{PROMPT}"), remembered[NAMES[0], 5])
    panel = {"Clip Skip": {"args": [{"enabled": True, "clip_skip": 5}]}}
    assert same(webui.picture(PROMPT, alwayson_scripts=panel), remembered[NAMES[0], 5])
    check(webui, webui.answer(PROMPT)["images"][0], remembered, NAMES[0], 2)


def plot(webui, cells, x, xs, y="Nothing", ys=""):
    """The pictures of an X/Y/Z plot."""
    arguments = plot_arguments(webui.plot_inputs(), x, xs, y, ys, legend=True)
    return webui.answer(PROMPT, script_name="X/Y/Z plot", script_args=arguments)["images"][-cells:]


def test_an_axis_of_checkpoints(webui, remembered):
    """X/Y/Z plot: each checkpoint at its own, and at those of the host's own axis where that is the other one."""
    choose(webui, NAMES[2])
    order = [NAMES[turn] for turn in (0, 2, 1, 2, 0)]
    made = plot(webui, 5, "Checkpoint name", ", ".join(order))
    for name, image in zip(order, made):
        check(webui, image, remembered, name, value_of(name))
    made = plot(webui, 6, "Checkpoint name", ", ".join(order[:3]), "Clip skip", "5, 1")
    cells = [(name, skip) for skip in (5, 1) for name in order[:3]]
    for (name, skip), image in zip(cells, made):
        check(webui, image, remembered, name, skip)
    assert option(webui, OPTION) == 1 and own(webui) == 1
    check(webui, webui.answer(PROMPT)["images"][0], remembered, NAMES[2], 1)


def test_a_moved_slider_and_the_users_own(webui, remembered):
    webui.call("/sdapi/v1/options", {OPTION: 5})
    assert own(webui) == (5 if os.environ.get("CLIP_SKIP_CONFIG") else 1)
    choose(webui, NAMES[0])
    check(webui, webui.answer(PROMPT)["images"][0], remembered, NAMES[0], 2)
    webui.call("/sdapi/v1/options", {OPTION: 3})
    made = webui.answer(PROMPT, n_iter=2)
    check(webui, made["images"][made["info"]["index_of_first_image"]], remembered, NAMES[0], 3)
    choose(webui, NAMES[2])
    check(webui, webui.answer(PROMPT)["images"][0], remembered, NAMES[2], 5)


@pytest.mark.parametrize("swaps", [True, False], ids=["with its checkpoint", "without"])
def test_a_pasted_clip_skip_wins(webui, remembered, swaps):
    """swaps: whether the host takes the checkpoint from an infotext too, which it does not unless told so."""
    webui.check_clip_skip_is_pasted()
    webui.call("/sdapi/v1/options", {"disable_weights_auto_swap": not swaps})
    choose(webui, NAMES[0])
    image = webui.answer(PROMPT, override_settings={OPTION: 1})["images"][0]
    other = webui.answer(PROMPT, override_settings={CHECKPOINT: NAMES[1], OPTION: 2})["images"][0]
    for selected in (2, 0, 1):
        choose(webui, NAMES[selected])
        check(webui, webui.pasted(infotext(image)), remembered, NAMES[0 if swaps else selected], 1)
        check(webui, webui.pasted(infotext(other)), remembered, NAMES[1 if swaps else selected], 2)


def test_a_refiner_and_a_hires_checkpoint(webui, remembered):
    choose(webui, NAMES[0])
    refined = {"refiner_checkpoint": NAMES[2], "refiner_switch_at": 0.5}
    one = webui.answer(PROMPT, n_iter=2, **refined)
    for image in one["images"][-2:]:
        assert "Clip skip: 2" in infotext(image)
    assert option(webui, OPTION) == 2 and own(webui) == 1
    check(webui, webui.answer(PROMPT)["images"][0], remembered, NAMES[0], 2)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 2), (2, 1)])
def test_a_refiner_at_its_own(webui, remembered, first, second):
    """By pixels: beside the host's own override, which sets both, and in which nothing remembered takes part.

    The Forge family encodes for the refiner with the settings of the first one, which it selects again before.
    """
    choose(webui, NAMES[first])
    refined = {"refiner_checkpoint": NAMES[second], "refiner_switch_at": 0.5}
    main, other = value_of(NAMES[first]), value_of(NAMES[second])
    made = webui.picture(PROMPT, **refined)
    both_at = {value: webui.at(value, PROMPT, **refined) for value in (main, other)}
    assert not same(*both_at.values()), "the refiner, or its clip skip, changes nothing on these checkpoints"
    if "forge_preset" in webui.call("/sdapi/v1/options"):
        assert same(made, both_at[main])
    else:
        assert not any(same(made, picture) for picture in both_at.values())
    remember(webui, main, NAMES[second])
    assert same(webui.picture(PROMPT, **refined), both_at[main])
    remember(webui, dict(zip(NAMES, VALUES)).get(NAMES[second]), NAMES[second])


SECOND = re.compile(r"Second checkpoint clip skip: (\d+)")


def test_a_hires_checkpoint_at_its_own(webui, remembered):
    """The Forge family encodes for it with the settings of the first one, which it selects again before."""
    follows = "forge_preset" not in webui.call("/sdapi/v1/options")
    for first, second in ((0, 1), (0, 2), (2, 1)):
        choose(webui, NAMES[first])
        hires = {**HIRES, "hr_checkpoint_name": NAMES[second]}
        main, other = value_of(NAMES[first]), value_of(NAMES[second])
        by_tag = {
            value: webui.picture(f"<clipskip:{main}:hires={value}>{PROMPT}", **hires) for value in (main, other, 5)
        }
        assert len({picture.tobytes() for picture in by_tag.values()}) == 3
        for overrides, used in (({}, other if follows else main), ({OPTION: main}, main)):
            made = webui.answer(PROMPT, override_settings=overrides, **hires)["images"][0]
            assert same(pixels(made), by_tag[used]), (first, second, overrides)
            said, noted = re.search(r" Clip skip: (\d+)", infotext(made)), SECOND.search(infotext(made))
            assert (int(said[1]) if said else 1) == main and (int(noted[1]) if noted else main) == used
            assert option(webui, OPTION) == answer(webui)["header"] == main and own(webui) == 1


def test_remember_is_refused_for_what_it_cannot_be(webui, remembered):
    for request in ({"clip_skip": 0}, {"clip_skip": 2, "checkpoint": "../config"}, {"clip_skip": "x"}):
        with pytest.raises(urllib.error.HTTPError) as caught:
            webui.call("/clip-skip/v1/remember", request)
        assert caught.value.code == 422


def test_json_beside_it_keeps_everything_else(webui, remembered):
    path = path_of(webui, NAMES[0]).with_suffix(".json")
    path.write_text('{"description": "x",  "preferred weight": 0.80000000000000000001,\n "clip skip": 7}')
    remember(webui, 2, NAMES[0])
    kept = '{"description": "x",  "preferred weight": 0.80000000000000000001,'
    assert path.read_text() == kept + '\n "clip skip": 2,\n "clip skip remembered": true}'
    path.write_text("{")
    with pytest.raises(urllib.error.HTTPError) as caught:
        remember(webui, 2, NAMES[0])
    assert path.name in caught.value.read().decode() and path.read_text() == "{"
    path.unlink()


def test_off(webui, remembered):
    choose(webui, NAMES[0])
    webui.call("/sdapi/v1/options", {"clip_skip_follow": False})
    check(webui, webui.answer(PROMPT)["images"][0], remembered, NAMES[0], 1)
    choose(webui, NAMES[1])
    check(webui, webui.answer(PROMPT)["images"][0], remembered, NAMES[1], 1)
    webui.call("/sdapi/v1/options", {"clip_skip_follow": True})
    check(webui, webui.answer(PROMPT)["images"][0], remembered, NAMES[1], 3)


ROW = "#clip_skip_remember"


def slider(page):
    own = page.locator("#setting_CLIP_stop_at_last_layers input[type=number]")
    return own if own.count() else page.get_by_label("number input for Clip skip", exact=True).first


CHECKPOINTS = "#setting_sd_model_checkpoint, #quicksettings .model_selection"
"""The Forge family has a list of its own in the header."""


def choose_on_page(page, name):
    choose = page.locator(CHECKPOINTS).locator("input").first
    choose.click()
    choose.fill(name)
    page.locator("#setting_sd_model_checkpoint li, ul.options li", has_text=name).first.click()
    if page.evaluate("!('forge_preset' in opts)"):  # gradio 3 drops another choice while the first is being loaded
        page.wait_for_function("name => opts.sd_model_checkpoint.startsWith(name)", arg=name, timeout=120_000)


def make(page):
    """The infotext of a picture that is made on the page."""
    before = page.locator("#generation_info_txt2img textarea").input_value()
    page.locator("#txt2img_generate").click()
    page.wait_for_function(
        "before => { const now = document.querySelector('#generation_info_txt2img textarea').value; "
        "return now && now !== before; }",
        arg=before,
        timeout=120_000,
    )
    return json.loads(page.locator("#generation_info_txt2img textarea").input_value())["infotexts"][-1]


def expect_slider(page, value):
    try:
        sync_api.expect(slider(page)).to_have_value(str(value), timeout=60_000)
    except AssertionError as error:
        said = page.evaluate("clipSkip.fetch('remembered')")
        raise AssertionError(f"{error}\nThe server says {said}") from error


def fill(page, place, value):
    page.locator(place).fill(str(value))
    page.locator(place).press("Enter")
    page.locator(place).blur()


def test_the_slider_is_seen_to_move(webui, remembered, browser_page):  # noqa: F811
    page = browser_page
    other = page.context.new_page()  # a second window
    other.goto(webui.url)
    sync_api.expect(other.locator(ROW)).to_be_visible(timeout=90_000)
    for place, value in (("steps", 1), ("width", 64), ("height", 64)):
        fill(page, f"#txt2img_{place} input[type=number]", value)
    page.locator("#txt2img_prompt textarea").fill(PROMPT)
    for number, turn in enumerate(TURNS):
        name = NAMES[turn]
        choose_on_page(page, name)
        expect_slider(page, value_of(name))
        seed = f"{number + 1}"
        fill(page, "#txt2img_seed input", seed)
        text = make(page)
        said = re.search(r"Clip skip: (\d+)", text)
        assert (int(said[1]) if said else 1) == value_of(name) and f"Model: {Path(name).stem}" in text
        expect_slider(page, value_of(name))
        expect_slider(other, value_of(name))
    assert own(webui) == 1
    other.close()


def test_a_slow_page_does_not_move_the_header_back(webui, remembered, browser_page):  # noqa: F811
    """Forge sets its option whenever the slider changes, also where the page has moved it after the header."""
    page, held = browser_page, []
    choose(webui, NAMES[1])
    page.bring_to_front()
    expect_slider(page, 3)
    page.route("**/run/**", lambda route: held.append(route))
    choose(webui, NAMES[0])
    expect_slider(page, 2)
    page.wait_for_timeout(1000)
    choose(webui, NAMES[2])
    for route in list(held):
        with page.expect_response(lambda response, route=route: response.request == route.request):
            route.continue_()
    page.unroute("**/run/**")
    assert answer(webui)["header"] == option(webui, OPTION) == 1 and own(webui) == 1
    expect_slider(page, 1)
    number = slider(page)
    number.fill("2")  # by hand
    number.press("Enter")
    number.blur()
    page.wait_for_function("async () => (await clipSkip.fetch('remembered')).header === 2", timeout=60_000)


def test_the_button_remembers_and_forgets(webui, remembered, browser_page):  # noqa: F811
    page = browser_page
    choose_on_page(page, NAMES[2])
    expect_slider(page, 1)
    number = slider(page)
    number.fill("4")
    number.press("Enter")
    number.blur()
    page.locator(ROW).get_by_text("Remember 4 for this checkpoint").click()
    sync_api.expect(page.locator(ROW)).to_contain_text("Remembered for this checkpoint.", timeout=60_000)
    choose_on_page(page, NAMES[0])
    expect_slider(page, 2)
    choose_on_page(page, NAMES[2])
    expect_slider(page, 4)
    page.locator(ROW).get_by_text("Forget").click()
    expect_slider(page, 1)
    assert not path_of(webui, NAMES[2]).with_suffix(".json").exists() and own(webui) == 1
