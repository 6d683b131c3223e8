"""Each kind of row of the sweep against single pictures and the host's X/Y/Z plot, by pixels, in a running WebUI."""

import json
import threading
import urllib.error

import pytest

from clip_skip.sweep.axis import COLUMN_TOO_DEEP
from clip_skip.sweep.settings import NEEDS_SDXL

from .conftest import HIRES, infotext, pixels, same
from .test_encoders import load, sdxl  # noqa: F401
from .test_sweep import NEGATIVE, PROMPT, axes, cells, plot  # noqa: F401

FEW = {"clip_skips": "1, 3"}
EXACT, TOGETHER = pytest.param(1, 0, id="one-by-one"), pytest.param(0, 2, id="batched")
each_way = pytest.mark.parametrize(("per_batch", "within"), [EXACT, TOGETHER])


def sweep(webui, prompt=PROMPT, settings=None, **arguments):
    args = {"script_name": "clip skip sweep", "script_args": [{**FEW, **arguments}]}
    return webui.answer(prompt, NEGATIVE, **args, **(settings or {}))


def all_same(pictures, others, within):
    return len(pictures) == len(others) and all(same(*pair, within) for pair in zip(pictures, others))


@each_way
@pytest.mark.parametrize("settings", [{}, {"subseed": 5, "subseed_strength": 0.5}, {"sampler_name": "DPM++ 2M SDE"}])
def test_seeds(webui, axes, per_batch, within, settings):  # noqa: F811
    theirs, _ = plot(webui, axes, "Clip skip", "1, 3", "Seed", "1, 9", **settings)
    answer = sweep(webui, rows="seed", row_values="1, 9", cells_per_batch=per_batch, settings=settings)
    assert all_same(cells(answer), theirs, within)
    assert len({picture.tobytes() for picture in theirs}) == 4


@each_way
def test_negative_prompt(webui, axes, per_batch, within):  # noqa: F811
    theirs, _ = plot(webui, axes, "[Clip Skip] Prompt", "1, 3", "[Clip Skip] Negative", "2, 5.5")
    answer = sweep(webui, rows="negative", row_values="2, 5.5", cells_per_batch=per_batch)
    assert all_same(cells(answer), theirs, within)


@each_way
def test_replaced_text(webui, axes, per_batch, within):  # noqa: F811
    theirs, _ = plot(webui, axes, "Clip skip", "1, 3", "Prompt S/R", 'cow, dog, "a, b"')
    answer = sweep(webui, rows="prompt", row_values='cow, dog, "a, b"', cells_per_batch=per_batch)
    assert all_same(cells(answer), theirs, within)
    assert infotext(answer["images"][3]).startswith(PROMPT.replace("cow", "dog"))
    assert infotext(answer["images"][0]).startswith(PROMPT)


@each_way
def test_hires_pass(webui, axes, per_batch, within):  # noqa: F811
    theirs, _ = plot(webui, axes, "Clip skip", "1, 3", "[Clip Skip] Hires", "1, 4", **HIRES)
    answer = sweep(webui, rows="hires", row_values="1, 4", cells_per_batch=per_batch, settings=HIRES)
    assert all_same(cells(answer), theirs, within)


@each_way
def test_lora(webui, axes, per_batch, within):  # noqa: F811
    webui.call("/sdapi/v1/refresh-loras", {})
    loras = [lora["name"] for lora in webui.call("/sdapi/v1/loras")]
    name = next((name for name in loras if "sdxl" not in name), None)
    if not name:
        pytest.skip("the WebUI has no LoRA for SD1")
    want = [webui.at(s, f"{PROMPT} <lora:{name}:{w}>", NEGATIVE) for w in (0, 0.5, 1) for s in (1, 3)]
    settings = {"rows": "lora", "row_values": "0-1 (+0.5)", "cells_per_batch": per_batch}
    answer = sweep(webui, f"{PROMPT} <lora:{name}:0.8>", **settings)
    assert all_same(cells(answer), want, within)
    assert not same(want[0], want[4])
    assert f"<lora:{name}:0.5>" in infotext(answer["images"][3])
    settings = {"rows": "prompt", "row_values": f"{name}:0.8, {name}:0.5", "cells_per_batch": per_batch}
    assert all_same(cells(sweep(webui, f"{PROMPT} <lora:{name}:0.8>", **settings))[2:], want[2:4], within)


@pytest.mark.parametrize(
    "rows",
    [
        {"rows": "seed", "row_values": "1, 9"},
        {"rows": "negative", "row_values": "2, 5.5"},
        {"rows": "prompt", "row_values": "cow, dog"},
    ],
    ids=lambda rows: rows["rows"],
)
def test_a_cell_pasted_gives_the_same_picture(webui, rows):
    for image in sweep(webui, **rows, cells_per_batch=1)["images"][1:]:
        assert same(pixels(image), pixels(webui.again(image)))


def test_the_panel_that_a_cell_of_the_hires_pass_says(webui):
    """The panel's values, not the whole infotext: v1.10.1 itself fails on a pasted one with a hires pass."""
    answer = sweep(webui, rows="hires", row_values="4", cells_per_batch=1, settings=HIRES)
    for image, skip in zip(answer["images"][1:], (1, 3)):
        assert f"Clip skip panel: {skip}, Clip skip hires: 4" in infotext(image)
        panel = {"Clip Skip": {"args": [{"enabled": True, "clip_skip": skip, "hires": 4}]}}
        assert same(pixels(image), webui.picture(PROMPT, NEGATIVE, alwayson_scripts=panel, **HIRES))


