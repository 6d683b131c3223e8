"""Throw-away checkpoints of seeded random weights, to try things with when no model is at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from clip_skip.standalone.files import replacing
from clip_skip.standalone.models.sizes import Shape, Sizes, TextSizes
from tests.random_weights import shapes

PUBLISHED_SIZES = {
    "SD1": Sizes(),
    "SD2": Sizes(
        unet_heads=0,
        head_channels=64,
        linear=True,
        text=1024,
        text_inner=4096,
        text_layers=24,
        text_heads=16,
        family="SD2",
        prediction="",
    ),
    "SDXL": Sizes(
        unet=(320, 640, 1280),
        attention=(0, 2, 10),
        unet_heads=0,
        head_channels=64,
        linear=True,
        middle=10,
        family="SDXL",
        second=TextSizes(1280, 5120, 32, 20, projection=1280),
        vector=1280 + 6 * 256,
        vae_scale=0.13025,
    ),
}
"""The sizes of the published models, by family."""

SMALL = Sizes(
    unet=(32, 64, 64, 64),
    unet_depth=1,
    unet_heads=4,
    vae=(32, 32, 64, 64),
    vae_depth=1,
    text=64,
    text_inner=128,
    text_heads=4,
)
"""Twelve text encoder blocks, the vocabulary of CLIP, and no more of anything than the structure needs."""

SMALL_SD2 = Sizes(
    unet=(32, 64, 64, 64),
    unet_depth=1,
    unet_heads=0,
    head_channels=16,
    linear=True,
    vae=(32, 32, 64, 64),
    vae_depth=1,
    text=64,
    text_inner=128,
    text_layers=24,
    text_heads=4,
    family="SD2",
)

SMALL_SDXL = Sizes(
    unet=(32, 64, 64),
    attention=(0, 1, 2),
    unet_depth=1,
    unet_heads=0,
    head_channels=16,
    linear=True,
    middle=2,
    vae=(32, 32, 64, 64),
    vae_depth=1,
    text=64,
    text_inner=128,
    text_heads=4,
    family="SDXL",
    second=TextSizes(80, 160, 32, 5, projection=80),
    vector=80 + 6 * 256,
    vae_scale=0.13025,
)
"""The same for the other families, their text encoders as deep as published."""


def random_model(folder: Path) -> Path:
    """The small random checkpoint in `folder`, written on first use (about 14 MB)."""
    path = folder / "clip-skip-random.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        heads = {"clip_skip.unet_heads": str(SMALL.unet_heads), "clip_skip.text_heads": str(SMALL.text_heads)}
        weights = {name: weight.half() for name, weight in random_weights(SMALL)}
        with replacing(path) as unfinished:
            save_file(weights, unfinished, metadata=heads)
    return path


def random_weights(sizes: Sizes, seed: int = 0, device: str = "cpu") -> Iterator[tuple[str, Tensor]]:
    """Name and weight for every weight of a checkpoint: the same for the same seed on the same device."""
    return randomized(shapes(sizes), seed, device)


def randomized(shapes: Mapping[str, Shape], seed: int = 0, device: str = "cpu") -> Iterator[tuple[str, Tensor]]:
    """Name and weight for every weight of a model whose weights have these `shapes`.

    Matrices keep the variance of what goes through them. Norms get random weights and biases: with weight 1 and bias
    0 the mean of a conditioning is 0, and WebUIs that divide by it for emphasis make NaN.
    """
    generator = torch.Generator(device).manual_seed(seed)
    for name, shape in shapes.items():
        weight = torch.randn(shape, generator=generator, device=device)
        if len(shape) > 1:
            inputs = weight[0].numel()
            weight *= 0.5 if "embedding" in name else inputs**-0.5
        else:
            weight *= 0.1
            if name.endswith("weight"):
                weight += 1
        yield name, weight
