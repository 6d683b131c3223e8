"""How often a generation and a sweep parse each text and describe the model, counted with a profiler."""

import sys
from collections import Counter

import pytest

from .test_sweep_webui import job
from .test_webui import host  # noqa: F401  (the fixture)


def count_calls(function, *names):
    """How often the functions of these names run while `function` does; of `scan` the texts."""
    counts, scanned = Counter(), Counter()

    def profile(frame, event, _):
        name = frame.f_code.co_name
        if event == "call" and name in names and "clip_skip" in frame.f_code.co_filename:
            counts[name] += 1
            if name == "scan":
                scanned[frame.f_locals["text"]] += 1

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return counts, scanned


HIRES = {"enable_hr": True, "all_hr_negative_prompts": ["bad"] * 2}


@pytest.mark.parametrize(
    ("number", "prompts", "more"),
    [
        (1, ["<clipskip:2>a cow"], {}),
        (2, ["a cow"], {}),
        (3, ["<clipskip:2>a cow"], {**HIRES, "all_hr_prompts": ["<clipskip:2>a cow"]}),
        (4, ["<clipskip:2>a cow", "a hen AND <clipskip:3>b"], {**HIRES, "all_hr_prompts": ["a", "<clipskip:4>b"]}),
        (5, ["[<clipskip:2>:<clipskip:3>:0.5]a cow"] * 4, {}),
    ],
)
def test_a_text_is_scanned_once_and_the_model_described_once_a_step(host, number, prompts, more):  # noqa: F811
    unique = lambda text: f"{text} {number}"  # never seen before
    prompts = [unique(text) for text in prompts]
    negatives = [unique("bad")] * len(prompts)
    more = {key: list(map(unique, value)) if isinstance(value, list) else value for key, value in more.items()}
    generate = lambda: host.generate(prompts, negatives, **more)
    counts, scanned = count_calls(generate, "scan", "describe_model")
    assert set(scanned.values()) == {1}
    encodings = 2 if any("clipskip" in text for text in prompts) else 0
    assert counts["describe_model"] <= 2 + encodings  # when marked, for the suggestions, and for each call of the host
    assert count_calls(generate, "scan")[0]["scan"] == 0


@pytest.mark.parametrize(
    ("number", "arguments", "prompt", "batches"),
    [
        (1, {"clip_skips": "1-4", "cfg_scales": "4, 7"}, "a cow", 1),
        (2, {"clip_skips": "1-4", "cfg_scales": "4, 7", "cells_per_batch": 2}, "<clipskip:3>a cow", 4),
        (3, {"clip_skips": "1, 3", "rows": "prompt", "row_values": "cow, hen"}, "a cow AND <clipskip:5>b", 1),
    ],
)
def test_a_sweep_scans_each_text_once_whatever_its_batches(host, number, arguments, prompt, batches):  # noqa: F811
    p = job(host, prompt=f"{prompt} sweep {number}", negative_prompt=f"bad sweep {number}")
    counts, scanned = count_calls(lambda: host.sweep_script.run(p, arguments), "scan", "describe_model")
    assert len(p.make.made) == batches
    assert set(scanned.values()) == {1}
    assert counts["describe_model"] <= 4 + 6 * batches
