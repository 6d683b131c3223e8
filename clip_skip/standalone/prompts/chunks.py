"""A text as chunks of 75 tokens, each with its weight; words for embeddings as places for their vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clip_skip.standalone.prompts import emphasis
from clip_skip.standalone.prompts.tokens import CHUNK, COMMA, END, START

__all__ = ["EMPTY", "Chunk", "Find", "chunks"]

BACKTRACK = 20
"""The most tokens after a comma that move to the next chunk with the text after them: "Prompt word wrap
length limit" of the WebUI, at its default."""

Find = Callable[[Sequence[int], int], "tuple[str, int, int] | None"]
"""The embedding that begins at a position of tokens: its name, the tokens of the name, and how many vectors it has."""


@dataclass(frozen=True)
class Chunk:
    """77 tokens with start and end, their weights, and the places and names of embeddings that replace tokens."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]
    vectors: tuple[tuple[int, str], ...] = ()


@dataclass
class Open:
    """A chunk that is being filled."""

    tokens: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    vectors: list[tuple[int, str]] = field(default_factory=list)
    comma: int | None = None

    def closed(self) -> Chunk:
        empty = CHUNK - len(self.tokens)
        tokens = (START, *self.tokens, *[END] * (empty + 1))
        vectors = tuple((place + 1, name) for place, name in self.vectors)
        return Chunk(tokens, (1.0, *self.weights, *[1.0] * (empty + 1)), vectors)

    def torn(self) -> Open:
        """Removes and returns the tokens after the last comma, if it is near; else nothing."""
        if self.comma is None or len(self.tokens) - self.comma > BACKTRACK:
            return Open()
        after_comma = self.comma + 1
        rest = Open(self.tokens[after_comma:], self.weights[after_comma:])
        del self.tokens[after_comma:], self.weights[after_comma:]
        return rest


EMPTY = Open().closed()
"""The chunk of the empty text."""


def chunks(
    text: str, encode: Callable[[str], list[int]], mode: str = "Original", find: Find = lambda tokens, place: None
) -> list[Chunk]:
    """The chunks of `text`, at least one. `encode` gives the tokens of a piece of text, without start and end."""
    finished_chunks: list[Chunk] = []
    current = Open()
    for piece in emphasis.pieces(text, mode):
        if piece == emphasis.BREAK:
            finished_chunks.append(current.closed())
            current = Open()
            continue
        tokens, place = encode(piece[0]), 0
        while place < len(tokens):
            if tokens[place] == COMMA:
                current.comma = len(current.tokens)
            elif len(current.tokens) == CHUNK:
                rest = current.torn()
                finished_chunks.append(current.closed())
                current = rest
            if len(current.tokens) == CHUNK:
                finished_chunks.append(current.closed())
                current = Open()
            embedding = find(tokens, place)
            if embedding is None:
                ids, length = [tokens[place]], 1
            else:
                name, length, vectors = embedding
                if len(current.tokens) + vectors > CHUNK:
                    finished_chunks.append(current.closed())
                    current = Open()
                current.vectors.append((len(current.tokens), name))
                ids = [0] * vectors
            current.tokens += ids
            current.weights += [piece[1]] * len(ids)
            place += length
    if current.tokens or not finished_chunks:
        finished_chunks.append(current.closed())
    return finished_chunks
