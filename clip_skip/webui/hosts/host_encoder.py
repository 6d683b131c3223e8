"""A text encoder as a host holds it."""

from __future__ import annotations

from dataclasses import dataclass

from clip_skip.encoder import TextEncoder
from clip_skip.webui.host_types import EncoderModule

__all__ = ["HostEncoder"]


@dataclass(frozen=True)
class HostEncoder:
    """The host's module, whose `encode_with_transformers(tokens)` runs `encoder`.

    pooled: that function's result has the full tower's pooled vector as its attribute `pooled`.
    header: the difference between our value and the host's own; None if the host's value does not reach this encoder.
    unrun: the blocks at the top that the host does not run.
    least: the lower bound the host applies to its value; 0 is the encoder's native value.
    """

    module: EncoderModule
    encoder: TextEncoder
    pooled: bool = False
    header: int | None = None
    least: int = 0
    unrun: int = 0
