"""Beside distributed, in a running WebUI that has one worker, whose address is in CLIP_SKIP_WORKER_URL.

The worker is another WebUI with this extension and the same checkpoint, which ran before the first was started.
distributed does not tell it the header's value, so that its own shows what it makes where nothing else asks.
Address: github.com/papuSpartan/stable-diffusion-webui-distributed.
"""

from __future__ import annotations

import os

import pytest

from .conftest import client, pixels, same

PROMPT, NEGATIVE = "a red circle", "blurry"
PANEL = {"alwayson_scripts": {"Clip Skip": {"args": [{"enabled": True, "clip_skip": 3}]}}}


@pytest.fixture(scope="module")
def worker(webui):
    """The worker, its header at 6. It makes the second picture of a batch of two."""
    if not os.environ.get("CLIP_SKIP_WORKER_URL"):
        pytest.skip("CLIP_SKIP_WORKER_URL not set: no worker of distributed to test with")
    worker = client("CLIP_SKIP_WORKER_URL")
    worker.call("/sdapi/v1/options", {"CLIP_stop_at_last_layers": 6})
    yield worker
    worker.call("/sdapi/v1/options", {"CLIP_stop_at_last_layers": 1})


@pytest.fixture(scope="module")
def alone(worker):
    """What the two pictures are at a clip skip."""
    return lambda skip: [worker.at(skip, PROMPT, NEGATIVE, seed=seed) for seed in (1, 2)]


def test_unused_the_worker_takes_part(webui, alone):
    mine, its = webui.pictures(PROMPT, NEGATIVE, batch_size=2)
    assert same(mine, alone(1)[0]) and same(its, alone(6)[1])
    assert not same(its, alone(1)[1])


@pytest.mark.parametrize(("prompt", "settings"), [(f"<clipskip:3>{PROMPT}", {}), (PROMPT, PANEL)])
def test_the_worker_follows_the_tag_and_the_panel(webui, alone, prompt, settings):
    made = webui.pictures(prompt, NEGATIVE, batch_size=2, **settings)
    assert len(made) == 2 and all(same(one, other) for one, other in zip(made, alone(3)))


def test_the_cells_of_a_sweep_are_made_here(webui, worker):
    """A worker does not know what is asked of each; nor of those of the host's plot, with an axis of ours."""
    args = {"clip_skips": "1, 3", "cfg_scales": "4, 7"}
    answer = webui.answer(PROMPT, NEGATIVE, script_name="clip skip sweep", script_args=[args])
    cells = [pixels(image) for image in answer["images"][1:]]
    want = [worker.at(skip, PROMPT, NEGATIVE, cfg_scale=scale) for scale in (4, 7) for skip in (1, 3)]
    assert len(cells) == 4 and all(same(one, other, within=2) for one, other in zip(cells, want))
