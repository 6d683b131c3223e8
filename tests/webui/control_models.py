"""Models of random weights for ControlNet, and the checkpoints that they fit.

    python -m tests.webui.control_models MODELS          small, with a T2I adapter
    python -m tests.webui.control_models MODELS --full   of the sizes that a ControlNet insists on, with one (2 GB)
    python -m tests.webui.control_models MODELS --forks  a ControlNet for what tests.webui.checkpoints --forks writes

MODELS is the folder of models of AUTOMATIC1111 v1.10.1, or of Forge Neo, whose own ControlNet reads the sizes of a
model from its weights. The bundled demo model will not do: ControlNet looks for twelve blocks in the UNet.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import yaml
from safetensors.torch import save_file

from clip_skip.standalone.demo.model import CONFIG, write_demo_model
from clip_skip.standalone.models.sizes import UNET, Shape, Sizes
from tests.random_model import SMALL, randomized
from tests.random_weights import shapes

from .checkpoints import LEAN, unet_parameters, weights, write_config

TINY = replace(SMALL, unet=(32, 64, 128, 128), unet_depth=Sizes.unet_depth, text_inner=256)
FULL = replace(TINY, unet=Sizes.unet, attention=(1, 0, 0, 0), unet_heads=Sizes.unet_heads)
"""A ControlNet's sizes are those of Stable Diffusion 1.5, but for the width of the text."""

HINT = (3, 16, 16, 32, 32, 96, 96, 256)
"""Channels between the layers that read the picture it is controlled by."""


def adapter(base: int) -> Iterator[tuple[str, Shape]]:
    """A T2I adapter for a UNet of the widths `base`, twice, and twice four times as much."""
    yield from conv("conv_in", 3 * 64, base)
    widths = (base, 2 * base, 4 * base, 4 * base)
    for index in range(2 * len(widths)):
        width, before = widths[index // 2], widths[(index - 1) // 2] if index else base
        if width != before:
            yield from conv(f"body.{index}.in_conv", before, width, 1)
        yield from conv(f"body.{index}.block1", width, width)
        yield from conv(f"body.{index}.block2", width, width, 1)


def controlnet(sizes: Sizes) -> Iterator[tuple[str, Shape]]:
    """The first half of a UNet, what reads the picture, and the ways out that begin as zeros."""
    for name, shape in shapes(sizes).items():
        if name.startswith(tuple(f"{UNET}{part}" for part in ("time_embed", "input_blocks", "middle_block"))):
            yield name.removeprefix(UNET), shape
    outputs = (*HINT[1:], sizes.unet[0])
    for index, (before, width) in enumerate(zip(HINT, outputs)):
        yield from conv(f"input_hint_block.{2 * index}", before, width)
    ways = [sizes.unet[0]]
    for level, width in enumerate(sizes.unet):
        ways += [width] * (sizes.unet_depth + (level < len(sizes.unet) - 1))
    for index, width in enumerate(ways):
        yield from conv(f"zero_convs.{index}.0", width, width, 1)
    yield from conv("middle_block_out.0", width, width, 1)


def conv(name: str, before: int, width: int, kernel: int = 3) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (width, before, kernel, kernel)
    yield f"{name}.bias", (width,)


def write(named: Iterator[tuple[str, Shape]], path: Path) -> None:
    save_file({name: weight.half() for name, weight in randomized(dict(named))}, path)


def write_checkpoint(folder: Path, name: str, sizes: Sizes) -> None:
    config = yaml.safe_load((folder / CONFIG.name).read_text(encoding="utf-8"))
    unet = {**unet_parameters(sizes), "num_heads": sizes.unet_heads, "num_head_channels": -1}
    config["model"]["params"]["unet_config"]["params"] = unet
    write_config(folder / f"{name}.yaml", config)
    save_file(weights(sizes, seed=0), folder / f"{name}.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, help="the WebUI's folder of models, in which Stable-diffusion/ is")
    parser.add_argument("--full", action="store_true", help="a ControlNet, and a checkpoint of the sizes for it")
    parser.add_argument("--forks", action="store_true", help="a ControlNet alone, for lean-sd1")
    arguments = parser.parse_args()
    folder, control = arguments.models.resolve() / "Stable-diffusion", arguments.models / "ControlNet"
    control.mkdir(exist_ok=True)
    if arguments.forks:
        write(controlnet(LEAN["sd1"]), control / "lean-controlnet.safetensors")
        return
    write_demo_model(folder)
    if arguments.full:
        write_checkpoint(folder, "full-control", FULL)
        sizes = replace(Sizes(), text=FULL.text)
        write(controlnet(sizes), control / "full-controlnet.safetensors")
    else:
        write_checkpoint(folder, "tiny-control", TINY)
        write(adapter(TINY.unet[0]), control / "tiny-adapter.safetensors")


if __name__ == "__main__":
    main()
