"""Texts as what the UNet looks at: each encoded once, for every clip skip that is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import CLIPTextModel

from clip_skip import encoder, tags
from clip_skip.standalone.prompts.tokens import chunks

KEPT = 32
"""How many texts stay encoded."""


class Conditioner:
    """Encodes texts, and keeps what it has encoded of the last ones.

    The text that counts is the one without tags: texts that differ in their tags alone are encoded once.
    """

    def __init__(self, text_encoder: CLIPTextModel, tokenizer: Tokenizer) -> None:
        self.encoder = encoder.from_transformers(text_encoder)
        self.passes = 0
        """How often the text encoder ran."""
        self._model = text_encoder
        self._tokenizer = tokenizer
        self._kept: dict[str, dict[float, Tensor]] = {}

    def prepare(self, text: str, values: Iterable[float]) -> None:
        """Encode `text` at all `values` in one pass, unless that has been done."""
        text = tags.strip(text)
        kept = self._kept[text] = self._kept.pop(text, {})
        while len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        missing = {self.encoder.clamp(value) for value in values} - kept.keys()
        if not missing:
            return
        tokens = chunks(self._tokenizer, text).to(self._model.device)
        with torch.inference_mode():
            states = encoder.conditionings(self.encoder, lambda: self._model(tokens), sorted(missing))
        self.passes += 1
        kept.update({value: state.flatten(0, 1).unsqueeze(0) for value, state in states.items()})

    def __call__(self, texts: Sequence[str], values: Sequence[float]) -> Tensor:
        """What a text at a value comes to, for each pair of them: (B, chunks * 77, width).

        Texts of fewer chunks than the longest are followed by the empty text, as in AUTOMATIC1111.
        """
        rows = [self._one(text, value) for text, value in zip(texts, values)]
        longest = max(row.shape[1] for row in rows)
        filled = []
        for row, value in zip(rows, values):
            while row.shape[1] < longest:
                row = torch.cat([row, self._one("", value)], dim=1)
            filled.append(row)
        return torch.cat(filled)

    def _one(self, text: str, value: float) -> Tensor:
        self.prepare(text, [value])
        return self._kept[tags.strip(text)][self.encoder.clamp(value)]
