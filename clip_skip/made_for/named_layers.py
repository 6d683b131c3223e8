"""At which layer of T5 a LoRA of Flux, Chroma or SD3 was trained, where OneTrainer's settings are in it.

OneTrainer leaves k layers of T5 out, with the final norm after it (`encode_t5` and the models' `encode_text` of
23df3832): our k + 1. Which of its text encoders T5 is differs by model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clip_skip.made_for.headers import one_trainer
from clip_skip.messages.message import Message, Template
from clip_skip.skip import shorten

__all__ = ["TRAINED_AT", "NamedLayer", "named_layer"]

LAYER_SKIPS = {
    "FLUX_DEV_1": "text_encoder_2_layer_skip",
    "FLUX_FILL_DEV_1": "text_encoder_2_layer_skip",
    "CHROMA_1": "text_encoder_layer_skip",
    "STABLE_DIFFUSION_3": "text_encoder_3_layer_skip",
    "STABLE_DIFFUSION_35": "text_encoder_3_layer_skip",
}
"""OneTrainer's setting for T5, by its `model_type`."""

T5_LAYERS = 24

TRAINED_AT = Template(
    "It was trained with T5 at clip skip {value} ({source} {written}); {tag} in the prompt does the same."
)


@dataclass(frozen=True)
class NamedLayer:
    """The clip skip of T5 in our numbering, and the setting with its original value."""

    value: int
    source: str
    original: int
    tower: str = "t5"

    @property
    def message(self) -> Message:
        tag = shorten(f"<clipskip:{self.tower}={self.value}>")
        return TRAINED_AT(value=self.value, source=self.source, written=self.original, tag=tag)


def named_layer(metadata: Mapping[str, str]) -> NamedLayer | None:
    """The header's statement about T5; None where there is none, or where T5 was used as published."""
    settings = one_trainer(metadata)
    source = LAYER_SKIPS.get(str(settings.get("model_type")))
    layer_skip = settings.get(source) if source else None
    if source is None or type(layer_skip) is not int or not 0 < layer_skip < T5_LAYERS:
        return None
    return NamedLayer(layer_skip + 1, source, layer_skip)
