"""LoHa, LoKr and other adapters of the LyCORIS project, which diffusers does not read: by `lycoris_lora`, if installed.

Their changes are added to the weights themselves: a weight is W + scale * delta while its adapter is applied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from clip_skip.messages.message import Template
from clip_skip.standalone.models.checkpoint import Models
from clip_skip.standalone.prompts.networks import LoraError

__all__ = ["Adapter", "algorithm_of", "apply_adapters", "read_adapter"]

READ = {"hada_w1_a": "LoHa", "lokr_w1": "LoKr", "lokr_w1_a": "LoKr", "diff": "a full difference", "w_norm": "norms"}
"""What `lycoris_lora` reads for us, by the ends of weights' names."""

NOT_READ = {
    "dora_scale": "DoRA",
    "oft_blocks": "OFT",
    "oft_diag": "OFT",
    "a1.weight": "GLoRA",
    "on_input": "IA3",
    "lora_mid.weight": "LoCon in Tucker form",
}
"""Other algorithms. DoRA is read by diffusers, where it is a LoRA's."""

NOT_INSTALLED = Template("{file} is {algorithm}, which needs lycoris_lora: pip install lycoris_lora")
NOT_SUPPORTED = Template("{file} is {algorithm}, which is not supported without a WebUI")
NO_PLACE = Template("{file} changes {name}, which this model does not have: it is for another family")


@dataclass(frozen=True)
class Change:
    """How a module's weight and bias change: `module` is in the model, `delta` makes the change of a scale of 1."""

    module: Any
    is_text: bool
    delta: Any


@dataclass(frozen=True)
class Adapter:
    changes: tuple[Change, ...]


def algorithm_of(names: Sequence[str]) -> str | None:
    """What a file whose weights have these names is, if diffusers does not read it."""
    ends = {name.partition(".")[2] for name in names}
    found = next((name for end, name in READ.items() if end in ends), None)
    others = {end: name for end, name in NOT_READ.items() if found or end != "dora_scale"}
    return next((name for end, name in others.items() if end in ends), found)


def read_adapter(path: Path, state: Mapping[str, Tensor], models: Models) -> Adapter:
    """The adapter in `state`, the weights of the file at `path`. Raises `LoraError`, or what `lycoris` raises."""
    algorithm = algorithm_of(list(state))
    if algorithm not in READ.values():
        raise LoraError(NOT_SUPPORTED(file=str(path), algorithm=str(algorithm)))
    try:
        from lycoris.modules import get_module, make_module
    except ImportError as error:
        raise LoraError(NOT_INSTALLED(file=str(path), algorithm=str(algorithm))) from error
    modules = dict(named_modules(models))
    changes = []
    for name in dict.fromkeys(key.partition(".")[0] for key in state):
        if name not in modules:
            raise LoraError(NO_PLACE(file=str(path), name=name))
        module, is_text = modules[name]
        kind, weights = get_module(state, name)
        delta = make_module(kind, weights, name, module) if kind else None
        if delta is None or delta.not_supported:
            raise LoraError(NOT_SUPPORTED(file=str(path), algorithm=name))
        delta.requires_grad_(False)
        difference(delta, module.weight)  # raises here, where it does not fit
        changes.append(Change(module, is_text, delta))
    return Adapter(tuple(changes))


def named_modules(models: Models) -> Iterator[tuple[str, tuple[Any, bool]]]:
    """The modules by their names in kohya's files, and whether each is of a text encoder."""
    for name, module in base_modules(models.unet):
        for alias in (name, models.unet_names.get(name)):
            if alias:
                yield f"lora_unet_{alias.replace('.', '_')}", (module, False)
    texts = models.text_encoders
    for number, text in enumerate(texts, 1):
        prefix = f"lora_te{number}" if len(texts) > 1 else "lora_te"
        for name, module in base_modules(text):
            inner = name.removeprefix("text_model.")
            yield f"{prefix}_text_model_{inner.replace('.', '_')}", (module, True)
            if inner == "text_projection":
                yield f"{prefix}_text_projection", (module, True)


def base_modules(part: nn.Module) -> Iterator[tuple[str, Any]]:
    """The modules of `part` that have a weight; where peft has wrapped one, that one, by the name it had."""
    for name, module in part.named_modules():
        if isinstance(getattr(module, "weight", None), Tensor) and ".lora_" not in name:
            yield name.removesuffix(".base_layer"), getattr(module, "base_layer", module)


@torch.no_grad()
def apply_adapters(applied: dict[Any, tuple[Any, Any]], wanted: Sequence[tuple[Adapter, float, float]]) -> None:
    """Make the weights what they are with `wanted` alone: adapters, and their scales in text encoders and UNet.

    applied: the own weight and bias of each module that is changed; kept up to date here
    """
    for module, (weight, bias) in applied.items():
        module.weight, module.bias = weight, bias
    applied.clear()
    for adapter, text, unet in wanted:
        for change in adapter.changes:
            scale = text if change.is_text else unet
            if scale:
                add_change(applied, change, scale)


def add_change(applied: dict[Any, tuple[Any, Any]], change: Change, scale: float) -> None:
    module = change.module
    applied.setdefault(module, (module.weight, getattr(module, "bias", None)))
    weight, bias = difference(change.delta, module.weight)
    module.weight = nn.Parameter(module.weight + weight * scale, requires_grad=False)
    if bias is not None:
        before = 0 if module.bias is None else module.bias
        module.bias = nn.Parameter(before + bias * scale, requires_grad=False)


def difference(delta: Any, weight: Tensor) -> tuple[Tensor, Tensor | None]:
    """The change of a weight, and of a bias, at a scale of 1, in the weight's type and on its device."""
    changed, bias = delta.to(weight.device).get_diff_weight(1.0)
    return changed.to(weight).reshape(weight.shape), None if bias is None else bias.to(weight)
