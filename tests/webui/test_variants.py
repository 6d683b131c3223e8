"""Beside extensions that write prompts, in a running WebUI: tags in variants and wildcards, and a sweep in a queue.

Their addresses: github.com/adieyal/sd-dynamic-prompts (2.17.1 needs its options in the WebUI's config.json, see
docs/compatibility.md), AUTOMATIC1111/stable-diffusion-webui-wildcards, ArtVentureX/sd-webui-agent-scheduler.
"""

from __future__ import annotations

import time
import urllib.error
from pathlib import Path

import pytest

from clip_skip.prompt import tags

from .conftest import SETTINGS, pixels, same

NEGATIVE = "blurry"


LINES = ["a red circle <clipskip:6>", "a blue square <clipskip:11>"]
WILDCARD = "clip-skip-test"


def dynamic_prompts(webui, *args):
    """The settings that switch it on, or off; none where it is not installed."""
    installed = webui.call("/sdapi/v1/scripts")["txt2img"]
    name = next((one for one in installed if one.startswith("dynamic prompts")), None)
    return {"alwayson_scripts": {name: {"args": args}}} if name else {}


@pytest.mark.parametrize("batch", [1, 2])
def test_variants_that_contain_tags(webui, batch):
    combinatorial = dynamic_prompts(webui, True, True, 1)
    if not combinatorial:
        pytest.skip("the WebUI has no Dynamic Prompts")
    answer = webui.answer("a red circle {<clipskip:3>|<clipskip:8>}", NEGATIVE, batch_size=batch, **combinatorial)
    info = answer["info"]
    made = [pixels(image) for image in answer["images"][info["index_of_first_image"] :]]
    written = dict(zip(info["all_prompts"], info["all_seeds"]))
    assert sorted(written) == ["a red circle <clipskip:3>", "a red circle <clipskip:8>"] and len(made) == 2
    for picture, (prompt, seed) in zip(made, written.items()):
        skip = 3 if "3" in prompt else 8
        assert same(picture, webui.at(skip, tags.strip(prompt), NEGATIVE, seed=seed), within=2 if batch > 1 else 0)


@pytest.fixture(params=["dynamic-prompts", "webui-wildcards"])
def wildcard(webui, request):
    """A wildcard of lines that contain tags, and the settings with which one extension alone replaces it."""
    name = webui.extension(request.param)
    checkpoint = Path(webui.call("/sdapi/v1/sd-models")[0]["filename"])  # in models/Stable-diffusion
    folder = checkpoint.parents[2] / "extensions" / name / "wildcards"
    if not folder.exists():
        pytest.skip("the WebUI is on another machine, or has its wildcards elsewhere")
    file = folder / f"{WILDCARD}.txt"
    file.write_text("\n".join(LINES), encoding="utf-8")
    yield f"__{WILDCARD}__", dynamic_prompts(webui, request.param == "dynamic-prompts")
    file.unlink()


@pytest.mark.parametrize("batch", [1, 4])
def test_a_wildcard_whose_lines_contain_tags(webui, wildcard, batch):
    prompt, settings = wildcard
    answer = webui.answer(prompt, NEGATIVE, batch_size=batch, n_iter=8 // batch, **settings)
    info = answer["info"]
    made = [pixels(image) for image in answer["images"][info["index_of_first_image"] :]]
    assert set(info["all_prompts"]) == set(LINES) and len(made) == 8
    at = lambda skip: [
        webui.at(skip or (6 if "6" in line else 11), tags.strip(line), NEGATIVE, seed=seed)
        for line, seed in zip(info["all_prompts"], info["all_seeds"])
    ]
    assert all(same(one, other, within=2 if batch > 1 else 0) for one, other in zip(made, at(None)))
    assert sum(same(one, other, within=2) for one, other in zip(made, at(1))) < 4  # of 8


ROWS = {"cfg": "4, 7", "prompt": "green, red", "seed": "1, 5, 8, 9"}


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("per_batch", [1, 0])
def test_a_sweep_has_the_text_of_each_picture_alone(webui, wildcard, rows, per_batch):
    """As if that cell were made alone: the same line of the wildcard is drawn, and the same seed is used."""
    prompt, settings = f"green, {wildcard[0]}", wildcard[1]
    args = {"clip_skips": "1, 9", "rows": rows, "cells_per_batch": per_batch}
    args |= {"cfg_scales": ROWS[rows]} if rows == "cfg" else {"row_values": ROWS[rows]}
    answer = webui.answer(prompt, NEGATIVE, script_name="clip skip sweep", script_args=[args], **settings)
    cells = [pixels(image) for image in answer["images"][1:]]
    want, lines = [], []
    for value in ROWS[rows].split(", "):
        text = prompt.replace("green", value) if rows == "prompt" else prompt
        setting = {} if rows == "prompt" else {"cfg_scale" if rows == "cfg" else "seed": int(value)}
        drawn = webui.answer(text, NEGATIVE, **setting, **settings)["info"]["all_prompts"][0]
        lines.append(drawn)
        want += [webui.at(skip, tags.strip(drawn), NEGATIVE, **setting) for skip in (1, 9)]
    assert rows != "seed" or len(set(lines)) == 2
    assert len({picture.tobytes() for picture in want}) == len(want) == len(cells)
    assert all(same(one, other, within=2 if per_batch != 1 else 0) for one, other in zip(cells, want))


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
