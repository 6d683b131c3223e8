"""The text encoders of a checkpoint: all of a model as transformers' modules, or a single one in torch alone.

OpenCLIP's text encoders are transformers' modules here too, so that LoRAs, which are trained on those, fit them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from clip_skip.encoder import TOWER_NAMES, TextEncoder, from_transformers
from clip_skip.made_for.naming import OPEN_CLIP_LAYERS
from clip_skip.messages.message import FIELD_PROBLEM, Template
from clip_skip.standalone.models.clip_text import ClipText
from clip_skip.standalone.models.errors import CheckpointError, checkpoint_errors
from clip_skip.standalone.models.header import CHECKPOINT_NOT_FOUND, checkpoint_names, open_checkpoint
from clip_skip.standalone.models.heads import HeadsError, text_heads
from clip_skip.standalone.models.sizes import FAMILY_NATIVE, FAMILY_TOWERS, TEXT_PREFIXES, TextSizes, text_sizes

__all__ = ["assign_weights", "build_clip_text", "build_text_encoder", "describe_text_encoder", "load_text_encoder"]

REFINER = "conditioner.embedders.0.model."
"""The prefix of the text encoder of SDXL's refiner, CLIP-G."""

OPEN_CLIP_TOWER = {
    "positional_embedding": "embeddings.position_embedding.weight",
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}
"""OpenCLIP's names outside the blocks, and those of transformers."""

INCOMPLETE = Template("{file} is not a complete checkpoint: missing {name}")
INCOMPLETE_BY_MANY = Template("{file} is not a complete checkpoint: missing {name} and {count} more weights")
NO_TOWER = Template("{file} has no text encoder {tower}, but {towers}")


def load_text_encoder(path: Path, tower: str | None = None) -> tuple[TextEncoder, nn.Module]:
    """A text encoder of the checkpoint at `path`, on the CPU in float32; no other weights are read.

    tower: "l", "g" or "h"; None is the first one. Raises `CheckpointError`. An SD1 checkpoint has to be complete.
    """
    if not path.is_file():
        raise CheckpointError(CHECKPOINT_NOT_FOUND(file=str(path)))
    with checkpoint_errors(path), safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if not name.endswith("position_ids")]  # noqa: SIM118
        family, prefixes = prefixes_in(checkpoint_names(names) | {name: name for name in names})
    if tower and tower not in prefixes:
        raise CheckpointError(NO_TOWER(file=str(path), tower=tower, towers=", ".join(prefixes)))
    tower = tower or next(iter(prefixes))
    prefix, place = prefixes[tower], list(prefixes).index(tower)
    if family == "SD1":
        with open_checkpoint(path) as (file, weight_names, sizes):
            text = sizes.texts[0]
            weights = {
                new: file.get_tensor(old).to(torch.float32, copy=True)
                for new, old in weight_names.items()
                if new.startswith(prefix)
            }
    else:
        with checkpoint_errors(path), safe_open(path, framework="pt") as file:
            weights = {
                name: file.get_tensor(name).to(torch.float32, copy=True) for name in names if name.startswith(prefix)
            }
            text = with_heads(path, file.metadata() or {}, weights, tower, place, len(prefixes) > 1)
    with checkpoint_errors(path):
        module = build_clip_text(text, weights, prefix, path)
    return describe_text_encoder(family, tower, module), module


