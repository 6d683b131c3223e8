"""The identity of a finished picture: a digest of everything that it was made from.

It is derived from the whole description of the picture, never from a list of fields, so that new fields count
automatically. Sweeps and studies use the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from clip_skip.prompt.comments import strip_comments
from clip_skip.prompt.tags import strip
from clip_skip.standalone.engine.loading import Loading
from clip_skip.standalone.engine.shots import Batch
from clip_skip.standalone.models import header
from clip_skip.standalone.models.lora_files import find_lora
from clip_skip.standalone.pictures.hashes import content_hash
from clip_skip.standalone.prompts.networks import embedding_files, read_networks

__all__ = ["FORMAT", "NO_PART", "Identities"]

FORMAT = 2
"""The version of how identities are derived. Pictures of another version are not reused."""

NO_PART = {
    "Loading.loras": "a folder may move; the LoRAs that the texts name count by their content",
    "Loading.embeddings": "a folder may move; the textual inversions that the texts name count by their content",
    "Loading.low_memory": "where a part of the model is while it does not run changes no pixel",
    "Settings.model": "it is the name of the checkpoint's file, which counts",
    "Settings.family": "it follows from the content of the checkpoint, which counts",
}
"""The fields that are not part of an identity, and why.

Nor are which of several GPUs was used and the batch size, which only change rounding, or the versions of the libraries,
which are in sweep.json and study.json.
"""


class Identities:
    """The identities of pictures that are made on one device, from checkpoints that are loaded alike."""

    def __init__(self, loading: Loading, device: str) -> None:
        self._loading, self._device = loading, device
        self._identities: dict[tuple[Path, Batch], str] = {}
        self._content_hashes: dict[Path, str] = {}
        self._loras: dict[str, Path] = {}
        self._checkpoints: dict[Path, dict[str, object]] = {}

    def of(self, model: Path, batch: Batch) -> str:
        """The identity, 64 hexadecimal digits, of the picture of a `batch` of one shot.

        Raises `LoraError` if the texts name a LoRA that does not exist.
        """
        if (model, batch) not in self._identities:
            self._identities[model, batch] = hash_of(self.description(model, batch))
        return self._identities[model, batch]

    def description(self, model: Path, batch: Batch) -> dict[str, object]:
        """Everything that the picture of `batch` is made from."""
        parts = asdict(batch)
        return {**self.common(model), "batch": parts, "files": self._files(list(texts(parts)))}

    def common(self, model: Path) -> dict[str, object]:
        """The part that all pictures of the checkpoint `model` share."""
        return {**self.everywhere, "checkpoint": self.checkpoint(model)}

    @cached_property
    def everywhere(self) -> dict[str, object]:
        """The part that the pictures of all checkpoints share."""
        loading = {name: value for name, value in asdict(self._loading).items() if f"Loading.{name}" not in NO_PART}
        loading["dtype"] = self._loading.dtype_on(self._device)
        return {"format": FORMAT, **loading, "device": self._device.partition(":")[0]}

    def checkpoint(self, model: Path) -> dict[str, object]:
        """A checkpoint's name, which is in the infotext, its content by samples (`header.digest`), and its .yaml."""
        if model not in self._checkpoints:
            sizes = asdict(header.inspect(model))
            self._checkpoints[model] = {"name": model.stem, "digest": header.digest(model), "sizes": sizes}
        return self._checkpoints[model]

    def _files(self, named_in: list[str]) -> list[list[str]]:
        """Every file that one of the texts names: its kind, its name, and the hash of its whole content."""
        lower = "\n".join(named_in).lower()
        files = {("lora", path) for path in map(self._lora, names_of_loras(named_in))}
        files |= {("embedding", path) for path in self._embeddings if path.stem.lower() in lower}
        return sorted([kind, path.stem, self._content_hash(path)] for kind, path in files)

    def _lora(self, name: str) -> Path:
        """The file of a LoRA. The folder, which may hold thousands, is searched once for each name."""
        if name not in self._loras:
            self._loras[name] = find_lora(name, self._loading.loras)
        return self._loras[name]

    @cached_property
    def _embeddings(self) -> list[Path]:
        folder = self._loading.embeddings
        return embedding_files(folder) if folder else []

    def _content_hash(self, path: Path) -> str:
        if path not in self._content_hashes:
            self._content_hashes[path] = content_hash(path)
        return self._content_hashes[path]


def names_of_loras(named_in: Iterable[str]) -> list[str]:
    """The names of the LoRAs in these texts, each once."""
    return sorted({lora.name for text in named_in for lora in read_networks(strip(strip_comments(text)))[1]})


def texts(parts: Any) -> Iterator[str]:
    """Every text in a description, in any field."""
    if isinstance(parts, str):
        yield parts
    elif isinstance(parts, Mapping):
        for part in parts.values():
            yield from texts(part)
    elif isinstance(parts, (list, tuple)):
        for part in parts:
            yield from texts(part)


def hash_of(description: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()
