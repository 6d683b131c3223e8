"""Encodes marked texts: the one place that every prompt of a host goes through.

`prompt_parser.get_learned_conditioning` is wrapped. While it encodes texts with markers, the model's
`get_learned_conditioning`, its encoders' `encode_with_transformers` and its text engines (text_engines.py) are
shadowed by instance attributes, which are removed when it returns. Texts without markers are encoded by the host as
usual, with one exception: while a generation with clip skips runs, other extensions encode pieces of its prompts (a
region, a word of negative weight), some by the model's own function. Such a piece follows the prompts of the batch,
if these agree.
"""

from __future__ import annotations

import inspect
import logging
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import cast

import torch
from modules import prompt_parser
from torch import Tensor

from clip_skip.encoder import conditionings
from clip_skip.prompt.parsed import Values, read_marked
from clip_skip.webui import generation
from clip_skip.webui.host_types import Model, Processing
from clip_skip.webui.hosts.encoders import describe_model
from clip_skip.webui.hosts.host_encoder import HostEncoder
from clip_skip.webui.state import state_of
from clip_skip.webui.text_engines import ShadowEngine, shadowed

__all__ = ["Conditioning"]

log = logging.getLogger("clip_skip")

Encoding = tuple[Tensor | None, dict[float, Tensor]]
"""The host's own conditioning of a text, None if it wasn't needed, and the one for each value."""


class Conditioning:
    """The wrapper around the host's function; `install` puts it on, `remove` takes it off."""

    def __init__(self) -> None:
        self.original: Callable[..., object] = prompt_parser.get_learned_conditioning
        self.wrapper: Callable[..., object] | None = None
        self.needed_values: Mapping[str, set[float]] = {}
        self.memory: dict[tuple[object, ...], Encoding] | None = None
        self.networks = ""
        self.running: Callable[[], Processing | None] = lambda: None
        self.working = False

    def install(self) -> None:
        self.original = prompt_parser.get_learned_conditioning
        self.wrapper = lambda *args, **kwargs: self.encode(*args, **kwargs)
        prompt_parser.get_learned_conditioning = self.wrapper

    def remove(self) -> None:
        """Puts the host's function back. If another extension has wrapped ours, ours becomes a pass-through."""
        if prompt_parser.get_learned_conditioning is self.wrapper:
            prompt_parser.get_learned_conditioning = self.original
        self.wrapper = None

    def encode(self, model: Model, prompts: list[str], *args: object, **kwargs: object) -> object:
        if self.wrapper is None or not self.acts_on(prompts):
            return self.original(model, prompts, *args, **kwargs)
        with self.shadow(model, prompts):
            return self.original(model, prompts, *args, **kwargs)

    def acts_on(self, texts: list[str]) -> bool:
        """Whether we encode `texts`: they set values, or belong to pictures that do."""
        if not all(read_marked(text).is_plain for text in texts):
            return True
        unmarked = self.unmarked(texts)
        if unmarked is None:
            self.report_shared_pieces()
        return bool(unmarked)

    def report_shared_pieces(self) -> None:
        """Called for texts that belong to no picture of the batch: reported if the pictures' values differ."""
        p = self.running()
        if p is not None and None in state_of(p).unmarked.values():
            generation.report_shared_pieces(p)

    def unmarked(self, texts: list[str]) -> Values | None:
        """The values of unmarked `texts`: those of the current pictures; None where these differ."""
        p = self.running()
        if p is None:
            return {}
        negative, hires = getattr(texts, "is_negative_prompt", False), getattr(p, "is_hr_pass", False)
        return state_of(p).unmarked.get((bool(negative), bool(hires)), {})

    @contextmanager
    def remember(self, values: Mapping[str, set[float]]) -> Iterator[None]:
        """While open, encodings are cached between calls, and every pass takes the `values` of each tower."""
        self.needed_values, self.memory = values, {}
        try:
            yield
        finally:
            self.needed_values, self.memory = {}, None

    def forget(self) -> None:
        """Called when no generation runs."""
        self.running = lambda: None

    def follow(self, p: Processing) -> None:
        """Until the end of `p.sample`, which makes the batch, unmarked texts follow `p`, by whatever path."""
        self.running = weakref.ref(p)
        own, original = p.__dict__.get("sample"), p.sample

        def sample(*args: object, **kwargs: object) -> object:
            try:
                with replaced(p.sd_model, "get_learned_conditioning", self.encode_directly, p.sd_model):
                    return original(*args, **kwargs)
            finally:
                self.forget()
                if p.__dict__.get("sample") is sample:
                    del p.sample
                    if own:
                        p.sample = own

        p.sample = sample

    def encode_directly(
        self, model: Model, original: Callable[..., object], texts: list[str], *args: object, **kwargs: object
    ) -> object:
        """Replaces the model's `get_learned_conditioning`, for other extensions that call it themselves."""
        if self.working or not self.acts_on(texts):
            return original(texts, *args, **kwargs)
        with self.shadow(model, texts):
            return model.get_learned_conditioning(texts, *args, **kwargs)

    @contextmanager
    def shadow(self, model: Model, prompts: list[str]) -> Iterator[None]:
        """While open, `model` accepts texts with markers, and encodes each at its own values."""
        model_encoders = describe_model(model)
        hosts = model_encoders.hosts
        unmarked = self.unmarked(prompts) or {}
        values = [*(values for text in prompts for values in read_marked(text).each), unmarked]
        needed_values = {
            tower: {one[tower] for one in values if tower in one} | self.needed_values.get(tower, set())
            for tower in (host.encoder.tower for host in hosts)
        }
        checkpoint = getattr(getattr(model, "sd_checkpoint_info", None), "filename", None)
        memory = {} if self.memory is None else self.memory
        call = Call(needed_values, memory, (checkpoint, self.networks), unmarked, self.report_shared_pieces)
        before, self.working = self.working, True
        try:
            with ExitStack() as stack:
                stack.enter_context(replaced(model, "get_learned_conditioning", call.encode_texts))
                for host in hosts:
                    if needed_values[host.encoder.tower] or self.memory is not None:
                        stack.enter_context(replaced(host.module, "encode_with_transformers", call.encode_tokens, host))
                for engine_encoder in model_encoders.named_encoders:
                    if any(engine_encoder.encoder.tower in one for one in values):
                        values_of = partial(call.values_of_texts_for, engine_encoder.encoder.tower)
                        engine = ShadowEngine(engine_encoder, values_of, self.report_shared_pieces)
                        stack.enter_context(shadowed(model, engine_encoder, engine))
                yield
        finally:
            self.working = before


