"""Beside extensions that cut prompts apart after us, with their features on, in a running WebUI.

The picture with a tag is the picture with the header's value. What is not installed there is skipped, and says so.
Their addresses: github.com/ljleb/sd-webui-neutral-prompt, ljleb/prompt-fusion-extension,
hako-mikan/sd-webui-regional-prompter, hako-mikan/sd-webui-negpip, hnmr293/sd-webui-cutoff,
opparco/stable-diffusion-webui-two-shot, Haoming02/sd-forge-couple (5b53d59 is for AUTOMATIC1111),
pkuliyi2015/multidiffusion-upscaler-for-automatic1111, mcmonkeyprojects/sd-dynamic-thresholding,
hako-mikan/sd-webui-lora-block-weight.
"""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from .conftest import pixels, same

NEGATIVE = "blurry"


def regional(tab="Matrix", split="Columns", kind="Prompt", calc="Attention", threshold="0", mask=""):
    """Regional Prompter's settings, by position."""
    ratios = ["1,1", "0.2", False, False, False]
    return [True, False, tab, split, "Mask", kind, *ratios, calc, [], "0", "0", threshold, mask, "0", "0", False]


def painted():
    """Two regions: Regional Prompter's first colour, and its second."""
    file, picture = io.BytesIO(), Image.new("RGB", (128, 128), (128, 64, 64))
    picture.paste((64, 128, 128), (64, 0, 128, 128))
    picture.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


ON = {
    "neutral prompt": [0],
    "regional prompter": regional(),
    "negpip": [True],
    "cutoff": [True, "red, blue", 0.5, True, False, "", "Lerp", False],
    "forge couple": [True, True, "Basic", "", "Horizontal", "None", 0.5, None, "off", False, True],
    "dynamic thresholding (cfg scale fix)": [True, 3.0, 95.0, "Constant", 0, "Constant", 0, 4],
    "latent couple extension": [True, "1:1,1:2,1:2", "0:0,0:0,0:1", "0.2,0.8,0.8", 20],
}

TILED = ["tiled diffusion", [True, "MultiDiffusion", False, True, 64, 64, 8, 8, 4, 2, "None", 2.0]]
REGION = [True, 0.0, 0.0, 0.5, 1.0, "a red triangle", "", "Background", 0.2, 1]


def by_regions(prompt, **values):
    return "regional prompter", {"regional prompter": regional(**values)}, prompt


CASES = {
    "perp": ("neutral prompt", ON, "a red circle AND_PERP a blue square :0.6"),
    "salt": ("neutral prompt", ON, "a red circle AND_SALT a blue square :0.6 AND_TOPK green :0.3"),
    "group": ("neutral prompt", ON, "[a red circle AND_PERP a blue square :0.4] :1.2 AND a white background :0.5"),
    "nested": ("neutral prompt", ON, "a circle AND_PERP [a blue square AND_SALT red] :0.5"),
    "columns": ("regional prompter", ON, "a red circle ADDCOL a blue square"),
    "base": ("regional prompter", ON, "white ADDBASE a red circle ADDCOL a blue square"),
    "common": ("regional prompter", ON, "white ADDCOMM a red circle ADDROW a blue square"),
    "break": ("regional prompter", ON, "a red circle BREAK a blue square"),
    "rows": by_regions("a red circle ADDROW a blue square", split="Rows"),
    "latent": by_regions("a red circle ADDCOL a blue square", calc="Latent"),
    "latent common": by_regions("white ADDCOMM a red circle ADDCOL a blue square", calc="Latent"),
    "painted": by_regions("a red circle BREAK a blue square", tab="Mask", mask=painted()),
    "painted latent": by_regions("a red circle BREAK a blue square", tab="Mask", calc="Latent", mask=painted()),
    "by a word": by_regions("a red circle BREAK a blue square, circle", tab="Prompt", threshold="0.4"),
    "by a word, over": by_regions(
        "a red circle BREAK a blue square, circle", tab="Prompt", kind="Prompt-Ex", threshold="0.4"
    ),
    "negpip": ("negpip", ON, "a red circle, (blue:-1.2), a field"),
    "cutoff": ("cutoff", ON, "a red circle, a blue square, green"),
    "couple": ("forge couple", ON, "a red circle\na blue square"),
    "latent couple": ("latent couple extension", ON, "white AND a red circle AND a blue square"),
    "threshold": ("dynamic thresholding (cfg scale fix)", ON, "a red circle"),
    "block weight": ("lora block weight", {}, "a red circle <lora:LORA:1:lbw=1,1,1,1,1,1,0,0,0,0,0,0,0,0,0,0,0>"),
    "fusion": ("clip skip", {}, "a [red:blue:1,3] circle, (square:1,1.5)"),
    "tiled": (
        "tiled diffusion",
        {"tiled diffusion": [*TILED[1], False, 10, 1, 1, 64, True, False, False, *REGION]},
        "a",
    ),
}

LORA = "LORA"
"""Stands for the name of a LoRA that the WebUI has."""

ALONE = {"couple"}
"""Forge Couple takes AUTOMATIC1111's batch for regions: every batch of more than one picture is wrong there."""

OF_THE_HOSTS_CFG = {"threshold", "perp", "salt", "group", "nested"}
"""They put their own in the place of a `combine_denoised` that Forge Neo does not call."""


@pytest.fixture(scope="module")
def installed(webui):
    """How many settings each script of txt2img has."""
    scripts = webui.call("/sdapi/v1/script-info")
    return {script["name"]: len(script["args"]) for script in scripts if not script["is_img2img"]}