def prefixes_in(names: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The family of a checkpoint with these names, and the prefix of each text encoder; SD1's if there is none."""
    families = {family: dict(zip(FAMILY_TOWERS[family], TEXT_PREFIXES[family])) for family in TEXT_PREFIXES}
    families["SDXL refiner"] = {"g": REFINER}
    for family, prefixes in families.items():
        towers = {tower: prefix for tower, prefix in prefixes.items() if any(name.startswith(prefix) for name in names)}
        if towers:
            return family, towers
    return "SD1", families["SD1"]


def with_heads(
    path: Path, metadata: Mapping[str, str], weights: Mapping[str, Tensor], tower: str, place: int, is_one_of_two: bool
) -> TextSizes:
    """The sizes of the text encoder that has these weights, complete. Raises `CheckpointError`."""
    prefix = next(
        p for p in (REFINER, *(p for ps in TEXT_PREFIXES.values() for p in ps)) if next(iter(weights)).startswith(p)
    )
    try:
        text = text_sizes({name: tuple(weight.shape) for name, weight in weights.items()}, prefix)
        heads = text_heads(path, metadata, text.width, tower, place, is_one_of_two)
    except HeadsError as error:
        raise CheckpointError(FIELD_PROBLEM(field=str(path), problem=error.message)) from error
    except KeyError as error:
        raise CheckpointError(INCOMPLETE(file=str(path), name=str(error.args[0]))) from error
    return TextSizes(text.width, text.inner, text.layers, heads, text.vocabulary, text.positions, text.projection)


def build_clip_text(text: TextSizes, weights: Mapping[str, Tensor], prefix: str, path: Path | str) -> nn.Module:
    """The same as `build_text_encoder`, in torch alone: to run, not to load LoRAs into."""
    with torch.device("meta"):
        module = ClipText(text, quick=not is_open_clip(prefix))
    return assign_weights(module, named_as_transformers(weights, prefix), path)


def build_text_encoder(text: TextSizes, weights: Mapping[str, Tensor], prefix: str, path: Path | str) -> nn.Module:
    """transformers' module of the text encoder whose weights' names begin with `prefix`; other weights are ignored."""
    from transformers import CLIPTextModel, CLIPTextModelWithProjection  # slow to import

    from clip_skip.standalone.models.configs import encoder_config

    kind = CLIPTextModelWithProjection if text.projection else CLIPTextModel
    with torch.device("meta"):
        module: nn.Module = kind(encoder_config(text, "gelu" if is_open_clip(prefix) else "quick_gelu"))
    named = named_as_transformers(weights, prefix)
    device = next(iter(named.values())).device if named else None
    for part in module.modules():
        if "position_ids" in part._buffers:
            part.register_buffer("position_ids", torch.arange(text.positions, device=device)[None], persistent=False)
    inner = "text_model." if hasattr(module, "text_model") else ""
    state = {name if name.startswith("text_projection") else inner + name: weight for name, weight in named.items()}
    return assign_weights(module, state, path)


def is_open_clip(prefix: str) -> bool:
    return prefix.endswith(".model.")


def named_as_transformers(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights whose names begin with `prefix`, in transformers' names."""
    own = {name[len(prefix) :]: weight for name, weight in weights.items() if name.startswith(prefix)}
    return dict(from_open_clip(own)) if is_open_clip(prefix) else own


def from_open_clip(weights: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """OpenCLIP's weights by transformers' names, with query, key and value separated."""
    for name, weight in weights.items():
        if name == "text_projection":
            yield "text_projection.weight", weight.T
        elif match := re.fullmatch(r"transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)", name):
            for part, third in zip("qkv", weight.chunk(3)):
                yield f"encoder.layers.{match[1]}.self_attn.{part}_proj.{match[2]}", third
        elif match := re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+)\.(weight|bias)", name):
            yield f"encoder.layers.{match[1]}.{OPEN_CLIP_LAYERS.get(match[2], match[2])}.{match[3]}", weight
        else:
            yield OPEN_CLIP_TOWER.get(name, name), weight


def assign_weights(module: nn.Module, weights: Mapping[str, Tensor], path: Path | str) -> nn.Module:
    """Put `weights` into `module`, which may be on the meta device, for evaluation. Raises `CheckpointError`.

    Weights that `module` does not have are ignored. path: of the checkpoint, for the error
    """
    expected_names = {name for name in module.state_dict() if not name.endswith("position_ids")}
    missing = sorted(expected_names - weights.keys())
    if missing:
        more = len(missing) - 1
        lacking = INCOMPLETE_BY_MANY(file=str(path), name=missing[0], count=more) if more else None
        raise CheckpointError(lacking or INCOMPLETE(file=str(path), name=missing[0]))
    with checkpoint_errors(path):
        module.load_state_dict({name: weights[name] for name in expected_names}, strict=False, assign=True)
    module.requires_grad_(False).eval()
    return module


def describe_text_encoder(family: str, tower: str, module: nn.Module) -> TextEncoder:
    """A text encoder as clip skip sees it in a model of this family."""
    native = FAMILY_NATIVE.get(family, FAMILY_NATIVE["SDXL"])
    return from_transformers(module, TOWER_NAMES[tower], tower, native, final_norm=family in ("SD1", "SD2"))
