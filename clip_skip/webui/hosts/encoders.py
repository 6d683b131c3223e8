"""The text encoders of the loaded model, in any of the hosts; told apart by what a model has."""

from __future__ import annotations

from typing import Any

from modules import sd_models, shared

from clip_skip.webui.hosts import a1111, forge, reforge
from clip_skip.webui.hosts.host_encoder import HostEncoder

__all__ = ["encoders", "header_acts", "header_skip", "header_value", "kind", "layers", "selected", "towers"]

HEADER_MAXIMUM = 12
"""The end of the host's own slider."""

KINDS = {"l": "SD1", "h": "SD2", "lg": "SDXL", "g": "SDXL refiner"}


def encoders(model: Any) -> list[HostEncoder]:
    """The encoders of `model` that clip skip acts on, CLIP-L first; none for an unknown model."""
    modules = getattr(getattr(model, "conditioner", None), "embedders", None) or [
        getattr(model, "cond_stage_model", None)
    ]
    described = [a1111.describe(module) or reforge.describe(module) for module in modules]
    return [encoder for encoder in described if encoder] or forge.encoders(model)


def layers(model: Any) -> int | None:
    """The layers of the deepest encoder of `model`; None where it has none that clip skip acts on."""
    return max(towers(model).values(), default=None)


def towers(model: Any) -> dict[str, int]:
    """The layers of each encoder of `model` that clip skip acts on, by tower."""
    return {host.encoder.tower: host.encoder.layers for host in encoders(model)}


def selected(p: Any) -> Any:
    """The model that `p` will be made with, or None where that is not to be known before it is loaded.

    Forge loads what is selected with the first picture; here it does so at once.
    """
    if "sd_model_checkpoint" in (getattr(p, "override_settings", None) or {}):
        return None
    if hasattr(sd_models, "forge_model_reload"):
        sd_models.forge_model_reload()
    return shared.sd_model


def kind(model: Any) -> str:
    """What to call `model` in a message: "SDXL", "SD3", "Flux", or "this model"."""
    towers = "".join(host.encoder.tower for host in encoders(model))
    if towers in KINDS:
        return KINDS[towers]
    flags = [name for name in ("sd3", "sdxl", "sd2", "sd1") if getattr(model, f"is_{name}", False)]
    if flags:
        return flags[0].upper()
    return type(model).__name__ if hasattr(model, "forge_objects") else "this model"


def header_acts(model: Any) -> bool:
    """Whether the host's own clip-skip value changes what `model` makes."""
    return any(host.header is not None for host in encoders(model))


def header_skip(model: Any) -> float | None:
    """The host's own value in our numbering, if it means the same on all encoders of `model`."""
    offset = header_offset(model)
    return None if offset is None else float(shared.opts.CLIP_stop_at_last_layers + offset)


def header_value(model: Any, skip: float) -> int | None:
    """The value of the host's own that makes what `skip` makes on `model`, if there is one."""
    offset = header_offset(model)
    deepest = min((host.encoder.layers for host in encoders(model)), default=0)
    if offset is None or skip != int(skip) or skip > min(deepest, HEADER_MAXIMUM):
        return None
    return max(1, int(skip) - offset)


def header_offset(model: Any) -> int | None:
    offsets = {host.header for host in encoders(model)}
    return offsets.pop() if len(offsets) == 1 else None
