"""LoRAs without metadata, told from their weights, in a running WebUI and on its page."""

from __future__ import annotations

import base64
import csv
from itertools import pairwise
from pathlib import Path

import pytest

from .test_page import PROMPT, expect, page, prose, sync_api  # noqa: F401  (the fixture)

pytest.importorskip("lycoris", reason="lycoris_lora is not installed: no LoRA to look at")

import torch
from safetensors.torch import save_file

from tests.trained import lycoris_adapter

MANY = 200
SUGGESTIONS = "#txt2img_prompt .clip-skip-suggestions"


@pytest.fixture(scope="module")
def loras(webui):
    """LoRAs without metadata in the WebUI's folder: of clip skip 1, of 2, and so many that there are 200 of ours."""
    known = webui.call("/sdapi/v1/loras")  # Forge Neo fails to tell its `cmd-flags`
    folder = Path(known[0]["path"]).parent if known else Path(webui.call("/sdapi/v1/cmd-flags").get("lora_dir") or "")
    if not folder.is_absolute() or not folder.is_dir():
        pytest.skip("the WebUI's folder of LoRAs is not on this machine")
    made = [folder / f"clip_skip_test_{name}.safetensors" for name in ("one", "two", *range(MANY - 2))]
    states = {skip: lycoris_adapter("lora", skip) for skip in (1, 2)}
    for number, path in enumerate(made):  # the WebUI's own torch is older than the tests'
        dtype = (torch.float16, torch.bfloat16, torch.float32)[number // 2 % 3]
        save_file({name: one.to(dtype).contiguous() for name, one in states[1 + number % 2].items()}, path)
    webui.call("/sdapi/v1/refresh-loras", {})
    yield
    for path in made:
        path.unlink()
    webui.call("/sdapi/v1/refresh-loras", {})


def lora(name):
    return f"a red circle <lora:clip_skip_test_{name}:1>"


def test_a_lora_is_told_from_its_weights(webui, loras):
    read = lambda text: webui.call("/clip-skip/v1/read", {"prompt": text, "negative": "", "value": 1})["suggestions"]
    (told,) = read(lora("two"))
    assert (told["value"], told["source"]) == (2, "weights")
    assert (
        told["text"]
        == 'LoRA "clip_skip_test_two" was trained at clip skip 2, according to its weights; you are using 1.'
    )
    assert read(lora("one")) == [] and read(lora("two") + "<clipskip:2>") == []


def test_a_lora_is_told_with_the_picture(webui, loras):
    said = lambda text: webui.answer(text, steps=1)["info"].get("clip_skip_suggestions")
    (told,) = said(lora("two"))
    assert told["value"] == 2 and "according to its weights; this picture used 1." in told["text"]
    assert said(lora("one")) is None and said(lora("two") + "<clipskip:2>") is None


def test_a_lora_is_named_on_the_page_and_followed_with_one_click(webui, loras, page):  # noqa: F811
    page.locator(PROMPT).fill(lora("two"))
    expect(page, "was trained at clip skip 2, according to its weights; you are using 1.", SUGGESTIONS)
    for name in ("width", "height"):
        page.locator(f"#txt2img_{name} input[type=number]").fill("64")
    page.locator("#txt2img_steps input[type=number]").fill("1")
    page.locator("#txt2img_generate").click()
    under = page.locator(f"{prose('#html_log_txt2img')} .comments")
    sync_api.expect(under).to_contain_text("according to its weights; this picture used 1.", timeout=60_000)
    under.get_by_role("button", name="Use 2").click()
    sync_api.expect(page.locator(PROMPT)).to_have_value(f"{lora('two')} <clipskip:2>")
    sync_api.expect(page.locator(SUGGESTIONS)).to_have_text("", timeout=15_000)
    page.locator(PROMPT).fill(lora("one"))
    page.wait_for_timeout(2000)
    sync_api.expect(page.locator(SUGGESTIONS)).to_have_text("")


def test_the_tab_tells_of_one_lora_and_of_all(webui, loras, page):  # noqa: F811
    page.locator("#tabs button", has_text="Clip Skip").first.click()
    page.locator("#clip_skip_parts button", has_text="Made for").click()
    page.locator("#clip_skip_made_for_refresh").click()
    choose = page.locator("#clip_skip_made_for_file input").first
    page.wait_for_timeout(5000)
    choose.click()
    choose.fill("clip_skip_test_two")
    page.locator("ul.options li", has_text="clip_skip_test_two").first.click()
    page.locator("#clip_skip_made_for_look").click()
    verdict = page.locator("#clip_skip_made_for_verdict textarea")
    sync_api.expect(verdict).to_have_value(
        "The lower 11 of 12 blocks were changed, none above: it was trained at clip skip 2.", timeout=30_000
    )
    sync_api.expect(page.locator("#clip_skip_made_for_picture img")).to_be_visible(timeout=30_000)
    page.locator("#clip_skip_made_for_all").click()
    link = page.locator("#clip_skip_made_for_csv a")
    sync_api.expect(link).to_be_visible(timeout=120_000)
    data = base64.b64decode(link.get_attribute("href").partition("base64,")[2]).decode("utf-8-sig")
    ours = [row for row in csv.reader(data.splitlines()) if row[0].startswith("clip_skip_test_")]
    assert len(ours) == MANY and sum(("11", "2") in pairwise(row) for row in ours) == MANY // 2
    assert sum(row[0] == "clip_skip_test_two" for row in ours) == 1
    table = page.locator("#clip_skip_made_for_table")
    expect(page, "clip_skip_test_", "#clip_skip_made_for_table")
    rows = table.locator("table").last.locator("tbody tr")  # gradio 4 has another table, which it measures with
    sync_api.expect(rows.first).not_to_contain_text("trained at clip skip 2")
    for _ in ("up", "down"):
        table.locator("th", has_text="Clip skip").last.locator(".sort-button").click()
    sync_api.expect(rows.first).to_contain_text("trained at clip skip 2", timeout=15_000)
