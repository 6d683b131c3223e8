"""A CFG scale for each picture of a batch."""

from __future__ import annotations

from clip_skip.webui.host_types import Processing
from clip_skip.webui.hosts import a1111, forge
from clip_skip.webui.state import state_of

__all__ = ["apply_cfg_scales"]


def apply_cfg_scales(p: Processing) -> None:
    """Lets the sampler of `p` use a sweep's CFG scale for each picture, where they differ."""
    batch = state_of(p).batch
    if batch and batch.cfg_scales:
        (forge if hasattr(p.sd_model, "forge_objects") else a1111).set_cfg_scales(p, batch.cfg_scales)
