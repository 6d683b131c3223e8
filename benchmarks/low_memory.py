"""What it costs that the parts of a model take turns on the device, against all of it there.

    python benchmarks/low_memory.py [--device cuda|cpu] [--weights sd15|small] [--pixels 128] [--steps 8] [--rounds 5]

On a CPU the copies are made in the same memory; on a GPU they go there, and nothing comes back. The levels are measured
by turns, on a CPU by the processor's time, and the pictures are compared.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable

import torch
from common import PROMPT, machine, parser, prepared, print_table, random_models, synchronize, word_tokenizer
from tokenizers import Tokenizer

from clip_skip.standalone.engine.engine import Engine
from clip_skip.standalone.engine.placement import Placement, Weight
from clip_skip.standalone.engine.shots import Batch, Shot
from clip_skip.standalone.models.sizes import Sizes

RESIDENT = {"all on the device": None, "one part at a time": float("inf"), "and the UNet block by block": 0.0}
"""The levels, and how many bytes of the UNet's blocks stay on the device from step to step."""


def main() -> None:
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--pixels", type=int, help="width and height")
    arguments.add_argument("--steps", type=int, default=8)
    arguments.add_argument("--batch", type=int, default=1, help="pictures per batch")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments = arguments.parse_args()
    sizes, dtype = prepared(arguments)
    pixels = arguments.pixels or (512 if arguments.weights == "sd15" else 128)
    shots = tuple(Shot(PROMPT, "", 2, 7, seed) for seed in range(arguments.batch))
    batch = Batch(shots, arguments.steps, pixels, pixels, "Euler")
    bare = word_tokenizer()[0]
    engines = {level: engine_at(level, sizes, arguments.device, dtype, bare) for level in RESIDENT}
    pictures = {level: [one.tobytes() for one in engine.make(batch).pictures] for level, engine in engines.items()}
    before = {level: copied(engine) for level, engine in engines.items()}
    took: dict[str, list[float]] = {level: [] for level in RESIDENT}
    for _ in range(arguments.rounds):
        for level, engine in engines.items():
            took[level].append(seconds(engine, batch, arguments.device))
    print(f"{arguments.weights} random weights, {arguments.batch} x {pixels} px, {arguments.steps} steps, {dtype}")
    print(machine(arguments.device) + "\n")
    first, *_ = RESIDENT
    ratios = {level: [one / whole for one, whole in zip(times, took[first])] for level, times in took.items()}
    print_table(
        ("on the device", "s", "ratio", "lowest", "highest", "MB copied", "same pictures"),
        [
            (
                level,
                f"{statistics.median(took[level]):.3f}",
                *(f"{of(ratios[level]):.3f}" for of in (statistics.median, min, max)),
                f"{(copied(engine) - before[level]) / arguments.rounds / 1e6:.1f}",
                "yes" if pictures[level] == pictures[first] else "no",
            )
            for level, engine in engines.items()
        ],
    )


class CountedPlacement(Placement):
    """Counts the bytes that it copies."""

    copied = 0

    def _replace(self, owner: object, own: Iterable[Weight]) -> None:
        own = list(own)
        self.copied += sum(weight.nbytes for *_, weight in own)
        super()._replace(owner, own)


def engine_at(level: str, sizes: Sizes, device: str, dtype: torch.dtype, tokenizer: Tokenizer) -> Engine:
    """The engine of a model of random weights. level: what of it is on the device, one of `RESIDENT`"""
    resident = RESIDENT[level]
    if resident is None:
        return Engine(random_models(sizes, device, dtype), tokenizer)
    models = random_models(sizes, "cpu", dtype)
    return Engine(models, tokenizer, placement=CountedPlacement(models, device, low_memory=True, resident=resident))


def copied(engine: Engine) -> int:
    return getattr(engine.placement, "copied", 0)


def seconds(engine: Engine, batch: Batch, device: str) -> float:
    """The time that `batch` takes: the processor's on a CPU, where other work may be going on."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    synchronize(device)
    began = clock()
    engine.make(batch)
    synchronize(device)
    return clock() - began


if __name__ == "__main__":
    main()
