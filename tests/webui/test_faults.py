"""Faults and load in a running WebUI: afterwards nothing is left on the model, and pictures are what they were.

The WebUI needs the extension in `faults/` beside this file (a link in its `extensions/`), which fails where asked to.
"""

from __future__ import annotations

import random
import threading
import time
import urllib.error
from concurrent.futures import ThreadPoolExecutor

import pytest

from .conftest import HIRES, same
from .test_sweep import cells, sweep

PROMPT, NEGATIVE = "a red cow on a green field", "blurry"
HOOKS = [
    *("before_process", "process", "before_process_batch", "after_extra_networks_activate", "process_batch"),
    *("process_before_every_sampling", "before_hr", "post_sample", "postprocess_batch", "postprocess_batch_list"),
    *("postprocess_image", "postprocess"),
]
INSIDE = ["encoder", "unet", "sample", "decode", "infotext", "schedules"]


@pytest.fixture(scope="module")
def state(webui):
    """What the WebUI keeps between generations, and the pictures at 1 and 3."""
    if "faults" not in webui.call("/sdapi/v1/scripts")["txt2img"]:
        pytest.skip("the WebUI has not the extension in tests/webui/faults")
    kept = webui.call("/sdapi/v1/options")
    names = ("outdir_txt2img_samples", "outdir_txt2img_grids", "sd_model_checkpoint")  # v1.10.1 forgets to take back
    webui.call("/sdapi/v1/options", {name: kept[name] for name in names})  # what was never set
    pictures = {skip: webui.at(skip, PROMPT, NEGATIVE) for skip in (1, 3)}
    assert not same(pictures[1], pictures[3])
    before = webui.call("/faults/state")

    def unchanged():
        assert same(webui.picture(PROMPT, NEGATIVE), pictures[1])
        assert same(webui.picture(f"<clipskip:3>{PROMPT}", NEGATIVE), pictures[3])
        now = webui.call("/faults/state")
        for name in ("hooks", "functions", "of the model", "encodes", "options"):
            assert now[name] == before[name], name

    return unchanged


def faults(place, after=0):
    return {"alwayson_scripts": {"faults": {"args": [place, after]}}}


@pytest.mark.parametrize("place", HOOKS)
def test_another_script_fails_in_a_hook(webui, state, place):
    """The host tells it and goes on, and the picture is the one that was asked for."""
    hires = HIRES if place == "before_hr" else {}
    want = webui.at(3, PROMPT, NEGATIVE, **hires)
    assert same(webui.picture(f"<clipskip:3>{PROMPT}", NEGATIVE, **faults(place), **hires), want)
    made = cells(sweep(webui, clip_skips="1, 3", cfg_scales="7", settings={**faults(place), **hires}))
    assert same(made[1], want, within=2)
    state()


@pytest.mark.parametrize("place", INSIDE)
def test_a_generation_fails(webui, state, place):
    new = f"a (hen:1.2) near the {place}"  # the host has not encoded it before
    for prompt, settings in (
        (f"<clipskip:3>{new}", {}),
        (f"<clipskip:2>{new} AND <clipskip:1.5>b", {"batch_size": 2}),
        (f"<clipskip:3:hires=1>{new} again", HIRES),
        (new, {"script_name": "clip skip sweep", "script_args": [{"clip_skips": "1, 3", "cfg_scales": "4, 7"}]}),
    ):
        with pytest.raises(urllib.error.HTTPError):
            webui.answer(prompt, NEGATIVE, **faults(place), **settings)
        state()


@pytest.mark.parametrize("place", ["unet", "decode"])
def test_a_sweep_that_failed_goes_on_from_there(webui, state, place):
    """The cells that were made before the failure are kept."""
    after = 5 if place == "unet" else 1
    args = {"clip_skips": "1, 3", "cfg_scales": "4, 7", "cells_per_batch": 1}
    settings = {"seed": 77}
    with pytest.raises(urllib.error.HTTPError):
        sweep(webui, settings={**settings, **faults(place, after)}, **args)
    rest = sweep(webui, settings={**settings, **faults("")}, **args)
    want = [webui.at(skip, PROMPT, NEGATIVE, cfg_scale=scale, seed=77) for scale in (4, 7) for skip in (1, 3)]
    assert all(same(one, other) for one, other in zip(cells(rest), want)) and len(cells(rest)) == 4
    state()


