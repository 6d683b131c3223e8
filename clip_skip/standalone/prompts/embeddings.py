"""Textual inversions: words in a prompt that are replaced by vectors from a file."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from clip_skip.messages.message import Message, Template
from clip_skip.out_of_memory import is_out_of_memory
from clip_skip.skip import shorten
from clip_skip.standalone.prompts.chunks import Chunk, Find
from clip_skip.standalone.prompts.networks import EmbeddingError, embedding_files
from clip_skip.standalone.prompts.tokens import CHUNK
from clip_skip.standalone.prompts.tower import Tower

__all__ = ["Embedding", "Embeddings", "load_embeddings"]


NOT_AN_EMBEDDING = Template("{file} is not a textual inversion: {problem}")
UNSAFE = Template("{file} is not a textual inversion: it is broken, or holds something else than numbers, such as code")


@dataclass(frozen=True)
class Embedding:
    """A word, and its vectors (number, width) for each tower.

    problem: why its file cannot be used, if it can't; reported only if a prompt names it
    """

    name: str
    vectors: Mapping[str, Tensor]
    problem: Message | str = ""

    def fits(self, towers: Iterable[Tower]) -> bool:
        """Whether there are vectors of the right width for all of `towers`."""
        widths = {tower.encoder.tower: token_embedding(tower.module).embedding_dim for tower in towers}
        return all(name in self.vectors and self.vectors[name].shape[1] == width for name, width in widths.items())


class Embeddings:
    """The textual inversions that prompts may name; as in the WebUI, only those for this family."""

    def __init__(self, embeddings: Iterable[Embedding]) -> None:
        self.by_name = {embedding.name.lower(): embedding for embedding in embeddings}

    def keep_fitting(self, towers: Sequence[Tower]) -> Embeddings:
        """The embeddings that fit these towers, and those that have a problem."""
        return Embeddings(
            embedding for embedding in self.by_name.values() if embedding.problem or embedding.fits(towers)
        )

    def finder(self, text: str) -> Callable[[Tower], Find]:
        """A function that finds embeddings' names in the tokens of `text`, longest name first.

        It raises `EmbeddingError` for a name whose file cannot be used.
        """
        lower = text.lower()
        names = sorted((name for name in self.by_name if name in lower), key=len, reverse=True)

        def of(tower: Tower) -> Find:
            ids = [(name, tower.encode(name)) for name in names]

            def find(tokens: Sequence[int], place: int) -> tuple[str, int, int] | None:
                for name, name_tokens in ids:
                    if name_tokens and list(tokens[place : place + len(name_tokens)]) == name_tokens:
                        if problem := self.by_name[name].problem:
                            raise EmbeddingError(problem)
                        return name, len(name_tokens), len(self.by_name[name].vectors[tower.encoder.tower])
                return None

            return find

        return of

    @contextmanager
    def placed(self, tower: Tower, chunk: Chunk) -> Iterator[None]:
        """While open, `tower` reads the vectors of `chunk` in place of its tokens there."""
        if not chunk.vectors:
            yield
            return

        def place(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
            output = output.clone()
            for start, name in chunk.vectors:
                vectors = self.by_name[name].vectors[tower.encoder.tower].to(output)
                room = output.shape[1] - start
                output[:, start : start + len(vectors)] = vectors[:room]
            return output

        hook = token_embedding(tower.module).register_forward_hook(place)
        try:
            yield
        finally:
            hook.remove()


def load_embeddings(folder: Path) -> list[Embedding]:
    """The textual inversions in and below `folder`. A file that is not one has a `problem`."""
    return [read_or_report(path) for path in embedding_files(folder)]


def read_or_report(path: Path) -> Embedding:
    try:
        return read_embedding(path)
    except EmbeddingError as error:
        return Embedding(path.stem, {}, error.message)


def read_embedding(path: Path) -> Embedding:
    """The textual inversion in `path`: of the WebUI, of diffusers, or for SDXL. Raises `EmbeddingError`.

    Pickles (.pt, .bin) are read without running their code.
    """
    try:
        return Embedding(path.stem, {tower: matrix(vectors) for tower, vectors in vectors_in(path).items()})
    except pickle.UnpicklingError as error:
        raise EmbeddingError(UNSAFE(file=str(path))) from error
    except Exception as error:  # a file can be wrong in every way
        if is_out_of_memory(error):
            raise
        problem = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise EmbeddingError(NOT_AN_EMBEDDING(file=str(path), problem=shorten(problem, 200)[1:-1])) from error


def vectors_in(path: Path) -> dict[str, Tensor]:
    """The vectors in `path` for each tower that they may be for."""
    data = load_file(path) if path.suffix.lower() == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    if "clip_l" in data and "clip_g" in data:
        return {"l": data["clip_l"], "g": data["clip_g"]}
    (vectors,) = dict(data.get("string_to_param", data)).values()
    return {"l": vectors, "h": vectors}


def matrix(vectors: Tensor) -> Tensor:
    """`vectors` as (number, width) in float32. ValueError if they cannot be."""
    if not vectors.is_floating_point() or not 1 <= vectors.dim() <= 2 or 0 in vectors.shape:
        raise ValueError(f"it has {tuple(vectors.shape)} numbers")
    rows = (
        vectors.detach().reshape(-1, vectors.shape[-1]).to(torch.float32, copy=True)
    )  # a mapped file cannot be replaced on Windows
    if len(rows) > CHUNK:
        raise ValueError(f"it has {len(rows)} vectors, and a chunk has room for {CHUNK}")
    if not torch.isfinite(rows).all():
        raise ValueError("it has numbers that are not finite")
    return rows


def token_embedding(module: nn.Module) -> nn.Embedding:
    (embedding,) = (part for name, part in module.named_modules() if name.endswith("token_embedding"))
    assert isinstance(embedding, nn.Embedding)
    return embedding
