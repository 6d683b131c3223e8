"""Describes a checkpoint before it is loaded, from its header: Forge loads it with the first picture."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from clip_skip.encoder import TOWER_NAMES, TextEncoder
from clip_skip.made_for.naming import PREFIXES, checkpoint_family
from clip_skip.made_for.reading import Unreadable
from clip_skip.made_for.safetensors_file import SafetensorsFile

__all__ = ["describe_file"]

TOWERS = {"SD1": "l", "SD2": "h", "SDXL": "lg"}
NATIVE = {"SD1": 1, "SD2": 2, "SDXL": 2}
"""The clip skip that a family was published with."""

BLOCK = re.compile(r"(?:encoder\.layers|resblocks)\.(\d{1,3})\.")
MISSING = {"SD2": 1}
"""Blocks at the top that are not stored in a family's checkpoints."""


def describe_file(path: str) -> tuple[str, list[TextEncoder]]:
    """The family and its text encoders, without weights; empty if the file doesn't show them."""
    try:
        return describe_version(path, Path(path).stat().st_mtime_ns)
    except (OSError, Unreadable):
        return "", []


@lru_cache(maxsize=16)
def describe_version(path: str, _mtime_ns: int) -> tuple[str, list[TextEncoder]]:
    with SafetensorsFile(path) as file:
        names = [*file.tensors]
    family = checkpoint_family(names)
    if family is None:
        return "", []
    encoders = []
    for tower, prefix in zip(TOWERS[family], PREFIXES[family]):
        blocks = {int(match[1]) for name in names if name.startswith(prefix) and (match := BLOCK.search(name))}
        count, missing = max(blocks, default=-1) + 1, MISSING.get(family, 0)
        if not count:
            return "", []
        encoders.append(TextEncoder(TOWER_NAMES[tower], tower, (), None, NATIVE[family], count + missing))
    return family, encoders
