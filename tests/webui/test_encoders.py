"""Models other than SD1 in a running WebUI. Their checkpoints' names are in CLIP_SKIP_SD2, CLIP_SKIP_SDXL
and CLIP_SKIP_REFINER (a refiner for the SDXL one)."""

import os

import pytest

from .conftest import HIRES, SWITCH, pixels, same

PROMPT, NEGATIVE = "a (red:1.3) cow, masterpiece", "blurry"
SDXL_DEPTHS = [3, 7, 12]


def panel(**values):
    return {"alwayson_scripts": {"Clip Skip": {"args": [{"enabled": True, **values}]}}}


@pytest.fixture(scope="module")
def load(webui):
    """Loads the checkpoint that an environment variable names; at the end the first one again."""
    before = webui.call("/sdapi/v1/options")["sd_model_checkpoint"]

    def load(variable):
        name = os.environ.get(variable) or pytest.skip(f"{variable} not set: no such checkpoint to test with")
        webui.call("/sdapi/v1/options", {"sd_model_checkpoint": name})
        webui.answer("a", steps=1)
        return webui.call("/clip-skip/v1/encoders")

    yield load
    webui.call("/sdapi/v1/options", {"sd_model_checkpoint": before})


@pytest.fixture(scope="module")
def sd2(load):
    return load("CLIP_SKIP_SD2")


@pytest.fixture(scope="module")
def sdxl(webui, load):
    if SWITCH in webui.call("/sdapi/v1/options"):  # unset, the first override would stay
        webui.call("/sdapi/v1/options", {SWITCH: False})
    return load("CLIP_SKIP_SDXL")


def towers(described):
    return [(one["tower"], one["layers"], one["native"]) for one in described["encoders"]]


def test_sd2(webui, sd2):
    assert sd2["model"] == "SD2" and towers(sd2) == [("h", 24, 2)]
    stock = webui.picture(PROMPT, NEGATIVE)
    made = {skip: webui.picture(f"<clipskip:{skip}>{PROMPT}", NEGATIVE) for skip in (1, 2, 3, 13, 24)}
    assert same(made[1], stock) and same(made[2], stock)
    assert len({picture.tobytes() for picture in made.values()}) == 4
    assert same(made[13], webui.picture(PROMPT, NEGATIVE, **panel(clip_skip=13)))
    if not sd2["header_acts"]:
        assert same(webui.at(5, PROMPT, NEGATIVE), stock)
        assert same(webui.at(5, f"<clipskip:13>{PROMPT}", NEGATIVE), made[13])


def test_sd2_sweep_and_paste(webui, sd2):
    args = {"clip_skips": "2, 3, 24", "cfg_scales": "4, 7", "cells_per_batch": 1}
    answer = webui.answer(PROMPT, NEGATIVE, script_name="clip skip sweep", script_args=[args])
    check_cells(webui, answer, (2, 3, 24))


def check_cells(webui, answer, skips):
    images = answer["images"][1:]
    for image, (scale, skip) in zip(images, [(scale, skip) for scale in (4, 7) for skip in skips]):
        want = webui.picture(f"<clipskip:{skip}>{PROMPT}", NEGATIVE, cfg_scale=scale)
        assert same(pixels(image), want)
        again = webui.again(image)
        assert same(pixels(again), want)
    assert len(images) == 2 * len(skips)


def test_sdxl_is_stock_up_to_two(webui, sdxl):
    assert sdxl["model"] == "SDXL" and towers(sdxl) == [("l", 12, 2), ("g", 32, 2)]
    for negative in (NEGATIVE, ""):
        stock = webui.picture(PROMPT, negative)
        for tag in ("<clipskip:1>", "<clipskip:2>", "<clipskip:1.5>", "<clipskip:l=1:g=2>"):
            assert same(webui.picture(f"{tag}{PROMPT}", negative), stock)
        assert same(webui.picture(PROMPT, f"<clipskip:2>{negative}"), stock)


@pytest.mark.parametrize("skip", SDXL_DEPTHS)
def test_sdxl_towers_apart(webui, sdxl, skip):
    stock = webui.picture(PROMPT, NEGATIVE)
    both = webui.picture(f"<clipskip:{skip}>{PROMPT}", NEGATIVE)
    l, g = (webui.picture(f"<clipskip:{tower}={skip}>{PROMPT}", NEGATIVE) for tower in "lg")
    assert len({picture.tobytes() for picture in (stock, both, l, g)}) == 4
    assert same(both, webui.picture(f"<clipskip:l={skip}:g={skip}>{PROMPT}", NEGATIVE))
    assert same(both, webui.picture(PROMPT, NEGATIVE, **panel(clip_skip=skip)))
    assert same(l, webui.picture(PROMPT, NEGATIVE, **panel(clip_skip=skip, clip_g=2)))
    if sdxl["header_acts"]:
        assert same(both, webui.at(skip, PROMPT, NEGATIVE))
    else:
        assert same(l, webui.clip_l_at(skip, PROMPT, NEGATIVE))
        assert same(both, webui.clip_l_at(skip, f"<clipskip:{skip}>{PROMPT}", NEGATIVE))


def test_sdxl_deeper_than_l(webui, sdxl):
    answer = webui.answer(f"<clipskip:20>{PROMPT}", NEGATIVE)
    assert "20 is deeper than the 12 layers of CLIP ViT-L/14" in " ".join(answer["info"]["clip_skip_warnings"])
    assert same(pixels(answer["images"][0]), webui.picture(f"<clipskip:l=12:g=20>{PROMPT}", NEGATIVE))


