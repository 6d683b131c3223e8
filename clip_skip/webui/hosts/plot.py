"""The host's X/Y/Z plot, a script of its own."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from modules import scripts

__all__ = ["plot_modules"]


def plot_modules() -> Iterator[ModuleType]:
    """Every module of it that the host has loaded."""
    for data in scripts.scripts_data:
        if data.script_class.__module__ in ("xyz_grid.py", "scripts.xyz_grid") and hasattr(data, "module"):
            yield data.module
