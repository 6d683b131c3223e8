"""The text encoders of a checkpoint as transformers' modules, and how the model that they belong to reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from clip_skip.encoder import NAMES, TextEncoder, from_transformers
from clip_skip.standalone.models.configs import encoder_config
from clip_skip.standalone.models.sizes import NATIVE, TOWERS, TextSizes
from clip_skip.standalone.prompts import tokens
from clip_skip.standalone.prompts.tower import Tower

__all__ = ["described", "encoder", "towers"]

OPEN_CLIP = (
    (r"^positional_embedding$", "embeddings.position_embedding.weight"),
    (r"^token_embedding\.", "embeddings.token_embedding."),
    (r"^ln_final\.", "final_layer_norm."),
    (r"^transformer\.resblocks\.", "encoder.layers."),
    (r"\.ln_([12])\.", r".layer_norm\1."),
    (r"\.attn\.out_proj\.", ".self_attn.out_proj."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
)
"""OpenCLIP's names, and those of transformers."""


def encoder(text: TextSizes, weights: Mapping[str, Tensor], prefix: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """A module without weights, and its `weights`, which begin with `prefix` in the checkpoint, in its own names.

    OpenCLIP's text encoders are transformers' modules here too: so LoRAs, which are trained on those, fit them.
    """
    is_open_clip = prefix.endswith(".model.")
    kind = CLIPTextModelWithProjection if text.projection else CLIPTextModel
    with torch.device("meta"):
        module = kind(encoder_config(text, "gelu" if is_open_clip else "quick_gelu"))
    for part in module.modules():
        if "position_ids" in part._buffers:
            part.register_buffer("position_ids", torch.arange(text.positions)[None], persistent=False)
    inner = "text_model." if hasattr(module, "text_model") else ""
    renamed = dict(from_open_clip(weights)) if is_open_clip else dict(weights)
    return module, {("" if name.startswith("text_projection") else inner) + name: renamed[name] for name in renamed}


def from_open_clip(weights: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """OpenCLIP's weights in the names of transformers, which has query, key and value apart."""
    for name, weight in weights.items():
        if name == "text_projection":
            yield "text_projection.weight", weight.T
        elif match := re.fullmatch(r"transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)", name):
            for part, third in zip("qkv", weight.chunk(3)):
                yield f"encoder.layers.{match[1]}.self_attn.{part}_proj.{match[2]}", third
        else:
            for pattern, new in OPEN_CLIP:
                name = re.sub(pattern, new, name)
            yield name, weight


def described(family: str, tower: str, module: nn.Module) -> TextEncoder:
    """A text encoder as clip skip sees it in a model of this family."""
    return from_transformers(module, NAMES[tower], tower, NATIVE[family], final_norm=family != "SDXL")


def towers(family: str, modules: Sequence[nn.Module], tokenizer: Tokenizer) -> Iterator[Tower]:
    """The text encoders of a model as its prompts go through them; `tokenizer` is CLIP's own."""
    clip = lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)
    for tower, module in zip(TOWERS[family], modules):
        encode = clip if tower == "l" else open_clip_tokens()
        padding = tokens.END if tower == "l" else 0
        yield Tower(described(family, tower, module), module, encode, padding, pools=tower == "g")


def open_clip_tokens() -> Callable[[str], list[int]]:
    """How OpenCLIP reads a text: a little otherwise than CLIP in transformers, where it holds HTML."""
    import open_clip  # slow, and not needed for SD1

    encode = open_clip.tokenizer.SimpleTokenizer().encode
    return lambda text: list(encode(text))
