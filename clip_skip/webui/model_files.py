"""The LoRAs and checkpoints in the host's own lists."""

from __future__ import annotations

import sys

from modules import sd_models

__all__ = ["checkpoints", "loras", "refresh"]


def loras() -> dict[str, str]:
    """Their paths by their names in prompts."""
    networks: dict[str, object] = getattr(sys.modules.get("networks"), "available_networks", {})
    paths: dict[str, str | None] = {name: getattr(entry, "filename", None) for name, entry in list(networks.items())}
    return {name: path for name, path in sorted(paths.items(), key=lambda pair: pair[0].lower()) if path}


def checkpoints() -> dict[str, str]:
    """Their paths by the names that the host shows."""
    infos: dict[str, sd_models.CheckpointInfo] = getattr(sd_models, "checkpoints_list", {})
    return {info.name: info.filename for info in list(infos.values())}


def refresh() -> None:
    """Makes the host list its files again."""
    getattr(sd_models, "list_models", lambda: None)()
    list_networks = getattr(sys.modules.get("networks"), "list_available_networks", None)
    if list_networks:
        list_networks()
