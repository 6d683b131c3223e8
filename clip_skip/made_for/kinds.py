"""The kind of a file and its model, from the names and shapes of its tensors and from its header."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from clip_skip.made_for.headers import header_model
from clip_skip.made_for.naming import FIRST, SECOND, THIRD, Name, checkpoint_family, factor_of

__all__ = ["ADAPTERS", "DEPTHS", "FIRST_OF_SEVERAL", "G_ALONE", "FileKind", "kind_of"]

DEPTHS = {"l": 12, "h": 24, "g": 32}
"""Blocks of CLIP ViT-L/14, OpenCLIP ViT-H/14 and OpenCLIP ViT-bigG/14."""

FIRST_OF_SEVERAL = "SDXL, SD3 or Flux"
"""The model of a LoRA for CLIP-L alone that numbers it as one of several text encoders; SD1's has no number."""

G_ALONE = "SDXL or SD3"
"""The model of a CLIP-G alone."""

ENCODER_TOWERS = {
    "SD1": {FIRST: "l"},
    "SD2": {FIRST: "h"},
    "SDXL": {FIRST: "l", SECOND: "g"},
    "SDXL refiner": {FIRST: "g"},
    FIRST_OF_SEVERAL: {FIRST: "l"},
    G_ALONE: {FIRST: "g"},
}
"""The text encoders of the models whose clip skip means something."""

TOWER_WIDTHS = {1024: "SD2", 1280: G_ALONE}
"""Widths of text encoders that identify the model on their own."""

WIDTHS = {768: "SD1", 1024: "SD2", 1280: "SDXL refiner", 2048: "SDXL"}
"""The width of the text that a UNet attends to, and of an embedding's vectors."""

OTHERS = {
    "joint_blocks": "SD3",
    "double_blocks": "Flux",
    "single_transformer_blocks": "Flux",
    "text_encoder_3.": "SD3",
    "lora_prior_": "Stable Cascade",
    "lora_te3_": "SD3 or Flux",
    "t5xxl.": "SD3 or Flux",
}
"""Parts of names that identify models whose text encoders stop at a fixed layer; the first match counts."""

FOREIGN = re.compile(
    r"(?:transformer|lora_transformer|diffusion_model|lora_unet|model\.diffusion_model)[._](?:blocks|layers"
    r"|transformer_blocks|single_blocks)[._]\d|(?:model|language_model)\.layers\.\d|.*encoder[._]block[._]\d"
)
"""Transformers of other models than those with a UNet, and language models."""

FACTORS = {
    "hada_w1_a": "LoHa",
    "hada_w2_a": "LoHa",
    "lokr_w1": "LoKr",
    "lokr_w2": "LoKr",
    "lokr_w1_a": "LoKr",
    "lokr_w2_a": "LoKr",
    "oft_blocks": "OFT",
    "oft_R": "OFT",
    "oft_r": "OFT",
    "boft_R": "OFT",
    "boft_r": "OFT",
    "on_input": "(IA)3",
    "ia3_l": "(IA)3",
    "a2": "GLoRA",
    "b2": "GLoRA",
    "lambda_layer": "unknown",
}
"""The kind of adapter that a factor implies; "up" and "diff" are looked at after these."""

ADAPTERS = {"LoRA", "LoCon", "DoRA", "full difference", *FACTORS.values()} - {"unknown"}


@dataclass(frozen=True)
class FileKind:
    """kind: "LoRA", "LoHa", ..., "checkpoint", "text encoder", "textual inversion" or "unknown".

    model: "SD1", "SD2", "SDXL", "SDXL refiner", another model's name, or None where it is unknown.
    towers: the text encoders of that model by their places, "l", "h" or "g"; empty for other models.
    """

    kind: str
    model: str | None
    towers: Mapping[int, str]


Shape = Callable[[str], tuple[int, ...]]


def kind_of(names: Collection[str], places: Mapping[str, Name], shape: Shape, metadata: Mapping[str, str]) -> FileKind:
    """The kind of a file whose tensors have `names`; `places` are those in blocks of a text encoder."""
    kind = sort_of(names, places, shape)
    model = family(names, places, shape, metadata, kind)
    return FileKind(kind, model, ENCODER_TOWERS.get(model or "", {}))


