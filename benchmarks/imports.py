"""What the extension adds to the start of a WebUI, which has torch and Pillow loaded in any case.

python benchmarks/imports.py
"""

from __future__ import annotations

import importlib
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOST = ("torch", "PIL.Image")
OURS = (
    *("tags", "panel", "override", "encoder", "sweep.settings", "sweep.grid", "sweep.viewer", "page.answers"),
    *("layers.measure", "made_for.suggestions", "page.made_for"),
)


def measure() -> tuple[float, float]:
    """Seconds for the imports of the host's and then of ours, in this process."""
    start = time.perf_counter()
    for name in HOST:
        importlib.import_module(name)
    middle = time.perf_counter()
    for name in OURS:
        importlib.import_module(f"clip_skip.{name}")
    return middle - start, time.perf_counter() - middle


def main() -> None:
    """Fresh processes, the first not counted."""
    runs = []
    for _ in range(6):
        once = [sys.executable, __file__, "once"]
        answer = subprocess.run(once, capture_output=True, text=True, check=True, cwd=ROOT)
        runs.append([float(number) for number in answer.stdout.split()])
    ratios = [ours / host for host, ours in runs[1:]]
    host, ours = (statistics.median(times) for times in zip(*runs[1:]))
    print(f"torch and Pillow: {host:.3f} s, ours: {ours:.3f} s, ratio: {statistics.median(ratios):.4f} (median of 5)")


if __name__ == "__main__":
    if sys.argv[1:] == ["once"]:
        sys.path.insert(0, str(ROOT))
        print(*measure())
    else:
        main()
