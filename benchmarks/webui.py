"""In a running WebUI: the sweep against the host's X/Y/Z plot, and what the extension costs when unused.

    python benchmarks/webui.py http://127.0.0.1:7860 [--plain http://127.0.0.1:7861]

The WebUI is started with --api. `--plain` is the address of the same WebUI, with the same checkpoint, without this
extension (--disable-extra-extensions). Whole requests are timed, in turn, and the median of the ratios is what counts.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import statistics
import time
import urllib.request

import numpy as np
from PIL import Image

PROMPT, NEGATIVE = "a red cow on a green field, masterpiece", "blurry, bad quality"
SKIPS, SCALES = "1-12", "4, 7, 11"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--plain")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    settings = {"width": arguments.size, "height": arguments.size, "steps": arguments.steps, "seed": 1}
    settings |= {"sampler_name": "DPM++ 2M", "scheduler": "Karras", "prompt": PROMPT, "negative_prompt": NEGATIVE}
    sweeps(arguments.url, settings, arguments.runs)
    if arguments.plain:
        overhead(arguments.url, arguments.plain, settings, arguments.runs)


def sweeps(url: str, settings: dict, runs: int) -> None:
    """The same 36 cells, the X/Y/Z plot first, then the sweep at each batch size."""
    axes = next(s for s in call(url, "script-info") if s["name"] == "x/y/z plot" and not s["is_img2img"])["args"][0]
    x, y = axes["choices"].index("Clip skip"), axes["choices"].index("CFG Scale")
    plot = [x, SKIPS, [], y, SCALES, [], 0, "", [], True, True, False, False, False, False, False, 0, True]
    ways = {
        "X/Y/Z plot": {"script_name": "x/y/z plot", "script_args": plot},
        "sweep, 1 cell per batch": {"script_name": "clip skip sweep", "script_args": [{"cells_per_batch": 1}]},
        "sweep, automatic batch": {"script_name": "clip skip sweep", "script_args": [{}]},
    }
    kept = call(url, "options")["clip_skip_finished_cells"]
    call(url, "options", {"clip_skip_finished_cells": 0})  # every run makes all its cells
    call(url, "txt2img", settings)
    times: dict[str, list[float]] = {name: [] for name in ways}
    cells: dict[str, list[np.ndarray]] = {}
    for _ in range(runs):
        for name, script in ways.items():
            seconds, answer = timed(url, {**settings, **script})
            times[name].append(seconds)
            cells[name] = [pixels(image) for image in answer["images"][1:]]
    call(url, "options", {"clip_skip_finished_cells": kept})
    print(f"\n12 x 3 cells, {settings['width']} px, {settings['steps']} steps, median of {runs} runs")
    print(f"{'way':<26}{'seconds':>9}{'ratio':>8}{'largest pixel difference':>28}")
    for name in ways:
        ratio = statistics.median(own / plot for own, plot in zip(times[name], times["X/Y/Z plot"]))
        apart = max(int(np.abs(a - b).max()) for a, b in zip(cells[name], cells["X/Y/Z plot"]))
        print(f"{name:<26}{statistics.median(times[name]):>9.2f}{ratio:>8.2f}{apart:>28}")


def overhead(url: str, plain: str, settings: dict, runs: int) -> None:
    """One picture that uses nothing of the extension, with it and without it, in turn."""
    both: dict[str, list[float]] = {url: [], plain: []}
    for one in both:
        call(one, "txt2img", settings)
    for index in range(runs * 10):
        for one in both:
            both[one].append(timed(one, {**settings, "seed": index, "prompt": f"{PROMPT} {index}"})[0])
    ratio = statistics.median(ours / theirs for ours, theirs in zip(both[url], both[plain]))
    print(f"\none picture, nothing used, with the extension / without it: {ratio:.3f} (median of {runs * 10} pairs)")


def timed(url: str, body: dict) -> tuple[float, dict]:
    start = time.perf_counter()
    answer = call(url, "txt2img", body)
    return time.perf_counter() - start, answer


def call(url: str, name: str, body: dict | None = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/sdapi/v1/{name}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=3600) as answer:
        return json.load(answer)


def pixels(encoded: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"), dtype=np.int16)


if __name__ == "__main__":
    main()
