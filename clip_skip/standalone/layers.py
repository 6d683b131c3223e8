"""The layers of a checkpoint's text encoder for one prompt."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import nn

from clip_skip.encoder import TextEncoder
from clip_skip.layers.measure import Layers, measure_layers, notes_on_prompt, token_labels
from clip_skip.prompt import tags
from clip_skip.standalone.models.language_models import is_language_model, load_language_model, load_tokenizer
from clip_skip.standalone.models.text_encoders import load_text_encoder
from clip_skip.standalone.prompts.tokens import END, chunks, tokenizer

__all__ = ["measure_checkpoint_layers", "measure_loaded"]


def measure_checkpoint_layers(
    model: Path, prompt: str, tower: str | None = None, tokenizer_folder: Path | None = None
) -> Layers:
    """The layers for the first chunk of `prompt`, whose clip-skip tags are ignored, from one pass.

    model: a checkpoint, or a single text encoder other than CLIP, whose tokenizer may be in `tokenizer_folder`
    tower: "l" or "g", where SDXL has both; None is the first one. Raises `CheckpointError`.
    """
    if is_language_model(model):
        return measure_language_model(model, prompt, tokenizer_folder)
    encoder, module = load_text_encoder(model, tower)
    return measure_loaded(encoder, module, tokenizer(), prompt, model.stem)


def measure_language_model(model: Path, prompt: str, tokenizer_folder: Path | None) -> Layers:
    """The layers of a T5, Gemma, Qwen or Ministral for the whole prompt, without any image model's template."""
    words = load_tokenizer(model, tokenizer_folder)
    encoder, module = load_language_model(model)
    tokens = words.encode(tags.strip(prompt)).ids or [0]
    with torch.inference_mode():
        return measure_layers(
            encoder,
            lambda: module(input_ids=torch.tensor([tokens])),
            [words.decode([token], skip_special_tokens=False).strip() or str(token) for token in tokens],
            title=f"{model.stem}, {encoder.name}",
            notes=notes_on_prompt(1),
        )


def measure_loaded(encoder: TextEncoder, module: nn.Module, bpe: Tokenizer, prompt: str, model: str) -> Layers:
    """The same for a text encoder `module` in memory and its description; `model` is its checkpoint's name."""
    rows = chunks(bpe, tags.strip(prompt))
    length = rows[0].tolist().index(END) + 1
    words = [str(bpe.id_to_token(token)) for token in rows[0, :length].tolist()]
    row = rows[:1].to(next(module.parameters()).device)
    with torch.inference_mode():
        return measure_layers(
            encoder,
            lambda: module(row),
            token_labels(words),
            title=f"{model}, {encoder.name}",
            notes=notes_on_prompt(len(rows), empty=not words[1:-1]),
        )
