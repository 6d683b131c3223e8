"""How a checkpoint is loaded, and what its prompts may name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clip_skip.standalone.models import header
from clip_skip.standalone.models.lora_files import find_lora
from clip_skip.standalone.prompts import networks

if TYPE_CHECKING:
    from clip_skip.standalone.engine.engine import Engine

__all__ = ["AS_USUAL", "DTYPES", "EMPHASES", "Loading"]

DTYPES = ("float32", "float16", "bfloat16")

EMPHASES = ("Original", "No norm", "Ignore", "None")
"""As in the WebUI's settings: the mean is kept, it is not, weights do nothing, brackets are letters."""


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

        This and what it is built on is slow to import, and not needed when nothing is missing.
        """
        import torch

        from clip_skip.standalone.engine.engine import Engine
        from clip_skip.standalone.models.checkpoint import load
        from clip_skip.standalone.prompts import embeddings

        models = load(model, device, getattr(torch, self.dtype_on(device)))
        known = embeddings.Embeddings(embeddings.load(self.embeddings)) if self.embeddings else None
        return Engine(models, emphasis=self.emphasis, embeddings=known, loras=self.loras)

    def made_with(self, prompts: Sequence[str]) -> dict[str, object]:
        """The files of this that the pixels of `prompts` depend on. Raises `LoraError`."""
        named = sorted({lora.name for prompt in prompts for lora in networks.read_networks(prompt)[1]})
        return {
            **{f"lora {name}": header.digest(find_lora(name, self.loras)) for name in named},
            **dict(self._embeddings(prompts)),
        }

    def _embeddings(self, prompts: Sequence[str]) -> Iterator[tuple[str, str]]:
        for path in sorted(self.embeddings.rglob("*")) if self.embeddings else ():
            if path.is_file() and any(path.stem.lower() in prompt.lower() for prompt in prompts):
                yield f"embedding {path.stem}", header.digest(path)


AS_USUAL = Loading()
