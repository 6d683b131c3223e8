"""The sizes of an SD1, SD2 or SDXL model, from the shapes of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

from clip_skip.made_for.naming import PREFIXES, checkpoint_family

UNET = "model.diffusion_model."
VAE = "first_stage_model."
TEXT = "cond_stage_model.transformer.text_model."

TEXT_PREFIXES = PREFIXES

FAMILY_TOWERS = {"SD1": ("l",), "SD2": ("h",), "SDXL": ("l", "g")}
"""The letters of these text encoders, as in `<clipskip:l=2:g=3>`."""

FAMILY_NATIVE = {"SD1": 1, "SD2": 2, "SDXL": 2}
"""The clip skip at which a family was published."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class TextSizes:
    """A text encoder. `heads` are not visible in the weights; `projection` is the pooled vector's width, or 0."""

    width: int
    inner: int
    layers: int
    heads: int
    vocabulary: int = 49408
    positions: int = 77
    projection: int = 0


@dataclass(frozen=True)
class Sizes:
    """The defaults are Stable Diffusion 1.5."""

    unet: tuple[int, ...] = (320, 640, 1280, 1280)
    """Channels per level of the UNet, from the largest picture to the smallest."""
    attention: tuple[int, ...] = (1, 1, 1, 0)
    """The transformer blocks with cross-attention, at each level."""
    unet_depth: int = 2
    """Residual blocks per level."""
    unet_heads: int = 8
    """Attention heads; not visible in the weights. 0 if `head_channels` is set."""
    vae: tuple[int, ...] = (128, 256, 512, 512)
    vae_depth: int = 2
    latents: int = 4
    text: int = 768
    """Width of the (first) text encoder."""
    text_inner: int = 3072
    text_layers: int = 12
    text_heads: int = 12
    vocabulary: int = 49408
    positions: int = 77
    family: str = "SD1"
    second: TextSizes | None = None
    """The second text encoder, of SDXL."""
    head_channels: int = 0
    """Channels of an attention head, if they are the same at all levels (SD2, SDXL)."""
    linear: bool = False
    """Whether the attentions' projections are linear, or else convolutions."""
    middle: int = 1
    """Transformer blocks in the UNet's middle."""
    vector: int = 0
    """Width of the vector that the UNet is given besides the text: pooled, sizes and crop (SDXL)."""
    vae_scale: float = 0.18215
    prediction: str = "epsilon"
    """The UNet's prediction type: "epsilon" or "v_prediction"; "" if unknown, so that it has to be tried."""

    @property
    def vae_factor(self) -> int:
        """Pixels per latent, in each direction."""
        return 1 << (len(self.vae) - 1)

    @property
    def texts(self) -> tuple[TextSizes, ...]:
        """The text encoders."""
        numbers = (self.text, self.text_inner, self.text_layers, self.text_heads, self.vocabulary, self.positions)
        return (TextSizes(*numbers), *([self.second] if self.second else []))

    @property
    def context(self) -> int:
        """The cross-attention context width of the UNet."""
        return sum(text.width for text in self.texts)


MOST_LEVELS = 8
"""Limit for the levels of a UNet or a VAE; published ones have 3 or 4."""

MOST_BLOCKS = 200
"""Limit for consecutive blocks of any kind; published models have 32 at most."""


def sizes_of(shapes: Mapping[str, Shape]) -> Sizes:
    """The sizes of the model whose weights have `shapes`, without the heads, which are 0, and as published where
    the weights don't show it. Raises KeyError, IndexError or ValueError if it is not such a model.
    """
    family = checkpoint_family(shapes) or "SD1"
    channels: list[int] = []
    attention: list[int] = []
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
                attention.append(_length(shapes, f"{block}1.transformer_blocks.{{}}.norm1.weight"))
                level_ends = False
        else:
            break
    vae_levels = _length(shapes, f"{VAE}encoder.down.{{}}.block.0.conv1.weight")
    if not 0 < len(channels) <= MOST_LEVELS or not 0 < vae_levels <= MOST_LEVELS:
        raise ValueError(f"{len(channels)} levels of the UNet, {vae_levels} of the VAE")
    first, *others = (text_sizes(shapes, prefix) for prefix in TEXT_PREFIXES[family])
    vector = shapes.get(f"{UNET}label_emb.0.0.weight", (0, 0))[1]
    return Sizes(
        unet=tuple(channels),
        attention=tuple(attention),
        unet_depth=blocks // len(channels),
        unet_heads=0,
        vae=tuple(shapes[f"{VAE}encoder.down.{level}.block.0.conv1.weight"][0] for level in range(vae_levels)),
        vae_depth=_length(shapes, f"{VAE}encoder.down.0.block.{{}}.conv1.weight"),
        latents=shapes[f"{VAE}post_quant_conv.weight"][1],
        text=first.width,
        text_inner=first.inner,
        text_layers=first.layers,
        text_heads=0,
        vocabulary=first.vocabulary,
        positions=first.positions,
        family=family,
        second=others[0] if others else None,
        linear=len(shapes[f"{UNET}middle_block.1.proj_in.weight"]) == 2,
        middle=_length(shapes, f"{UNET}middle_block.1.transformer_blocks.{{}}.norm1.weight"),
        vector=vector,
        vae_scale=0.13025 if family == "SDXL" else 0.18215,
    )


def text_sizes(shapes: Mapping[str, Shape], prefix: str) -> TextSizes:
    """The sizes of the text encoder whose weights' names begin with `prefix`; raises as `sizes_of`."""
    if not prefix.endswith(".model."):
        vocabulary, width = shapes[f"{prefix}embeddings.token_embedding.weight"]
        positions = shapes[f"{prefix}embeddings.position_embedding.weight"][0]
        inner = shapes[f"{prefix}encoder.layers.0.mlp.fc1.weight"][0]
        layers = _length(shapes, f"{prefix}encoder.layers.{{}}.mlp.fc1.weight")
        return TextSizes(width, inner, layers, 0, vocabulary, positions)
    vocabulary, width = shapes[f"{prefix}token_embedding.weight"]
    positions = shapes[f"{prefix}positional_embedding"][0]
    inner = shapes[f"{prefix}transformer.resblocks.0.mlp.c_fc.weight"][0]
    layers = _length(shapes, f"{prefix}transformer.resblocks.{{}}.mlp.c_fc.weight")
    return TextSizes(width, inner, layers, 0, vocabulary, positions, shapes.get(f"{prefix}text_projection", (0, 0))[1])


def _length(shapes: Mapping[str, Shape], pattern: str) -> int:
    """The number of names of `pattern`, counted from 0. ValueError for more than any model has."""
    length = next(index for index in count() if pattern.format(index) not in shapes)
    if length > MOST_BLOCKS:
        raise ValueError(f"{length} x {pattern.format('N')}")
    return length
