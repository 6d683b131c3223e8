"""How alike the layers of a text encoder are for one prompt, and where the last one breaks from the others.

What is compared are the conditionings that the layers make, as the UNet would be given them: LN(h[i]) where the encoder
has a final norm (SD1, SD2), h[i] itself where it has none (SDXL). h[0], the embeddings before the first block, is left
out. All layers come out of one pass, and every comparison is made token by token.

Shapes: N layers, T tokens. Layer i of a full tower of M blocks is clip skip M + 1 - i.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from clip_skip.encoder import TextEncoder, conditionings

__all__ = ["END", "START", "Layers", "labels", "measure", "notes_on_prompt"]

START, END = "<start>", "<end>"
"""The labels of the tokens around a prompt."""

CHANGES = ((0.98, "almost nothing changes"), (0.9, "little changes"), (-1.0, "much changes"))
"""What to call a step, by the least cosine similarity of its two layers."""

_ENDING = "</w>"
_INVISIBLE = [*range(33), *range(127, 161), 173]
"""The bytes that the vocabulary writes as chr(256), chr(257) and so on (`bytes_to_unicode` of OpenAI's CLIP)."""


@dataclass(frozen=True)
class Layers:
    """The layers of one encoder for one prompt, the lowest first.

    title:      what was measured: "CLIP ViT-L/14"
    tokens:     a label for each token, T
    numbers:    the number of each layer, N; 1 is the lowest block
    clip_skips: the clip skip of each layer, N
    similarity: (N, N) in float64, cosine similarity from -1 to 1: for each pair of layers the mean over the tokens
    distance:   (N, T) in float64, from 0 to 2: 1 - cosine similarity of a token with itself at the last layer
    notes:      sentences on what is left out
    native:     the clip skip the model was published with, from which on a step is one that a person can take
    """

    title: str
    tokens: tuple[str, ...]
    numbers: tuple[int, ...]
    clip_skips: tuple[int, ...]
    similarity: np.ndarray
    distance: np.ndarray
    notes: tuple[str, ...] = ()
    native: int = 1

    @property
    def steps(self) -> np.ndarray:
        """The cosine similarity of each layer with the next, (N - 1,)."""
        return np.diagonal(self.similarity, 1)

    @property
    def largest_step(self) -> int | None:
        """The index in `steps` of the least similar neighbours; the upper ones of equals, None if there are none."""
        return least(self.steps)

    def sentence(self) -> str:
        """What a clip skip changes: the first step from the published one, and the largest of all."""
        published = self.clip_skips.index(max(self.native, self.clip_skips[-1]))
        steps = self.steps[:published]
        largest = least(steps)
        if largest is None:
            return "There is one layer, so there is no step between layers."
        first, most = steps[-1], steps[largest]
        digits = distinct(most, *([] if largest == len(steps) - 1 else [first]))
        skip, next_skip = self.clip_skips[published], self.clip_skips[published - 1]
        if largest == len(steps) - 1:
            said = f"(cosine similarity {most:.{digits}f})"
            return f"Of all steps, most changes from clip skip {skip} to {next_skip} {said}."
        how = next(words for limit, words in CHANGES if first >= limit)
        return (
            f"From clip skip {skip} to {next_skip} {how} (cosine similarity {first:.{digits}f}); "
            f"most changes from {self.clip_skips[largest + 1]} to {self.clip_skips[largest]} ({most:.{digits}f})."
        )

    def sentences(self) -> tuple[str, ...]:
        """The sentence, and the notes."""
        return (self.sentence(), *self.notes)


def least(steps: np.ndarray) -> int | None:
    """The index of the smallest; the last one of equals, None if there are none."""
    return len(steps) - 1 - int(np.argmin(steps[::-1])) if len(steps) else None


def measure(
    encoder: TextEncoder,
    forward: Callable[[], object],
    tokens: Sequence[str],
    title: str = "",
    notes: Sequence[str] = (),
    unrun: int = 0,
) -> Layers:
    """The layers of `encoder` for one text, from one call of `forward`.

    forward: runs the encoder on a batch whose first row is the text, in whatever way its host does. It does not come
    to its end: what follows the highest block is not run.
    tokens: the labels of the row's first tokens, as `labels` makes them; what follows them (padding) is not measured.
    unrun: the blocks at the top of `encoder.blocks` that `forward` does not run.
    ValueError for no tokens, or more than the row has. RuntimeError if `forward` did not pass through the blocks, or
    what they made is not finite.
    """
    highest = encoder.missing + unrun + 1
    skips = tuple(range(encoder.layers, highest - 1, -1))
    states = conditionings(replace(encoder, native=1), forward, skips)
    if not 0 < len(tokens) <= states[skips[0]].shape[1]:
        raise ValueError(f"{len(tokens)} labels for {states[skips[0]].shape[1]} tokens")
    rows = torch.stack([row_of(states[skip], len(tokens)) for skip in skips])
    similarity = torch.einsum("itd,jtd->ijt", rows, rows).clamp(-1, 1)
    if not torch.isfinite(similarity).all():
        raise RuntimeError(f"what {encoder.name} made is not finite (NaN)")
    return Layers(
        title=title or encoder.name,
        tokens=tuple(tokens),
        numbers=tuple(encoder.layers + 1 - skip for skip in skips),
        clip_skips=skips,
        similarity=similarity.mean(2).numpy(),
        distance=(1 - similarity[:, -1]).numpy(),
        notes=(*notes, *notes_on(encoder, highest)),
        native=encoder.native,
    )


def row_of(state: Tensor, tokens: int) -> Tensor:
    """The first row of a conditioning (B, L, D) with tokens of length 1: (tokens, D) in float64."""
    return normalize(state[0, :tokens].detach().cpu().double(), dim=-1)


def distinct(least: float, *others: float) -> int:
    """The decimals, 2 to 5, with which `least` is told from the others, and none of these looks like 1."""
    for digits in (2, 3, 4):
        texts = [f"{value:.{digits}f}" for value in others]
        if f"{least:.{digits}f}" not in texts and float(max(texts, default="0")) < 1:
            return digits
    return 5


def notes_on(encoder: TextEncoder, highest: int) -> list[str]:
    """What there is to say of the layers above the published one; `highest` is the least clip skip that is there."""
    native, layers = encoder.native, encoder.layers
    if highest > 1:
        first, last = layers + 2 - highest, layers
        which = f"Layer {last} is" if first == last else f"Layers {first} to {last} are"
        return [f"{which} not run in this host and left out."]
    if native > 1:
        top = f"layer {layers} is" if native == 2 else f"layers {layers + 2 - native} to {layers} are"
        return [f"The model was published at clip skip {native}; {top} shown, but makes no pictures."]
    return []


def labels(words: Sequence[str]) -> tuple[str, ...]:
    """The labels of a chunk's tokens, from their entries in CLIP's vocabulary, start and end included, without padding.

    A token that goes on in the next one ends in a hyphen: "illu-", "stration".
    """
    return (START, *map(label, words[1:-1]), END)


def label(word: str) -> str:
    """An entry of CLIP's vocabulary as text. Bytes that are no text by themselves are written \\xf0."""
    stem = word.removesuffix(_ENDING)
    # A token that is not in the vocabulary's letters, such as a textual inversion's name, is taken as it is.
    if any(ord(letter) >= 256 + len(_INVISIBLE) for letter in stem):
        return stem
    data = bytes(ord(letter) if ord(letter) < 256 else _INVISIBLE[ord(letter) - 256] for letter in stem)
    text = data.decode("utf-8", errors="backslashreplace")
    return text if word.endswith(_ENDING) else f"{text}-"


def notes_on_prompt(chunks: int, parts: int = 1, changes: bool = False, empty: bool = False) -> list[str]:
    """What there is to say of a prompt, of which one chunk is measured.

    chunks: of the text that is measured; parts: sub-prompts, between ANDs; changes: whether prompt editing changes it;
    empty: whether it has no words.
    """
    notes = [
        (empty, "The prompt is empty: these are its start and its end alone."),
        (parts > 1, f"The prompt has {parts} sub-prompts; this is the first."),
        (changes, "The prompt changes from step to step; this is how it begins."),
        (chunks > 1, f"The prompt has {chunks} chunks of up to 75 tokens; this is the first."),
    ]
    return [note for holds, note in notes if holds]