def test_a_prompt_that_is_being_written_changes_no_picture(webui, installed):
    """Neutral Prompt takes the text that the host's parser was last called with for that of the next picture."""
    if "neutral prompt" not in installed:
        pytest.skip("the WebUI has no 'neutral prompt'")
    before = webui.picture("a circle", NEGATIVE)
    webui.call("/clip-skip/v1/read", {"prompt": "a <clipskip:2> AND b AND_PERP c AND d", "negative": "e AND f"})
    assert same(webui.picture("a circle", NEGATIVE), before)


def beside(webui, case, installed):
    """The extension of a case, the prompt, and the settings that switch it on; skips where it is not installed."""
    name, arguments, prompt = CASES[case]
    if LORA in prompt:
        loras = webui.call("/sdapi/v1/loras") or pytest.skip("the WebUI has no LoRA")
        prompt = prompt.replace(LORA, loras[0]["name"])
    if name not in installed:
        pytest.skip(f"the WebUI has no {name!r}")
    if name == "regional prompter" and len(arguments[name]) != installed[name]:
        pytest.skip("the WebUI has another Regional Prompter")
    settings = {"alwayson_scripts": {name: {"args": arguments[name]}}} if name in arguments else {}
    return name, prompt, {**settings, "width": 128, "height": 128, "steps": 6}


@pytest.mark.parametrize("case", CASES)
def test_the_tag_reaches_every_piece(webui, installed, case):
    name, prompt, settings = beside(webui, case, installed)
    if name in ON:  # it does something
        others = prompt.replace("AND_PERP", "AND").replace("AND_SALT", "AND")
        without = webui.at(6, others, NEGATIVE, **{**settings, "alwayson_scripts": {}})
        changed = not same(webui.at(6, prompt, NEGATIVE, **settings), without)
        if not changed and case in OF_THE_HOSTS_CFG and "forge_preset" in webui.call("/sdapi/v1/options"):
            pytest.skip(f"{name!r} changes no picture here: this WebUI has another CFG than it replaces")
        assert changed
    check_tag_and_panel(webui, prompt, settings)


def at(webui, skip, prompt, **settings):
    """The picture with the header's value.

    Beside NegPiP it is made twice: in Forge Neo its words have the clip skip of the picture before, because it encodes
    them before the host has set the new one.
    """
    if "negpip" in settings.get("alwayson_scripts", {}):
        webui.at(skip, prompt, NEGATIVE, **settings)
    return webui.at(skip, prompt, NEGATIVE, **settings)


def check_tag_and_panel(webui, prompt, settings):
    want = at(webui, 6, prompt, **settings)
    assert not same(want, at(webui, 1, prompt, **settings))
    assert same(webui.picture(f"<clipskip:6>{prompt}", NEGATIVE, **settings), want)
    panel = {"Clip Skip": {"args": [{"enabled": True, "clip_skip": 6}]}}
    scripts = {**settings.get("alwayson_scripts", {}), **panel}
    assert same(webui.picture(prompt, NEGATIVE, **{**settings, "alwayson_scripts": scripts}), want)


@pytest.mark.parametrize("case", ["columns", "latent", "painted", "painted latent", "by a word"])
def test_a_tag_in_a_region(webui, installed, case):
    """Is the prompt's; in Latent, where Regional Prompter makes sub-prompts of regions, that region's, as with AND."""
    _, prompt, settings = beside(webui, case, installed)
    want = webui.at(6, prompt, NEGATIVE, **settings)
    second = prompt.replace("a blue", "<clipskip:6>a blue")
    tagged = webui.picture(second, NEGATIVE, **settings)
    if "latent" not in case:
        assert same(tagged, want)
        return
    assert not same(tagged, want) and not same(tagged, webui.at(1, prompt, NEGATIVE, **settings))
    both = second.replace("a red", "<clipskip:6>a red")
    assert same(webui.picture(both, NEGATIVE, **settings), want)


@pytest.mark.parametrize("case", CASES)
def test_a_sweep_reaches_every_piece(webui, installed, case):
    _, prompt, settings = beside(webui, case, installed)
    check_sweep(webui, prompt, settings, int(case in ALONE))


def check_sweep(webui, prompt, settings, per_batch=0):
    """Cells of two clip skips and two CFG scales in one batch, where that can be."""
    args = {"clip_skips": "1, 6", "cfg_scales": "4, 7", "cells_per_batch": per_batch}
    answer = webui.answer(prompt, NEGATIVE, script_name="clip skip sweep", script_args=[args], **settings)
    cells = [pixels(image) for image in answer["images"][1:]]
    alone = [at(webui, skip, prompt, cfg_scale=scale, **settings) for scale in (4, 7) for skip in (1, 6)]
    assert len({picture.tobytes() for picture in alone}) == 4
    assert all(same(one, other, within=2) for one, other in zip(cells, alone)) and len(cells) >= 4


@pytest.mark.parametrize("case", CASES)
def test_rows_of_replaced_text(webui, installed, case):
    _, prompt, settings = beside(webui, case, installed)
    check_rows(webui, prompt, settings, int(case in ALONE))


def check_rows(webui, prompt, settings, per_batch=0):
    """Texts that differ share no batch where a piece of them is encoded for all pictures of the batch."""
    word = "red" if "red" in prompt else "a"
    args = {"clip_skips": "6", "rows": "prompt", "row_values": f"{word}, green", "cells_per_batch": per_batch}
    answer = webui.answer(prompt, NEGATIVE, script_name="clip skip sweep", script_args=[args], **settings)
    cells = [pixels(image) for image in answer["images"][1:]]
    alone = [at(webui, 6, prompt.replace(word, instead), **settings) for instead in (word, "green")]
    assert not same(*alone)
    assert all(same(one, other, within=2) for one, other in zip(cells, alone)) and len(cells) >= 2
