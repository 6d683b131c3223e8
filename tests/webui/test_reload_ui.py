"""Reload UI, in Chromium: the WebUI runs its scripts again in the same process, and everything is there once."""

import pytest

from .conftest import pixels, same

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser to test with")

PROMPT, NEGATIVE = "a red cow on a green field", "blurry"
PANEL = {"alwayson_scripts": {"Clip Skip": {"args": [{"enabled": True, "clip_skip": 3}]}}}
SWEEP = {"script_name": "clip skip sweep", "script_args": [{"clip_skips": "1, 3", "cfg_scales": "7"}]}


def offered(webui):
    """What the page offers of ours: scripts, axes, and what stands in the header."""
    scripts = [one for one in webui.call("/sdapi/v1/script-info") if not one["is_img2img"]]
    plot = next(one for one in scripts if one["name"] == "x/y/z plot")
    names = [one["name"] for one in scripts if one["name"].startswith("clip skip")]
    axes = [name for name in plot["args"][0]["choices"] if name.startswith("[Clip Skip]")]
    return names, axes, webui.call("/sdapi/v1/options")["quicksettings_list"]


def test_reload_ui(webui, browser):
    before, stock = offered(webui), [webui.at(skip, PROMPT, NEGATIVE) for skip in (1, 3)]
    assert not same(*stock)
    page = browser.new_page()
    page.goto(webui.url)
    page.wait_for_selector("#clip_skip_readout", timeout=90_000)
    page.locator("#tabs button", has_text="Settings").first.click()
    with page.expect_navigation(timeout=300_000):
        page.locator("#settings_restart_gradio").click()
    page.wait_for_selector("#clip_skip_readout", timeout=300_000)
    sync_api.expect(page.locator("#clip_skip_readout")).to_have_count(1)
    page.close()
    assert offered(webui) == before
    assert same(webui.picture(PROMPT, NEGATIVE), stock[0])
    assert same(webui.picture(f"<clipskip:3>{PROMPT}", NEGATIVE), stock[1])
    assert same(webui.picture(PROMPT, NEGATIVE, **PANEL), stock[1])
    cells = webui.answer(PROMPT, NEGATIVE, **SWEEP)["images"][1:]
    assert all(same(pixels(cell), picture, within=2) for cell, picture in zip(cells, stock)) and len(cells) == 2
