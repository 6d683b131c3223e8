"""Text encoders that are language models (T5, Gemma, Qwen, Ministral): Forge's, and Forge Neo's for models after SDXL.

A text processing engine is recognized by the name of its class, never by that of the attribute: Z-Image's Qwen is
`text_processing_engine_gemma`. Clip skip has no effect on a class that is not listed. Sources: Forge f2.0.1; Forge Neo
2.26, and its later engines, which run ComfyUI's `SDClipModel`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clip_skip.encoder import TextEncoder, from_stack

__all__ = [
    "ENGINES",
    "SEVERAL_LAYERS",
    "NamedEncoder",
    "load_on_device",
    "named_encoders",
    "takes_several_layers",
    "token_texts",
]

ENGINE_PREFIX = "text_processing_engine"
LAST = -1
DEEPSTACK = 3
"""Qwen3-VL: the host adds the features of the input picture after these blocks, outside of them."""


@dataclass(frozen=True)
class NamedEncoder:
    """A text encoder that only a tag with its name reaches.

    attribute: where the model has the engine
    engine:    the host's: called with texts, it returns a row or more for each
    """

    attribute: str
    engine: Any
    encoder: TextEncoder


ENGINES = {
    "T5TextProcessingEngine": ("t5", "T5-XXL"),
    "T5XXLEngine": ("t5", "T5-XXL"),
    "UMT5TextProcessingEngine": ("t5", "UMT5-XXL"),
    "UMT5XXLEngine": ("t5", "UMT5-XXL"),
    "GemmaTextProcessingEngine": ("gemma", "Gemma 2 2B"),
    "Gemma22BEngine": ("gemma", "Gemma 2 2B"),
    "GemmaItTextProcessingEngine": ("gemma", "Gemma 2 2B"),
    "Gemma22BITEngine": ("gemma", "Gemma 2 2B"),
    "Qwen3TextProcessingEngine": ("qwen", "Qwen3 4B"),
    "Qwen34BEngine": ("qwen", "Qwen3 4B"),
    "QwenTextProcessingEngine": ("qwen", "Qwen2.5-VL 7B"),
    "Qwen25VL7BEngine": ("qwen", "Qwen2.5-VL 7B"),
    "Qwen3VL8BEngine": ("qwen", "Qwen3-VL 8B"),
    "AnimaTextProcessingEngine": ("qwen", "Qwen3 0.6B"),
    "Qwen06Engine": ("qwen", "Qwen3 0.6B"),
    "Ministral3TextProcessingEngine": ("ministral", "Ministral 3 3B"),
    "Ministral3Engine": ("ministral", "Ministral 3 3B"),
}
"""The name in a tag, and the name of the encoder for people, by the class of its engine."""

SEVERAL_LAYERS = frozenset(
    {
        "KleinTextProcessingEngine",
        "Qwen3_4B_8B_Engine",
        "Qwen3VLTextProcessingEngine",
        "Qwen3VL4BEngine",
        "Krea2TextProcessingEngine",
    }
)
"""The engines of Flux.2 klein and Krea 2, which use several layers at once."""

WITH_DEEPSTACK = frozenset({"Qwen3VL8BEngine"})


def named_encoders(model: Any) -> list[NamedEncoder]:
    """The engines of `model`, a diffusion engine; empty for a model of another host."""
    supported_engines = ((name, engine) for name, engine in engines(model) if type(engine).__name__ in ENGINES)
    descriptions = ((name, engine, describe(engine)) for name, engine in supported_engines)
    return [NamedEncoder(name, engine, encoder) for name, engine, encoder in descriptions if encoder]


def takes_several_layers(model: Any) -> bool:
    """Whether the model uses several layers of its text encoder at once, so that none can be chosen."""
    return any(type(engine).__name__ in SEVERAL_LAYERS or published(engine) is None for _, engine in engines(model))


def engines(model: Any) -> list[tuple[str, Any]]:
    """The text processing engines of `model` that are not CLIP's, by their attributes' names."""
    attributes = getattr(model, "__dict__", {}).items() if hasattr(model, "forge_objects") else ()
    classes = (*ENGINES, *SEVERAL_LAYERS)
    return [
        (name, value)
        for name, value in attributes
        if name.startswith(ENGINE_PREFIX) and type(value).__name__ in classes
    ]


def describe(engine: Any) -> TextEncoder | None:
    """The encoder of an engine in `ENGINES`; None if it uses several layers, or has an unknown structure."""
    kind = type(engine).__name__
    layer = published(engine)
    if layer is None:
        return None
    tower, name = ENGINES[kind]
    inner = getattr(engine.text_encoder, "transformer", engine.text_encoder)
    incomplete = DEEPSTACK if kind in WITH_DEEPSTACK else 0
    try:
        return from_stack(inner, name, tower, *layer, incomplete)
    except AttributeError:
        return None


def published(engine: Any) -> tuple[int, bool] | None:
    """The clip skip that the host runs `engine` at, and whether the final norm follows; None for several layers.

    It is derived from the host's objects: ComfyUI's `SDClipModel` has a `layer`, "last" (always normed), "hidden"
    (`layer_idx`), or a list or "all"; engines of Neo 2.26 have an `intermediate_output` unless they take the last.
    """
    inner = engine.text_encoder
    if hasattr(inner, "layer") and hasattr(inner, "layer_idx"):
        layer = inner.layer_idx if inner.layer == "hidden" else None if inner.layer == "last" else inner.layer
        norm = inner.layer_norm_hidden_state
    else:
        layer = getattr(engine, "intermediate_output", None)
        norm = getattr(engine, "layer_norm_hidden_state", False)
    if layer is None:
        return 1, True
    return (-layer, bool(norm)) if isinstance(layer, int) and layer <= LAST else None


class Tokenized(Exception):
    """Raised where the tokens are embedded, to end the pass."""


def token_texts(engine: Any, texts: list[str]) -> tuple[str, ...]:
    """The text of each of `engine`'s tokens for the first of `texts`, with the template and without padding."""
    inner = getattr(engine.text_encoder, "transformer", engine.text_encoder)
    embedding: Any = getattr(inner, "shared", None) or inner.get_input_embeddings()
    tokens: list[int] = []

    def take(_embedding: object, inputs: tuple[Any, ...]) -> None:
        tokens.extend(inputs[0][0].tolist())
        raise Tokenized

    hook = embedding.register_forward_pre_hook(take)
    try:
        engine(texts)
    except Tokenized:
        pass
    finally:
        hook.remove()
    length = len(tokens)
    while length > 1 and tokens[length - 1] == tokens[length - 2]:
        length -= 1
    tokens = tokens if length == len(tokens) else tokens[: max(length - 1, 1)]
    tokenizer: Any = getattr(engine, "qwen_tokenizer", None) or getattr(engine, "tokenizer", None)
    tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
    decode = getattr(tokenizer, "decode", None)
    return tuple((str(decode([token])).strip() if decode else "") or str(token) for token in tokens)


def load_on_device(model: Any) -> None:
    """Moves the text encoders of `model` to the device where the host runs them, as its own encoding does first."""
    from backend import memory_management

    memory_management.load_model_gpu(model.forge_objects.clip.patcher)
