"""How long commands take to start, and what the extension adds to the start of a WebUI, as ratios to `import torch`.

    python benchmarks/imports.py [--runs 5]

Each is a new process with one thread; they take turns. A WebUI has torch and Pillow loaded in any case.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tables import print_table

ROOT = Path(__file__).resolve().parents[1]
HOST = ("torch", "PIL.Image")
OURS = (
    *("prompt.tags", "panel", "prompt.override", "encoder", "sweep.settings", "sweep.grid", "sweep.viewer"),
    *("page.answers", "layers.measure", "made_for.suggestions", "page.made_for"),
)
TORCH, WEBUI, EXTENSION = "import torch", "a WebUI's torch and Pillow", "the same with the extension"


def ways(folder: Path) -> dict[str, list[str]]:
    """The arguments for Python of each start. folder: where results are written"""
    clip_skip = ["-m", "clip_skip"]
    demo = str(ROOT / "clip_skip/standalone/demo/clip-skip-demo.safetensors")
    host = "import " + ", ".join(HOST)
    one_cell = ["sweep", "--skips", "1", "--cfg", "7", "--steps", "1", "--device", "cpu"]
    return {
        TORCH: ["-c", "import torch"],
        "inspect": [*clip_skip, "inspect", demo],
        "layers": [*clip_skip, "layers", "--out", str(folder / "layers.png")],
        "the demo's first picture": [*clip_skip, *one_cell, "--out", str(folder / "sweep")],
        WEBUI: ["-c", host],
        EXTENSION: ["-c", ", ".join((host, *(f"clip_skip.{name}" for name in OURS)))],
    }


def run(arguments: list[str]) -> tuple[float, float]:
    """Seconds that a new Python takes, and seconds of the processor."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    start, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, *arguments], check=True, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    after = os.times()
    busy = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start, busy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="after one that is not counted")
    runs = parser.parse_args().runs
    rounds: list[dict[str, tuple[float, float]]] = []
    with tempfile.TemporaryDirectory() as name:
        for index in range(runs + 1):
            starts = ways(Path(name, str(index)))
            rounds.append({what: run(arguments) for what, arguments in starts.items()})
    rounds = rounds[1:]  # in the first, files are read from the disk and compiled
    rows = []
    for what in rounds[0]:
        cells = []
        for column in range(2):
            seconds = statistics.median(one[what][column] for one in rounds)
            ratio = statistics.median(one[what][column] / one[TORCH][column] for one in rounds)
            cells += [f"{seconds:.2f}", f"{ratio:.2f}"]
        rows.append((what, *cells))
    print_table(("start", "seconds", "ratio", "seconds of the processor", "ratio"), rows)
    added = statistics.median(one[EXTENSION][1] / one[WEBUI][1] - 1 for one in rounds)
    print(f"the extension adds {added:.1%} of the processor's time to a WebUI's torch and Pillow")


if __name__ == "__main__":
    main()
