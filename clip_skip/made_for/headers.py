"""The metadata in a model's header: its base model, and the clip skip that it was trained at.

docs/files.md has what each trainer writes. Here all is in our numbering.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from clip_skip.made_for.descriptions import mentioned
from clip_skip.made_for.reading import Unreadable, load_json
from clip_skip.made_for.recommendation import COUNTED_LAYERS, Recommendation
from clip_skip.skip import shorten

__all__ = ["header_model", "in_header"]

ARCHITECTURES = {"stable-diffusion-v1": "SD1", "stable-diffusion-v2": "SD2", "stable-diffusion-xl": "SDXL"}
VERSIONS = {"sd_v1": "SD1", "sd_v2": "SD2", "sdxl": "SDXL", "sd_1": "SD1", "sd_2": "SD2"}
ONE_TRAINER = {"STABLE_DIFFUSION_1": "SD1", "STABLE_DIFFUSION_2": "SD2", "STABLE_DIFFUSION_XL": "SDXL"}
"""How the values of `modelspec.architecture`, `ss_base_model_version` and OneTrainer's `model_type` begin."""

KOHYA = ("ss_clip_skip", "modelspec.encoder_layer", "clip_skip")
"""Keys of the value as sd-scripts counts: on SD2 from the top of the 23 blocks that are run. It ignores it on SDXL."""

CARDS = (
    *("modelspec.usage_hint", "modelspec.description", "modelspec.comment", "ss_training_comment"),
    *("usage_hint", "description", "comment", "notes", "model_card", "readme"),
)
"""Keys of texts for people."""

LAYER_SKIP = "text_encoder_layer_skip"


def header_model(metadata: Mapping[str, str]) -> str | None:
    """The model that the header names: "SD1", "SD2", "SDXL", or as it calls another one."""
    if metadata.get("ss_v2") == "True":
        return "SD2"
    fields = (
        (metadata.get("modelspec.architecture"), ARCHITECTURES),
        (metadata.get("ss_base_model_version"), VERSIONS),
        (one_trainer(metadata).get("model_type"), ONE_TRAINER),
    )
    for text, models in fields:
        if isinstance(text, str) and text not in ("", "None"):
            return next((model for start, model in models.items() if text.startswith(start)), shorten(text, 60)[1:-1])
    return None


def one_trainer(metadata: Mapping[str, str]) -> Mapping[str, Any]:
    """OneTrainer's settings; empty where there are none."""
    try:
        config = load_json(metadata.get("ot_config", "{}"))
    except Unreadable:
        return {}
    return config if isinstance(config, dict) else {}


def in_header(metadata: Mapping[str, str], file: str) -> Iterator[Recommendation]:
    """Everything in the header of `file` about clip skip, the most certain first."""
    model = header_model(metadata)
    layer_skip = one_trainer(metadata).get(LAYER_SKIP)
    if type(layer_skip) is int and model in ("SD1", "SD2", "SDXL"):
        value = layer_skip + (1 if model == "SD1" else 2)
        if layer_skip >= 0 and value <= COUNTED_LAYERS[model]:
            yield Recommendation(value, LAYER_SKIP, file, "trained", str(layer_skip), model)
    if model not in (None, "SD1", "SD2"):
        return
    for key in KOHYA:
        text = metadata.get(key, "").strip()
        value = int(text) + (model == "SD2") if re.fullmatch(r"[0-9]{1,2}", text) and int(text) else 0
        if 0 < value <= COUNTED_LAYERS[model or "SD1"]:
            yield Recommendation(value, key, file, "trained", text, model)
    if model == "SD2":
        return
    for key in CARDS:
        recommended_skip = mentioned(metadata.get(key))
        if recommended_skip:
            yield Recommendation(recommended_skip, key, file, "recommended", model=model)