def test_sdxl_negative_prompt(webui, sdxl):
    stock = webui.picture(PROMPT, NEGATIVE)
    negative = webui.picture(PROMPT, f"<clipskip:5>{NEGATIVE}")
    assert not same(negative, stock)
    assert same(negative, webui.picture(f"<clipskip:2>{PROMPT}", f"<clipskip:5>{NEGATIVE}"))
    prompt_alone = webui.picture(f"<clipskip:5>{PROMPT}", f"<clipskip:2>{NEGATIVE}", cfg_scale=1)
    other = webui.picture(f"<clipskip:5>{PROMPT}", f"<clipskip:9>{NEGATIVE}", cfg_scale=1)
    assert same(prompt_alone, other, within=2)  # A1111 takes it away and adds it again


def test_sdxl_batches(webui, sdxl):
    matrix = {"script_name": "prompt matrix", "script_args": [False, False, "positive", "comma", 0]}
    pictures = webui.pictures(f"{PROMPT}|<clipskip:3>|<clipskip:g=9>", NEGATIVE, batch_size=4, **matrix)
    ends = ("", ", <clipskip:3>", ", <clipskip:g=9>", ", <clipskip:3>, <clipskip:g=9>")
    singles = [webui.picture(PROMPT + end, NEGATIVE) for end in ends]
    assert len({single.tobytes() for single in singles}) >= 3
    assert all(same(one, other, within=2) for one, other in zip(singles, pictures))


def test_sdxl_sweep_hires_and_paste(webui, sdxl):
    args = {"clip_skips": "1, 3, 12", "cfg_scales": "4, 7", "cells_per_batch": 1}
    script = {"script_name": "clip skip sweep", "script_args": [args]}
    alone = webui.answer(PROMPT, NEGATIVE, **script)
    args["cells_per_batch"] = 0
    together = webui.answer(PROMPT, NEGATIVE, **script)
    pairs = zip(alone["images"][1:], together["images"][1:])
    assert all(same(pixels(one), pixels(other), within=2) for one, other in pairs)
    hires = webui.picture(f"<clipskip:3:hires=6>{PROMPT}", NEGATIVE, **HIRES)
    assert not same(hires, webui.picture(f"<clipskip:3>{PROMPT}", NEGATIVE, **HIRES))
    assert same(hires, webui.picture(PROMPT, NEGATIVE, **HIRES, **panel(clip_skip=3, hires=6)))
    check_cells(webui, alone, (1, 3, 12))


def test_sdxl_lora(webui, sdxl):
    webui.call("/sdapi/v1/refresh-loras", {})
    stock = webui.picture(PROMPT, NEGATIVE)
    prompts = [f"{PROMPT}<lora:{lora['name']}:1>" for lora in webui.call("/sdapi/v1/loras")]
    prompt = next((text for text in prompts if not same(webui.picture(text, NEGATIVE), stock)), None)
    if not prompt:
        pytest.skip("the WebUI has no LoRA for this checkpoint")
    assert same(webui.picture(f"<clipskip:2>{prompt}", NEGATIVE), webui.picture(prompt, NEGATIVE))
    deep = webui.picture(f"<clipskip:l=5>{prompt}", NEGATIVE)
    assert not same(deep, webui.picture(f"<clipskip:l=5>{PROMPT}", NEGATIVE))
    if sdxl["header_acts"]:
        assert same(webui.picture(f"<clipskip:5>{prompt}", NEGATIVE), webui.at(5, prompt, NEGATIVE))
    else:
        assert same(deep, webui.clip_l_at(5, prompt, NEGATIVE))
    assert same(webui.picture(PROMPT, NEGATIVE), stock)


def test_sdxl_refiner(webui, sdxl):
    name = os.environ.get("CLIP_SKIP_REFINER") or pytest.skip("CLIP_SKIP_REFINER not set: no refiner to test with")
    refiner = {"refiner_checkpoint": name, "refiner_switch_at": 0.5}
    stock = webui.picture(PROMPT, NEGATIVE, **refiner)
    assert not same(stock, webui.picture(PROMPT, NEGATIVE))
    assert same(webui.picture(f"<clipskip:2>{PROMPT}", NEGATIVE, **refiner), stock)
    deep = webui.picture(f"<clipskip:l=2:g=9>{PROMPT}", NEGATIVE, **refiner)
    assert not same(deep, stock)
    assert same(deep, webui.picture(PROMPT, NEGATIVE, **refiner, **panel(clip_skip=2, clip_g=9)))
    assert same(webui.picture(PROMPT, NEGATIVE, **refiner), stock)


def test_back_and_forth_between_checkpoints(webui, load):
    """Five times there and back: the same pictures, tagged and not."""
    names = [webui.call("/sdapi/v1/options")["sd_model_checkpoint"], os.environ.get("CLIP_SKIP_SDXL")]
    if not names[1]:
        pytest.skip("CLIP_SKIP_SDXL not set: no such checkpoint to test with")
    first = {}
    for _ in range(5):
        for variable in ("CLIP_SKIP_SD2", "CLIP_SKIP_SDXL"):
            load(variable)
            for text in (PROMPT, f"<clipskip:4>{PROMPT}"):
                picture = webui.picture(text, NEGATIVE)
                assert same(picture, first.setdefault((variable, text), picture))
    assert len({picture.tobytes() for picture in first.values()}) == 4
