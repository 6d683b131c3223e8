"""Which errors mean that a batch was too large for the memory. Torch only, which is imported when it is needed."""

from __future__ import annotations

__all__ = ["is_out_of_memory"]

TEXTS = (
    "out of memory",  # CUDA, ROCm, MPS, and accelerators whose error torch has no class for
    "can't allocate memory",  # torch on a CPU
    "not enough gpu video memory",  # DirectML
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a smaller batch may help."""
    import torch

    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in TEXTS)
