"""A model of published sizes with random weights: how long it takes to draw one picture, and how much memory.

    python benchmarks/full_size.py [--family SDXL|SD2|SD1] [--dtype bfloat16] [--pixels 64] [--steps 2]

The weights are written to a file, as fp16, and loaded from it, as people's are.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import torch
from common import machine
from safetensors.torch import save_file

from clip_skip.standalone.engine.engine import Engine
from clip_skip.standalone.engine.shots import Batch, Shot
from clip_skip.standalone.models import checkpoint
from clip_skip.standalone.models.sizes import PUBLISHED
from tests.random_model import random_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", choices=PUBLISHED, default="SDXL")
    parser.add_argument("--dtype", choices=["float32", "float16", "bfloat16"], default="bfloat16")
    parser.add_argument("--pixels", type=int, default=64)
    parser.add_argument("--steps", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.safetensors"
        weights = {name: weight.half() for name, weight in random_weights(PUBLISHED[arguments.family])}
        save_file(weights, path, metadata={"modelspec.prediction_type": "epsilon"})
        size = path.stat().st_size
        del weights
        before, began = peak(), time.perf_counter()
        engine = Engine(checkpoint.load_checkpoint(path, "cpu", getattr(torch, arguments.dtype)))
        loaded = time.perf_counter()
        shot = Shot("a (red:1.2) cow", "", 2, 7, 1)
        engine.make(Batch((shot,), arguments.steps, arguments.pixels, arguments.pixels, "Euler"))
        drawn = time.perf_counter()
    print(machine("cpu"))
    how = f"{arguments.dtype}, {arguments.pixels} px, {arguments.steps} steps"
    print(f"{arguments.family}, {how}, a file of {size / 1e9:.1f} GB")
    print(f"loaded in {loaded - began:.1f} s, drawn in {drawn - loaded:.1f} s")
    print(f"peak memory {peak() / 1e9:.1f} GB (writing the file: {before / 1e9:.1f} GB)")


def peak() -> float:
    """The most memory that this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


if __name__ == "__main__":
    main()
