"""Textual inversions: words in a prompt that stand for vectors of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from clip_skip.standalone.prompts.chunks import Chunk, Find
from clip_skip.standalone.prompts.tower import Tower

__all__ = ["Embedding", "EmbeddingError", "Embeddings", "load"]


class EmbeddingError(ValueError):
    """The file is not a textual inversion; the message names it."""


@dataclass(frozen=True)
class Embedding:
    """A word, and the vectors (number, width) that it stands for in each tower."""

    name: str
    vectors: Mapping[str, Tensor]

    def fits(self, towers: Iterable[Tower]) -> bool:
        """Whether there are vectors of the right width for all of `towers`."""
        widths = {tower.described.tower: token_embedding(tower.module).embedding_dim for tower in towers}
        return all(name in self.vectors and self.vectors[name].shape[1] == width for name, width in widths.items())


class Embeddings:
    """The textual inversions that prompts may name."""

    def __init__(self, known: Iterable[Embedding]) -> None:
        self.known = {one.name.lower(): one for one in known}

    def finder(self, text: str) -> Callable[[Tower], Find]:
        """What finds in the tokens of `text` those of an embedding's name, longest name first."""
        lower = text.lower()
        named = sorted((name for name in self.known if name in lower), key=len, reverse=True)

        def of(tower: Tower) -> Find:
            ids = [(name, tower.encode(name)) for name in named]

            def find(tokens: Sequence[int], place: int) -> tuple[str, int, int] | None:
                for name, written in ids:
                    if written and list(tokens[place : place + len(written)]) == written:
                        return name, len(written), len(self.known[name].vectors[tower.described.tower])
                return None

            return find

        return of

    @contextmanager
    def placed(self, tower: Tower, chunk: Chunk) -> Iterator[None]:
        """While this lasts, `tower` reads the vectors of `chunk` in place of its tokens there."""
        if not chunk.vectors:
            yield
            return

        def place(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
            output = output.clone()
            for start, name in chunk.vectors:
                vectors = self.known[name].vectors[tower.described.tower].to(output)
                room = output.shape[1] - start
                output[:, start : start + len(vectors)] = vectors[:room]
            return output

        hook = token_embedding(tower.module).register_forward_hook(place)
        try:
            yield
        finally:
            hook.remove()


def load(folder: Path) -> list[Embedding]:
    """The textual inversions in `folder` and below it. Raises `EmbeddingError` for a file that is none."""
    files = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in (".safetensors", ".pt", ".bin"))
    return [read(path) for path in files]


def read(path: Path) -> Embedding:
    """The textual inversion in `path`: of the WebUI, of diffusers, or for SDXL. Raises `EmbeddingError`."""
    try:
        data = load_file(path) if path.suffix.lower() == ".safetensors" else torch.load(path, "cpu", weights_only=True)
        if "clip_l" in data and "clip_g" in data:
            vectors = {"l": data["clip_l"], "g": data["clip_g"]}
        else:
            (vector,) = dict(data.get("string_to_param", data)).values()
            vectors = dict.fromkeys(("l", "h"), vector.detach().reshape(-1, vector.shape[-1]))
        return Embedding(path.stem, {tower: vector.float() for tower, vector in vectors.items()})
    except (SafetensorError, OSError, RuntimeError, ValueError, AttributeError, KeyError) as error:
        raise EmbeddingError(f"{path} is not a textual inversion: {error}") from error


def token_embedding(module: nn.Module) -> nn.Embedding:
    (found,) = (part for name, part in module.named_modules() if name.endswith("token_embedding"))
    assert isinstance(found, nn.Embedding)
    return found
