"""A file's statement about clip skip, apart from its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["COUNTED_LAYERS", "Recommendation"]

COUNTED_LAYERS = {"SD1": 12, "SD2": 24, "SDXL": 12}
"""The layers of the text encoder that a value counts."""


@dataclass(frozen=True)
class Recommendation:
    """A clip skip in our numbering.

    source: the key under which `file` has it. how: whether the model was trained at it, its author recommends it, or
    most of its example pictures were made at it. original: as in the file, in the numbering of the tool that wrote
    it. model: "SD1", "SD2", "SDXL", or None if the file does not name one.
    """

    value: int
    source: str
    file: str
    how: Literal["trained", "recommended", "pictures"] = "recommended"
    original: str = ""
    model: str | None = None
