"""Whether an error says that a batch was too large for the memory."""

from __future__ import annotations

import sys

__all__ = ["is_out_of_memory"]

OUT_OF_MEMORY_TEXTS = (
    "out of memory",  # CUDA, ROCm, MPS, and accelerators whose error torch has no class for
    "can't allocate memory",  # torch on a CPU
    "not enough gpu video memory",  # DirectML
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a smaller batch may help. torch raises a plain RuntimeError where a CPU's memory is not enough."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch and isinstance(error, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in OUT_OF_MEMORY_TEXTS)
