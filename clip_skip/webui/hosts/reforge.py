"""reForge's and Forge Classic's specifics: encoder modules named CLIP_SD_...

Both run all towers through transformers' classes, or ones that are built alike.
reForge's modules have a `minimal_clip_skip`, above which the host's value acts;
in Classic it acts on SD1 alone.
"""

from __future__ import annotations

from clip_skip.encoder import TOWER_NAMES, from_transformers
from clip_skip.webui.host_types import EncoderModule
from clip_skip.webui.hosts.host_encoder import HostEncoder

__all__ = ["describe_reforge_encoder", "is_torn_down"]

TOWER_OF_CLASS = {"CLIP_SD_15_L": "l", "CLIP_SD_21_H": "h", "CLIP_SD_XL_L": "l", "CLIP_SD_XL_G": "g"}


def describe_reforge_encoder(module: EncoderModule) -> HostEncoder | None:
    """The encoder in `module`, recognized by the name of its class; None if the class is unknown."""
    kind = type(module).__name__
    if kind not in TOWER_OF_CLASS:
        return None
    tower, sd1, sdxl = TOWER_OF_CLASS[kind], kind == "CLIP_SD_15_L", "XL" in kind
    encoder = from_transformers(module.wrapped.transformer, TOWER_NAMES[tower], tower, 1 if sd1 else 2, not sdxl)
    acts = sd1 or hasattr(module, "minimal_clip_skip")
    return HostEncoder(module, encoder, pooled=tower == "g", header=0 if acts else None)


def is_torn_down(model: object) -> bool:
    """Whether reForge has dismantled `model`, as it does before it loads another, while it still counts as loaded."""
    return model is not None and vars(model).get("_parameters", {}) is None
