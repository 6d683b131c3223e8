"""How long it takes to tell the clip skip from weights: of a LoRA, and of a checkpoint beside its base.

python benchmarks/inspect_weights.py [--folder DIR]

The files are made of random weights at full size, in float16: a LoRA of rank 128 on all that trainers adapt in SD1 (150
MB), and two SD1 checkpoints (2 GB each) of which the one has all blocks of the text encoder but the top one changed.
They are read from the system's cache, on one thread. What importing torch takes is not counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from common import machine
from safetensors import safe_open
from safetensors.torch import save_file
from tables import print_table

from clip_skip.made_for import findings
from clip_skip.made_for.reading import once
from clip_skip.standalone.models.sizes import TEXT, Sizes
from tests.random_model import random_weights

RANK = 128
TARGETS = (
    "to_q",
    "to_k",
    "to_v",
    "to_out.0",
    "ff.net.0.proj",
    "ff.net.2",
    "proj_in",
    "proj_out",
    "_proj",
    "fc1",
    "fc2",
)


def lora(weights: dict[str, torch.Tensor], path: Path) -> None:
    """A LoRA on every linear layer that sd-scripts adapts, its up factors zero in the top block."""
    state = {}
    for name, weight in weights.items():
        layer = name.removesuffix(".weight")
        if not (name.endswith(".weight") and layer.endswith(TARGETS)) or "first_stage" in name:
            continue
        start = "lora_te_text_model_" if name.startswith(TEXT) else "lora_unet_"
        short = layer.removeprefix(TEXT).removeprefix("model.diffusion_model.").replace(".", "_")
        up = torch.randn(weight.shape[0], RANK).mul_(1e-2 * ("layers.11." not in name))
        state[f"{start}{short}.lora_up.weight"] = up.half()
        state[f"{start}{short}.lora_down.weight"] = torch.randn(RANK, weight[0].numel()).half()
        state[f"{start}{short}.alpha"] = torch.tensor(64.0).half()
    save_file(state, path)


def checkpoints(weights: dict[str, torch.Tensor], path: Path, base: Path) -> None:
    save_file(weights, base)
    changed = {
        name: weight + 1e-3 if name.startswith(TEXT) and "layers.11." not in name else weight
        for name, weight in weights.items()
    }
    save_file({name: weight.half() for name, weight in changed.items()}, path)


def seconds(work: Callable[[], findings.Finding], repeats: int = 15) -> tuple[str, str]:
    """The median and the extremes of the times of `work`, whose answer must be 2, and the processor's median time.

    The first run is not counted.
    """
    times, busy = [], []
    for _ in range(repeats + 1):
        once.cache_clear()
        began, worked = time.perf_counter(), time.process_time()
        assert work().verdict.clip_skip == 2
        times.append(time.perf_counter() - began)
        busy.append(time.process_time() - worked)
    times = sorted(times[1:])
    return f"{statistics.median(times):.3f} ({times[0]:.3f} to {times[-1]:.3f})", f"{statistics.median(busy[1:]):.3f}"


def all_read(path: Path) -> float:
    """Seconds to read every tensor of the file and to add up its values, as a tool would that looks at them all."""
    began = time.perf_counter()
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118
            file.get_tensor(name).sum(dtype=torch.float32)
    return time.perf_counter() - began


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    made.add_argument("--folder", type=Path, help="where the files, 4.4 GB, are made; default: the system's for such")
    with tempfile.TemporaryDirectory(dir=made.parse_args().folder) as name:
        small, tuned, base = (Path(name, f"{what}.safetensors") for what in ("lora", "tuned", "base"))
        weights = {name: weight.half() for name, weight in random_weights(Sizes())}
        lora(weights, small)
        checkpoints(weights, tuned, base)
        del weights
        rows = []
        for what, path, work in (
            ("LoRA", small, lambda: findings.inspect(str(small))),
            ("checkpoint beside its base", tuned, lambda: findings.inspect(str(tuned), str(base))),
        ):
            whole = statistics.median(all_read(path) for _ in range(3))
            rows.append((what, f"{os.path.getsize(path) / 1e6:.0f}", *seconds(work), f"{whole:.3f}"))
        findings.inspect(str(small))
        began = time.perf_counter()
        findings.inspect(str(small))
        print(machine("cpu"))
        print_table(("file", "MB", "seconds, median and extremes", "of the processor", "to read all of the file"), rows)
        print(f"The LoRA once more: {1000 * (time.perf_counter() - began):.2f} ms")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
