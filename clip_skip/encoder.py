"""A text encoder as clip skip sees it, and the hooks that take hidden states out of it.

Any encoder, from any library, is a list of blocks, a final layer norm and a
native value. `conditionings` runs the encoder's own forward once, with hooks on
just the blocks that are needed, and returns the conditioning for every
requested value.

Shapes: B texts, L tokens (77), D channels. h[i] is the output of block i of N,
h[N] the raw top. Clip skip n above the native value is LN(h[N + 1 - n]); at or
below it, what the model was published with. See docs/clip-skip.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from clip_skip.messages.message import Message, Template
from clip_skip.skip import shorten_skip

__all__ = [
    "TOWER_NAMES",
    "TextEncoder",
    "conditionings",
    "encode",
    "from_open_clip",
    "from_stack",
    "from_transformers",
    "not_loaded",
    "stop_at",
]

SKIP_TOO_DEEP = Template("Clip skip {value} is deeper than the {layers} layers of {name}; {used} was used.")
TOO_SHALLOW = Template("Clip skip {value} is above the layer that {name} was published with; {used} was used.")

TOWER_NAMES = {"l": "CLIP ViT-L/14", "h": "OpenCLIP ViT-H/14", "g": "OpenCLIP ViT-bigG/14"}
"""The name of each tower's text encoder."""


@dataclass(frozen=True)
class TextEncoder:
    """The parts of a text encoder that decide what a clip skip means.

    name:           for people: "CLIP ViT-L/14"
    tower:          "l", "g" or "h", as in `<clipskip:l=2:g=3>`; for the others a name of `LANGUAGE_MODELS`
    blocks:         the transformer blocks, bottom to top
    norm:           the final layer norm, or None where the conditioning is not
                    normed (SDXL)
    native:         the clip skip the model was published with, the least that acts
    missing:        blocks of the full tower that are not loaded, at the top
    sequence_first: the blocks work on (L, B, D) (open_clip before 2.24)
    incomplete:     blocks at the bottom after which the host adds something to their output
    """

    name: str
    tower: str
    blocks: Sequence[nn.Module]
    norm: Callable[[Tensor], Tensor] | None
    native: int = 1
    missing: int = 0
    sequence_first: bool = False
    incomplete: int = 0

    @cached_property
    def layers(self) -> int:
        """N, the blocks of the full tower."""
        return len(self.blocks) + self.missing

    @property
    def deepest(self) -> int:
        """The largest clip skip that acts."""
        return self.layers - self.incomplete

    def clamp(self, value: float) -> float:
        """The clip skip that is used for `value` on this encoder."""
        return float(min(max(value, self.native), self.deepest))

    def too_deep(self, value: float) -> list[Message]:
        """The message for the user when `value` is deeper than the encoder; else none."""
        if value <= self.deepest:
            return []
        return [SKIP_TOO_DEEP(value=shorten_skip(value), layers=self.layers, name=self.name, used=self.deepest)]

    def too_shallow(self, value: float) -> list[Message]:
        """The message for the user when `value` is below the native one; else none."""
        if value >= self.native:
            return []
        return [TOO_SHALLOW(value=shorten_skip(value), name=self.name, used=self.native)]

    def block(self, skip: int) -> int:
        """The index in `blocks` of the block whose output is h[-skip]."""
        return self.layers - skip


STORED_H = 23
"""Blocks of an OpenCLIP-H tower that was stored without its last one."""


class Enough(Exception):
    """Raised in a hook to end the forward pass when all requested states are there."""


def conditionings(
    encoder: TextEncoder,
    forward: Callable[[], object],
    values: Iterable[float],
    early_exit: bool = True,
) -> dict[float, Tensor]:
    """The conditioning (B, L, D) for each of `values`, from one call of `forward`.

    forward: runs the encoder on a batch, however its host does it. With
    `early_exit` the blocks above the highest one needed do not run, and
    `forward`'s return value (a pooled vector, say) is unavailable.
    A fraction is the element-wise lerp of its two neighbours, after the norm.
    Values out of range are clamped. RuntimeError when `forward` did not pass
    through the encoder's blocks.
    """
    clamped_values = {value: encoder.clamp(value) for value in values}
    skips = {side for value in clamped_values.values() for side in (math.floor(value), math.ceil(value))}
    if not skips and early_exit:
        return {}
    blocks = {encoder.block(skip) for skip in skips}
    states: dict[int, Tensor] = {}

    def keep(index: int) -> Callable[..., None]:
        def hook(_block: nn.Module, _inputs: object, output: Any) -> None:
            states[index] = state_of(output).clone()  # T5's next block adds to it in place
            if early_exit and index == max(blocks):
                raise Enough

        return hook

    hooks = [encoder.blocks[index].register_forward_hook(keep(index)) for index in blocks]
    try:
        forward()
    except Enough:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    if states.keys() != blocks:
        raise RuntimeError(f"the blocks of {encoder.name} were not run")
    whole = {skip: finish(encoder, states[encoder.block(skip)]) for skip in skips}
    return {value: blend(whole, clamped) for value, clamped in clamped_values.items()}


def state_of(output: Any) -> Tensor:
    """The hidden state in a block's return value."""
    state: Tensor = output[0] if isinstance(output, tuple) else output
    return state


