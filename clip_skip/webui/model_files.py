"""The LoRAs and checkpoints in the host's own lists."""

from __future__ import annotations

import sys

from modules import sd_models

__all__ = ["checkpoints", "loras", "refresh"]


def loras() -> dict[str, str]:
    """Their paths by the names that prompts call them."""
    found = getattr(sys.modules.get("networks"), "available_networks", {})
    paths = {name: getattr(entry, "filename", None) for name, entry in list(found.items())}
    return {name: path for name, path in sorted(paths.items(), key=lambda one: one[0].lower()) if path}


def checkpoints() -> dict[str, str]:
    """Their paths by the names that the host shows."""
    found = getattr(sd_models, "checkpoints_list", {})
    return {info.name: info.filename for info in list(found.values())}


def refresh() -> None:
    """The host looks again what there is."""
    getattr(sd_models, "list_models", lambda: None)()
    look = getattr(sys.modules.get("networks"), "list_available_networks", None)
    if look:
        look()
