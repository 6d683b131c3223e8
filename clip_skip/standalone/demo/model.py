"""The demonstration model in the package, and how to put it where a WebUI finds it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from clip_skip.standalone.files import replacing

CHECKPOINT = Path(__file__).with_name("clip-skip-demo.safetensors")
"""SD1 in a single file, fp16; its pictures are 128 x 128. Trained by `training/train.py`."""

CONFIG = CHECKPOINT.with_suffix(".yaml")
"""The config from which a WebUI builds the model; `ENCODER_FOLDER` is replaced by the path of the encoder's folder."""

ENCODER_FOLDER = "ENCODER_FOLDER"

_START, _END = "<|startoftext|>", "<|endoftext|>"

_ENCODER = {
    "architectures": ["CLIPTextModel"],
    "model_type": "clip_text_model",
    "vocab_size": 49408,
    "hidden_size": 64,
    "intermediate_size": 256,
    "num_hidden_layers": 12,
    "num_attention_heads": 4,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-05,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
    "pad_token_id": 49407,
    "projection_dim": 64,
}

_TOKENIZER = {
    "tokenizer_class": "CLIPTokenizer",
    "bos_token": _START,
    "eos_token": _END,
    "unk_token": _END,
    "pad_token": _END,
    "do_lower_case": True,
    "errors": "replace",
    "model_max_length": 77,
}


def write_demo_model(folder: Path) -> Path:
    """Put the checkpoint, its `.yaml` and its encoder's folder into `folder`, a WebUI's folder of models.

    Returns the path of the checkpoint. Raises FileNotFoundError if open_clip, which brings the vocabulary, is not
    installed. Existing files are replaced.
    """
    folder = Path(folder).resolve()
    encoder = folder / CHECKPOINT.stem
    encoder.mkdir(parents=True, exist_ok=True)
    write_encoder(encoder)
    config = CONFIG.read_text(encoding="utf-8").replace(ENCODER_FOLDER, json.dumps(encoder.as_posix()))
    _write(folder / CONFIG.name, config)
    with replacing(folder / CHECKPOINT.name) as path:
        shutil.copyfile(CHECKPOINT, path)
    return folder / CHECKPOINT.name


def write_encoder(folder: Path) -> None:
    """Write what `from_pretrained` of transformers needs to build the tokenizer and the (empty) text encoder."""
    from clip_skip.standalone.prompts import tokens  # imports torch, which is not needed otherwise

    tokens.tokenizer().model.save(str(folder))  # vocab.json and merges.txt
    special = {name: _TOKENIZER[name] for name in ("bos_token", "eos_token", "unk_token", "pad_token")}
    for name, content in (
        ("config.json", _ENCODER),
        ("tokenizer_config.json", _TOKENIZER),
        ("special_tokens_map.json", special),
    ):
        _write(folder / name, json.dumps(content, indent=2))


def _write(path: Path, text: str) -> None:
    with replacing(path) as unfinished_path:
        unfinished_path.write_text(text, encoding="utf-8", newline="\n")
