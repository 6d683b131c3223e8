"""A model of published sizes with random weights: how long it takes to make one picture, and how much memory.

    python benchmarks/full_size.py [--family SDXL|SD2|SD1] [--dtype bfloat16] [--pixels 64] [--steps 2]

The weights are written to a file, as fp16, and loaded from it, as people's are, in a process of its own. Its own memory
(RssAnon) and the pages of the file (RssFile), which the system takes back where it needs them, are told apart; Linux
alone says them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import torch
from common import machine
from safetensors.torch import save_file

from clip_skip.standalone.engine.engine import Engine
from clip_skip.standalone.engine.shots import Batch, Shot
from clip_skip.standalone.models import checkpoint
from tests.random_model import PUBLISHED_SIZES, random_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", choices=PUBLISHED_SIZES, default="SDXL")
    parser.add_argument("--dtype", choices=["float32", "float16", "bfloat16"], default="bfloat16")
    parser.add_argument("--pixels", type=int, default=64)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.file:
        measure(arguments.file, arguments.dtype, arguments.pixels, arguments.steps)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.safetensors"
        weights = {name: weight.half() for name, weight in random_weights(PUBLISHED_SIZES[arguments.family])}
        save_file(weights, path, metadata={"modelspec.prediction_type": "epsilon"})
        del weights
        how = f"{arguments.dtype}, {arguments.pixels} px, {arguments.steps} steps"
        print(machine("cpu"))
        print(f"{arguments.family}, {how}, a file of {path.stat().st_size / 1e9:.2f} GB", flush=True)
        subprocess.run([sys.executable, *sys.argv, "--file", str(path)], check=True)


def measure(path: Path, dtype: str, pixels: int, steps: int) -> None:
    """Print what it takes to load the checkpoint at `path` and make a picture, besides what the imports take."""
    before = memory()["RssAnon"]
    with Peaks() as peaks:
        began = time.perf_counter()
        engine = Engine(checkpoint.load_checkpoint(path, "cpu", getattr(torch, dtype)))
        loaded, of_loading = time.perf_counter(), dict(peaks.most)
        engine.make(Batch((Shot("a (red:1.2) cow", "", 2, 7, 1),), steps, pixels, pixels, "Euler"))
        made = time.perf_counter()
    print(f"loaded in {loaded - began:.1f} s, made in {made - loaded:.1f} s")
    for name, what in (("RssAnon", "the process's own memory"), ("RssFile", "pages of mapped files")):
        print(f"{what}, at most: {of_loading[name] / 1e9:.2f} GB while loading, {peaks.most[name] / 1e9:.2f} GB in all")
    print(f"before, with all imported: {before / 1e9:.2f} GB of its own")


class Peaks:
    """The most memory of each kind that this process has while this is open, looked at fifty times a second."""

    def __init__(self) -> None:
        self.most = memory()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(0.02):
            self.most = {name: max(size, self.most[name]) for name, size in memory().items()}


def memory() -> dict[str, int]:
    """The bytes of this process that are in the computer's memory: its own, and pages of mapped files."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    return {name: int(lines[name].split()[0]) * 1024 for name in ("RssAnon", "RssFile")}


if __name__ == "__main__":
    main()
