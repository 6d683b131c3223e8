"""The sizes of an SD1 model, read from the shapes of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

UNET = "model.diffusion_model."
VAE = "first_stage_model."
TEXT = "cond_stage_model.transformer.text_model."

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Sizes:
    """The defaults are Stable Diffusion 1.5."""

    unet: tuple[int, ...] = (320, 640, 1280, 1280)
    """Channels per level of the UNet, from the largest picture to the smallest."""
    attention: tuple[bool, ...] = (True, True, True, False)
    """Which of these levels look at the text."""
    unet_depth: int = 2
    """Residual blocks per level."""
    unet_heads: int = 8
    """Attention heads; not visible in the weights."""
    vae: tuple[int, ...] = (128, 256, 512, 512)
    vae_depth: int = 2
    latents: int = 4
    text: int = 768
    """Width of the text encoder and of what the UNet looks at."""
    text_inner: int = 3072
    text_layers: int = 12
    text_heads: int = 12
    vocabulary: int = 49408
    positions: int = 77

    @property
    def vae_factor(self) -> int:
        """Pixels per latent, in each direction."""
        return 1 << (len(self.vae) - 1)


def read(shapes: Mapping[str, Shape]) -> Sizes:
    """The sizes of the SD1 model whose weights have `shapes`, without the heads, which are 0.

    Raises KeyError or IndexError if it is not one.
    """
    channels: list[int] = []
    attention: list[bool] = []
    blocks = 0
    level_ends = True
    for index in count(1):
        block = f"{UNET}input_blocks.{index}."
        if f"{block}0.op.weight" in shapes:
            level_ends = True
        elif f"{block}0.out_layers.3.weight" in shapes:
            blocks += 1
            if level_ends:
                channels.append(shapes[f"{block}0.out_layers.3.weight"][0])
                attention.append(f"{block}1.norm.weight" in shapes)
                level_ends = False
        else:
            break
    vae_levels = _length(shapes, f"{VAE}encoder.down.{{}}.block.0.conv1.weight")
    width = shapes[f"{TEXT}embeddings.token_embedding.weight"][1]
    return Sizes(
        unet=tuple(channels),
        attention=tuple(attention),
        unet_depth=blocks // len(channels),
        unet_heads=0,
        vae=tuple(shapes[f"{VAE}encoder.down.{level}.block.0.conv1.weight"][0] for level in range(vae_levels)),
        vae_depth=_length(shapes, f"{VAE}encoder.down.0.block.{{}}.conv1.weight"),
        latents=shapes[f"{VAE}post_quant_conv.weight"][1],
        text=width,
        text_inner=shapes[f"{TEXT}encoder.layers.0.mlp.fc1.weight"][0],
        text_layers=_length(shapes, f"{TEXT}encoder.layers.{{}}.mlp.fc1.weight"),
        text_heads=0,
        vocabulary=shapes[f"{TEXT}embeddings.token_embedding.weight"][0],
        positions=shapes[f"{TEXT}embeddings.position_embedding.weight"][0],
    )


def _length(shapes: Mapping[str, Shape], pattern: str) -> int:
    return next(index for index in count() if pattern.format(index) not in shapes)
