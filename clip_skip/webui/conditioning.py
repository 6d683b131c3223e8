"""Encodes marked texts: the one place that every prompt of a host goes through.

`prompt_parser.get_learned_conditioning` is wrapped. While it works on texts that
carry markers, the model it was handed has its `get_learned_conditioning` and its
encoders' `encode_with_transformers` shadowed by instance attributes, which are
gone again when it returns. Texts without markers take the host's own way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from modules import prompt_parser
from torch import Tensor

from clip_skip import tags
from clip_skip.encoder import conditionings
from clip_skip.webui.encoders import encoders
from clip_skip.webui.host_encoder import HostEncoder

__all__ = ["Conditioning"]

Encoded = tuple[Tensor | None, dict[float, Tensor]]
"""The host's own conditioning of a text, if it was needed, and the one for each value."""


class Conditioning:
    """The wrapper around the host's function; `install` puts it on, `remove` takes it off."""

    def __init__(self) -> None:
        self.original: Callable[..., Any] | None = None
        self.wanted: set[float] = set()
        self.memory: dict[tuple[Any, ...], Encoded] | None = None
        self.networks: Any = None

    def install(self) -> None:
        self.original = prompt_parser.get_learned_conditioning
        self.wrapper = lambda *args, **kwargs: self.encode(*args, **kwargs)
        prompt_parser.get_learned_conditioning = self.wrapper

    def remove(self) -> None:
        """Puts the host's function back; under another extension's wrapper ours falls silent."""
        if prompt_parser.get_learned_conditioning is self.wrapper:
            prompt_parser.get_learned_conditioning = self.original
        self.wrapper = None

    def encode(self, model: Any, prompts: list[str], *args: Any, **kwargs: Any) -> Any:
        assert self.original
        if self.wrapper is None or not any(tags.asks(text) for text in prompts):
            return self.original(model, prompts, *args, **kwargs)
        with self.shadow(model, prompts):
            return self.original(model, prompts, *args, **kwargs)

    @contextmanager
    def remember(self, values: Iterable[float]) -> Iterator[None]:
        """While open, what was encoded is kept between calls, with `values` taken out of every pass."""
        self.wanted, self.memory = set(values), {}
        try:
            yield
        finally:
            self.wanted, self.memory = set(), None

    @contextmanager
    def shadow(self, model: Any, prompts: list[str]) -> Iterator[None]:
        """While open, `model` takes texts with markers and encodes each as it asks."""
        hosts = encoders(model)
        wanted = {h.encoder.tower: tags.values(prompts, h.encoder.tower) | self.wanted for h in hosts}
        weights = (getattr(model, "sd_checkpoint_info", None) and model.sd_checkpoint_info.filename, self.networks)
        call = Call(wanted, {} if self.memory is None else self.memory, weights)
        with ExitStack() as stack:
            stack.enter_context(replaced(model, "get_learned_conditioning", call.texts))
            for host in hosts:
                stack.enter_context(replaced(host.module, "encode_with_transformers", call.tokens, host))
            yield


@contextmanager
def replaced(module: Any, name: str, function: Callable[..., Any], *first: Any) -> Iterator[None]:
    """While open, `module.name(x)` is `function(*first, original, x)`."""
    shadowed = module.__dict__.get(name)
    original = getattr(module, name)
    setattr(module, name, lambda argument: function(*first, original, argument))
    try:
        yield
    finally:
        if shadowed is None:
            delattr(module, name)
        else:
            setattr(module, name, shadowed)


class Call:
    """One call of the host's function: the texts it is at, and what was encoded for them.

    wanted: every value that is asked for, by tower. All come out of the first
    pass over a text, and `encoded` keeps them, so that no text is run twice.
    weights: what besides a text decides what it is encoded to.
    """

    def __init__(self, wanted: dict[str, set[float]], encoded: dict[tuple[Any, ...], Encoded], weights: Any) -> None:
        self.wanted, self.encoded, self.weights = wanted, encoded, weights
        self.asked: list[dict[str, float]] = []
        self.clean: tuple[str, ...] = ()
        self.chunk: dict[str, int] = {}

    def texts(self, original: Callable[..., Any], texts: list[str]) -> Any:
        """In the place of the model's `get_learned_conditioning`: takes the markers out."""
        read = [tags.read(text) for text in texts]
        self.asked = [values for _, values in read]
        self.clean = tuple(text for text, _ in read)
        self.chunk = {}
        return original(prompt_parser.SdConditioning(self.clean, copy_from=texts))

    def tokens(self, host: HostEncoder, original: Callable[..., Any], tokens: Tensor) -> Tensor:
        """In the place of an encoder's `encode_with_transformers`: (B, L) to (B, L, D).

        A pooled vector (B, D) is the full tower's, whatever was asked for."""
        tower = host.encoder.tower
        values = [asked.get(tower) for asked in self.asked]
        if len(values) != len(tokens):
            raise RuntimeError(f"Clip skip: {len(tokens)} rows of tokens for {len(values)} texts")
        chunk = self.chunk[tower] = self.chunk.get(tower, -1) + 1
        need_own = host.pooled or None in values
        own, states = self.run(host, original, tokens, (self.weights, self.clean, tower, chunk), need_own)
        rows = [own if value is None else states[value] for value in values]
        if all(row is rows[0] for row in rows):
            made = rows[0]
        else:
            made = torch.stack([row[index] for index, row in enumerate(rows)])
        if host.pooled:
            made.pooled = own.pooled
        return made

    def run(
        self, host: HostEncoder, original: Callable[..., Any], tokens: Tensor, key: tuple[Any, ...], need_own: bool
    ) -> Encoded:
        """The host's own conditioning (if needed) and the one for each wanted value."""
        wanted = self.wanted[host.encoder.tower]
        own, states = self.encoded.get(key, (None, {}))
        if (need_own and own is None) or not wanted <= states.keys():
            results: list[Tensor] = []
            forward = lambda: results.append(original(tokens))
            states = conditionings(host.encoder, forward, wanted, early_exit=not need_own)
            own = results[0] if results else None
            self.encoded[key] = (own, states)
        return own, states
