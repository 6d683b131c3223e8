"""A text encoder of a checkpoint, SD1, SD2 or SDXL, on its own: no other weights are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip.transformer
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import CLIPTextModel

from clip_skip import encoder
from clip_skip.encoder import TextEncoder
from clip_skip.standalone.models import heads
from clip_skip.standalone.models.configs import text_config
from clip_skip.standalone.models.header import CheckpointError, opened
from clip_skip.standalone.models.sizes import TEXT, Sizes

__all__ = ["load"]

PLACES = {
    "conditioner.embedders.0.transformer.text_model.": ("SDXL", "l"),
    "conditioner.embedders.1.model.": ("SDXL", "g"),
    "conditioner.embedders.0.model.": ("SDXL refiner", "g"),
    "cond_stage_model.model.": ("SD2", "h"),
}
"""The text encoders of single-file checkpoints other than SD1, by the beginning of their weights' names."""


def load(path: Path, tower: str | None = None) -> tuple[TextEncoder, nn.Module]:
    """A text encoder of the checkpoint at `path`, on the CPU in float32; no other weights are read."""
    found = {"l": TEXT} if not path.is_file() else places(path)
    if tower and tower not in found:
        raise CheckpointError(f"{path} has no tower {tower}, but {' and '.join(found)}")
    tower = tower or next(iter(found))
    prefix = found[tower]
    if prefix == TEXT:
        with opened(path) as (file, wanted, sizes):
            weights = {name: file.get_tensor(old) for name, old in wanted.items() if name.startswith(TEXT)}
        module = clip(named(weights, TEXT), sizes, path)
        return encoder.from_transformers(module), module
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        weights = named({name: file.get_tensor(name) for name in file.keys() if name.startswith(prefix)}, prefix)  # noqa: SIM118
    if tower == "l":
        module = clip(weights, sizes_of(weights, metadata, path), path)
        return encoder.from_transformers(module, native=2, final_norm=False), module
    module = open_clip_tower(tower, weights, metadata, path, place=int(".1." in prefix))
    described = encoder.from_open_clip(module, encoder.NAMES[tower], tower, final_norm=tower == "h")
    return described, module


def places(path: Path) -> dict[str, str]:
    """The towers in the file, each with the beginning of its weights' names; SD1's if there is none of the others."""
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a complete .safetensors file: {error}") from error
    found = {tower: prefix for prefix, (_, tower) in PLACES.items() if any(name.startswith(prefix) for name in names)}
    return found or {"l": TEXT}


def named(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: weight.float() for name, weight in weights.items()}


def sizes_of(weights: Mapping[str, Tensor], metadata: Mapping[str, str], path: Path) -> Sizes:
    """The sizes of a CLIP text encoder of transformers; the others are the defaults."""
    try:
        vocabulary, width = weights["embeddings.token_embedding.weight"].shape
        inner = weights["encoder.layers.0.mlp.fc1.weight"].shape[0]
    except KeyError as error:
        raise CheckpointError(f"{path} is not a complete checkpoint: {error} lacks") from error
    return Sizes(
        text=width,
        text_inner=inner,
        text_layers=blocks(weights),
        text_heads=heads_of("l", width, metadata, path, 0),
        vocabulary=vocabulary,
    )


def clip(weights: Mapping[str, Tensor], sizes: Sizes, path: Path) -> CLIPTextModel:
    model = CLIPTextModel(text_config(sizes))
    fill(getattr(model, "text_model", model), weights, path)
    return model.eval()


def open_clip_tower(
    tower: str, weights: Mapping[str, Tensor], metadata: Mapping[str, str], path: Path, place: int
) -> nn.Module:
    """The text tower of OpenCLIP ViT-H/14 or ViT-bigG/14, at this place among a model's text encoders."""
    try:
        vocabulary, width = weights["token_embedding.weight"].shape
        length = weights["positional_embedding"].shape[0]
    except KeyError as error:
        raise CheckpointError(f"{path} is not a complete checkpoint: {error} lacks") from error
    found = heads_of(tower, width, metadata, path, place)
    with torch.device("meta"):
        model: Any = open_clip.transformer.TextTransformer(
            length, vocabulary, width, heads=found, layers=blocks(weights), output_dim=width
        )
    model.attn_mask = torch.full((length, length), float("-inf")).triu(1)
    model.text_projection = None  # the pooled vector is not asked for
    fill(model, weights, path)
    module: nn.Module = model.eval()
    return module


def heads_of(tower: str, width: int, metadata: Mapping[str, str], path: Path, place: int) -> int:
    try:
        return heads.text_heads(path, metadata, width, f"text_heads_{tower}", place)
    except heads.HeadsError as error:
        raise CheckpointError(f"{path}: {error}") from error


def blocks(weights: Mapping[str, Tensor]) -> int:
    """The number of blocks: their names have it as the only number."""
    numbers = [int(part) for name in weights for part in name.split(".") if part.isdecimal()]
    return max(numbers, default=-1) + 1


def fill(module: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    expected = {name for name in module.state_dict() if not name.endswith("position_ids")}
    missing = sorted(expected - weights.keys())
    if missing:
        raise CheckpointError(f"{path} is not a complete checkpoint: {missing[0]} and {len(missing) - 1} more lack")
    module.load_state_dict({name: weights[name] for name in expected}, strict=False, assign=True)
    module.requires_grad_(False)
