"""The extension's own file of remembered values, for models in read-only folders."""

from __future__ import annotations

import os
import sys
from typing import Any

from modules import sd_models, shared

from clip_skip.made_for.remembered import Store

__all__ = ["own_store"]

FILE = "clip-skip-remembered.json"


def own_store() -> Store:
    return Store(os.path.join(data_folder(), FILE), digest)


def data_folder() -> str:
    """The folder that the host keeps its settings in."""
    folder = getattr(sys.modules.get("modules.paths"), "data_path", None)
    return str(folder or os.path.dirname(os.path.abspath(shared.config_filename)))


def digest(path: str) -> str | None:
    """The model's SHA-256, as the host knows or computes it."""
    entries: list[Any] = [*getattr(sd_models, "checkpoints_list", {}).values()]
    entries += getattr(sys.modules.get("networks"), "available_networks", {}).values()
    entry = next((one for one in entries if getattr(one, "filename", None) == path), None)
    for name in ("sha256", "hash"):
        if len(str(getattr(entry, name, None) or "")) == 64:
            return str(getattr(entry, name))
    getattr(entry, "calculate_shorthash", lambda: None)()
    return getattr(entry, "sha256", None) or None
