"""The sweep and the axes against the host's own X/Y/Z plot, by pixels, in a running WebUI."""

import json
import threading
import urllib.error

import pytest

from clip_skip.sweep.axis import COLUMN_TOO_DEEP

from .conftest import HIRES, infotext, pixels, plot_arguments, same

PROMPT, NEGATIVE = "a red cow on a green field", "blurry"
SMALL = {"clip_skips": "1, 2, 12", "cfg_scales": "4, 7"}


@pytest.fixture(scope="module")
def axes(webui):
    """The fields of the X/Y/Z plot for txt2img; the first has the names of all axes. Each fork has others."""
    return webui.plot_inputs()


def plot(webui, axes, x, xs, y="CFG Scale", ys="4, 7", **settings):
    """The cells of the host's X/Y/Z plot, row by row, and their infotexts."""
    args = plot_arguments(axes, x, xs, y, ys)
    answer = webui.answer(PROMPT, NEGATIVE, script_name="x/y/z plot", script_args=args, **settings)
    return [pixels(image) for image in answer["images"][1:]], answer["info"]["infotexts"][1:]


def sweep(webui, prompt=PROMPT, negative=NEGATIVE, settings=None, **arguments):
    """The answer of the sweep script."""
    args = {"script_name": "clip skip sweep", "script_args": [{**SMALL, **arguments}]}
    return webui.answer(prompt, negative, **args, **(settings or {}))


def cells(answer):
    return [pixels(image) for image in answer["images"][answer["info"]["index_of_first_image"] :]]


@pytest.mark.parametrize(("per_batch", "within"), [(1, 0), (0, 2)])
def test_the_whole_sweep_is_the_hosts_plot(webui, axes, per_batch, within):
    theirs, _ = plot(webui, axes, "Clip skip", "1-12", ys="4, 7, 11")
    answer = sweep(webui, clip_skips="1-12", cfg_scales="4, 7, 11", cells_per_batch=per_batch)
    ours = cells(answer)
    assert len(ours) == len(theirs) == 36
    assert len({picture.tobytes() for picture in theirs}) == 36
    assert all(same(one, other, within) for one, other in zip(ours, theirs))


@pytest.mark.parametrize(
    "settings",
    [
        {"sampler_name": "DPM++ 2M", "scheduler": "Karras"},
        {"sampler_name": "Euler a"},
        {"sampler_name": "DPM++ SDE"},
        {"sampler_name": "DDIM"},
        {"sampler_name": "DPM adaptive"},
        HIRES,
        {"subseed": 5, "subseed_strength": 0.5},
    ],
)
def test_with_the_hosts_settings(webui, axes, settings):
    theirs, _ = plot(webui, axes, "Clip skip", "1, 2, 12", **settings)
    assert len(theirs) == 6
    alone = cells(sweep(webui, settings=settings, cells_per_batch=1))
    assert all(same(one, other) for one, other in zip(alone, theirs))
    together = cells(sweep(webui, settings=settings))
    assert all(same(one, other, within=2) for one, other in zip(together, theirs))


def test_img2img(webui):
    """One cell at a time: the host draws at random what it reads from the start picture, once for each of a batch."""
    start = webui.answer(PROMPT)["images"][0]
    common = {"route": "img2img", "init_images": [start], "denoising_strength": 0.8}
    pictures = cells(sweep(webui, settings=common, cells_per_batch=1))
    for index, (scale, skip) in enumerate((scale, skip) for scale in (4, 7) for skip in (1, 2, 12)):
        assert same(pictures[index], webui.at(skip, PROMPT, NEGATIVE, **{**common, "cfg_scale": scale}))


def test_inpainting(webui):
    start = webui.answer(PROMPT)["images"][0]
    mask = webui.answer(PROMPT, seed=3)["images"][0]
    common = {"route": "img2img", "init_images": [start], "mask": mask, "denoising_strength": 0.8}
    pictures = cells(sweep(webui, settings=common, cells_per_batch=1))
    assert len(pictures) == 6
    assert same(pictures[4], webui.at(2, PROMPT, NEGATIVE, **{**common, "cfg_scale": 7}))


def test_lora(webui):
    webui.call("/sdapi/v1/refresh-loras", {})
    loras = webui.call("/sdapi/v1/loras")
    if not loras:
        pytest.skip("the WebUI has no LoRA")
    prompt = f"{PROMPT} <lora:{loras[0]['name']}:1>"
    answer = sweep(webui, prompt, cells_per_batch=1)
    want = [webui.at(skip, prompt, NEGATIVE, cfg_scale=scale) for scale in (4, 7) for skip in (1, 2, 12)]
    assert all(same(one, other) for one, other in zip(cells(answer), want))
    assert not same(want[0], webui.at(1, PROMPT, NEGATIVE, cfg_scale=4))
    assert same(webui.picture(f"<clipskip:2>{prompt}", NEGATIVE, cfg_scale=4), want[1])
    without = webui.picture(f"<clipskip:2>{PROMPT}", NEGATIVE, cfg_scale=4)
    assert same(without, webui.at(2, PROMPT, NEGATIVE, cfg_scale=4))


