"""LoHa, LoKr, full differences and norms, adapters of the LyCORIS project, which diffusers does not read.

Their changes are added to the weights themselves: a weight is W + scale * change while its adapter is applied. The
formulas are those of AUTOMATIC1111 v1.10.1 (`extensions-builtin/Lora/network_*.py`), and tests compare them with
`lycoris_lora`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from clip_skip.messages.message import Template
from clip_skip.standalone.models.checkpoint import Models
from clip_skip.standalone.prompts.networks import LoraError

__all__ = ["Adapter", "algorithm_of", "apply_adapters", "read_adapter"]

SUPPORTED_ALGORITHMS = {"hada_w1_a": "LoHa", "lokr_w1": "LoKr", "lokr_w1_a": "LoKr", "diff": "Full", "w_norm": "Norm"}
"""The supported algorithms, by the ends of weights' names; they have LyCORIS's names."""

OTHER_ALGORITHMS = {
    "oft_blocks": "OFT",
    "oft_diag": "OFT",
    "a1.weight": "GLoRA",
    "on_input": "IA3",
    "lora_mid.weight": "LoCon (Tucker)",
}
"""Other algorithms."""

DORA = "DoRA"
"""An option of all of them; diffusers reads it in LoRAs."""

NOT_SUPPORTED = Template("{file} is {algorithm}, which is not supported without a WebUI")
NO_MODULE = Template("{file} changes {name}, which this model does not have: it is for another family")
ODD_WEIGHTS = Template("{file} changes {name} in a way that is not known: {keys}")


@dataclass(frozen=True)
class Change:
    """The changes of a module's weight and bias by the `weights` of an adapter."""

    module: Any
    is_text: bool
    weights: Mapping[str, Tensor]


@dataclass(frozen=True)
class Adapter:
    changes: tuple[Change, ...]


def algorithm_of(names: Iterable[str]) -> str | None:
    """The kind of a file whose weights have these names, if diffusers does not read it."""
    ends = {name.partition(".")[2] for name in names}
    kind = next((algorithm for end, algorithm in SUPPORTED_ALGORITHMS.items() if end in ends), None)
    if kind and "dora_scale" in ends:
        return DORA
    return next((algorithm for end, algorithm in OTHER_ALGORITHMS.items() if end in ends), kind)


def read_adapter(path: Path, state: Mapping[str, Tensor], models: Models) -> Adapter:
    """The adapter in `state`, the weights of the file at `path`. Raises `LoraError`, or what torch raises."""
    algorithm = algorithm_of(state)
    if algorithm not in SUPPORTED_ALGORITHMS.values():
        raise LoraError(NOT_SUPPORTED(file=str(path), algorithm=str(algorithm)))
    modules = dict(named_modules(models))
    weights: dict[str, dict[str, Tensor]] = {}
    for key, weight in state.items():
        name, _, end = key.partition(".")
        weights.setdefault(name, {})[end] = weight
    changes = []
    for name, parts in weights.items():
        if name not in modules:
            raise LoraError(NO_MODULE(file=str(path), name=name))
        change = Change(*modules[name], parts)
        if difference(change, change.module.weight) is None:  # raises here, where the shapes do not fit
            raise LoraError(ODD_WEIGHTS(file=str(path), name=name, keys=", ".join(sorted(parts))))
        changes.append(change)
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
def apply_adapters(own_weights: dict[Any, tuple[Any, Any]], adapters: Sequence[tuple[Adapter, float, float]]) -> None:
    """Apply exactly `adapters`, each with its scales in the text encoders and in the UNet.

    own_weights: the own weight and bias of each module that is changed; kept up to date here
    """
    for module, (weight, bias) in own_weights.items():
        module.weight, module.bias = weight, bias
    own_weights.clear()
    for adapter, text, unet in adapters:
        for change in adapter.changes:
            scale = text if change.is_text else unet
            if scale:
                add_change(own_weights, change, scale)


def add_change(own_weights: dict[Any, tuple[Any, Any]], change: Change, scale: float) -> None:
    module = change.module
    own_bias = getattr(module, "bias", None)
    own_weights.setdefault(module, (module.weight, own_bias))
    changes = difference(change, module.weight)
    assert changes is not None  # it was computed once when the file was read
    weight, bias = changes
    if weight is not None:
        module.weight = nn.Parameter(module.weight + weight * scale, requires_grad=False)
    if bias is not None:
        module.bias = nn.Parameter((0 if own_bias is None else own_bias) + bias * scale, requires_grad=False)


def difference(change: Change, weight: Tensor) -> tuple[Tensor | None, Tensor | None] | None:
    """The change of a weight and of a bias at a scale of 1, in the weight's type and on its device; None if unknown."""
    parts = {name: part.to(weight.device, torch.float32) for name, part in change.weights.items()}
    bias = parts.get("diff_b", parts.get("b_norm"))
    if "hada_w1_a" in parts:
        change_of_weight = factor(parts, "hada_w1", "hada_t1") * factor(parts, "hada_w2", "hada_t2")
        change_of_weight = change_of_weight * scale_of(parts, parts["hada_w1_b"])
    elif "lokr_w1" in parts or "lokr_w1_a" in parts:
        first, second = factor(parts, "lokr_w1"), factor(parts, "lokr_w2", "lokr_t2")
        first = first.reshape(*first.shape, *[1] * (second.dim() - first.dim()))
        change_of_weight = torch.kron(first, second) * scale_of(parts, parts.get("lokr_w2_b", parts.get("lokr_w1_b")))
    elif "diff" in parts or "w_norm" in parts:
        change_of_weight = parts["diff"] if "diff" in parts else parts["w_norm"]
    elif bias is not None:
        return None, bias.to(weight).reshape(weight.shape[0])
    else:
        return None
    change_of_weight = change_of_weight.reshape(weight.shape).to(weight.dtype)
    return change_of_weight, None if bias is None else bias.to(weight).reshape(weight.shape[0])


def factor(parts: Mapping[str, Tensor], name: str, tucker: str = "") -> Tensor:
    """A factor of a change: whole, as a product of two, or in Tucker form, with a core of four dimensions."""
    if name in parts:
        return parts[name]
    left, right = parts[f"{name}_a"], parts[f"{name}_b"]
    if tucker not in parts:
        return left @ right
    return torch.einsum("ijkl,ip,jr->prkl", parts[tucker], left, right)


def scale_of(parts: Mapping[str, Tensor], inner: Tensor | None) -> float:
    """The factor of a change: alpha over the rank, which is the number of rows of `inner`."""
    if "scale" in parts:
        return parts["scale"].item()
    return parts["alpha"].item() / inner.shape[0] if "alpha" in parts and inner is not None else 1.0