def sort_of(names: Collection[str], places: Mapping[str, Name], shape: Shape) -> str:
    if any(name.startswith(("model.diffusion_model.", "first_stage_model.")) for name in names):
        return "checkpoint"
    if is_embedding(names, shape):
        return "textual inversion"
    factors: dict[str, str] = {}
    for name in names:
        factors.setdefault(factor_of(name)[1], name)
    kind = next((FACTORS[factor] for factor in FACTORS if factor in factors), None)
    if kind:
        return kind
    if "up" in factors or "down" in factors:
        if "dora_scale" in factors:
            return "DoRA"
        convolves = any(name.endswith("weight") and is_convolution(shape(name)) for name in names)
        return "LoCon" if "mid" in factors or convolves else "LoRA"
    if {"diff", "diff_b", "w_norm"} & factors.keys():
        return "full difference"
    towers_alone = places and all(place.factor in ("weight", "bias") for place in places.values())
    return "text encoder" if towers_alone else "unknown"


def is_convolution(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and max(shape[2:]) > 1


def is_embedding(names: Collection[str], shape: Shape) -> bool:
    """A1111's "emb_params", SDXL's "clip_l" and "clip_g", or diffusers' one tensor, named as its word."""
    if {*names} <= {"emb_params", "clip_l", "clip_g", "string_to_param.*"}:
        return bool(names)
    (alone,) = names if len(names) == 1 else ("",)
    return bool(alone) and len(shape(alone)) in (1, 2) and shape(alone)[-1] in WIDTHS and factor_of(alone)[1] == ""


def family(
    names: Collection[str], places: Mapping[str, Name], shape: Shape, metadata: Mapping[str, str], kind: str
) -> str | None:
    """The model's name: from the weights, otherwise from the header."""
    other = next((model for piece, model in OTHERS.items() if any(piece in name for name in names)), None)
    if other:
        return other
    if kind == "textual inversion":
        return "SDXL" if "clip_g" in names else WIDTHS.get((shape(next(iter(names))) or (0,))[-1])
    if any(FOREIGN.match(name) for name in names):
        return header_model(metadata) or "another model"
    if any(name.startswith("conditioner.embedders.0.model.") for name in names):
        return "SDXL refiner"
    checkpoint_model = checkpoint_family(names) if kind == "checkpoint" else None
    if checkpoint_model in ("SD2", "SDXL"):  # SD1's names are those of an SD2 in the names of transformers, too
        return checkpoint_model
    encoders = {place.encoder for place in places.values()}
    text = text_width(names, shape)
    if THIRD in encoders or any(place.block >= DEPTHS["g"] for place in places.values()):
        return "another model"
    if SECOND in encoders or text == 2048:
        return "SDXL"
    return WIDTHS.get(text or 0) or (
        tower_alone(names, places, shape, metadata) if encoders else header_model(metadata)
    )


def tower_alone(
    names: Collection[str], places: Mapping[str, Name], shape: Shape, metadata: Mapping[str, str]
) -> str | None:
    """The model of a first text encoder without a UNet to narrow it down."""
    blocks = 1 + max(place.block for place in places.values())
    by_depth = G_ALONE if blocks > DEPTHS["h"] else "SD2" if blocks > DEPTHS["l"] else None
    by_size = by_depth or TOWER_WIDTHS.get(width(places, shape) or 0)
    if by_size:
        return by_size
    by_header = header_model(metadata)
    if any(name.startswith("lora_te1_") for name in names):
        return by_header if by_header and by_header != "SD1" else FIRST_OF_SEVERAL
    return by_header or "SD1"


def text_width(names: Collection[str], shape: Shape) -> int | None:
    """Cross-attention context width."""
    for name in names:
        if "attn2" in name and ("to_k" in name or "to_v" in name):
            size = shape(name)
            if factor_of(name)[1] in ("down", "hada_w1_b", "diff", "weight") and len(size) > 1 and size[1] in WIDTHS:
                return size[1]
    return None


def width(places: Mapping[str, Name], shape: Shape) -> int | None:
    """The width of the text encoder, from the inputs of its attention."""
    for name, place in places.items():
        if place.factor in ("down", "hada_w1_b", "diff", "weight") and "q_proj" in place.layer:
            size = shape(name)
            return size[1] if len(size) > 1 else None
    return None
