"""How to load a checkpoint, and the networks that its prompts may name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clip_skip.standalone.engine.engine import Engine

__all__ = ["AS_USUAL", "DTYPES", "EMPHASES", "Loading"]

DTYPES = ("float32", "float16", "bfloat16")

EMPHASES = ("Original", "No norm", "Ignore", "None")
"""Named as in the WebUI's settings: mean kept, mean not kept, weights ignored, brackets taken as letters."""


@dataclass(frozen=True)
class Loading:
    """dtype:      one of `DTYPES`, or "": float16 on a GPU, else float32
    emphasis:   one of `EMPHASES`
    loras:      the folder of LoRAs
    embeddings: the folder of textual inversions
    """

    dtype: str = ""
    emphasis: str = "Original"
    loras: Path | None = None
    embeddings: Path | None = None

    def dtype_on(self, device: str) -> str:
        """The name of the torch dtype that the model runs in."""
        return self.dtype or ("float16" if device.startswith("cuda") else "float32")

    def engine(self, model: Path, device: str) -> Engine:
        """The engine of the checkpoint at `model`. Raises `CheckpointError` or `EmbeddingError`.

        This and its dependencies are slow to import, and not needed when nothing is missing.
        """
        import torch

        from clip_skip.standalone.engine.engine import Engine
        from clip_skip.standalone.models.checkpoint import load_checkpoint
        from clip_skip.standalone.prompts import embeddings

        models = load_checkpoint(model, device, getattr(torch, self.dtype_on(device)))
        known = embeddings.Embeddings(embeddings.load_embeddings(self.embeddings)) if self.embeddings else None
        return Engine(models, emphasis=self.emphasis, embeddings=known, loras=self.loras)


AS_USUAL = Loading()
