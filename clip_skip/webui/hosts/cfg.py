"""A CFG scale for each picture of a batch."""

from __future__ import annotations

from typing import Any

from clip_skip.webui.hosts import a1111, forge

__all__ = ["scale_each"]


def scale_each(p: Any) -> None:
    """Lets the sampler of `p` use `p.clip_skip_cfg_scales[i]` for picture i, if that is set."""
    scales = getattr(p, "clip_skip_cfg_scales", None)
    if scales:
        (forge if hasattr(p.sd_model, "forge_objects") else a1111).scale_each(p, scales)