@pytest.mark.parametrize("rows", [{"rows": "seed", "row_values": "1, 9"}, {"rows": "prompt", "row_values": "cow, dog"}])
def test_a_cell_pasted_where_the_extension_is_not(webui, plain, rows):
    plain.check_clip_skip_is_pasted()
    for image in sweep(webui, **rows, cells_per_batch=1)["images"][1:]:
        again = plain.again(image)
        assert same(pixels(image), pixels(again))


def test_img2img_seeds(webui):
    """The host draws at random what it reads from the start picture: the same request twice may differ by 1."""
    start = webui.answer(PROMPT)["images"][0]
    common = {"route": "img2img", "init_images": [start], "denoising_strength": 0.8}
    pictures = cells(sweep(webui, rows="seed", row_values="3, 4", settings=common, cells_per_batch=1))
    want = [webui.at(skip, PROMPT, NEGATIVE, **common, seed=seed) for seed in (3, 4) for skip in (1, 3)]
    assert all_same(pictures, want, 2)
    assert not same(want[1], want[3], 2)


def test_batch_count(webui):
    """Grids of other seeds; none where the seeds are the rows."""
    answer = sweep(webui, rows="negative", row_values="2", cells_per_batch=1, settings={"n_iter": 2}, report=True)
    assert answer["info"]["index_of_first_image"] == 3 and len(answer["images"]) == 3 + 4  # two grids, one report
    second = webui.picture(f"<clipskip:3>{PROMPT}", f"<clipskip:2>{NEGATIVE}", seed=2)
    assert same(cells(answer)[3], second)
    answer = sweep(webui, rows="seed", row_values="1-3", settings={"n_iter": 2}, report=True)
    assert answer["info"]["index_of_first_image"] == 2 and len(answer["images"]) == 2 + 6


@pytest.mark.parametrize(("action", "made"), [("interrupt", [0, 1]), ("skip", [0, 1, 3])], ids=["interrupt", "skip"])
def test_interrupt_and_skip(webui, action, made):
    answer, settings = {}, {"steps": 60}
    rows = {"rows": "seed", "row_values": "1, 9", "cells_per_batch": 1}
    job = threading.Thread(target=lambda: answer.update(sweep(webui, settings=settings, **rows)))
    job.start()
    webui.wait_for_job(2)
    webui.call(f"/sdapi/v1/{action}", {})
    job.join()
    whole = cells(sweep(webui, settings=settings, **rows))
    assert all_same(cells(answer), [whole[index] for index in made], 0)


@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        ({"rows": "clip_g", "row_values": "2"}, f"rows: {NEEDS_SDXL}"),
        ({"columns": "clip_l"}, f"columns: {NEEDS_SDXL}"),
        ({"rows": "negative", "row_values": "1-13"}, f"row_values: {COLUMN_TOO_DEEP(value=13, layers=12)}"),
        ({"rows": "hires", "row_values": "2"}, "rows: turn on Hires. fix"),
        ({"rows": "seed", "row_values": "1.5"}, 'row_values: "1.5" is not a whole number'),
        ({"rows": "prompt", "row_values": "zebra, hen"}, 'row_values: "zebra" is neither in the prompt nor'),
        ({"rows": "prompt", "row_values": "\0"}, "row_values: "),
        ({"rows": "lora", "row_values": "1"}, 'row_values: "<lora:...>" is not in the prompt'),
        ({"rows": "steps"}, "rows: it must be one of cfg, seed, negative, clip_g, hires, prompt, lora"),
        ({"rows": "seed", "row_values": 5}, 'row_values: "5" is not a text'),
    ],
)
def test_wrong_arguments(webui, wrong, detail):
    with pytest.raises(urllib.error.HTTPError) as error:
        sweep(webui, **wrong)
    assert error.value.code == 422
    assert json.load(error.value)["detail"].startswith(detail)


def test_fewer_values_by_position_than_there_are_fields(webui):
    args = {"script_name": "clip skip sweep", "script_args": ["1, 3", "4"]}
    answer = webui.answer(PROMPT, NEGATIVE, **args)
    assert len(answer["images"]) == 1 + 2


# From here on another checkpoint is loaded.


@each_way
def test_clip_l_against_clip_g(webui, sdxl, per_batch, within):  # noqa: F811
    """CLIP-L by the host's own switch, if any; CLIP-G has none, so it is the tag, which has a test of its own."""
    want = [webui.picture(f"<clipskip:l={l}:g={g}>{PROMPT}", NEGATIVE) for g in (2, 5, 32) for l in (2, 3)]
    settings = {"clip_skips": "2, 3", "rows": "clip_g", "row_values": "2, 5, 32", "cells_per_batch": per_batch}
    answer = sweep(webui, **settings)
    assert all_same(cells(answer), want, within)
    assert len({picture.tobytes() for picture in want}) == 6
    assert same(cells(answer)[1], webui.clip_l_at(3, PROMPT, NEGATIVE), within)
    for image in answer["images"][1:]:
        again = pixels(webui.again(image))
        assert same(pixels(image), again, within)


@each_way
def test_clip_l_alone(webui, sdxl, per_batch, within):  # noqa: F811
    answer = sweep(webui, columns="clip_l", clip_skips="3, 12", cfg_scales="4", cells_per_batch=per_batch)
    for picture, skip in zip(cells(answer), (3, 12)):
        assert same(picture, webui.clip_l_at(skip, PROMPT, NEGATIVE, cfg_scale=4), within)
