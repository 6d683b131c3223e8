"""Beside extensions that write prompts, in a running WebUI: tags in variants, and a sweep that waits in a queue.

Their addresses: github.com/adieyal/sd-dynamic-prompts, ArtVentureX/sd-webui-agent-scheduler.
"""

from __future__ import annotations

import time
import urllib.error

import pytest

from clip_skip import tags

from .conftest import SETTINGS, pixels, same

NEGATIVE = "blurry"


@pytest.mark.parametrize("batch", [1, 2])
def test_variants_that_contain_tags(webui, batch):
    installed = webui.call("/sdapi/v1/scripts")["txt2img"]
    name = next((one for one in installed if one.startswith("dynamic prompts")), None)
    if not name:
        pytest.skip("the WebUI has no Dynamic Prompts")
    combinatorial = {"alwayson_scripts": {name: {"args": [True, True, 1]}}}
    answer = webui.answer("a red circle {<clipskip:3>|<clipskip:8>}", NEGATIVE, batch_size=batch, **combinatorial)
    info = answer["info"]
    made = [pixels(image) for image in answer["images"][info["index_of_first_image"] :]]
    written = dict(zip(info["all_prompts"], info["all_seeds"]))
    assert sorted(written) == ["a red circle <clipskip:3>", "a red circle <clipskip:8>"] and len(made) == 2
    for picture, (prompt, seed) in zip(made, written.items()):
        skip = 3 if "3" in prompt else 8
        assert same(picture, webui.at(skip, tags.strip(prompt), NEGATIVE, seed=seed), within=2 if batch > 1 else 0)


def test_a_queued_sweep_is_the_same(webui):
    args = {"clip_skips": "1, 8", "cfg_scales": "4, 7", "cells_per_batch": 1}
    script = {"script_name": "clip skip sweep", "script_args": [args]}
    body = {**SETTINGS, "prompt": "a red circle", "negative_prompt": NEGATIVE, **script}
    try:
        task = webui.call("/agent-scheduler/v1/queue/txt2img", body)["task_id"]
    except urllib.error.HTTPError as error:
        if error.code == 404:
            pytest.skip("the WebUI has no Agent Scheduler")
        raise
    done = {}
    while not done.get("success"):
        done = webui.call(f"/agent-scheduler/v1/task/{task}/results")
        assert done.get("message", "Task is pending") in ("Task is pending", "Task is running"), done
        time.sleep(1)
    grid = pixels(done["data"][0]["image"].split(",")[-1])  # it keeps what was saved: the grid
    assert same(grid, pixels(webui.answer("a red circle", NEGATIVE, **script)["images"][0]))
