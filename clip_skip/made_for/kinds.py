"""What kind of file it is, and for which model, from the names and shapes of its tensors and from its header."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from clip_skip.made_for.naming import FIRST, SECOND, THIRD, Name, factor_of
from clip_skip.skip import shorten

__all__ = ["ADAPTERS", "DEPTHS", "Kind", "kind_of"]

DEPTHS = {"l": 12, "h": 24, "g": 32}
"""Blocks of CLIP ViT-L/14, OpenCLIP ViT-H/14 and OpenCLIP ViT-bigG/14."""

TOWERS = {
    "SD1": {FIRST: "l"},
    "SD2": {FIRST: "h"},
    "SDXL": {FIRST: "l", SECOND: "g"},
    "SDXL refiner": {FIRST: "g"},
}
"""The text encoders of the models whose clip skip means something."""

WIDTHS = {768: "SD1", 1024: "SD2", 1280: "SDXL refiner", 2048: "SDXL"}
"""How wide the text is that a UNet looks at, and the vectors of an embedding."""

OTHERS = {
    "joint_blocks": "SD3",
    "text_encoders.clip_l.": "SD3",
    "lora_te3_": "SD3",
    "text_encoder_3.": "SD3",
    "double_blocks": "Flux",
    "single_transformer_blocks": "Flux",
    "lora_prior_": "Stable Cascade",
}
"""Pieces of names that tell models whose text encoders stop where they were made to."""

FOREIGN = re.compile(
    r"(?:transformer|lora_transformer|diffusion_model|lora_unet|model\.diffusion_model)[._](?:blocks|layers"
    r"|transformer_blocks|single_blocks)[._]\d|(?:model|language_model)\.layers\.\d|.*encoder[._]block[._]\d"
)
"""Transformers of other models than those with a UNet, and language models."""

ARCHITECTURES = {"stable-diffusion-v1": "SD1", "stable-diffusion-v2": "SD2", "stable-diffusion-xl": "SDXL"}
VERSIONS = {"sd_v1": "SD1", "sd_v2": "SD2", "sdxl": "SDXL", "sd_1": "SD1", "sd_2": "SD2"}

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
"""What a factor of an adapter tells of its kind; "up" and "diff" are looked at after these."""

ADAPTERS = {"LoRA", "LoCon", "DoRA", "full difference", *FACTORS.values()} - {"unknown"}


@dataclass(frozen=True)
class Kind:
    """kind: "LoRA", "LoHa", ..., "checkpoint", "text encoder", "textual inversion" or "unknown".

    model: "SD1", "SD2", "SDXL", "SDXL refiner", another one's name, or None where nothing tells it.
    towers: the text encoders of that model by their places, "l", "h" or "g"; empty for other models.
    """

    kind: str
    model: str | None
    towers: Mapping[int, str]


Shape = Callable[[str], tuple[int, ...]]


def kind_of(names: Collection[str], places: Mapping[str, Name], shape: Shape, metadata: Mapping[str, str]) -> Kind:
    """What a file is whose tensors have `names`; `places` are those of them in blocks of a text encoder."""
    kind = sort_of(names, places, shape)
    model = family(names, places, shape, metadata, kind)
    return Kind(kind, model, TOWERS.get(model or "", {}))


def sort_of(names: Collection[str], places: Mapping[str, Name], shape: Shape) -> str:
    if any(name.startswith(("model.diffusion_model.", "first_stage_model.")) for name in names):
        return "checkpoint"
    if is_embedding(names, shape):
        return "textual inversion"
    factors: dict[str, str] = {}
    for name in names:
        factors.setdefault(factor_of(name)[1], name)
    told = next((FACTORS[factor] for factor in FACTORS if factor in factors), None)
    if told:
        return told
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
    """The model's name: from the weights, and where they do not tell it, from the header."""
    for name in names:
        other = next((model for piece, model in OTHERS.items() if piece in name), None)
        if other:
            return other
    if kind == "textual inversion":
        return "SDXL" if "clip_g" in names else WIDTHS.get(shape(next(iter(names)))[-1])
    if any(FOREIGN.match(name) for name in names):
        return said(metadata) or "another model"
    if any(name.startswith("conditioner.embedders.0.model.") for name in names):
        return "SDXL refiner"
    encoders = {place.encoder for place in places.values()}
    text = text_width(names, shape)
    if THIRD in encoders or any(place.block >= DEPTHS["g"] for place in places.values()):
        return "another model"
    if SECOND in encoders or text == 2048:
        return "SDXL"
    if encoders and (max(place.block for place in places.values()) >= 12 or width(places, shape) == 1024):
        return "SD2"
    return WIDTHS.get(text or 0) or said(metadata) or ("SD1" if encoders else None)


def said(metadata: Mapping[str, str]) -> str | None:
    """The model that the header names."""
    for key, known in (("modelspec.architecture", ARCHITECTURES), ("ss_base_model_version", VERSIONS)):
        text = metadata.get(key, "")
        if text:
            return next((model for start, model in known.items() if text.startswith(start)), shorten(text, 60)[1:-1])
    return None


def text_width(names: Collection[str], shape: Shape) -> int | None:
    """How wide the text is that the UNet looks at, from the inputs of its cross attention."""
    for name in names:
        if "attn2" in name and ("to_k" in name or "to_v" in name):
            size = shape(name)
            if factor_of(name)[1] in ("down", "hada_w1_b", "diff", "weight") and len(size) > 1 and size[1] in WIDTHS:
                return size[1]
    return None


def width(places: Mapping[str, Name], shape: Shape) -> int | None:
    """How wide the text encoder is, from the inputs of its attention."""
    for name, place in places.items():
        if place.factor in ("down", "hada_w1_b", "diff", "weight") and "q_proj" in place.layer:
            size = shape(name)
            return size[1] if len(size) > 1 else None
    return None
