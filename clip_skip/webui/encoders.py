"""The text encoders of the loaded model in AUTOMATIC1111's WebUI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modules import sd_hijack_clip

from clip_skip.encoder import TextEncoder, from_transformers

__all__ = ["HostEncoder", "encoders", "kind"]


@dataclass(frozen=True)
class HostEncoder:
    """The host's module, whose `encode_with_transformers(tokens)` runs `encoder`."""

    module: Any
    encoder: TextEncoder


def encoders(model: Any) -> list[HostEncoder]:
    """The encoders of `model` that clip skip acts on; none for an unknown model."""
    stage = getattr(model, "cond_stage_model", None)
    if type(stage) is sd_hijack_clip.FrozenCLIPEmbedderWithCustomWords:
        return [HostEncoder(stage, from_transformers(stage.wrapped.transformer))]
    return []


def kind(model: Any) -> str:
    """What to call `model` in a message: "SDXL", "SD2", "SD3", "SD1" or "this model"."""
    for name in ("sdxl", "sd3", "sd2", "sd1"):
        if getattr(model, f"is_{name}", False):
            return name.upper()
    return "this model"


def header_acts(model: Any) -> bool:
    """Whether the host's own clip-skip value changes what `model` makes."""
    return bool(encoders(model)) and kind(model) == "SD1"