@contextmanager
def replaced(module: object, name: str, function: Callable[..., object], *first: object) -> Iterator[None]:
    """While open, `module.name(x, ...)` is `function(*first, original, x, ...)`, also if a caller passes `x` by
    keyword; the other arguments are passed on unchanged."""
    instance_attribute = module.__dict__.get(name)
    original = getattr(module, name)

    def shadow(*args: object, **kwargs: object) -> object:
        if args or not kwargs:
            return function(*first, original, *args, **kwargs)
        named = (name for name in inspect.signature(original).parameters if name in kwargs)
        keyword = next(named, next(iter(kwargs)))
        value = kwargs.pop(keyword)
        by_keyword: Callable[..., object] = lambda value, **others: original(**{keyword: value}, **others)
        return function(*first, by_keyword, value, **kwargs)

    setattr(module, name, shadow)
    try:
        yield
    finally:
        if instance_attribute is None:
            delattr(module, name)
        else:
            setattr(module, name, instance_attribute)


class Call:
    """One call of the host's function: its current texts, and their encodings.

    needed_values: all requested values, by tower. The first pass over a text takes all of them, and `encodings` keeps
    them, so that no text is run twice.
    weights: anything an encoding depends on besides the text.
    unmarked: the values of a text without a marker.
    report_shared_pieces: called for rows that belong to no text.
    """

    def __init__(
        self,
        needed_values: dict[str, set[float]],
        encodings: dict[tuple[object, ...], Encoding],
        weights: object,
        unmarked: Values,
        report_shared_pieces: Callable[[], None],
    ) -> None:
        self.needed_values, self.encodings, self.weights, self.unmarked = needed_values, encodings, weights, unmarked
        self.report_shared_pieces = report_shared_pieces
        self.values_of_texts: list[Values] = []
        self.clean: tuple[str, ...] = ()
        self.chunk: dict[str, int] = {}

    def encode_texts(
        self, original: Callable[..., object], texts: list[str], *args: object, **kwargs: object
    ) -> object:
        """Replaces the model's `get_learned_conditioning`: removes the markers."""
        marked = [read_marked(text) for text in texts]
        self.values_of_texts = [self.unmarked if text.values is None else text.values for text in marked]
        self.clean = tuple(text.clean for text in marked)
        self.chunk = {}
        return original(prompt_parser.SdConditioning(self.clean, copy_from=texts), *args, **kwargs)

    def encode_tokens(
        self, host: HostEncoder, original: Callable[..., Tensor], tokens: Tensor, *args: object, **kwargs: object
    ) -> Tensor:
        """Replaces an encoder's `encode_with_transformers`: (B, L) to (B, L, D).

        A pooled vector (B, D) is always the full tower's."""
        tower = host.encoder.tower
        values = self.values_of_rows(tower, len(tokens))
        chunk = self.chunk[tower] = self.chunk.get(tower, -1) + 1
        need_own = host.pooled or None in values
        key = (self.weights, self.clean, tower, chunk, tokens.shape)
        own, states = self.run(host, lambda: original(tokens, *args, **kwargs), key, need_own)
        rows = [cast(Tensor, own) if value is None else states[value] for value in values]
        result = rows[0]
        if any(row is not rows[0] for row in rows):
            result = torch.stack([row[index] for index, row in enumerate(rows)])
        if host.pooled:
            result.pooled = own.pooled  # type: ignore[attr-defined, union-attr]  # where the hosts keep it
        return result

    def values_of_texts_for(self, tower: str) -> list[float | None]:
        """The value of each text of the current call for `tower`."""
        return [values.get(tower) for values in self.values_of_texts]

    def values_of_rows(self, tower: str, rows: int) -> list[float | None]:
        """The value of each row of tokens. Another extension may have replaced the texts' rows (Cutoff does)."""
        values = self.values_of_texts_for(tower)
        if len(values) == rows:
            return values
        if len(set(values)) == 1:
            return values[:1] * rows
        self.report_shared_pieces()
        log.warning("Clip skip: %s rows of tokens for %s texts: the host's own clip skip was used", rows, len(values))
        return [None] * rows

    def run(
        self, host: HostEncoder, forward: Callable[[], Tensor], key: tuple[object, ...], need_own: bool
    ) -> Encoding:
        """The host's own conditioning (if required) and the one for each needed value."""
        values = self.needed_values[host.encoder.tower]
        own, states = self.encodings.get(key, (None, {}))
        if (need_own and own is None) or not values <= states.keys():
            results: list[Tensor] = []
            states = conditionings(host.encoder, lambda: results.append(forward()), values, early_exit=not need_own)
            own = results[0] if results else None
            self.encodings[key] = (own, states)
        return own, states