def test_infotexts(webui):
    answer = sweep(webui, cells_per_batch=1)
    grid, first = answer["images"][0], answer["images"][1]
    assert "Clip skip" not in webui.without_what_neo_says(infotext(first))
    assert 'Script: Clip skip sweep, Sweep clip skips: "1, 2, 12", Sweep CFG scales: "4, 7"' in infotext(grid)
    for image in answer["images"][1:]:
        again = webui.again(image)
        assert same(pixels(image), pixels(again))


def test_a_cell_pasted_where_the_extension_is_not(webui, plain):
    plain.check_clip_skip_is_pasted()
    for image in sweep(webui, cells_per_batch=1)["images"][1:]:
        again = plain.again(image)
        assert same(pixels(image), pixels(again))


@pytest.mark.parametrize("side", ["prompt", "negative"])
def test_one_side(webui, side):
    answer = sweep(webui, apply_to=side, clip_skips="1.5, 3", cfg_scales="7", cells_per_batch=1)
    for image, skip in zip(answer["images"][1:], ("1.5", "3")):
        tagged = {
            "prompt": (f"<clipskip:{skip}>{PROMPT}", f"<clipskip:1>{NEGATIVE}"),
            "negative": (PROMPT, f"<clipskip:{skip}>{NEGATIVE}"),
        }
        assert same(pixels(image), webui.picture(*tagged[side]))
        again = webui.again(image)
        assert same(pixels(image), pixels(again))


def test_tags_in_the_prompt(webui):
    answer = sweep(webui, "<clipskip:5>a cow AND <clipskip:4>b", clip_skips="2", cfg_scales="7", cells_per_batch=1)
    assert same(cells(answer)[0], webui.picture("<clipskip:2>a cow AND <clipskip:4>b", NEGATIVE))


def test_beside_the_panel_and_by_position(webui):
    panel = {"alwayson_scripts": {"Clip Skip": {"args": [True, 6, 0, 0, 0]}}}
    plainly = cells(sweep(webui, cells_per_batch=1))
    beside = cells(sweep(webui, settings=panel, cells_per_batch=1))
    assert all(same(one, other) for one, other in zip(plainly, beside))
    args = ["1, 2, 12", "4, 7", "both", 1, True, True, False, 0, False]
    answer = webui.answer(PROMPT, NEGATIVE, script_name="clip skip sweep", script_args=args)
    assert all(same(one, other) for one, other in zip(plainly, cells(answer)))


def test_batch_count_and_report(webui):
    answer = sweep(webui, settings={"n_iter": 2}, report=True)
    assert len(answer["images"]) == 2 + 1 + 12 and answer["info"]["index_of_first_image"] == 3
    seeds = webui.picture(PROMPT, NEGATIVE, seed=2, cfg_scale=4)
    assert same(pixels(answer["images"][3 + 6]), seeds, within=2)


@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        ({"clip_skips": "0"}, 'clip_skips: "0" is outside 1 to 12'),
        ({"clip_skips": "1-13"}, f"clip_skips: {COLUMN_TOO_DEEP(value=13, layers=12)}"),
        ({"clip_skips": 2}, 'clip_skips: "2" is not a text'),
        ({"cfg_scales": "x"}, 'cfg_scales: "x" is neither a number nor a range'),
        ({"margin": "1"}, 'margin: "1" is not a whole number'),
        ({"no": 1}, '"no" is not a field'),
        (
            {"clip_skips": "1-12 (+0.1)", "cfg_scales": "0-90 (+0.1)"},
            "clip_skips, cfg_scales: the grid would be too l",
        ),
    ],
)
def test_wrong_arguments(webui, wrong, detail):
    with pytest.raises(urllib.error.HTTPError) as error:
        sweep(webui, settings={"width": 64, "height": 64}, **wrong)
    assert error.value.code == 422
    assert detail in json.load(error.value)["detail"]


def test_an_axis_deeper_than_the_model_is_refused(webui, axes):
    with pytest.raises(urllib.error.HTTPError) as error:
        plot(webui, axes, "[Clip Skip] Prompt", "1, 13")
    assert error.value.code == 422
    assert "[Clip Skip] Prompt: 13 is too deep: the loaded model has" in json.load(error.value)["detail"]


