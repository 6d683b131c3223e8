"""Beside ControlNet, in a running WebUI, with the checkpoints and models that `tests.webui.control_models` writes.

Its hooks take the place of the UNet's forward and look at which rows of the conditioning are the negative prompt's.
Address: github.com/Mikubill/sd-webui-controlnet; the Forge family has its own.
"""

from __future__ import annotations

import pytest

from .conftest import same
from .test_beside import NEGATIVE, check_rows, check_sweep, check_tag_and_panel

UNITS = {
    "reference": {"module": "reference_only", "threshold_a": 0.5},
    "reference of norms": {"module": "reference_adain+attn", "threshold_a": 1.0},
    "adapter": {"module": "none", "model": "tiny-adapter"},
    "controlnet": {"module": "none", "model": "full-controlnet"},
    "only the prompt": {"module": "none", "model": "full-controlnet", "control_mode": "ControlNet is more important"},
    "the host's own": {"module": "None", "model": "lean-controlnet"},
    "its own, more important": {
        "module": "None",
        "model": "lean-controlnet",
        "control_mode": "ControlNet is more important",
    },
}
"""A unit for each of its ways into the UNet. A model fits the checkpoint whose name begins as its own does."""

PROMPTS = ["a red circle", "a red circle AND a blue square :0.7"]


@pytest.fixture(scope="module", params=["tiny-control", "full-control", "lean-sd1"])
def checkpoint(webui, request):
    """Is loaded; afterwards the one before is."""
    if "controlnet" not in webui.call("/sdapi/v1/scripts")["txt2img"]:
        pytest.skip("the WebUI has no ControlNet")
    webui.call("/sdapi/v1/refresh-checkpoints", {})
    if request.param not in [one["model_name"] for one in webui.call("/sdapi/v1/sd-models")]:
        pytest.skip(f"the WebUI has no checkpoint {request.param}")
    before = webui.call("/sdapi/v1/options")["sd_model_checkpoint"]
    webui.call("/sdapi/v1/options", {"sd_model_checkpoint": f"{request.param}.safetensors"})
    yield request.param
    webui.call("/sdapi/v1/options", {"sd_model_checkpoint": before})


@pytest.fixture(params=UNITS)
def settings(webui, checkpoint, request):
    """ControlNet on, with a picture of another seed; skips where there is no such model."""
    unit = UNITS[request.param]
    wanted = unit.get("model")
    model = next((one for one in webui.call("/controlnet/model_list")["model_list"] if wanted and wanted in one), None)
    if wanted and (not model or wanted[:4] != checkpoint[:4]):
        pytest.skip(f"ControlNet has no {wanted} that fits {checkpoint}")
    picture = webui.answer("a blue square", seed=3)["images"][0]
    unit = {"enabled": True, "image": picture, **unit, "model": model or "None"}
    return {"alwayson_scripts": {"controlnet": {"args": [unit]}}}


@pytest.fixture(params=PROMPTS)
def prompt(checkpoint, settings, request):
    """Skips where Forge Neo's own references fail, with and without tags."""
    if checkpoint == "lean-sd1" and "AND" in request.param and is_reference(settings):
        pytest.skip(
            "Forge Neo's references fail at AND: forge_preprocessor_reference/scripts/forge_reference.py, line 174"
        )
    return request.param


def test_the_tag_and_the_panel(webui, settings, prompt):
    without = webui.at(6, prompt, NEGATIVE, **{**settings, "alwayson_scripts": {}})
    assert not same(webui.at(6, prompt, NEGATIVE, **settings), without)
    check_tag_and_panel(webui, prompt, settings)


def test_the_tag_of_the_negative_prompt(webui, settings):
    both = webui.at(6, "a red circle", NEGATIVE, **settings)
    assert same(webui.picture("a red circle<clipskip:6>", f"{NEGATIVE}<clipskip:6>", **settings), both)
    assert not same(webui.picture("a red circle<clipskip:6>", f"{NEGATIVE}<clipskip:1>", **settings), both)


def test_a_sweep(webui, settings, prompt):
    check_sweep(webui, prompt, settings, per_batch(settings))


def test_rows_of_replaced_text(webui, settings):
    check_rows(webui, PROMPTS[0], settings, per_batch(settings))


def per_batch(settings):
    """A reference gets its noise at random, at once for all pictures of a batch (`scripts/hook.py`, line 340)."""
    return int(is_reference(settings))


def is_reference(settings):
    (unit,) = settings["alwayson_scripts"]["controlnet"]["args"]
    return unit["module"].startswith("reference")
