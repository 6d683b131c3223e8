"""The text encoders of the loaded model, in any of the hosts, recognized by the model's attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from modules import sd_models, shared

from clip_skip.messages.message import Template
from clip_skip.prompt.parsed import CLIP
from clip_skip.webui.host_types import EncoderModule, Model, Processing
from clip_skip.webui.hosts import a1111, forge, reforge
from clip_skip.webui.hosts.header_option import header_option
from clip_skip.webui.hosts.host_encoder import HostEncoder
from clip_skip.webui.hosts.language_models import NamedEncoder, named_encoders, takes_several_layers

__all__ = ["ModelEncoders", "describe_model", "selected"]

HEADER_MAXIMUM = 12
"""The end of the host's own slider."""

THIS_MODEL = Template("this model")
KINDS = {"l": "SD1", "h": "SD2", "lg": "SDXL", "g": "SDXL refiner"}
MODEL_NAMES = {
    "ErnieImage": "Ernie-Image",
    "Flux2": "Flux.2",
    "Krea2": "Krea 2",
    "Lumina2": "Lumina 2",
    "QwenImage": "Qwen-Image",
    "QwenImage21": "Qwen-Image 2.1",
    "ZImage": "Z-Image",
}
"""The usual names of models, by the class of Forge's engine where that differs."""


@dataclass(frozen=True)
class ModelEncoders:
    """The text encoders of a model that clip skip acts on.

    hosts:   CLIP, CLIP-L first; none for an unknown model
    kind:    what to call the model in a message: "SDXL", "SD3", "Flux"; empty for an unknown one
    named_encoders: those that only a tag with their name reaches; `towers` and all derived from it are CLIP's alone
    several: whether the model uses several layers of its text encoder at once, so that clip skip has no effect
    """

    hosts: tuple[HostEncoder, ...]
    kind: str
    named_encoders: tuple[NamedEncoder, ...] = ()
    several: bool = False

    @property
    def name(self) -> str | Template:
        """The kind, or "this model"."""
        return self.kind or THIS_MODEL

    @property
    def towers(self) -> dict[str, int]:
        """The layers of each encoder, by tower."""
        return {host.encoder.tower: host.encoder.layers for host in self.hosts}

    @property
    def all_towers(self) -> dict[str, int]:
        """The same, including the encoders reached by name."""
        return {**self.towers, **{one.encoder.tower: one.encoder.deepest for one in self.named_encoders}}

    @property
    def markable(self) -> tuple[str, ...]:
        """The towers for which values are written into the texts."""
        return (*(CLIP if self.hosts else ()), *(one.encoder.tower for one in self.named_encoders))

    @property
    def layers(self) -> int | None:
        """The layers of the deepest encoder; None where there is none."""
        return max(self.towers.values(), default=None)

    @property
    def header_acts(self) -> bool:
        """Whether the host's own clip-skip value has an effect on the model."""
        return any(host.header is not None for host in self.hosts)

    @property
    def header_offset(self) -> int | None:
        """The offset from the host's own value to ours, if it is the same for all encoders."""
        offsets = {host.header for host in self.hosts}
        return offsets.pop() if len(offsets) == 1 else None

    @property
    def header_skip(self) -> float | None:
        """The host's own value in our numbering, if it means the same on all encoders."""
        return None if self.header_offset is None else float(header_option() + self.header_offset)

    def header_value(self, skip: float) -> int | None:
        """The host's own value with the same effect as `skip`, if there is one."""
        deepest = min(self.towers.values(), default=0)
        if self.header_offset is None or skip != int(skip) or skip > min(deepest, HEADER_MAXIMUM):
            return None
        if any(host.least for host in self.hosts):  # below the published one the header acts where a tag does not
            skip = max(skip, *(host.encoder.native for host in self.hosts))
        return max(1, int(skip) - self.header_offset)


def describe_model(model: object) -> ModelEncoders:
    """The text encoders of `model`, which may be None. Cheap, but computed at each call: call it once per step."""
    several: Sequence[EncoderModule] | None = getattr(getattr(model, "conditioner", None), "embedders", None)
    modules = several or [cast(EncoderModule, getattr(model, "cond_stage_model", None))]
    encoders = [a1111.describe_a1111_encoder(module) or reforge.describe_reforge_encoder(module) for module in modules]
    hosts = [encoder for encoder in encoders if encoder] or forge.encoders(model)
    kind = kind_of(model, "".join(host.encoder.tower for host in hosts))
    return ModelEncoders(tuple(hosts), kind, tuple(named_encoders(model)), takes_several_layers(model))


def kind_of(model: object, towers: str) -> str:
    if towers in KINDS and not getattr(model, "is_sd3", False):
        return KINDS[towers]
    flags = [name for name in ("sd3", "sdxl", "sd2", "sd1") if getattr(model, f"is_{name}", False)]
    if flags:
        return flags[0].upper()
    name = type(model).__name__ if hasattr(model, "forge_objects") else ""
    return MODEL_NAMES.get(name, name)


def selected(p: Processing) -> Model | None:
    """The model that `p` will be made with, or None if that is only known once it is loaded.

    Forge loads the selected checkpoint with the first picture; this makes it load at once.
    """
    if "sd_model_checkpoint" in (getattr(p, "override_settings", None) or {}):
        return None
    if hasattr(sd_models, "forge_model_reload"):
        sd_models.forge_model_reload()
    return shared.sd_model