def test_interrupt_keeps_what_is_finished(webui):
    answer = {}
    settings = {"steps": 40}
    run = lambda: answer.update(sweep(webui, settings=settings, cells_per_batch=1))
    job = threading.Thread(target=run)
    job.start()
    state = webui.wait_for_job(2)
    assert state["job_count"] == 6
    webui.call("/sdapi/v1/interrupt", {})
    job.join()
    assert len(answer["images"]) == 1 + 2
    whole = cells(sweep(webui, settings=settings, cells_per_batch=1))
    assert all(same(one, other) for one, other in zip(cells(answer), whole))


def test_skip_leaves_one_cell_out(webui):
    answer = {}
    settings = {"steps": 40, "seed": 40}  # of which no cell is finished
    job = threading.Thread(target=lambda: answer.update(sweep(webui, settings=settings, cells_per_batch=1)))
    job.start()
    webui.wait_for_job(1)
    webui.call("/sdapi/v1/skip", {})
    job.join()
    whole = cells(sweep(webui, settings=settings, cells_per_batch=1))
    made = cells(answer)
    assert len(made) == 5
    assert all(same(one, other) for one, other in zip(made, [whole[0], *whole[2:]]))


def test_bad_tags_are_told(webui):
    answer = sweep(webui, f"<clipskip:abc>{PROMPT}", clip_skips="2", cfg_scales="7")
    assert '"<clipskip:abc>"' in " ".join(answer["info"]["clip_skip_warnings"])


def test_beside_a_script_that_patches_the_unet(webui):
    """FreeU stands for ControlNet: it changes the UNet before every sampling, where the host has it."""
    scripts = webui.call("/sdapi/v1/scripts")["txt2img"]
    name = next((script for script in scripts if script.startswith("freeu")), None)
    if not name:
        pytest.skip("the WebUI has no FreeU")
    freeu = {"alwayson_scripts": {name: {"args": [True, 1.3, 1.4, 0.9, 0.2, 0, 1]}}}
    if same(*(webui.at(1, PROMPT, NEGATIVE, **settings) for settings in ({}, freeu))):
        pytest.skip("FreeU changes nothing in this checkpoint: its UNet is too slim")
    made = cells(sweep(webui, settings=freeu, cells_per_batch=1))
    want = [webui.at(skip, PROMPT, NEGATIVE, cfg_scale=scale, **freeu) for scale in (4, 7) for skip in (1, 2, 12)]
    assert all(same(one, other) for one, other in zip(made, want))
    together = cells(sweep(webui, settings=freeu))
    assert all(same(one, other, within=2) for one, other in zip(together, want))


def test_axes(webui, axes):
    label = "[Clip Skip] Prompt and negative"
    assert [name for name in axes[0]["choices"] if name.startswith("[Clip Skip]")] == [
        label,
        "[Clip Skip] Prompt",
        "[Clip Skip] Negative",
        "[Clip Skip] Hires",
        "[Clip Skip] T5 / LLM",
    ]
    theirs, _ = plot(webui, axes, "Clip skip", "1, 2, 1")
    ours, texts = plot(webui, axes, label, "1, 2, 1")
    assert all(same(one, other) for one, other in zip(ours, theirs))
    assert same(ours[0], ours[2]) and not same(ours[0], ours[1])
    assert "Clip skip: 2" in texts[1] and "Clip skip" not in webui.without_what_neo_says(texts[2])
    halves, texts = plot(webui, axes, label, "1-3 (+0.5)", ys="7")
    assert len(halves) == 5 and "Clip skip panel: 1.5" in texts[1]
    assert same(halves[1], webui.picture(f"<clipskip:1.5>{PROMPT}", NEGATIVE))
    sides, _ = plot(webui, axes, "[Clip Skip] Prompt", "1, 3", "[Clip Skip] Negative", "1, 5")
    assert same(sides[3], webui.picture(f"<clipskip:3>{PROMPT}", f"<clipskip:5>{NEGATIVE}"))
    seeds, _ = plot(webui, axes, label, "2, 3", "Seed", "1, 9")
    assert same(seeds[3], webui.at(3, PROMPT, NEGATIVE, seed=9))
    replaced, _ = plot(webui, axes, label, "2, 3", "Prompt S/R", "cow, dog")
    assert same(replaced[3], webui.at(3, PROMPT.replace("cow", "dog"), NEGATIVE))
    passes, _ = plot(webui, axes, "[Clip Skip] Hires", "1, 3", ys="7", **HIRES)
    assert same(passes[1], webui.picture(f"<clipskip:1:hires=3>{PROMPT}", NEGATIVE, **HIRES))
