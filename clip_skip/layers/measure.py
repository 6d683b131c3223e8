"""How alike the layers of a text encoder are for one prompt, and where the last one breaks from the others.

The conditionings of the layers are compared as the UNet would receive them: LN(h[i]) if the encoder has a final norm
(SD1, SD2), otherwise h[i] itself (SDXL). h[0], the embeddings before the first block, is left
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
from clip_skip.messages.message import Message, MessageError, Template
from clip_skip.skip import shorten

__all__ = ["END", "START", "Layers", "LayersError", "measure_layers", "notes_on_prompt", "token_labels"]

START, END = "<start>", "<end>"
"""The labels of the tokens around a prompt."""

MOST_TOKENS = 8
"""The most tokens that can be distinguished in one figure."""

ONE_LAYER = Template("There is one layer, so there is no step between layers.")
FIRST_IS_LARGEST = Template("The biggest change is from clip skip {first} to {second} (cosine similarity {step}).")
FIRST_AND_LARGEST = Template(
    "From clip skip {first} to {second} {how} (cosine similarity {step}); "
    "the biggest change is from {below} to {above} ({least})."
)
CHANGES = (
    (0.98, Template("almost nothing changes")),
    (0.9, Template("little changes")),
    (-1.0, Template("much changes")),
)
"""The name of a step, by the least cosine similarity of its two layers."""

LAYER_NOT_RUN = Template("Layer {layer} is not run by this WebUI, so it is left out.")
LAYERS_NOT_RUN = Template("Layers {first} to {last} are not run by this WebUI, so they are left out.")
LAYER_UNUSED = Template(
    "The model was published at clip skip {native}: layer {layer} is shown, but no picture uses it."
)
LAYERS_UNUSED = Template(
    "The model was published at clip skip {native}: layers {first} to {last} are shown, but no picture uses them."
)
EMPTY_PROMPT = Template("The prompt is empty, so only the start and end tokens are shown.")
FIRST_SUB_PROMPT = Template("The prompt has {count} sub-prompts; this is the first.")
FIRST_STEP = Template("The prompt changes from step to step; this is how it begins.")
FIRST_CHUNK = Template("The prompt has {count} chunks of up to 75 tokens; this is the first.")

STATES_NOT_FINITE = Template("The text encoder {encoder} returned values that are not finite numbers (NaN).")
NO_SUCH_WORD = Template("{word} is not a word of the prompt, nor the number of one of its tokens")
TOO_MANY_WORDS = Template("these words have {count} tokens; at most {most} can be shown at once")

_ENDING = "</w>"
_INVISIBLE = [*range(33), *range(127, 161), 173]
"""The bytes that the vocabulary writes as chr(256), chr(257) and so on (`bytes_to_unicode` of OpenAI's CLIP)."""


class LayersError(MessageError):
    """The layers cannot be measured or shown."""


@dataclass(frozen=True)
class Layers:
    """The layers of one encoder for one prompt, the lowest first.

    title:      what was measured: "CLIP ViT-L/14"
    tokens:     a label for each token, T
    numbers:    the number of each layer, N; 1 is the lowest block
    clip_skips: the clip skip of each layer, N
    similarity: (N, N) in float64, cosine similarity from -1 to 1: for each pair of layers the mean over the tokens
    distance:   (N, T) in float64, from 0 to 2: 1 - cosine similarity of a token with itself at the last layer
    notes:      about the parts that are left out
    native:     the clip skip the model was published with; people can only take the steps from there on
    """

    title: str
    tokens: tuple[str, ...]
    numbers: tuple[int, ...]
    clip_skips: tuple[int, ...]
    similarity: np.ndarray
    distance: np.ndarray
    notes: tuple[Message | str, ...] = ()
    native: int = 1

    @property
    def steps(self) -> np.ndarray:
        """The cosine similarity of each layer with the next, (N - 1,)."""
        return np.diagonal(self.similarity, 1)

    @property
    def largest_step(self) -> int | None:
        """The index in `steps` of the least similar neighbours; the upper of equal pairs; None without steps."""
        return least_similar(self.steps)

    def sentence(self) -> Message | str:
        """The effect of a clip skip: the first step from the published one, and the largest of all."""
        published_index = self.clip_skips.index(max(self.native, self.clip_skips[-1]))
        steps = self.steps[:published_index]
        largest = least_similar(steps)
        if largest is None:
            return ONE_LAYER
        first, most = steps[-1], steps[largest]
        digits = distinct(most, *([] if largest == len(steps) - 1 else [first]))
        from_to = {"first": self.clip_skips[published_index], "second": self.clip_skips[published_index - 1]}
        step = f"{first:.{digits}f}"
        if largest == len(steps) - 1:
            return FIRST_IS_LARGEST(**from_to, step=step)
        return FIRST_AND_LARGEST(
            **from_to,
            how=next(words for limit, words in CHANGES if first >= limit),
            step=step,
            below=self.clip_skips[largest + 1],
            above=self.clip_skips[largest],
            least=f"{most:.{digits}f}",
        )

    def sentences(self) -> tuple[Message | str, ...]:
        """The sentence, and the notes."""
        return (self.sentence(), *self.notes)

    def most_changed_tokens(self, count: int = 3) -> list[int]:
        """The places of the tokens that are farthest from themselves at the last layer, in the prompt's order.

        The start of the prompt is not among them, as it is the same for every prompt.
        """
        distance = self.distance.mean(0)
        places = [place for place, token in enumerate(self.tokens) if token != START]
        return sorted(sorted(places, key=lambda place: -distance[place])[:count])

    def find_tokens(self, words: str) -> list[int]:
        """The places of the tokens of `words`, which are words of the prompt or numbers of tokens, between commas.

        If `words` is empty, those that change most. LayersError for words that are not in the prompt, or too many.
        """
        entries = list(filter(None, (word.strip() for word in words.split(","))))
        if not entries:
            return self.most_changed_tokens()
        places_of_words = self._places_of_words()
        places: set[int] = set()
        for word in entries:
            number = int(word) if word.isascii() and word.isdecimal() and len(word) < 6 else -1
            if word.lower() in places_of_words:
                places.update(places_of_words[word.lower()])
            elif 0 <= number < len(self.tokens):
                places.add(number)
            else:
                raise LayersError(NO_SUCH_WORD(word=shorten(word)))
        if len(places) > MOST_TOKENS:
            raise LayersError(TOO_MANY_WORDS(count=len(places), most=MOST_TOKENS))
        return sorted(places)

    def _places_of_words(self) -> dict[str, list[int]]:
        """The tokens of each word, of all its occurrences."""
        places_by_word: dict[str, list[int]] = {}
        word, first = "", 0
        for place, token in enumerate(self.tokens, 1):
            goes_on = token.endswith("-") and token != "-"
            word += token.removesuffix("-") if goes_on else token
            if not goes_on:
                places_by_word.setdefault(word.lower(), []).extend(range(first, place))
                word, first = "", place
        return places_by_word


def least_similar(steps: np.ndarray) -> int | None:
    """The index of the smallest; the last where several are equal, None if there are none."""
    return len(steps) - 1 - int(np.argmin(steps[::-1])) if len(steps) else None


def measure_layers(
    encoder: TextEncoder,
    forward: Callable[[], object],
    tokens: Sequence[str],
    title: str = "",
    notes: Sequence[Message | str] = (),
    unrun: int = 0,
) -> Layers:
    """The layers of `encoder` for one text, from one call of `forward`.

    forward: runs the encoder on a batch whose first row is the text, however its host does it. It is stopped after
    the highest block.
    tokens: the labels of the row's first tokens, from `token_labels`; what follows them (padding) is not measured.
    unrun: the blocks at the top of `encoder.blocks` that `forward` does not run.
    ValueError for no tokens, or more than the row has. RuntimeError if `forward` did not pass through the blocks.
    LayersError if their hidden states are not finite.
    """
    highest = encoder.missing + unrun + 1
    skips = tuple(range(encoder.layers, highest - 1, -1))
    states = conditionings(replace(encoder, native=1), forward, skips)
    if not 0 < len(tokens) <= states[skips[0]].shape[1]:
        raise ValueError(f"{len(tokens)} labels for {states[skips[0]].shape[1]} tokens")
    rows = torch.stack([row_of(states[skip], len(tokens)) for skip in skips])
    similarity = torch.einsum("itd,jtd->ijt", rows, rows).clamp(-1, 1)
    if not torch.isfinite(similarity).all():
        raise LayersError(STATES_NOT_FINITE(encoder=encoder.name))
    return Layers(
        title=title or encoder.name,
        tokens=tuple(tokens),
        numbers=tuple(encoder.layers + 1 - skip for skip in skips),
        clip_skips=skips,
        similarity=similarity.mean(2).numpy(),
        distance=(1 - similarity[:, -1]).numpy(),
        notes=(*notes, *notes_on_layers(encoder, highest)),
        native=encoder.native,
    )


def row_of(state: Tensor, tokens: int) -> Tensor:
    """The first row of a conditioning (B, L, D) with tokens of length 1: (tokens, D) in float64."""
    return normalize(state[0, :tokens].detach().cpu().double(), dim=-1)


def distinct(least: float, *others: float) -> int:
    """The fewest decimals, 2 to 5, at which `least` differs from the others and none of these is rounded to 1."""
    for digits in (2, 3, 4):
        texts = [f"{value:.{digits}f}" for value in others]
        if f"{least:.{digits}f}" not in texts and float(max(texts, default="0")) < 1:
            return digits
    return 5


def notes_on_layers(encoder: TextEncoder, highest: int) -> list[Message]:
    """Which of the top layers are left out or unused; `highest` is the smallest clip skip that was measured."""
    native, layers = encoder.native, encoder.layers
    if highest > 1:
        first = layers + 2 - highest
        return [LAYER_NOT_RUN(layer=layers) if first == layers else LAYERS_NOT_RUN(first=first, last=layers)]
    if native > 2:
        return [LAYERS_UNUSED(native=native, first=layers + 2 - native, last=layers)]
    return [LAYER_UNUSED(native=native, layer=layers)] if native == 2 else []


def token_labels(words: Sequence[str]) -> tuple[str, ...]:
    """The labels of a chunk's tokens, from their entries in CLIP's vocabulary, start and end included, without padding.

    A token that goes on in the next one ends in a hyphen: "illu-", "stration".
    """
    return (START, *map(token_label, words[1:-1]), END)


def token_label(word: str) -> str:
    """An entry of CLIP's vocabulary as text. Bytes that are not valid text on their own are written \\xf0."""
    stem = word.removesuffix(_ENDING)
    # A token that is not in the vocabulary's letters, such as a textual inversion's name, is taken as it is.
    if any(ord(letter) >= 256 + len(_INVISIBLE) for letter in stem):
        return stem
    data = bytes(ord(letter) if ord(letter) < 256 else _INVISIBLE[ord(letter) - 256] for letter in stem)
    text = data.decode("utf-8", errors="backslashreplace")
    return text if word.endswith(_ENDING) else f"{text}-"


def notes_on_prompt(chunks: int, parts: int = 1, changes: bool = False, empty: bool = False) -> list[Message | str]:
    """The parts of a prompt that are left out, because only one chunk is measured.

    chunks: of the text that is measured; parts: sub-prompts, between ANDs; changes: whether prompt editing changes it;
    empty: whether it has no words.
    """
    notes: list[tuple[bool, Message | str]] = [
        (empty, EMPTY_PROMPT),
        (parts > 1, FIRST_SUB_PROMPT(count=parts)),
        (changes, FIRST_STEP),
        (chunks > 1, FIRST_CHUNK(count=chunks)),
    ]
    return [note for holds, note in notes if holds]
