"""Encodes with a host's text processing engine, each text at its own clip skip.

An engine is called by `__call__`, which Python looks up on its class, so a `ShadowEngine` shadows the model's
attribute. Within a call the host's engines cache encodings by the text alone, and one text may become several rows
(BREAK); so if the values differ, they get one text at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import torch
from modules import prompt_parser
from torch import Tensor

from clip_skip.encoder import stop_at
from clip_skip.webui.hosts.language_models import NamedEncoder

__all__ = ["ShadowEngine", "shadowed"]

log = logging.getLogger("clip_skip")

Rows = Tensor | list[Tensor]
"""An engine's return value: (R, L, D), or R of (L, D) or (1, L, D)."""


class ShadowEngine:
    """Replaces the engine of `encoder`; all other attributes are the engine's.

    values_of_texts: the value of each text in the current call for this encoder; None is the host's own
    report_shared_pieces: called if rows can't be assigned to texts, so that the host's own value is used
    """

    def __init__(
        self,
        encoder: NamedEncoder,
        values_of_texts: Callable[[], Sequence[float | None]],
        report_shared_pieces: Callable[[], None],
    ) -> None:
        self._encoder, self._values_of_texts = encoder, values_of_texts
        self._report_shared_pieces = report_shared_pieces

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder.engine, name)

    def __call__(self, texts: list[str], *args: Any, **kwargs: Any) -> Rows:
        values = self._values(len(texts))
        if len(set(values)) <= 1:
            return self._encode(texts, values[0] if values else None, *args, **kwargs)
        encodings: dict[tuple[str, float | None], Rows] = {}
        for text, value in zip(texts, values):
            if (text, value) not in encodings:
                alone = prompt_parser.SdConditioning([text], copy_from=texts)
                encodings[text, value] = self._encode(alone, value, *args, **kwargs)
        rows = [encodings[pair] for pair in zip(texts, values)]
        tensors = [each for each in rows if isinstance(each, Tensor)]
        if not tensors:
            return [row for each in rows for row in each]
        if len({each.shape[1:] for each in tensors}) > 1:
            tensors = self._of_one_length(texts, values, [len(each) for each in tensors], *args, **kwargs)
        return torch.cat(tensors)

    def _of_one_length(
        self, texts: list[str], values: list[float | None], counts: list[int], *args: Any, **kwargs: Any
    ) -> list[Tensor]:
        """The rows of each text, `counts` of them, where the host pads all texts of a call to the longest of them."""
        whole = {value: self._encode(texts, value, *args, **kwargs) for value in dict.fromkeys(values)}
        ends = list(accumulate(counts))
        spans = zip(values, counts, ends)
        return [torch.as_tensor(whole[value][end - count : end]) for value, count, end in spans]

    def _encode(self, texts: list[str], value: float | None, *args: Any, **kwargs: Any) -> Rows:
        with stop_at(self._encoder.encoder, value):
            rows: Rows = self._encoder.engine(texts, *args, **kwargs)
        return rows

    def _values(self, texts: int) -> list[float | None]:
        """The value of each text. A host may join them: Qwen-Image-Edit joins them to one with its pictures."""
        values = list(self._values_of_texts())
        if len(values) == texts:
            return values
        if len(set(values)) == 1:
            return values[:1] * texts
        self._report_shared_pieces()
        log.warning("Clip skip: %s texts of %s were joined: the host's own clip skip was used", len(values), texts)
        return [None] * texts


@contextmanager
def shadowed(model: Any, encoder: NamedEncoder, engine: ShadowEngine) -> Iterator[None]:
    """While open, `model` has `engine` in place of its own."""
    attributes = vars(model)
    attributes[encoder.attribute] = engine
    try:
        yield
    finally:
        if attributes.get(encoder.attribute) is engine:
            attributes[encoder.attribute] = encoder.engine
