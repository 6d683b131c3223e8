"""Beside ADetailer, in a running WebUI: its passes over a finished picture, with prompts of their own.

Wanted are its own pictures, made with the header's value.
It needs a detector that finds something; one that always finds the middle will do.
Addresses: github.com/Bing-su/adetailer, and for Forge Neo Haoming02/ADetailer-Neo and abzaloff/aadetailer-neoforge.
"""

from __future__ import annotations

import urllib.error

import pytest

from .conftest import pixels, same

PROMPT, NEGATIVE = "a red circle", "blurry"
SETTINGS = {"width": 128, "height": 128, "steps": 4}
TAG = "<clipskip:8>"
DETECTOR = {"ad_model": "mediapipe_face_full"}
SMALL = {"ad_use_inpaint_width_height": True, "ad_inpaint_width": 128, "ad_inpaint_height": 128}
"""The size of a pass; in Forge Neo it is a megapixel without."""


def detailer(**values):
    """ADetailer on."""
    return {"adetailer": {"args": [True, False, {**DETECTOR, **SMALL, **values}]}}


def panel(**values):
    return {"clip skip": {"args": [{"enabled": True, **values}]}}


def picture(webui, prompt, scripts, negative=NEGATIVE, skip=1):
    return webui.at(skip, prompt, negative, alwayson_scripts=scripts, **SETTINGS)


def passed_at_eight(webui, **values):
    """The picture at clip skip 1, by a tag, and the pass over it, with a prompt of its own, at the header's 8."""
    return picture(webui, f"<clipskip:1>{PROMPT}", detailer(**values), skip=8)


@pytest.fixture(scope="module", autouse=True)
def fields(webui):
    """The settings of a pass that this ADetailer has; names the detector as it does (in Forge Neo: with a suffix)."""
    try:
        models = webui.call("/adetailer/v1/ad_model")["ad_model"]
    except urllib.error.HTTPError:
        pytest.skip("the WebUI has no ADetailer")
    DETECTOR["ad_model"] = next(name for name in models if name.startswith(DETECTOR["ad_model"]))
    return webui.call("/adetailer/v1/schema")["properties"]


@pytest.fixture(scope="module")
def untouched(webui):
    """The picture before the pass; skips where nothing is detected."""
    before = picture(webui, PROMPT, {})
    if same(picture(webui, PROMPT, detailer()), before):
        pytest.skip("ADetailer's detector finds nothing in the picture")
    return before


def test_the_prompts_tag_and_the_panel_reach_the_pass(webui, untouched):
    want = picture(webui, PROMPT, detailer(), skip=8)
    assert same(picture(webui, TAG + PROMPT, detailer()), want)
    assert same(picture(webui, PROMPT, {**detailer(), **panel(clip_skip=8)}), want)
    assert not same(want, picture(webui, TAG + PROMPT, detailer(), negative=f"{NEGATIVE}<clipskip:1>"))


def test_a_pass_has_a_tag_of_its_own(webui, untouched):
    want = passed_at_eight(webui, ad_prompt="a blue square")
    assert not same(want, picture(webui, PROMPT, detailer(ad_prompt="a blue square")))
    assert same(picture(webui, PROMPT, detailer(ad_prompt=f"a blue square{TAG}")), want)
    separated = detailer(ad_prompt=f"a blue square{TAG}[SEP]a green ring")
    assert same(picture(webui, PROMPT, separated), want)


def test_its_own_clip_skip_for_a_pass(webui, untouched, fields):
    if "ad_clip_skip" not in fields:
        pytest.skip("this ADetailer has no clip skip of its own")
    own = {"ad_prompt": "a blue square", "ad_use_clip_skip": True, "ad_clip_skip": 8}
    want = passed_at_eight(webui, ad_prompt="a blue square")
    assert same(picture(webui, PROMPT, detailer(**own)), want)
    assert same(picture(webui, PROMPT, {**detailer(**own), **panel(clip_skip=1)}), want)
    assert same(
        picture(webui, PROMPT, detailer(**{**own, "ad_prompt": f"a blue square{TAG}", "ad_clip_skip": 3})), want
    )


def test_a_tag_in_the_negative_prompt_of_a_pass(webui, untouched):
    plain, skips = {"ad_prompt": "a blue square", "ad_negative_prompt": "red"}, {"ad_negative_prompt": f"red{TAG}"}
    tagged = picture(webui, PROMPT, detailer(**{**plain, **skips}))
    assert not same(tagged, picture(webui, PROMPT, detailer(**plain)))
    both = {**plain, **skips, "ad_prompt": f"a blue square{TAG}"}
    assert same(picture(webui, PROMPT, detailer(**both)), passed_at_eight(webui, **plain))


def test_a_pass_that_is_skipped(webui, untouched):
    assert same(picture(webui, PROMPT, detailer(ad_prompt="[SKIP]")), untouched)


def test_the_cells_of_a_sweep(webui, untouched):
    args = {"clip_skips": "1, 8", "cfg_scales": "7", "cells_per_batch": 0}
    answer = webui.answer(
        PROMPT, NEGATIVE, script_name="clip skip sweep", script_args=[args], alwayson_scripts=detailer(), **SETTINGS
    )
    cells = [pixels(image) for image in answer["images"][1:]]
    alone = [picture(webui, PROMPT, detailer(), skip=skip) for skip in (1, 8)]
    assert not same(*alone) and len(cells) == 2
    assert all(same(one, other, within=2) for one, other in zip(cells, alone))
