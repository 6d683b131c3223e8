"""Prompts as conditioning. A chunk of 77 tokens is encoded once, for all its clip skips."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor

from clip_skip import encoder
from clip_skip.prompt.parsed import read_marked
from clip_skip.standalone.prompts import emphasis
from clip_skip.standalone.prompts.chunks import EMPTY, Chunk, chunks
from clip_skip.standalone.prompts.embeddings import Embeddings
from clip_skip.standalone.prompts.schedule import schedule
from clip_skip.standalone.prompts.tower import Tower

__all__ = ["Conditioner", "Look", "SubPrompt", "Timeline"]

MOST_ENCODINGS = 128
"""The number of chunks whose encodings are cached."""

_AND = re.compile(r"\bAND\b")
_WEIGHT = re.compile(r"[-+]?(?:\d+\.?|\d*\.\d+)")


@dataclass(frozen=True)
class Look:
    """A conditioning: texts (1, chunks * 77, D), and for SDXL its second encoder's pooled vector (1, P)."""

    texts: Tensor
    pooled: Tensor | None = None


Key = tuple[Hashable, ...]

ChunkedText = tuple[list[list[Chunk]], Mapping[str, float]]
"""The chunks of a text for each tower, and its clip skips by tower."""

Timeline = Sequence[tuple[int, Look]]
"""The versions of a text, each with the last step, counted from 0, at which it is used."""


@dataclass(frozen=True)
class SubPrompt:
    """A part of a prompt between ANDs, its weight, and its versions by step."""

    weight: float
    timeline: Timeline