@pytest.mark.parametrize("after", [0, 1, 4])
@pytest.mark.parametrize("per_batch", [1, 0])
def test_a_full_disk(webui, state, per_batch, after):
    """No picture of a sweep is lost, and it is said that it was not saved. After 4 it is the grid's turn."""
    args = {"clip_skips": "1, 3", "cfg_scales": "4, 7", "cells_per_batch": per_batch, "save_cells": True}
    saving = {"save_images": True, "seed": 70 + after}
    answer = sweep(webui, settings={**saving, **faults("save", after)}, **args)
    assert "No space left on device" in " ".join(answer["info"]["clip_skip_warnings"])
    made = cells(answer)
    want = [webui.at(skip, PROMPT, NEGATIVE, cfg_scale=scale, seed=70 + after) for scale in (4, 7) for skip in (1, 3)]
    assert all(same(one, other, within=2) for one, other in zip(made, want)) and len(made) == 4
    state()


def test_a_folder_that_cannot_be_written(webui, state, tmp_path):
    """A file stands where the folder should be: not even an administrator can write there."""
    file = tmp_path / "file"
    file.write_text("")
    folders = ("outdir_txt2img_samples", "outdir_txt2img_grids")
    before = webui.call("/sdapi/v1/options")
    webui.call("/sdapi/v1/options", {name: str(file) for name in folders})
    try:
        answer = sweep(webui, clip_skips="1, 3", cfg_scales="7", save_cells=True, settings={"save_images": True})
    finally:
        webui.call("/sdapi/v1/options", {name: before[name] for name in folders})
    told = " ".join(answer["info"]["clip_skip_warnings"])
    assert str(file) in told and len(cells(answer)) == 2
    state()


def test_many_generations_keep_no_memory(webui, state):
    """As many tensors, of as many bytes, after 200 different tags as after 20."""
    counted = []
    for number in range(200):
        webui.answer(
            f"<clipskip:{1 + number / 20:.2f}>{PROMPT}", f"{NEGATIVE}<clipskip:{2 + number / 20:.2f}>", steps=1
        )
        if number in (19, 199):
            now = webui.call("/faults/state")
            counted.append((now["tensors"], now["bytes"]))
    assert counted[0] == counted[1]
    state()


def test_checkpoints_are_switched_between_parallel_requests(webui, state):
    import os

    names = [os.environ[name] for name in ("CLIP_SKIP_SD2", "CLIP_SKIP_SDXL") if os.environ.get(name)]
    if not names:
        pytest.skip("CLIP_SKIP_SD2 and CLIP_SKIP_SDXL not set: no checkpoint to switch to")
    names.append(webui.call("/sdapi/v1/options")["sd_model_checkpoint"])
    asked = [(name, skip) for name in names for skip in (2, 5)]

    def make(one):
        name, skip = one
        return webui.picture(f"<clipskip:{skip}>{PROMPT}", NEGATIVE, override_settings={"sd_model_checkpoint": name})

    alone = {one: make(one) for one in asked}
    assert len({picture.tobytes() for picture in alone.values()}) == len(asked)
    mixed = asked * 2
    random.Random(1).shuffle(mixed)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(make, mixed))
    assert all(same(picture, alone[one]) for picture, one in zip(made, mixed))
    state()


def test_interrupts_at_random_moments(webui, state):
    chance = random.Random(2)
    for number in range(50):
        settings = {"steps": 12, **(HIRES if number % 3 == 0 else {})}
        if number % 5 == 0:
            args = {"clip_skips": "1, 3", "cfg_scales": "4, 7", "cells_per_batch": 1}
            settings.update(script_name="clip skip sweep", script_args=[args])
        job = threading.Thread(target=webui.answer, args=(f"<clipskip:3>{PROMPT}", NEGATIVE), kwargs=settings)
        job.start()
        time.sleep(chance.random() * 0.6)
        webui.call("/sdapi/v1/interrupt", {})
        job.join()
    state()
