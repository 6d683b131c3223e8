"""What it costs that the parts of a model take turns on the device, against all of it there.

    python benchmarks/low_memory.py [--device cuda|cpu] [--weights sd15|small] [--pixels 128] [--steps 8] [--repeats 3]

On a CPU the copies stay in the same memory, so that only copying counts; on a GPU they go there and nothing comes back.
The pictures are compared.
"""

from __future__ import annotations

from functools import partial

import torch
from common import PROMPT, machine, parser, prepared, print_table, random_models, seconds, word_tokenizer
from tokenizers import Tokenizer

from clip_skip.standalone.engine.engine import Engine
from clip_skip.standalone.engine.placement import Placement
from clip_skip.standalone.engine.shots import Batch, Shot
from clip_skip.standalone.models.sizes import Sizes

RESIDENT = {"all on the device": None, "one part at a time": float("inf"), "and the UNet block by block": 0.0}
"""The levels, and how many bytes of the UNet's blocks stay on the device from step to step."""


def main() -> None:
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--pixels", type=int, help="width and height")
    arguments.add_argument("--steps", type=int, default=8)
    arguments.add_argument("--batch", type=int, default=1, help="pictures per batch")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments = arguments.parse_args()
    sizes, dtype = prepared(arguments)
    pixels = arguments.pixels or (512 if arguments.weights == "sd15" else 128)
    shots = tuple(Shot(PROMPT, "", 2, 7, seed) for seed in range(arguments.batch))
    batch = Batch(shots, arguments.steps, pixels, pixels, "Euler")
    bare = word_tokenizer()[0]
    took, pictures = {}, {}
    for level in RESIDENT:
        engine = engine_at(level, sizes, arguments.device, dtype, bare)
        took[level] = seconds(partial(engine.make, batch), arguments.repeats, arguments.device)
        pictures[level] = [picture.tobytes() for picture in engine.make(batch).pictures]
    first = next(iter(RESIDENT))
    print(f"{arguments.weights} random weights, {arguments.batch} x {pixels} px, {arguments.steps} steps, {dtype}")
    print(machine(arguments.device) + "\n")
    print_table(
        ("on the device", "s", "ratio", "same pictures"),
        [
            (level, f"{time:.3f}", f"{time / took[first]:.3f}", "yes" if pictures[level] == pictures[first] else "no")
            for level, time in took.items()
        ],
    )


def engine_at(level: str, sizes: Sizes, device: str, dtype: torch.dtype, tokenizer: Tokenizer) -> Engine:
    """The engine of a model of random weights. level: what of it is on the device, one of `RESIDENT`"""
    resident = RESIDENT[level]
    if resident is None:
        return Engine(random_models(sizes, device, dtype), tokenizer)
    models = random_models(sizes, "cpu", dtype)
    return Engine(models, tokenizer, placement=Placement(models, device, low_memory=True, resident=resident))


if __name__ == "__main__":
    main()