class Conditioner:
    """Encodes prompts with a model's text encoders, and caches the last encodings."""

    def __init__(self, towers: Sequence[Tower], mode: str = "Original", embeddings: Embeddings | None = None) -> None:
        """`mode` of emphasis is as in the WebUI's settings, "Original", "No norm", "Ignore" or "None"."""
        self.towers = tuple(towers)
        self.mode = mode
        self.embeddings = (embeddings or Embeddings(())).keep_fitting(self.towers)
        self.passes = 0
        """The number of text encoder passes."""
        self.state: Hashable = ()
        """Anything else that encodings depend on, such as LoRAs: encodings with another value are not used."""
        self._states_by_key: dict[Key, dict[float, Tensor]] = {}
        self._pooled: dict[Key, Tensor] = {}

    @property
    def encoder(self) -> encoder.TextEncoder:
        """The first text encoder, which the slider is for."""
        return self.towers[0].encoder

    def prepare(self, texts: Iterable[tuple[tuple[str, str], int, int]]) -> None:
        """Encode all chunks of `texts`, each once for all its values in them.

        texts: prompt and negative prompt marked as by `Prompt.mark`, the calls of the UNet, and those of the pass
               before
        """
        values_by_chunk: dict[tuple[int, Chunk], set[float]] = {}
        for (prompt, negative), steps, first_pass in texts:
            for part in [*(part for _, part in sub_prompts(prompt)), negative]:
                for rows, values in self._chunked_versions(part, steps, first_pass)[0]:
                    for index, tower in enumerate(self.towers):
                        value = tower.encoder.clamp(values.get(tower.encoder.tower, 1.0))
                        for chunk in rows[index]:
                            unweighted_chunk = Chunk(chunk.tokens, (), chunk.vectors)
                            values_by_chunk.setdefault((index, unweighted_chunk), set()).add(value)
        for (index, chunk), chunk_values in values_by_chunk.items():
            self._encode(self.towers[index], chunk, chunk_values)

    def prompt(self, text: str, steps: int, first_pass: int = 0) -> list[SubPrompt]:
        """The sub-prompts of a marked prompt in a pass of `steps` calls of the UNet."""
        return [SubPrompt(weight, self.timeline(part, steps, first_pass)) for weight, part in sub_prompts(text)]

    def timeline(self, text: str, steps: int, first_pass: int = 0, negative: bool = False) -> Timeline:
        """The conditionings of a marked text without AND by step. SDXL's are zeros for an empty negative prompt."""
        versions, ends, empty = self._chunked_versions(text, steps, first_pass)
        longest = max(len(row) for rows, _ in versions for row in rows)
        states = [self._states(index, versions, longest) for index in range(len(self.towers))]
        texts = torch.cat(states, dim=-1)
        last = self.towers[-1]
        pooled = None
        if last.pools:
            pooled = torch.cat([self._pool(last, rows[-1][0]) for rows, _ in versions])
        if negative and empty and pooled is not None:
            texts, pooled = torch.zeros_like(texts), torch.zeros_like(pooled)
        pools = [None] * len(ends) if pooled is None else pooled[:, None]
        return [(end, Look(one, pool)) for end, one, pool in zip(ends, texts[:, None], pools)]

    def _chunked_versions(self, text: str, steps: int, first_pass: int) -> tuple[list[ChunkedText], list[int], bool]:
        """For each version of `text` its chunks by tower and its values; their last steps; whether all are empty."""
        changes = schedule(text, steps, first_pass)
        marked_texts = [read_marked(version) for _, version in changes]
        versions: list[ChunkedText] = []
        for marked in marked_texts:
            find = self.embeddings.finder(marked.clean)
            rows = [chunks(marked.clean, tower.encode, self.mode, find(tower)) for tower in self.towers]
            versions.append((rows, marked.values or {}))
        return versions, [end for end, _ in changes], not any(marked.clean for marked in marked_texts)

    def _states(self, index: int, versions: Sequence[ChunkedText], longest: int) -> Tensor:
        """The conditioning of one tower for each of the texts, (texts, longest * 77, D)."""
        tower = self.towers[index]
        values = [tower.encoder.clamp(own_values.get(tower.encoder.tower, 1.0)) for _, own_values in versions]
        padded = [[*rows[index], *[EMPTY] * (longest - len(rows[index]))] for rows, _ in versions]
        columns = []
        for column in zip_longest(*padded):
            states = torch.cat([self._encode(tower, chunk, {value})[value] for chunk, value in zip(column, values)])
            weights = torch.tensor([chunk.weights for chunk in column], device=states.device)
            columns.append(emphasis.apply_emphasis(states, weights, self.mode))
        return torch.cat(columns, dim=1)

    def _encode(self, tower: Tower, chunk: Chunk, values: Iterable[float]) -> dict[float, Tensor]:
        """The encoder's (1, 77, D) for `chunk` at each of `values`, which are in the encoder's range."""
        key = self._key(tower, chunk)
        states_by_value = self._states_by_key[key] = self._states_by_key.pop(key, {})
        while len(self._states_by_key) > MOST_ENCODINGS:
            oldest = next(iter(self._states_by_key))
            del self._states_by_key[oldest]
            self._pooled.pop(oldest, None)
        if missing := sorted(set(values) - states_by_value.keys()):
            with self.embeddings.placed(tower, chunk):
                states, pooled = tower.run(chunk.tokens, missing)
            self.passes += 1
            states_by_value.update(states)
            if pooled is not None:
                self._pooled[key] = pooled
        return states_by_value

    def _pool(self, tower: Tower, chunk: Chunk) -> Tensor:
        """The pooled vector (1, P) of `chunk`."""
        key = self._key(tower, chunk)
        if key not in self._pooled:
            self._encode(tower, chunk, {tower.encoder.clamp(1.0)})
        return self._pooled[key]

    def _key(self, tower: Tower, chunk: Chunk) -> Key:
        return self.state, tower.encoder.tower, chunk.tokens, chunk.vectors


def sub_prompts(text: str) -> list[tuple[float, str]]:
    """The parts of `text` between ANDs and their weights: "a :1.2 AND b"."""
    return [weight_and_text(part) for part in _AND.split(text)]


def weight_and_text(part: str) -> tuple[float, str]:
    """The weight at the end of a sub-prompt, or 1, and the text before it."""
    part = part.rstrip()
    text, colon, weight = part.rpartition(":")
    if colon and _WEIGHT.fullmatch(weight.lstrip()):
        return float(weight.strip()), text.rstrip()
    return 1.0, part
