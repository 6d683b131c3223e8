"""Tags in SD.Next, against its own clip skip, by pixels.

Its address is in CLIP_SKIP_SDNEXT_URL. An SD1 model is loaded there, and its "Samples save" is off.
"""

from __future__ import annotations

import json
import os

import pytest

from .conftest import WebUI, pixels, same

PROMPT, NEGATIVE = "a (red:1.3) cow on a green field", "blurry"
SETTINGS = {"sampler_name": "Default", "steps": 4}


@pytest.fixture(scope="module")
def sdnext():
    url = os.environ.get("CLIP_SKIP_SDNEXT_URL") or pytest.skip("CLIP_SKIP_SDNEXT_URL not set: no SD.Next to test with")
    return WebUI(url)


def picture(sdnext, prompt, negative=NEGATIVE, **settings):
    answer = sdnext.call("/sdapi/v1/txt2img", body(prompt, negative, **settings))
    return pixels(answer["images"][0])


def body(prompt, negative, **settings):
    common = {"width": 64, "height": 64, "seed": 1, "cfg_scale": 7, **SETTINGS}
    return {**common, "prompt": prompt, "negative_prompt": negative, **settings}


@pytest.mark.parametrize("skip", [1, 2, 3, 6, 12])
def test_the_tag_is_its_own_clip_skip(sdnext, skip):
    want = picture(sdnext, PROMPT, clip_skip=skip)
    assert same(picture(sdnext, f"<clipskip:{skip}>{PROMPT}"), want)
    assert same(picture(sdnext, f"{PROMPT}<clipskip:-{skip}>", clip_skip=5), want)
    assert not same(want, picture(sdnext, PROMPT, clip_skip=4))


def test_fractions(sdnext):
    """Its page takes them too, its API whole numbers alone."""
    half = picture(sdnext, f"<clipskip:1.5>{PROMPT}")
    assert same(half, picture(sdnext, f"<clipskip:1.5>{PROMPT}", clip_skip=7))
    assert not same(half, picture(sdnext, PROMPT, clip_skip=1)) and not same(half, picture(sdnext, PROMPT, clip_skip=2))


def test_the_negative_prompt_has_its_own(sdnext):
    tagged = picture(sdnext, PROMPT, f"{NEGATIVE}<clipskip:3>", clip_skip=1)
    assert not same(tagged, picture(sdnext, PROMPT, clip_skip=1))
    assert not same(tagged, picture(sdnext, PROMPT, clip_skip=3))
    assert same(tagged, picture(sdnext, f"<clipskip:1>{PROMPT}", f"<clipskip:3>{NEGATIVE}", clip_skip=7))


def test_prompt_editing(sdnext):
    edited = picture(sdnext, f"[<clipskip:1>:<clipskip:6>:2]{PROMPT}", clip_skip=1)
    assert not same(edited, picture(sdnext, PROMPT, clip_skip=1)) and not same(
        edited, picture(sdnext, f"<clipskip:6>{PROMPT}", f"<clipskip:1>{NEGATIVE}")
    )


def test_bad_tags_are_taken_out(sdnext):
    want = picture(sdnext, PROMPT, clip_skip=1)
    for bad in ("<clipskip:>", "<clipskip:abc>", "<clipskip:0>"):
        assert same(picture(sdnext, f"{bad}{PROMPT}", f"{NEGATIVE}{bad}", clip_skip=1), want)
    assert same(picture(sdnext, f"<clipskip:99>{PROMPT}"), picture(sdnext, PROMPT, clip_skip=12))


def test_the_prompt_is_saved_as_it_was_written(sdnext):
    answer = sdnext.call("/sdapi/v1/txt2img", body(f"<clipskip:2>{PROMPT}", f"{NEGATIVE}<clipskip:3>"))
    (said,) = json.loads(answer["info"])["infotexts"]
    assert said.startswith(f"<clipskip:2>{PROMPT}") and f"{NEGATIVE}<clipskip:3>" in said


def test_afterwards_everything_is_its_own_again(sdnext):
    before = picture(sdnext, PROMPT, clip_skip=2)
    picture(sdnext, f"<clipskip:9>{PROMPT}")
    assert same(picture(sdnext, PROMPT, clip_skip=2), before)
