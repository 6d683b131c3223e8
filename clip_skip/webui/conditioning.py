"""Encodes marked texts: the one place that every prompt of a host goes through.

`prompt_parser.get_learned_conditioning` is wrapped. While it works on texts that
carry markers, the model it was handed has its `get_learned_conditioning` and its
encoders' `encode_with_transformers` shadowed by instance attributes, which are
gone again when it returns. Texts without markers take the host's own way, but for
one case: while a generation runs whose prompts ask for something, other extensions
encode pieces of them (a region, a word of negative weight), some by the model's own
function. Such a piece follows the prompts of the batch, where these agree.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from modules import prompt_parser
from torch import Tensor

from clip_skip.encoder import conditionings
from clip_skip.prompt import precedence
from clip_skip.webui import generation
from clip_skip.webui.hosts.encoders import encoders
from clip_skip.webui.hosts.host_encoder import HostEncoder
from clip_skip.webui.state import state_of

__all__ = ["Conditioning"]

log = logging.getLogger("clip_skip")

Encoded = tuple[Any, dict[float, Tensor]]
"""The host's own conditioning of a text, or None if it was not needed, and the one for each value."""


class Conditioning:
    """The wrapper around the host's function; `install` puts it on, `remove` takes it off."""

    def __init__(self) -> None:
        self.original: Callable[..., Any] = prompt_parser.get_learned_conditioning
        self.wrapper: Callable[..., Any] | None = None
        self.wanted: Mapping[str, set[float]] = {}
        self.memory: dict[tuple[Any, ...], Encoded] | None = None
        self.networks: Any = None
        self.running: Callable[[], Any] = lambda: None
        self.working = False

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
        if self.wrapper is None or not self.asks(prompts):
            return self.original(model, prompts, *args, **kwargs)
        with self.shadow(model, prompts):
            return self.original(model, prompts, *args, **kwargs)

    def asks(self, texts: list[str]) -> bool:
        if any(precedence.asks(text) for text in texts):
            return True
        unmarked = self.unmarked(texts)
        if unmarked is None:
            self.cut()
        return bool(unmarked)

    def cut(self) -> None:
        """Texts were encoded that belong to no picture of the batch: tells it where these ask for different values."""
        p = self.running()
        if p is not None and None in state_of(p).unmarked.values():
            generation.cut(p)

    def unmarked(self, texts: list[str]) -> dict[str, float] | None:
        """What those of `texts` follow that have no marker: the pictures that are made; None where these differ."""
        p = self.running()
        if p is None:
            return {}
        negative, hires = getattr(texts, "is_negative_prompt", False), getattr(p, "is_hr_pass", False)
        return state_of(p).unmarked.get((bool(negative), bool(hires)), {})

    @contextmanager
    def remember(self, values: Mapping[str, set[float]]) -> Iterator[None]:
        """While open, what was encoded is kept between calls, the `values` of each tower taken out of every pass."""
        self.wanted, self.memory = values, {}
        try:
            yield
        finally:
            self.wanted, self.memory = {}, None

    def forget(self) -> None:
        """No generation runs."""
        self.running = lambda: None

    def follow(self, p: Any) -> None:
        """Until the end of `p.sample`, which makes the batch, unmarked texts follow `p`, on any way to the model."""
        self.running = weakref.ref(p)
        own, original = p.__dict__.get("sample"), p.sample

        def sample(*args: Any, **kwargs: Any) -> Any:
            try:
                with replaced(p.sd_model, "get_learned_conditioning", self.direct, p.sd_model):
                    return original(*args, **kwargs)
            finally:
                self.forget()
                if p.__dict__.get("sample") is sample:
                    del p.sample
                    if own:
                        p.sample = own

        p.sample = sample

    def direct(self, model: Any, original: Callable[..., Any], texts: list[str]) -> Any:
        """In the place of the model's `get_learned_conditioning`, for those who call it themselves."""
        if self.working or not self.asks(texts):
            return original(texts)
        with self.shadow(model, texts):
            return model.get_learned_conditioning(texts)

    @contextmanager
    def shadow(self, model: Any, prompts: list[str]) -> Iterator[None]:
        """While open, `model` takes texts with markers and encodes each as it asks."""
        hosts = encoders(model)
        unmarked = self.unmarked(prompts) or {}
        wanted = {}
        for tower in (host.encoder.tower for host in hosts):
            wanted[tower] = precedence.values(prompts, tower) | self.wanted.get(tower, set())
            wanted[tower] |= {unmarked[tower]} if tower in unmarked else set()
        weights = (getattr(model, "sd_checkpoint_info", None) and model.sd_checkpoint_info.filename, self.networks)
        call = Call(wanted, {} if self.memory is None else self.memory, weights, unmarked, self.cut)
        before, self.working = self.working, True
        try:
            with ExitStack() as stack:
                stack.enter_context(replaced(model, "get_learned_conditioning", call.texts))
                for host in hosts:
                    stack.enter_context(replaced(host.module, "encode_with_transformers", call.tokens, host))
                yield
        finally:
            self.working = before


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
    unmarked: what a text without a marker asks for.
    cut: told when there are rows that belong to no text.
    """

    def __init__(
        self,
        wanted: dict[str, set[float]],
        encoded: dict[tuple[Any, ...], Encoded],
        weights: Any,
        unmarked: dict[str, float],
        cut: Callable[[], None],
    ) -> None:
        self.wanted, self.encoded, self.weights, self.unmarked, self.cut = wanted, encoded, weights, unmarked, cut
        self.asked: list[dict[str, float]] = []
        self.clean: tuple[str, ...] = ()
        self.chunk: dict[str, int] = {}

    def texts(self, original: Callable[..., Any], texts: list[str]) -> Any:
        """In the place of the model's `get_learned_conditioning`: takes the markers out."""
        read = [precedence.read(text) for text in texts]
        self.asked = [self.unmarked if values is None else values for _, values in read]
        self.clean = tuple(text for text, _ in read)
        self.chunk = {}
        return original(prompt_parser.SdConditioning(self.clean, copy_from=texts))

    def tokens(self, host: HostEncoder, original: Callable[..., Any], tokens: Tensor) -> Tensor:
        """In the place of an encoder's `encode_with_transformers`: (B, L) to (B, L, D).

        A pooled vector (B, D) is the full tower's, whatever was asked for."""
        tower = host.encoder.tower
        values = self.values(tower, len(tokens))
        chunk = self.chunk[tower] = self.chunk.get(tower, -1) + 1
        need_own = host.pooled or None in values
        own, states = self.run(host, original, tokens, (self.weights, self.clean, tower, chunk, tokens.shape), need_own)
        rows = [own if value is None else states[value] for value in values]
        made: Tensor = rows[0]
        if any(row is not rows[0] for row in rows):
            made = torch.stack([row[index] for index, row in enumerate(rows)])
        if host.pooled:
            made.pooled = own.pooled  # type: ignore[attr-defined]  # where the hosts keep it
        return made

    def values(self, tower: str, rows: int) -> list[float | None]:
        """The value of each row. An extension may have put rows of its own in the place of the texts' (Cutoff does)."""
        values = [asked.get(tower) for asked in self.asked]
        if len(values) == rows:
            return values
        if len(set(values)) == 1:
            return values[:1] * rows
        self.cut()
        log.warning("Clip skip: %s rows of tokens for %s texts: the host's own clip skip was used", rows, len(values))
        return [None] * rows

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
