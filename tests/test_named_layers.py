"""LoRAs that OneTrainer has trained at another layer of T5."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from clip_skip.made_for.findings import inspect
from clip_skip.made_for.named_layers import LAYER_SKIPS, named_layer


def header(model, **settings):
    return {"ot_config": json.dumps({"model_type": model, **settings})}


@pytest.mark.parametrize("model", LAYER_SKIPS)
@pytest.mark.parametrize(
    ("skipped", "value"), [(1, 2), (5, 6), (0, None), (-1, None), (24, None), ("1", None), (True, None)]
)
def test_it_counts_the_layers_that_are_left_out(model, skipped, value):
    found = named_layer(header(model, **{LAYER_SKIPS[model]: skipped}))
    assert (found and found.value) == value


def test_other_models_and_headers_say_nothing():
    for metadata in ({}, {"ot_config": "{"}, {"ot_config": "[1]"}, header("FLUX_2", text_encoder_layer_skip=2)):
        assert named_layer(metadata) is None
    assert named_layer(header("FLUX_DEV_1", text_encoder_layer_skip=2)) is None  # CLIP-L's, whose pooled vector is used


def test_what_is_known_of_such_a_file(tmp_path):
    path = tmp_path / "flux.safetensors"
    name = "lora_transformer_double_blocks_0_img_attn_qkv"
    weights = {
        f"{name}.lora_down.weight": np.ones((2, 4), "float32"),
        f"{name}.lora_up.weight": np.ones((4, 2), "float32"),
    }
    save_file(weights, path, metadata=header("FLUX_DEV_1", text_encoder_2_layer_skip=2))
    found = inspect(str(path))
    assert (
        found.named_layer and found.named_layer.value == 3 and found.verdict.sentences[-1] == found.named_layer.message
    )
    assert "<clipskip:t5=3>" in str(found.named_layer.message) and found.verdict.clip_skip is None
    assert found.as_json()["named"] == {"tower": "t5", "clip_skip": 3, "source": "text_encoder_2_layer_skip"}
