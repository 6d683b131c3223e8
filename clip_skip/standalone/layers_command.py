"""The layers of a checkpoint's text encoder for one prompt: a picture and a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import open_clip.transformer
import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import CLIPTextModel

from clip_skip import encoder, layers, layers_figure, tags
from clip_skip.encoder import TextEncoder
from clip_skip.layers import Layers
from clip_skip.standalone.configs import text_config
from clip_skip.standalone.files import save_picture
from clip_skip.standalone.header import CheckpointError, opened
from clip_skip.standalone.sizes import TEXT, Sizes
from clip_skip.standalone.tokens import END, chunks, tokenizer

PLACES = {
    "conditioner.embedders.0.transformer.text_model.": ("SDXL", "l"),
    "conditioner.embedders.1.model.": ("SDXL", "g"),
    "conditioner.embedders.0.model.": ("SDXL refiner", "g"),
    "cond_stage_model.model.": ("SD2", "h"),
}
"""The text encoders of single-file checkpoints other than SD1, by the beginning of their weights' names."""

NAMES = {"g": "OpenCLIP ViT-bigG/14", "h": "OpenCLIP ViT-H/14"}


def run(model: Path, prompt: str, tower: str | None, dark: bool, out: Path) -> str:
    """Write the picture to `out`; what it shows in sentences, a line each. Raises `CheckpointError` or OSError."""
    measured = measure(model, prompt, tower)
    save_picture(layers_figure.draw(measured, dark), out)
    return "\n".join(measured.sentences())


def measure(model: Path, prompt: str, tower: str | None = None) -> Layers:
    """The layers for the first chunk of `prompt`, whose clip-skip tags do not count, from one pass.

    tower: "l" or "g", where SDXL has both; None is the first one. Raises `CheckpointError`.
    """
    described, module = load(model, tower)
    return measure_loaded(described, module, tokenizer(), prompt, model.stem)


def measure_loaded(described: TextEncoder, module: nn.Module, bpe: Tokenizer, prompt: str, model: str) -> Layers:
    """The same for a text encoder `module` in memory and its description; `model` is its checkpoint's name."""
    rows = chunks(bpe, tags.strip(prompt))
    length = rows[0].tolist().index(END) + 1
    words = [bpe.id_to_token(token) for token in rows[0, :length].tolist()]
    row = rows[:1].to(next(module.parameters()).device)
    with torch.inference_mode():
        return layers.measure(
            described,
            lambda: module(row),
            layers.labels(words),
            title=f"{model}, {described.name}",
            notes=layers.notes_on_prompt(len(rows)),
        )


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
        weights = named({name: file.get_tensor(name) for name in file.keys() if name.startswith(prefix)}, prefix)  # noqa: SIM118
    if tower == "l":
        module = clip(weights, sizes_of(weights, path), path)
        return encoder.from_transformers(module, native=2, final_norm=False), module
    module = open_clip_tower(weights, path)
    described = encoder.from_open_clip(module, NAMES[tower], tower, final_norm=tower == "h")
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


def sizes_of(weights: Mapping[str, Tensor], path: Path) -> Sizes:
    """The sizes of a CLIP text encoder of transformers; the others are the defaults."""
    try:
        vocabulary, width = weights["embeddings.token_embedding.weight"].shape
        inner = weights["encoder.layers.0.mlp.fc1.weight"].shape[0]
    except KeyError as error:
        raise CheckpointError(f"{path} is not a complete checkpoint: {error} lacks") from error
    return Sizes(
        text=width, text_inner=inner, text_layers=blocks(weights), text_heads=max(width // 64, 1), vocabulary=vocabulary
    )


def clip(weights: Mapping[str, Tensor], sizes: Sizes, path: Path) -> CLIPTextModel:
    model = CLIPTextModel(text_config(sizes))
    fill(getattr(model, "text_model", model), weights, path)
    return model.eval()


def open_clip_tower(weights: Mapping[str, Tensor], path: Path) -> nn.Module:
    """The text tower of OpenCLIP ViT-H/14 or ViT-bigG/14, whose heads are 64 wide."""
    try:
        vocabulary, width = weights["token_embedding.weight"].shape
        length = weights["positional_embedding"].shape[0]
    except KeyError as error:
        raise CheckpointError(f"{path} is not a complete checkpoint: {error} lacks") from error
    with torch.device("meta"):
        model = open_clip.transformer.TextTransformer(
            length, vocabulary, width, heads=max(width // 64, 1), layers=blocks(weights), output_dim=width
        )
    model.attn_mask = torch.full((length, length), float("-inf")).triu(1)
    model.text_projection = None  # the pooled vector is not asked for
    fill(model, weights, path)
    return model.eval()


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
