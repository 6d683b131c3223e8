"""A text encoder as a host holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clip_skip.encoder import TextEncoder

__all__ = ["HostEncoder"]


@dataclass(frozen=True)
class HostEncoder:
    """The host's module, whose `encode_with_transformers(tokens)` runs `encoder`.

    pooled: that function's result carries a vector of the full tower, as its attribute `pooled`.
    header: what turns the host's own clip-skip value into ours when it is added;
    None where the host's value does not reach this encoder.
    unrun: the blocks at the top that the host does not run.
    least: the least that acts of that; 0 is the encoder's native value.
    """

    module: Any
    encoder: TextEncoder
    pooled: bool = False
    header: int | None = None
    least: int = 0
    unrun: int = 0
