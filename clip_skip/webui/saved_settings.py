"""The entries that this extension writes into the WebUI's saved settings (config.json), and their removal.

It adds the host's own slider to the header, and itself to the scripts that ADetailer runs, each once, with a note that
says whether they were added; its own options all begin with `clip_skip_`. Pure: standard library only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = [
    "ADDED_SLIDER",
    "ADDED_TO_ADETAILER",
    "ADETAILER_SCRIPTS",
    "HEADER",
    "SCRIPT",
    "SLIDER",
    "undo",
    "without_clip_skip",
]

SLIDER = "CLIP_stop_at_last_layers"
HEADER = "quicksettings_list"
ADDED_SLIDER = "clip_skip_slider_added"
ADETAILER_SCRIPTS = "ad_script_names"
ADDED_TO_ADETAILER = "clip_skip_in_adetailer"
SCRIPT = "clip_skip"
OWN = "clip_skip_"


def without_clip_skip(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The host's saved settings as they were without this extension; the clip skip that the user has set stays."""
    rest = {name: value for name, value in settings.items() if not name.startswith(OWN)}
    header, scripts = rest.get(HEADER), rest.get(ADETAILER_SCRIPTS)
    if settings.get(ADDED_SLIDER) and isinstance(header, list):
        rest[HEADER] = [name for name in header if name != SLIDER]
    if settings.get(ADDED_TO_ADETAILER) and isinstance(scripts, str):
        rest[ADETAILER_SCRIPTS] = ",".join(name for name in scripts.split(",") if name.strip() != SCRIPT)
    return rest


def undo(file: Path) -> list[str]:
    """Removes this extension's entries from the config.json at `file`; returns the names that changed.

    The file is replaced atomically. OSError or ValueError if it cannot be read or written.
    """
    settings = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(settings, dict):
        raise ValueError(f"{file} does not contain settings")
    rest = without_clip_skip(settings)
    changed_names = sorted(name for name in settings if name not in rest or rest[name] != settings[name])
    if changed_names:
        unfinished_file = file.with_name(f"{file.name}.{os.getpid()}.unfinished")
        unfinished_file.write_text(json.dumps(rest, indent=4, ensure_ascii=False), encoding="utf-8")
        os.replace(unfinished_file, file)
    return changed_names