@contextmanager
def stop_at(encoder: TextEncoder, value: float | None) -> Iterator[None]:
    """While open, the encoder's own forward gives the conditioning at `value` instead of the published one.

    The host's own processing around it (masks, templates, weights of words, adapters) stays as it is. None and values
    up to the native one change nothing. If the conditioning is normed, the final norm's result is replaced, so that a
    fraction lies between two normed states; otherwise the result of the published block. Every block runs, so
    `forward`'s return value is available.
    """
    clip_skip = encoder.native if value is None else encoder.clamp(value)
    if clip_skip <= encoder.native:
        yield
        return
    norm = encoder.norm if isinstance(encoder.norm, nn.Module) else None
    skips = (math.floor(clip_skip), math.ceil(clip_skip))
    states: dict[int, Tensor] = {}

    def keep(skip: int) -> Callable[..., None]:
        def hook(_block: nn.Module, _inputs: object, output: Any) -> None:
            states[skip] = state_of(output).clone()

        return hook

    def replace(_module: nn.Module, _inputs: object, output: Any) -> Any:
        # the norm's own forward: calling the module would run this hook again
        whole = {skip: norm.forward(state) if norm else state for skip, state in states.items()}
        blended = blend(whole, clip_skip)
        return (blended, *output[1:]) if isinstance(output, tuple) else blended

    place = norm or encoder.blocks[encoder.block(encoder.native)]
    hooks = [encoder.blocks[encoder.block(skip)].register_forward_hook(keep(skip)) for skip in set(skips)]
    hooks.append(place.register_forward_hook(replace))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def finish(encoder: TextEncoder, state: Tensor) -> Tensor:
    """The conditioning (B, L, D) from a block's output."""
    if encoder.sequence_first:
        state = state.permute(1, 0, 2)
    return encoder.norm(state) if encoder.norm else state


def blend(whole: dict[int, Tensor], value: float) -> Tensor:
    low, high = math.floor(value), math.ceil(value)
    return whole[low] if low == high else torch.lerp(whole[low], whole[high], value - low)


def encode(
    encoder: TextEncoder,
    forward: Callable[[Tensor], object],
    tokens: Tensor,
    values: Sequence[float],
) -> Tensor:
    """The conditioning (B, L, D) of `tokens` (B, L), a clip skip for each row.

    Rows with the same tokens are run once, whatever their values; `forward` is
    called with the distinct rows. ValueError when the counts differ.
    """
    if len(tokens) != len(values):
        raise ValueError(f"{len(tokens)} texts, but {len(values)} clip skips")
    places: dict[tuple[int, ...], int] = {}
    where = [places.setdefault(tuple(row), len(places)) for row in tokens.tolist()]
    distinct = tokens[[where.index(place) for place in range(len(places))]]
    states = conditionings(encoder, lambda: forward(distinct), set(values))
    return torch.stack([states[value][place] for value, place in zip(values, where)])


def from_transformers(
    model: nn.Module,
    name: str = "CLIP ViT-L/14",
    tower: str = "l",
    native: int = 1,
    final_norm: bool = True,
) -> TextEncoder:
    """Describes a `transformers` CLIPTextModel (with or without projection).

    SD1 is native=1 with the norm, SDXL's two are native=2 without it.
    In transformers 5 the parts hang on CLIPTextModel itself, before on its
    `text_model`. An OpenCLIP-H tower that was stored without its last block, as
    SD2's is for diffusers and Forge, is numbered as the full one.
    """
    text: Any = getattr(model, "text_model", model)
    blocks = tuple(text.encoder.layers)
    missing = full(tower, len(blocks)) - len(blocks)
    return TextEncoder(name, tower, blocks, text.final_layer_norm if final_norm else None, native, missing)


def from_stack(
    model: nn.Module, name: str, tower: str, native: int, final_norm: bool, incomplete: int = 0
) -> TextEncoder:
    """Describes a T5 or a decoder-only language model by the attributes that all libraries have.

    T5 and UMT5 have `encoder.block` and `final_layer_norm`; Gemma, Qwen, Ministral and other LLaMAs `model.layers` and
    `model.norm`. AttributeError where `model` has neither.
    """
    stack: Any = getattr(model, "encoder", None) or getattr(model, "model", model)
    blocks, norm = (stack.block, stack.final_layer_norm) if hasattr(stack, "block") else (stack.layers, stack.norm)
    return TextEncoder(name, tower, tuple(blocks), norm if final_norm else None, native, incomplete=incomplete)


def full(tower: str, block_count: int) -> int:
    """The number of blocks of the full tower, from the number of stored blocks."""
    return block_count + int(tower == "h" and block_count == STORED_H)


def not_loaded(tower: str, layers: int, native: int) -> TextEncoder:
    """Describes the text encoder of `tower` with this number of stored blocks, without modules: it cannot be run."""
    return TextEncoder(TOWER_NAMES[tower], tower, (), None, native, missing=full(tower, layers))


def from_open_clip(
    model: nn.Module,
    name: str = "OpenCLIP ViT-H/14",
    tower: str = "h",
    native: int = 2,
    final_norm: bool = True,
    sequence_first: bool | None = None,
) -> TextEncoder:
    """Describes the text tower of an `open_clip` model: `transformer.resblocks` and `ln_final`.

    SD2's ViT-H/14 is native=2 with the norm, SDXL's ViT-bigG/14 ("g") native=2 without it.
    sequence_first: whether the caller runs the blocks on (L, B, D); None takes it from the model's `batch_first`,
    which open_clip has from 2.24 on; before, it is sequence first.
    """
    text: Any = model if hasattr(model, "transformer") else model.text
    if sequence_first is None:
        sequence_first = not getattr(text.transformer, "batch_first", False)
    norm = text.ln_final if final_norm else None
    return TextEncoder(name, tower, tuple(text.transformer.resblocks), norm, native, sequence_first=sequence_first)
