"""A text encoder alone that is not CLIP: a folder in the names of transformers, or a single file in ComfyUI's.

Its sizes are read off the weights of a file, and off `config.json` in a folder. Nothing is downloaded: a
`tokenizer.json` is needed too, in the folder, beside it as in diffusers' folders, or in a folder that is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from tokenizers import Tokenizer
from torch import Tensor, nn

from clip_skip.encoder import TextEncoder, from_stack
from clip_skip.messages.message import Template
from clip_skip.standalone.models.errors import CheckpointError, checkpoint_errors

__all__ = ["is_language_model", "load_language_model", "load_tokenizer"]

T5_BLOCK = "encoder.block.0.layer.0.SelfAttention.q.weight"
LLAMA_BLOCK = "layers.0.self_attn.q_proj.weight"
PREFIXES = ("", "model.", "model.language_model.", "language_model.model.")
QUANTIZED_ENDINGS = ("scaled_fp8", ".scale_weight", ".weight_scale", ".comfy_quant")

QUANTIZED_FILE = Template("{file} has quantised weights, which are not read here; take a file in bfloat16 or float16")
UNKNOWN_TEXT_ENCODER = Template("{file} is not a text encoder that is known here (T5, UMT5, Gemma 2, Qwen, Ministral)")
TRANSFORMERS_TOO_OLD = Template("the installed transformers {version} has no {name}; install a newer version")
NO_TOKENIZER = Template("{file} has no tokenizer.json beside it; name a folder that has one with --tokenizer")

TYPES = {
    "t5": "t5",
    "umt5": "umt5",
    "gemma2": "gemma2",
    "qwen3": "qwen3",
    "qwen2": "qwen2",
    "qwen2_5_vl": "qwen2",
    "qwen2_5_vl_text": "qwen2",
    "mistral": "mistral",
    "ministral": "mistral",
    "ministral3": "mistral",
}
"""Our families by transformers' `model_type`."""


@dataclass(frozen=True)
class Published:
    """How image models use it: the name in a tag, the encoder's name, its clip skip, and whether it is normalized."""

    tower: str
    name: str
    native: int = 1
    normed: bool = True


FAMILIES = {
    "t5": Published("t5", "T5"),
    "umt5": Published("t5", "UMT5"),
    "gemma2": Published("gemma", "Gemma 2", 2, False),
    "qwen3": Published("qwen", "Qwen3"),
    "qwen2": Published("qwen", "Qwen2.5"),
    "mistral": Published("ministral", "Ministral", 2, False),
}
OF_WIDTH = {
    ("t5", 4096): Published("t5", "T5-XXL"),
    ("umt5", 4096): Published("t5", "UMT5-XXL"),
    ("qwen3", 1024): Published("qwen", "Qwen3 0.6B"),
    ("qwen3", 2560): Published("qwen", "Qwen3 4B", 2, False),
}
"""The sizes of those that image models use: Flux's, Wan's, Anima's, Z-Image's."""


def is_language_model(path: Path) -> bool:
    """Whether `path` is a folder, or a file with the weights of such a text encoder and nothing before them."""
    if path.is_dir():
        return True
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    with checkpoint_errors(path), safe_open(path, framework="np") as file:
        names = set(file.keys())
    return T5_BLOCK in names or any(prefix + LLAMA_BLOCK in names for prefix in PREFIXES)


def load_language_model(path: Path) -> tuple[TextEncoder, nn.Module]:
    """The description and transformers' module of the text encoder at `path`. Raises `CheckpointError`."""
    with checkpoint_errors(path):
        family, module = from_folder(path) if path.is_dir() else from_file(path)
    module = getattr(module, "language_model", module).eval().requires_grad_(False)
    width = int(next(iter(module.parameters())).shape[-1])
    entry = OF_WIDTH.get((family, width), FAMILIES[family])
    return from_stack(module, entry.name, entry.tower, entry.native, entry.normed), module


def load_tokenizer(path: Path, folder: Path | None = None) -> Tokenizer:
    """The tokenizer of the text encoder at `path`, or of `folder`. Raises `CheckpointError`."""
    beside = path if path.is_dir() else path.parent
    of_diffusers = beside.with_name(beside.name.replace("text_encoder", "tokenizer"))
    for place in [folder] if folder else [beside, of_diffusers]:
        file = place / "tokenizer.json"
        if file.is_file():
            with checkpoint_errors(file):
                return Tokenizer.from_file(str(file))
    raise CheckpointError(NO_TOKENIZER(file=path.name))


def of_transformers(name: str) -> Any:
    """A class of transformers; `CheckpointError` where the installed version lacks it."""
    import transformers

    if not hasattr(transformers, name):
        raise CheckpointError(TRANSFORMERS_TOO_OLD(name=name, version=transformers.__version__))
    return getattr(transformers, name)


