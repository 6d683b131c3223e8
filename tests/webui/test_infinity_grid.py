"""Beside Infinity Grid, in a running WebUI on this machine: its axes over clip skips, and over prompts with tags.

Address: github.com/mcmonkeyprojects/sd-infinity-grid-generator-script.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image

from .conftest import same

PROMPT, NEGATIVE = "a red circle", "blurry"
SCRIPT = "generate infinite-axis grid"
ON = {"alwayson_scripts": {"Clip Skip": {"args": [{"enabled": True, "clip_skip": 6}]}}}


@pytest.fixture
def grid(webui, tmp_path):
    """Makes a grid of two axes and returns its pictures, in the order of the first axis' values, then the second's."""
    if SCRIPT not in webui.call("/sdapi/v1/scripts")["txt2img"]:
        pytest.skip("the WebUI has no Infinity Grid")

    def make(*axes, **settings):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        fields = [field for axis in axes for field in axis] + ["", ""] * (16 - len(axes))
        args = [True, True, False, True, True, "Create in UI", False, str(folder), False, *fields]
        webui.answer(PROMPT, NEGATIVE, script_name=SCRIPT, script_args=args, **settings)
        time.sleep(1)  # it saves in a thread
        files = sorted(folder.glob("[0-9]/" * (len(axes) - 1) + "[0-9].png"))
        if not files:
            pytest.skip("the WebUI writes its grids on another machine")
        return [np.asarray(Image.open(file).convert("RGB"), dtype=np.int16) for file in files]

    return make


def alone(webui, prompt=PROMPT):
    pictures = [webui.at(skip, prompt, NEGATIVE, cfg_scale=scale) for skip in (1, 3, 8) for scale in (4, 7)]
    assert len({picture.tobytes() for picture in pictures}) == 6
    return pictures


def check(made, want):
    assert len(made) == len(want) and all(same(one, other) for one, other in zip(made, want))


def test_its_axis_of_clip_skips(webui, grid):
    check(grid(("ClipSkip", "1, 3, 8"), ("CFG Scale", "4, 7")), alone(webui))


def test_prompts_with_tags(webui, grid):
    prompts = "||".join(f"{PROMPT}<clipskip:{skip}>" for skip in (1, 3, 8))
    check(grid(("Prompt", prompts), ("CFG Scale", "4, 7")), alone(webui))


def test_tags_put_in_by_its_prompt_replace(webui, grid):
    instead = "||".join(f"red = <clipskip:{skip}>red" for skip in (1, 3, 8))
    check(grid(("Prompt Replace", instead), ("CFG Scale", "4, 7")), alone(webui))


def test_the_panel_holds_for_every_cell(webui, grid):
    want = [webui.at(6, PROMPT, NEGATIVE, cfg_scale=scale) for scale in (4, 7)]
    check(grid(("CFG Scale", "4, 7"), **ON), want)
