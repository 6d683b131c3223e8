"""Beside extensions that change the prompt box, on the page of a running WebUI, in Chromium.

Their addresses: github.com/DominikDoom/a1111-sd-webui-tagcomplete, Physton/sd-webui-prompt-all-in-one.
"""

from __future__ import annotations

import re

import pytest

from .test_page import NEGATIVE, PROMPT, expect, page, sync_api  # noqa: F401

OURS, THEIRS = "#clip_skip_completion li", ".autocompleteResults.txt2img.p"


@pytest.fixture
def quiet(webui, page):  # noqa: F811
    """The page without what prompt-all-in-one asks for where it is: packages of translators."""
    if webui.installed("prompt-all-in-one"):
        page.wait_for_selector(".physton-prompt", timeout=60_000)
        page.wait_for_timeout(5000)
        asks = page.locator(".physton-packages-state .state-close")
        if asks.count():
            asks.click()
            sync_api.expect(asks).to_have_count(0)
    return page


@pytest.fixture
def tagcomplete(webui, quiet):
    webui.extension("tagcomplete")
    quiet.wait_for_selector(THEIRS, state="attached", timeout=60_000)
    quiet.locator(PROMPT).click()
    return quiet


def typed(page, text):  # noqa: F811
    """Types `text`; tagcomplete waits until nothing more comes."""
    page.keyboard.type(text, delay=20)
    page.wait_for_timeout(500)


def test_both_completions_by_keyboard(tagcomplete):
    prompt, theirs = tagcomplete.locator(PROMPT), tagcomplete.locator(f"{THEIRS} li")
    typed(tagcomplete, "blue_h")
    sync_api.expect(theirs.first).to_contain_text("blue_hair")
    tagcomplete.keyboard.press("Tab")
    sync_api.expect(prompt).to_have_value("blue hair, ")
    typed(tagcomplete, "<cl")
    sync_api.expect(tagcomplete.locator(OURS)).to_have_count(1)
    tagcomplete.keyboard.press("Enter")
    sync_api.expect(tagcomplete.locator(OURS)).to_have_count(13)
    tagcomplete.keyboard.press("ArrowDown")
    tagcomplete.keyboard.press("Enter")
    sync_api.expect(prompt).to_have_value("blue hair, <clipskip:2>")
    expect(tagcomplete, "set by the tag <clipskip:2>: stops after layer 11 of 12")
    typed(tagcomplete, ", red_e")
    sync_api.expect(theirs.first).to_contain_text("red_eyes")
    tagcomplete.keyboard.press("Tab")
    sync_api.expect(prompt).to_have_value("blue hair, <clipskip:2>, red eyes, ")


def test_our_completion_is_seen_and_taken_with_the_mouse(tagcomplete):
    typed(tagcomplete, "<clipskip:")
    tagcomplete.locator(OURS).nth(2).click()
    sync_api.expect(tagcomplete.locator(PROMPT)).to_have_value("<clipskip:3>")


def test_its_loras_after_our_list_is_closed(webui, tagcomplete):
    loras = webui.call("/sdapi/v1/loras") or pytest.skip("the WebUI has no LoRA")
    name = loras[0]["name"]
    typed(tagcomplete, f"<clipskip:2> <{name[:3]}")
    sync_api.expect(tagcomplete.locator(OURS)).to_have_count(0)
    sync_api.expect(tagcomplete.locator(f"{THEIRS} li").first).to_contain_text(name)
    tagcomplete.keyboard.press("Tab")
    sync_api.expect(tagcomplete.locator(PROMPT)).to_have_value(f"<clipskip:2> <lora:{name}:1> ")


KEPT = [
    ("a cow , <clipskip:2>, (red:1.2)", "<clipskip:2>", "set by the tag <clipskip:2>: stops after layer 11 of 12"),
    ("a <clipskip:l=2:g=3:hires=1> cow", "<clipskip:l=2:g=3:hires=1>", "set by the tag <clipskip:l=2:g=3:hires=1>"),
    ("<clipskip:1.50>, a", "<clipskip:1.5>", "stops between layers 11 and 12"),
    ("<clipskip:-2>, a", "<clipskip:-2>", "set by the tag <clipskip:2>"),
    ("a BREAK <clipskip:3>\nb", "<clipskip:3>", "set by the tag <clipskip:3>"),
    ("[a <clipskip:1>:b <clipskip:3>:0.5], c", "[a <clipskip:1>:b <clipskip:3>:0.5]", "clip skip 1, then 3"),
]


def test_tags_stay_when_the_prompt_is_taken_apart_and_put_together(webui, quiet):
    """prompt-all-in-one does that when the box loses the focus, or is told to where that is switched off."""
    webui.extension("prompt-all-in-one")
    prompt = quiet.locator(PROMPT)
    for text, kept, said in KEPT:
        prompt.click()
        quiet.keyboard.press("Control+a")
        quiet.keyboard.insert_text(text)
        quiet.keyboard.press("Escape")
        quiet.locator(NEGATIVE).focus()
        load = quiet.locator(".physton-prompt").first.locator(".icon-svg-load2")
        if load.is_visible():
            quiet.wait_for_timeout(2000)  # it knows the text a while after it was typed
            load.click()
        sync_api.expect(prompt).to_have_value(re.compile(r",$"), timeout=10_000)  # its own
        assert kept in prompt.input_value()
        expect(quiet, said)
