"""How to load a checkpoint, and the networks that its prompts may name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clip_skip.standalone.models.header import count_weights

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
    low_memory: whether parts of the model take turns on a GPU, even if there is room for all of them
    """

    dtype: str = ""
    emphasis: str = "Original"
    loras: Path | None = None
    embeddings: Path | None = None
    low_memory: bool = False

    def dtype_on(self, device: str) -> str:
        """The name of the torch dtype that the model runs in."""
        return self.dtype or ("float16" if device.startswith("cuda") else "float32")

    def engine(self, model: Path, device: str) -> Engine:
        """The engine of the checkpoint at `model`. Raises `CheckpointError` or `EmbeddingError`.

        This and its dependencies are slow to import, and not needed when nothing is missing.
        """
        import torch

        from clip_skip.standalone.engine.engine import Engine
        from clip_skip.standalone.engine.placement import Placement, is_short_of_memory
        from clip_skip.standalone.models.checkpoint import load_checkpoint
        from clip_skip.standalone.prompts import embeddings

        place, dtype = torch.device(device), getattr(torch, self.dtype_on(device))
        low_memory = place.type == "cuda" and (
            self.low_memory or is_short_of_memory(place, *count_weights(model), dtype)
        )
        models = load_checkpoint(model, "cpu" if low_memory else device, dtype)
        textual_inversions = (
            embeddings.Embeddings(embeddings.load_embeddings(self.embeddings)) if self.embeddings else None
        )
        placement = Placement(models, place, low_memory)
        return Engine(
            models, emphasis=self.emphasis, embeddings=textual_inversions, loras=self.loras, placement=placement
        )


AS_USUAL = Loading()
