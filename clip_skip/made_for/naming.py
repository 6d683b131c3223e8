"""Parses a tensor's name: which block of which text encoder, and which factor of an adapter.

docs/files.md has the schemes, each with the tool that writes it. OpenCLIP's blocks are `transformer.resblocks.0.` in
some files and `text_model.encoder.layers.0.` in others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "FIRST",
    "OPEN_CLIP_LAYERS",
    "PREFIXES",
    "SECOND",
    "THIRD",
    "Name",
    "checkpoint_family",
    "factor_of",
    "parse_tensor_name",
]

FIRST, SECOND, THIRD = 0, 1, 2
"""A model's text encoders in their order: SDXL's first is CLIP-L, its second OpenCLIP-G."""

BLOCK = re.compile(
    r"(?P<start>.*?)(?<![a-z])(?:(?:text_model[._])?encoder[._]layers|(?:model[._])?transformer[._]resblocks)[._]"
    r"(?P<block>\d{1,3})[._](?P<rest>.+)"
)

ENCODERS = {
    "": FIRST,
    "lora_te": FIRST,
    "oft_te": FIRST,
    "lycoris": FIRST,
    "lora_te1": FIRST,
    "lora_te2": SECOND,
    "lora_te3": THIRD,
    "text_encoder": FIRST,
    "text_encoder_2": SECOND,
    "text_encoder_3": THIRD,
    "clip_l": FIRST,
    "clip_g": SECOND,
    "clip_h": FIRST,
    "cond_stage_model": FIRST,
    "conditioner_embedders_0": FIRST,
    "conditioner_embedders_1": SECOND,
}
"""The meaning of the beginning of a name, with _ for every point, without what `WRAPPERS` matches. The embedder 0 with
OpenCLIP's names is the refiner's."""

WRAPPERS = re.compile(r"^base_model_model_?|^text_encoders_(?=clip_)|_?transformer$")
"""Prefixes: PEFT's, ComfyUI's for a text encoder, and the name of transformers' module."""

PREFIXES = {
    "SD1": ("cond_stage_model.transformer.text_model.",),
    "SD2": ("cond_stage_model.model.",),
    "SDXL": ("conditioner.embedders.0.transformer.text_model.", "conditioner.embedders.1.model."),
}
"""Prefixes of the text encoders' weights in the checkpoints of a family; `.model.` are OpenCLIP's names."""

FACTOR = re.compile(
    r"(?P<layer>.*?)[._](?P<factor>"
    r"lora[._](?:linear_layer[._])?(?:up|down)|lora_(?:mid|[ABE]|magnitude_vector)|hada_(?:w[12]_[ab]|t[12])"
    r"|lokr_(?:w[12](?:_[ab])?|t2)|diff_b|diff|w_norm|b_norm|[ab][12]|bm|oft_blocks|oft_[Rr]|boft_[Rr]|boft_s|rescale"
    r"|ia3_l|on_input|dora_scale|alpha|lambda_layer)(?:\.default)?(?:\.(?P<end>weight|bias))?"
)

OPEN_CLIP_LAYERS = {
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
"""OpenCLIP's names for the layers of a block, and transformers'."""

LORA = {"B": "up", "A": "down", "E": "lora_E", "mid": "mid", "magnitude_vector": "dora_scale"}


@dataclass(frozen=True)
class Name:
    """A tensor in a block of a text encoder.

    encoder: its place in the model, from 0. block: from 0 at the bottom. layer: what it belongs to in the block, such
    as "self_attn.q_proj" or "self_attn_q_proj". factor: "up", "down", "hada_w1_a", ... or "weight" and "bias" of a
    layer itself.
    """

    encoder: int
    block: int
    layer: str
    factor: str


def parse_tensor_name(name: str) -> Name | None:
    """The parsed `name`; None where it is not in a block of a text encoder."""
    match = BLOCK.fullmatch(name)
    if not match:
        return None
    encoder = ENCODERS.get(WRAPPERS.sub("", match["start"].replace(".", "_").strip("_")))
    if encoder is None:
        return None
    layer, factor = factor_of(match["rest"])
    return Name(encoder, int(match["block"]), layer, factor)


def factor_of(name: str) -> tuple[str, str]:
    """The layer and the factor that `name` ends in; "weight", "bias" or "" where it is not an adapter's."""
    match = FACTOR.fullmatch(name)
    if match:
        factor = match["factor"]
        if factor.startswith("lora"):
            last = re.split(r"[._]", factor, maxsplit=1)[1].rpartition("layer")[2].lstrip("._")
            factor = LORA.get(last, last)
        return match["layer"], "diff_b" if match["end"] == "bias" else factor
    for end in ("weight", "bias"):
        if name.endswith(end):
            return name[: -len(end)].rstrip("._"), end
    return name, ""


def checkpoint_family(names: Iterable[str]) -> str | None:
    """The family of a checkpoint whose weights have these names; None where a text encoder is missing."""
    weights = list(names)
    for family, prefixes in PREFIXES.items():
        if all(any(name.startswith(prefix) for name in weights) for prefix in prefixes):
            return family
    return None