def from_folder(path: Path) -> tuple[str, nn.Module]:
    import transformers

    only_here = {"local_files_only": True, "trust_remote_code": False}
    config: Any = transformers.AutoConfig.from_pretrained(path, **only_here)
    family = TYPES.get(config.model_type)
    if family is None:
        raise CheckpointError(UNKNOWN_TEXT_ENCODER(file=path.name))
    kind: Any = of_transformers({"t5": "T5EncoderModel", "umt5": "UMT5EncoderModel"}.get(family, "AutoModel"))
    module = kind.from_pretrained(path, torch_dtype="auto", **only_here)
    return family, usable(module)


def from_file(path: Path) -> tuple[str, nn.Module]:
    with safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if any(name.endswith(QUANTIZED_ENDINGS) for name in weights):
        raise CheckpointError(QUANTIZED_FILE(file=path.name))
    if T5_BLOCK in weights:
        family, module = t5_of(weights)
    else:
        prefix = next(prefix for prefix in PREFIXES if prefix + LLAMA_BLOCK in weights)
        weights = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        family, module = llama_of(weights)
    own_names = module.state_dict().keys()
    module.load_state_dict({name: value for name, value in weights.items() if name in own_names}, assign=True)
    return family, usable(module)


def usable(module: nn.Module) -> nn.Module:
    """In a dtype that a CPU supports and that T5's states don't overflow."""
    first = next(iter(module.parameters()))
    return module.to(torch.bfloat16) if first.dtype == torch.float16 else module


def count_blocks(names: Sequence[str], beginning: str) -> int:
    return 1 + max(int(name[len(beginning) :].partition(".")[0]) for name in names if name.startswith(beginning))


def t5_of(weights: Mapping[str, Tensor]) -> tuple[str, nn.Module]:
    """T5 or UMT5, which has a table of distances in each block."""
    attention = "encoder.block.{}.layer.0.SelfAttention."
    family = "umt5" if attention.format(1) + "relative_attention_bias.weight" in weights else "t5"
    bias = weights[attention.format(0) + "relative_attention_bias.weight"]
    buckets, heads = bias.shape
    sizes = {
        "vocab_size": weights["shared.weight"].shape[0],
        "d_model": weights["shared.weight"].shape[1],
        "d_kv": weights[T5_BLOCK].shape[0] // heads,
        "d_ff": weights["encoder.block.0.layer.1.DenseReluDense.wo.weight"].shape[1],
        "num_layers": count_blocks(list(weights), "encoder.block."),
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
        "feed_forward_proj": "gated-gelu",
    }
    config, model = (of_transformers(f"{family.upper()}{kind}") for kind in ("Config", "EncoderModel"))
    with torch.device("meta"):
        module = model(config(**sizes))
    module.encoder.embed_tokens.weight = module.shared.weight = nn.Parameter(weights["shared.weight"])
    return family, module


def llama_of(weights: Mapping[str, Tensor]) -> tuple[str, nn.Module]:
    """Gemma 2, Qwen3, Qwen2.5 or Ministral, distinguished by the parts of their blocks."""
    block = "layers.0."
    more: dict[str, float | None]
    if block + "pre_feedforward_layernorm.weight" in weights:
        family, head, more = "gemma2", 256, {"query_pre_attn_scalar": 256, "attn_logit_softcapping": None}
        kind = "Gemma2"
    elif block + "self_attn.q_norm.weight" in weights:
        family, head, more = "qwen3", weights[block + "self_attn.q_norm.weight"].shape[0], {"rope_theta": 1e6}
        kind = "Qwen3"
    elif block + "self_attn.q_proj.bias" in weights:
        family, head, more = "qwen2", 128, {"rope_theta": 1e6}
        kind = "Qwen2"
    else:
        family, head, more = "mistral", 128, {"rope_theta": 1e6, "rms_norm_eps": 1e-5, "sliding_window": None}
        kind = "Mistral"
    vocabulary, width = weights["embed_tokens.weight"].shape
    sizes = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": weights[block + "mlp.up_proj.weight"].shape[0],
        "num_hidden_layers": count_blocks(list(weights), "layers."),
        "num_attention_heads": weights[block + "self_attn.q_proj.weight"].shape[0] // head,
        "num_key_value_heads": weights[block + "self_attn.k_proj.weight"].shape[0] // head,
        "head_dim": head,
        "pad_token_id": None,
        **more,
    }
    config, model = (of_transformers(kind + part) for part in ("Config", "Model"))
    return family, model(config(**sizes))
