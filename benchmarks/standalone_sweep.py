"""The sweep against the straightforward way: one call of diffusers' pipeline with `clip_skip=` per cell.

    python benchmarks/standalone_sweep.py [--device cuda|cpu] [--weights sd15|small] [--batch 36] [--sampler Euler]

Same model, sampler, dtype, noise and number of steps, and the pictures are compared. The floor is what the UNet's
arithmetic alone would take at the rate of a large matrix product on this device.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from common import (
    NEGATIVE,
    PROMPT,
    machine,
    matmul_peak,
    parser,
    prepared,
    random_models,
    seconds,
    word_tokenizer,
)
from diffusers import StableDiffusionPipeline
from PIL import Image
from tables import print_table
from torch.utils.flop_counter import FlopCounterMode

from clip_skip.standalone.engine.engine import Engine
from clip_skip.standalone.engine.shots import Batch, Shot
from clip_skip.standalone.models.checkpoint import Models
from clip_skip.standalone.sampling.samplers import SAMPLERS, scheduler
from clip_skip.sweep.plan import SweepCell, SweepPlan
from clip_skip.sweep.rows import Rows

SEED = 2881122569


def main() -> None:
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--skips", type=int, default=12, help="clip skips 1 to this")
    arguments.add_argument("--cfg", type=float, nargs="+", default=[4, 7, 11])
    arguments.add_argument("--steps", type=int)
    arguments.add_argument("--pixels", type=int, help="width and height")
    arguments.add_argument("--batch", type=int, default=36, help="cells per batch")
    arguments.add_argument("--sampler", default="DPM++ 2M Karras", choices=SAMPLERS)
    arguments.add_argument("--repeats", type=int, default=1)
    arguments = arguments.parse_args()
    sizes, dtype = prepared(arguments)
    steps = arguments.steps or (20 if arguments.weights == "sd15" else 8)
    pixels = arguments.pixels or (512 if arguments.weights == "sd15" else 128)
    plan = SweepPlan(tuple(range(1, arguments.skips + 1)), Rows(tuple(arguments.cfg)))
    models = random_models(sizes, arguments.device, dtype)
    bare, wrapped = word_tokenizer()
    pictures: dict[str, list[Image.Image]] = {}

    pipeline = _pipeline(models, wrapped, arguments.sampler)

    def call(cell: SweepCell) -> list[Image.Image]:
        return pipeline(
            PROMPT,
            negative_prompt=NEGATIVE,
            clip_skip=int(cell.clip_skip) - 1 or None,  # diffusers' k is our k + 1; the negative prompt stays at 1
            guidance_scale=cell.value,
            num_inference_steps=steps,
            width=pixels,
            height=pixels,
            latents=_noise(models, pixels).to(arguments.device, dtype),
        ).images

    def ours(limit: int, plan: SweepPlan = plan, steps: int = steps) -> list[Image.Image]:
        engine = Engine(models, bare)
        shot = lambda cell: Shot(PROMPT, f"<clipskip:1>{NEGATIVE}", cell.clip_skip, cell.value, SEED)
        engine.prepare([shot(cell) for cell in plan.cells])
        made = []
        for cells in plan.batches(limit):
            shots = (shot(cell) for cell in cells)
            made += engine.make(Batch(tuple(shots), steps, pixels, pixels, arguments.sampler)).pictures
        return made

    def timed(name: str, work: Callable[[], list[Image.Image]], warm_up: Callable[[], object]) -> float:
        def keep() -> None:
            pictures[name] = work()

        return seconds(keep, arguments.repeats, arguments.device, warm_up)

    def loop() -> list[Image.Image]:
        return [picture for cell in plan.cells for picture in call(cell)]

    took = {"diffusers": timed("diffusers", loop, lambda: call(plan.cells[0]))}
    for limit in (1, arguments.batch):
        name = f"ours, {limit} per batch"
        few = plan if limit > 1 else SweepPlan(plan.clip_skips[:1], Rows(plan.rows.values[:1]))
        took[name] = timed(name, partial(ours, limit), partial(ours, limit, few, 2))

    cells = len(plan.cells)
    operations = _unet_operations(models, pixels) * cells * steps
    peak = matmul_peak(arguments.device, dtype)
    took["floor (UNet arithmetic)"] = operations / peak
    print(
        f"{arguments.weights} random weights, {cells} cells, {pixels} px, {steps} steps, {arguments.sampler}, {dtype}"
    )
    print(machine(arguments.device))
    print(f"UNet: {operations / 1e12:.3g} TFLOP in all; matrix product: {peak / 1e12:.3g} TFLOP/s\n")
    print_table(
        ("way", "s", "s per picture", "ratio to diffusers", "ratio to floor", "largest pixel difference", "mean"),
        [
            (
                name,
                f"{time:.2f}",
                f"{time / cells:.3f}",
                f"{time / took['diffusers']:.3f}",
                f"{time / took['floor (UNet arithmetic)']:.1f}",
                *_differences(pictures.get(name), pictures["diffusers"]),
            )
            for name, time in took.items()
        ],
    )


def _pipeline(models: Models, tokenizer: object, sampler: str) -> StableDiffusionPipeline:
    pipeline = StableDiffusionPipeline(
        vae=models.vae,
        text_encoder=models.text_encoder,
        tokenizer=tokenizer,
        unet=models.unet,
        scheduler=scheduler(sampler),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _noise(models: Models, pixels: int) -> torch.Tensor:
    """The noise that the engine draws for `SEED`, (1, channels, height, width)."""
    side = pixels // models.sizes.vae_factor
    return torch.randn((models.sizes.latents, side, side), generator=torch.Generator().manual_seed(SEED))[None]


@torch.inference_mode()
def _unet_operations(models: Models, pixels: int) -> int:
    """Floating point operations of one step of one picture: the UNet at two rows, prompt and negative prompt."""
    latents = _noise(models, pixels).to(models.unet.device, models.unet.dtype).repeat(2, 1, 1, 1)
    texts = torch.zeros(2, 77, models.sizes.context, device=latents.device, dtype=latents.dtype)
    with FlopCounterMode(display=False) as counter:
        models.unet(latents, 500, texts)
    return counter.get_total_flops()


def _differences(made: list[Image.Image] | None, reference: list[Image.Image]) -> tuple[str, str]:
    if made is None:
        return "", ""
    differences = np.abs(np.stack(made).astype(int) - np.stack(reference))
    return str(differences.max()), f"{differences.mean():.4f}"


if __name__ == "__main__":
    main()
