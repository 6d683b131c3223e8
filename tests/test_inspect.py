"""Which clip skip a file was made for, told from weights that are trained here."""

import json
import math
import os
import pickle
import re
import struct
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

pytest.importorskip("peft")
pytest.importorskip("lycoris")

from clip_skip.made_for import blocks_figure, findings, reading, safetensors_file, verdict
from clip_skip.made_for.findings import inspect
from clip_skip.made_for.kinds import FIRST_OF_SEVERAL, G_ALONE
from clip_skip.made_for.naming import parse_tensor_name
from clip_skip.made_for.reading import Problem, complaint
from clip_skip.made_for.verdict import FAINT, top
from clip_skip.standalone.cli.main import main
from clip_skip.standalone.demo.model import CHECKPOINT

from .helpers import growth
from .host_models import clip_tower
from .random_model import SMALL_SD2, random_weights
from .trained import LAYERS, TEXT, demo_weights, fine_tuned, lycoris_adapter, peft_adapter

HALF, BRAIN = torch.float16, torch.bfloat16
KINDS = {"lora": "LoRA", "loha": "LoHa", "lokr": "LoKr", "full": "full difference", "ia3": "(IA)3"}
OTHERS = {"diag-oft": "OFT", "glora": "GLoRA"}


@pytest.fixture(autouse=True)
def forget():
    reading.once.cache_clear()


@cache
def trained(algo, clip_skip, seed=0):
    return lycoris_adapter(algo, clip_skip, seed, **({"factor": 4} if algo == "lokr" else {}))


@cache
def tuned(clip_skip):
    return fine_tuned(clip_skip)


def save(path, state, dtype=HALF, **said):
    kept = {name: one.to(dtype).contiguous() if one.is_floating_point() else one for name, one in state.items()}
    save_file(kept, path, metadata=said or None)
    return str(path)


def renamed(state, pattern, put):
    return {re.sub(pattern, put, name): one for name, one in state.items()}


def told(path, base=None):
    """What is said of a file: the kind, the model, the clip skip and how surely."""
    found = inspect(path, base and str(base))
    return found.kind, found.model, found.verdict.clip_skip, found.verdict.certainty


def certainty(clip_skip):
    return "likely" if clip_skip == 1 else "exact"


@pytest.mark.parametrize("dtype", [HALF, BRAIN])
@pytest.mark.parametrize("clip_skip", [1, 2, 4])
@pytest.mark.parametrize("algo", KINDS)
def test_adapters_that_lycoris_trains(tmp_path, algo, clip_skip, dtype):
    path = save(tmp_path / "a.safetensors", trained(algo, clip_skip), dtype)
    assert told(path) == (KINDS[algo], "SD1", clip_skip, certainty(clip_skip))
    blocks = inspect(path).weights.blocks["l"]
    assert [bool(block.largest) for block in blocks] == [True] * (13 - clip_skip) + [False] * (clip_skip - 1)


@pytest.mark.parametrize("algo", OTHERS)
def test_other_adapters_that_lycoris_trains(tmp_path, algo):
    assert told(save(tmp_path / "a.safetensors", trained(algo, 2))) == (OTHERS[algo], "SD1", 2, "exact")


@pytest.mark.parametrize(
    ("kind", "config", "clip_skip", "how"),
    [
        ("LoRA", "LoraConfig", 1, {"r": 4}),
        ("LoRA", "LoraConfig", 4, {"r": 4}),
        ("DoRA", "LoraConfig", 2, {"r": 4, "use_dora": True}),
        ("LoHa", "LoHaConfig", 2, {"r": 4}),
        ("LoKr", "LoKrConfig", 2, {"r": 4}),
        ("(IA)3", "IA3Config", 2, {"feedforward_modules": ["fc2"]}),
    ],
)
def test_adapters_that_peft_trains(tmp_path, kind, config, how, clip_skip):
    import peft

    state = peft_adapter(getattr(peft, config)(target_modules=LAYERS, **how), clip_skip)
    for dtype in (HALF, BRAIN):
        path = save(tmp_path / f"{dtype}.safetensors", state, dtype)
        assert told(path) == (kind, "SD1", clip_skip, certainty(clip_skip))


def test_a_change_is_at_least_the_real_one_and_at_most_some_times_it(tmp_path):
    state = trained("lora", 2)
    found = inspect(save(tmp_path / "a.safetensors", state, torch.float32)).weights.blocks["l"]
    for number, block in enumerate(found):
        ups = [name for name in state if f"layers_{number}_" in name and name.endswith("lora_up.weight")]
        real = max(
            float((state[up] @ state[up.replace("up", "down")]).abs().max())
            * float(state[up.replace("lora_up.weight", "alpha")])
            / 4
            for up in ups
        )
        assert real <= block.largest * (1 + 1e-5) and block.largest <= 4 * real


def dotted(put):
    """sd-scripts' names as those of diffusers, each layer's after `put`."""
    layer = r"lora_te_text_model_encoder_layers_(\d+)_(self_attn|mlp)_(\w+)\.lora_"
    return lambda state: renamed(renamed(state, layer + "up", put + "UP"), layer + "down", put + "DOWN")


DIFFUSERS = r"text_encoder.text_model.encoder.layers.\1.\2.\3"


def underscored(start):
    """sd-scripts' names with another beginning."""
    return lambda state: renamed(state, "^lora_te_", start)


def up_and_down(put, up="lora_up", down="lora_down"):
    return lambda state: renamed(renamed(dotted(put)(state), "UP", up), "DOWN", down)


SCHEMES = {
    "sd-scripts": lambda state: state,
    "PEFT": lambda state: renamed(renamed(dotted(DIFFUSERS + ".")(state), "UP", "lora_B"), "DOWN", "lora_A"),
    "PEFT in memory": lambda state: renamed(
        renamed(dotted(DIFFUSERS + ".")(state), "UP", "lora_B.default"), "DOWN", "lora_A.default"
    ),
    "diffusers, lora.up": lambda state: renamed(
        renamed(dotted(DIFFUSERS + ".lora.")(state), "UP", "up"), "DOWN", "down"
    ),
    "diffusers, _lora.up": lambda state: renamed(
        renamed(dotted(DIFFUSERS + "_lora.")(state), "UP", "up"), "DOWN", "down"
    ),
    "diffusers, lora_linear_layer": lambda state: renamed(
        renamed(dotted(DIFFUSERS + ".lora_linear_layer.")(state), "UP", "up"), "DOWN", "down"
    ),
    "OneTrainer, OMI": up_and_down(r"clip_l.text_model.encoder.layers.\1.\2.\3."),
    "ComfyUI": up_and_down(r"text_encoders.clip_l.transformer.text_model.encoder.layers.\1.\2.\3."),
    "OneTrainer, ComfyUI's": up_and_down(
        r"text_encoders.clip_l.transformer.text_model.encoder.layers.\1.\2.\3.", "lora_B", "lora_A"
    ),
    "ComfyUI's own names": up_and_down(r"clip_l.transformer.text_model.encoder.layers.\1.\2.\3."),
    "PEFT alone": up_and_down(r"base_model.model.text_model.encoder.layers.\1.\2.\3.", "lora_B", "lora_A"),
    "transformers 5": up_and_down(r"text_encoder.encoder.layers.\1.\2.\3.", "lora_B", "lora_A"),
    "LyCORIS alone": underscored("lycoris_"),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_same_tensors_under_every_scheme(tmp_path, scheme):
    plain = inspect(save(tmp_path / "plain.safetensors", trained("lora", 2)))
    state = {name: one for name, one in trained("lora", 2).items() if not name.endswith("alpha")}
    names = SCHEMES[scheme](state)
    assert len(names) == len(state) == len({parse_tensor_name(name) for name in names} - {None})
    path = save(tmp_path / "a.safetensors", names)
    assert told(path) == ("LoRA", "SD1", 2, "exact")
    levels = [block.largest for block in inspect(path).weights.blocks["l"]]
    assert np.allclose(levels, [2 * block.largest for block in plain.weights.blocks["l"]])  # alpha 2 and rank 4


@cache
def of_sd2(clip_skip):
    """As trainers hold SD2's text encoder, without the block that is never run."""
    return lycoris_adapter("lora", clip_skip - 1, module=clip_tower(23), steps=1)


def test_no_torch_is_imported_and_nothing_else_that_is_slow(tmp_path):
    path = save(tmp_path / "a.safetensors", trained("lora", 2))
    program = "import sys; from clip_skip.standalone.cli.main import main; code = main(sys.argv[1:]); "
    program += "heavy = {'torch', 'transformers', 'diffusers', 'matplotlib'} & sys.modules.keys(); "
    program += "sys.exit(code or sorted(heavy) or 0)"
    command = [sys.executable, "-c", program, "inspect", path]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    "name",
    [
        "lora_te_transformer_resblocks",
        "lora_te_text_model_encoder_layers",
        "text_encoders.clip_h.transformer.text_model.encoder.layers",
    ],
)
def test_sd2_in_all_names(tmp_path, name):
    for clip_skip in (2, 3):
        path = save(
            tmp_path / f"{clip_skip}.safetensors", renamed(of_sd2(clip_skip), "lora_te_text_model_encoder_layers", name)
        )
        assert told(path) == ("LoRA", "SD2", clip_skip, "exact")
        assert len(inspect(path).weights.blocks["h"]) == 24


UNET = "input_blocks_4_1_transformer_blocks_0_attn2_to_k"
DOTTED = "input_blocks.4.1.transformer_blocks.0.attn2.to_k"


@pytest.mark.parametrize(
    ("start", "unet", "inputs", "model"),
    [
        ("lora_te_", f"lora_unet_{UNET}", 768, "SD1"),
        ("lora_te1_", f"lora_unet_{UNET}", 2048, "SDXL"),
        ("lora_te1_", "lora_unet_double_blocks_0_img_attn_proj", 3072, "Flux"),
        ("lora_te1_", "lora_unet_joint_blocks_0_x_block_attn_proj", 1536, "SD3"),
        ("lora_te1_", "lora_te3_encoder_block_0_layer_0_SelfAttention_q", 4096, "SD3 or Flux"),
        ("text_encoders.clip_l.transformer.", f"diffusion_model.{DOTTED}", 768, "SD1"),
        ("text_encoders.clip_l.transformer.", f"diffusion_model.{DOTTED}", 2048, "SDXL"),
        ("text_encoders.clip_l.transformer.", "diffusion_model.joint_blocks.0.x_block.attn.proj", 1536, "SD3"),
        ("text_encoders.clip_l.transformer.", "diffusion_model.double_blocks.0.img_attn.proj", 3072, "Flux"),
        (
            "text_encoders.clip_l.transformer.",
            "text_encoders.t5xxl.transformer.encoder.block.0.layer.0",
            4096,
            "SD3 or Flux",
        ),
        ("clip_l.", f"unet.{DOTTED}", 768, "SD1"),
    ],
)
def test_a_first_text_encoder_beside_a_unet(tmp_path, start, unet, inputs, model):
    state = renamed(trained("lora", 2), "^lora_te_", start)
    if "." in start:
        state = renamed(state, r"text_model_encoder_layers_(\d+)_(mlp|self_attn)_", r"text_model.encoder.layers.\1.\2.")
    found = inspect(save(tmp_path / "a.safetensors", state | named_lora(unet, inputs=inputs)))
    assert found.model == model
    assert found.verdict.clip_skip == (2 if model == "SD1" else None)


@pytest.mark.parametrize(
    ("clip_skip", "value", "sentence"),
    [
        (1, None, verdict.POOLED(tower="CLIP-L")),
        (2, None, verdict.AS_PUBLISHED(model=FIRST_OF_SEVERAL)),
        (4, 4, verdict.CHANGED(edge=9, count=12, value=4)),
    ],
)
def test_a_numbered_text_encoder_alone_is_never_sd1s(tmp_path, clip_skip, value, sentence):
    found = inspect(save(tmp_path / "a.safetensors", underscored("lora_te1_")(trained("lora", clip_skip))))
    assert (found.model, found.verdict.clip_skip) == (FIRST_OF_SEVERAL, value)
    assert found.verdict.sentences == (sentence,)
    named = save(
        tmp_path / "b.safetensors", underscored("lora_te1_")(trained("lora", 2)), ss_base_model_version="sdxl_"
    )
    assert inspect(named).model == "SDXL"


def clip_g(start):
    tower = clip_tower(32).state_dict()
    return {f"{start}{name}": one for name, one in tower.items() if "encoder.layers" in name}


@pytest.mark.parametrize("start", ["", "clip_g.", "text_encoders.clip_g.transformer."])
def test_a_clip_g_alone(tmp_path, start):
    state = renamed(clip_g(start), r"(^|\.)encoder", r"\1text_model.encoder")
    path = save(tmp_path / "a.safetensors", state)
    assert told(path) == ("text encoder", "SDXL" if start else G_ALONE, None, "none")
    changed = {name: one + 0.01 for name, one in state.items()}
    if not start:
        found = inspect(save(tmp_path / "b.safetensors", changed), path)
        assert found.verdict.sentences == (verdict.POOLED(tower="CLIP-G"),)


def test_a_clip_g_of_full_width_is_known_by_its_width(tmp_path):
    state = {"text_model.encoder.layers.0.self_attn.q_proj.weight": torch.zeros(8, 1280)}
    assert told(save(tmp_path / "a.safetensors", state))[:2] == ("text encoder", G_ALONE)


@pytest.mark.parametrize(("clip_skip", "value"), [(2, None), (3, 3), (4, 4)])
def test_what_two_or_more_untouched_blocks_of_sdxls_clip_l_show(tmp_path, clip_skip, value):
    """OneTrainer and diffusers' advanced script train SDXL at a chosen clip skip."""
    state = underscored("lora_te1_")(trained("lora", clip_skip)) | named_lora(f"lora_unet_{UNET}", inputs=2048)
    settings = {"model_type": "STABLE_DIFFUSION_XL_10_BASE", "text_encoder_layer_skip": clip_skip - 2}
    path = save(tmp_path / "a.safetensors", state, ss_base_model_version="sdxl_", ot_config=json.dumps(settings))
    found = inspect(path)
    assert (found.model, found.verdict.clip_skip, found.metadata.value) == ("SDXL", value, clip_skip)
    source = f"text_encoder_layer_skip {clip_skip - 2}, a.safetensors"
    assert found.verdict.sentences[1] == verdict.SAYS(value=clip_skip, source=source)


def test_settings_are_all_there_is_in_a_lora_without_a_text_encoder(tmp_path):
    settings = json.dumps({"model_type": "STABLE_DIFFUSION_15", "text_encoder_layer_skip": 1})
    path = save(tmp_path / "a.safetensors", named_lora(f"lora_unet_{UNET}"), ot_config=settings)
    found = inspect(path)
    source = "text_encoder_layer_skip 1, a.safetensors"
    assert found.verdict.sentences == (verdict.NO_TEXT_ENCODER, verdict.SAYS(value=2, source=source))


def test_a_small_sd2_checkpoint_is_what_the_sweep_calls_it(tmp_path):
    from clip_skip.standalone.models.header import inspect as sweeps_inspect

    state, heads = dict(random_weights(SMALL_SD2)), {"clip_skip.unet_head_channels": "16", "clip_skip.text_heads": "4"}
    path = save(tmp_path / "a.safetensors", state, **heads)
    assert told(path)[:2] == ("checkpoint", sweeps_inspect(Path(path)).family) == ("checkpoint", "SD2")
    trained = [f"resblocks.{number}." for number in range(SMALL_SD2.text_layers - 2)]
    changed = {name: one + 0.01 if any(block in name for block in trained) else one for name, one in state.items()}
    assert told(save(tmp_path / "b.safetensors", changed), path)[2:] == (3, "exact")


def test_sdxl_is_said_and_nothing_follows(tmp_path):
    state = renamed(trained("lora", 2), "lora_te_", "lora_te1_")
    state |= renamed(lycoris_adapter("lora", 1, module=clip_tower(32), steps=1), "lora_te_", "lora_te2_")
    found = inspect(save(tmp_path / "a.safetensors", state, ss_clip_skip="1", ss_base_model_version="sdxl_base_v1-0"))
    assert (found.model, found.weights.clip_skip, found.verdict.clip_skip) == ("SDXL", 2, None)
    assert {name: len(blocks) for name, blocks in found.weights.blocks.items()} == {"l": 12, "g": 32}
    assert found.verdict.sentences == (verdict.AS_PUBLISHED(model="SDXL"),) and found.metadata is None


LORA = {"lora_up.weight": (4, 2), "lora_down.weight": (2, 768)}


def named_lora(*layers, inputs=768):
    return {f"{layer}.{end}": torch.ones(*shape[:-1], inputs) for layer in layers for end, shape in LORA.items()}


@pytest.mark.parametrize(
    ("layer", "inputs", "model"),
    [
        ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", 768, "SD1"),
        ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", 1024, "SD2"),
        ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k", 2048, "SDXL"),
        ("lora_unet_double_blocks_0_img_attn_proj", 3072, "Flux"),
        ("transformer.single_transformer_blocks.0.attn.to_q", 3072, "Flux"),
        ("lora_unet_joint_blocks_0_x_block_attn_proj", 1536, "SD3"),
        ("diffusion_model.blocks.0.self_attn.q", 5120, "another model"),
        ("something_else", 12, None),
    ],
)
def test_no_text_encoder(tmp_path, layer, inputs, model):
    found = inspect(save(tmp_path / "a.safetensors", named_lora(layer, inputs=inputs)))
    assert (found.kind, found.model, found.weights) == ("LoRA", model, None)
    assert (found.verdict.clip_skip, found.verdict.certainty) == (None, "none")
    json.dumps(found.as_json())


def test_a_text_encoder_of_another_model_is_left_alone(tmp_path):
    state = renamed(trained("lora", 2), "lora_te_", "lora_te1_") | named_lora("lora_unet_double_blocks_0_img_attn_proj")
    found = inspect(save(tmp_path / "a.safetensors", state))
    assert (found.model, found.weights) == ("Flux", None) and "Flux" in found.verdict.reason


def test_the_weights_come_before_the_metadata(tmp_path):
    path = save(tmp_path / "a.safetensors", trained("lora", 2), ss_clip_skip="1", ss_base_model_version="sd_v1")
    found = inspect(path)
    assert found.verdict.clip_skip == 2
    assert found.as_json()["metadata"] == {"clip_skip": 1, "source": "ss_clip_skip", "how": "trained"}
    changed = verdict.CHANGED(edge=11, count=12, value=2)
    assert found.verdict.sentences == (changed, verdict.BUT_SAYS(value=1, source="ss_clip_skip, a.safetensors"))
    same = inspect(save(tmp_path / "b.safetensors", trained("lora", 2), ss_clip_skip="2"))
    assert same.verdict.sentences[1] == verdict.SAYS(value=2, source="ss_clip_skip, b.safetensors")


def test_merges_of_loras(tmp_path):
    one, two = trained("lora", 1, seed=5), trained("lora", 2)
    ends = ("lora_up.weight", "lora_down.weight")

    def merged(share):
        """Side by side, as ranks of one LoRA."""
        state = {}
        for name in two:
            if name.endswith(ends):
                scaled = one[name] * (share / (1 - share) if "up" in name else 1)
                state[name] = torch.cat([two[name], scaled], 1 if "up" in name else 0)
        return state

    for share, clip_skip in ((0.5, 1), (0.1, 2), (0.01, 2)):
        path = save(tmp_path / f"{share}.safetensors", merged(share))
        assert told(path)[2:] == (clip_skip, "likely") and "at least part" in inspect(path).verdict.reason
    both = {name: two[name] + (trained("lora", 4)[name] if "up" in name else 0) for name in two}
    assert told(save(tmp_path / "b.safetensors", both))[2:] == (2, "exact")


def test_where_the_faint_blocks_begin():
    assert top([1.0] * 11 + [0.0]) == 11
    assert top([1.0] * 10 + [FAINT / 2] * 2) == 10
    assert top([1.0] * 11 + [FAINT * 2]) == 12
    assert top([9.0] + [1.0] * 11) == 12
    assert top([1.0] * 5 + [0.0] + [1.0] * 6) == 12
    assert top([0.0] * 12) == 0


def test_cleared_blocks_are_said(tmp_path):
    def cleared(skip, blocks, ends):
        return {
            name: one * 0 if name.endswith(ends) and any(f"layers_{n}_" in name for n in blocks) else one
            for name, one in trained("lora", skip).items()
        }

    up, both = ("up.weight",), ("up.weight", "down.weight")
    assert told(save(tmp_path / "a.safetensors", cleared(1, [5], up)))[2:] == (1, "likely")
    assert told(save(tmp_path / "b.safetensors", cleared(2, [5], up)))[2:] == (2, "likely")
    top_cleared = inspect(save(tmp_path / "c.safetensors", cleared(1, [11], both))).verdict
    assert (top_cleared.clip_skip, top_cleared.certainty) == (
        2,
        "likely",
    ) and top_cleared.sentences == (verdict.CLEARED_ABOVE(edge=11, count=12, value=2),)
    assert told(save(tmp_path / "d.safetensors", cleared(1, range(12), up)))[2:] == (None, "none")
    left_out = {name: one for name, one in trained("lora", 2).items() if "layers_11_" not in name}
    assert told(save(tmp_path / "e.safetensors", left_out))[2:] == (2, "likely")


def test_what_float16_may_have_lost(tmp_path):
    state = lycoris_adapter("lora", 2, rate=1e-8)
    assert told(save(tmp_path / "a.safetensors", state))[2:] == (2, "likely")
    assert told(save(tmp_path / "b.safetensors", state, torch.float32))[2:] == (2, "exact")


def checkpoint(path, state, dtype, work=None):
    """A checkpoint with what is compared of one, and a tensor of a UNet."""
    kept = {name: one for name, one in demo_weights().items() if "time_embed" in name or "encoder.layers" in name}
    changed = {name: (work(one) if work else one).to(dtype) for name, one in state.items() if name in kept}
    save_file(kept | changed, path)
    return str(path)


@pytest.mark.parametrize("clip_skip", [1, 2, 3])
def test_fine_tunes_beside_their_base(tmp_path, clip_skip):
    for dtype in (torch.float32, HALF, BRAIN):
        path = checkpoint(tmp_path / f"{dtype}.safetensors", tuned(clip_skip), dtype)
        assert told(path, CHECKPOINT) == ("checkpoint", "SD1", clip_skip, certainty(clip_skip))
    path = checkpoint(tmp_path / "a.safetensors", tuned(clip_skip), HALF, lambda one: one.to(BRAIN))
    assert told(path, CHECKPOINT)[2] == clip_skip
    path = checkpoint(tmp_path / "b.safetensors", tuned(clip_skip), HALF)
    old = renamed(demo_weights(), r"transformer\.text_model", "transformer")
    save_file(old, tmp_path / "old.safetensors")
    assert told(path, tmp_path / "old.safetensors")[2] == clip_skip
    assert told(path) == ("checkpoint", "SD1", None, "none")
    alone = save(tmp_path / "c.safetensors", renamed(tuned(clip_skip), TEXT, "text_model."))
    assert told(alone, CHECKPOINT) == ("text encoder", "SD1", clip_skip, certainty(clip_skip))


@pytest.mark.parametrize("clip_skip", [1, 2, 3])
@pytest.mark.parametrize("share", [0.5, 0.3])
def test_merges_with_the_base(tmp_path, clip_skip, share):
    base = {name: demo_weights()[name] for name in tuned(clip_skip)}
    for work in (torch.Tensor.float, torch.Tensor.half):
        state = {name: work(one) * share + work(base[name]) * (1 - share) for name, one in tuned(clip_skip).items()}
        path = checkpoint(tmp_path / f"{work.__name__}.safetensors", state, HALF)
        assert told(path, CHECKPOINT)[2] == clip_skip
        if work is torch.Tensor.float:
            assert told(path, CHECKPOINT)[3] == certainty(clip_skip)


def test_what_cannot_be_compared(tmp_path):
    copy = checkpoint(tmp_path / "copy.safetensors", {}, HALF)
    assert told(copy, CHECKPOINT)[2:] == (None, "none")
    assert inspect(copy, copy).verdict.sentences == (findings.BASE_ITSELF,)
    lora = save(tmp_path / "lora.safetensors", trained("lora", 2))
    assert told(lora, CHECKPOINT)[2:] == (2, "exact")
    assert inspect(copy, lora).verdict.sentences == (findings.OTHER_BASE,)
    sizes = {name: one[:32] if "q_proj.weight" in name else one for name, one in demo_weights().items()}
    save_file({name: one.contiguous() for name, one in sizes.items()}, tmp_path / "sizes.safetensors")
    resized = inspect(str(tmp_path / "sizes.safetensors"), str(CHECKPOINT))
    assert resized.verdict.sentences == (verdict.OTHER_SIZES,)
    with pytest.raises(Problem, match=r"gone"):
        inspect(copy, str(tmp_path / "gone.safetensors"))


def test_sd2_checkpoints_of_both_orders_are_compared(tmp_path):
    start = "cond_stage_model.model."
    tower = clip_tower(24).state_dict()
    layers = {re.sub(r"^(text_model\.)?", "", name): one for name, one in tower.items() if "encoder.layers" in name}
    base = {}
    for block in range(24):
        before, after = f"encoder.layers.{block}.", f"{start}transformer.resblocks.{block}."
        for end in ("weight", "bias"):
            thirds = [layers[f"{before}self_attn.{part}_proj.{end}"] for part in "qkv"]
            base[f"{after}attn.in_proj_{end}"] = torch.cat(thirds)
            for ours, theirs in (
                ("mlp.fc1", "mlp.c_fc"),
                ("layer_norm1", "ln_1"),
                ("self_attn.out_proj", "attn.out_proj"),
            ):
                base[f"{after}{theirs}.{end}"] = layers[f"{before}{ours}.{end}"]
    changed = {
        f"cond_stage_model.transformer.text_model.{name}": one + 0.01 * (int(name.split(".")[2]) < 23)
        for name, one in layers.items()
    }
    unet = {"model.diffusion_model.time_embed.0.weight": torch.ones(2, 2)}
    path, other = (
        save(tmp_path / f"{n}.safetensors", state | unet, torch.float32) for n, state in ((1, changed), (2, base))
    )
    assert told(path, other) == ("checkpoint", "SD2", 2, "exact")


@pytest.mark.parametrize(
    ("state", "model"),
    [
        ({"emb_params": torch.ones(3, 768)}, "SD1"),
        ({"emb_params": torch.ones(3, 1024)}, "SD2"),
        ({"clip_l": torch.ones(3, 768), "clip_g": torch.ones(3, 1280)}, "SDXL"),
        ({"<cat>": torch.ones(768)}, "SD1"),
    ],
)
def test_textual_inversions(tmp_path, state, model):
    assert told(save(tmp_path / "a.safetensors", state)) == ("textual inversion", model, None, "none")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("end", ["lora_up.weight", "lora_down.weight", "alpha"])
def test_values_that_are_no_numbers(tmp_path, value, end):
    state = {name: one.clone() for name, one in trained("lora", 2).items()}
    state[f"lora_te_text_model_encoder_layers_3_mlp_fc1.{end}"].view(-1)[0] = value
    found = inspect(save(tmp_path / "a.safetensors", state))
    assert found.verdict.certainty == "none" and found.verdict.sentences == (verdict.WEIGHTS_NOT_FINITE,)
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["weights"]["blocks"]["l"][3] is None


def test_a_checkpoint_with_values_that_are_no_numbers(tmp_path):
    state = {name: one.clone() for name, one in tuned(2).items()}
    state[f"{TEXT}encoder.layers.3.mlp.fc1.weight"][0, 0] = math.nan
    found = inspect(checkpoint(tmp_path / "a.safetensors", state, HALF), str(CHECKPOINT))
    assert found.verdict.certainty == "none" and found.verdict.sentences == (verdict.WEIGHTS_NOT_FINITE,)


@pytest.mark.parametrize("algo", ["lora", "loha", "lokr"])
def test_missing_halves(tmp_path, algo):
    ends = {"lora": "lora_down.weight", "loha": "hada_w1_b", "lokr": "lokr_w1"}
    for block, expected in ((3, 2), (11, None)):
        lacking = {
            name: one
            for name, one in trained(algo, 2).items()
            if not (f"layers_{block}_" in name and name.endswith(ends[algo]))
        }
        assert told(save(tmp_path / f"{block}.safetensors", lacking))[2] == expected
    only = {name: one for name, one in trained(algo, 2).items() if name.endswith(ends[algo])}
    assert told(save(tmp_path / "only.safetensors", only))[2:] == (None, "none")


class Marker:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def hostile(folder):
    """Files that must be named, and nothing worse: by name, with a word of what is said."""
    marker = folder / "marker"
    pickled = pickle.dumps(Marker(str(marker)))
    long = 99_000_000
    good = save(folder / "good.safetensors", trained("lora", 2))
    whole = Path(good).read_bytes()
    for name, content in {
        "empty.safetensors": b"",
        "junk.safetensors": os.urandom(5000),
        "pickle.safetensors": pickled,
        "pickle.pt": pickled,
        "cut.safetensors": whole[:-10],
        "list.safetensors": whole.replace(b"{", b"[", 1),
        "beyond.safetensors": struct.pack("<Q", 100_000_001) + b"{}",
        "long.safetensors": struct.pack("<Q", long) + b'{"__metadata__":{"a":"' + b"x" * (long - 25) + b'"}}',
    }.items():
        (folder / name).write_bytes(content)
    return marker


@pytest.mark.parametrize("value", ['{"dtype":"F16","shape":[0],"data_offsets":[0,0]}', "[[[]]]"])
def test_the_time_grows_with_the_size_of_a_header(value, tmp_path):
    def make(size):
        parts = (f'"a.lora_down.weight{number}":{value}' for number in range(size // (len(value) + 24)))
        head = f"{{{','.join(parts)}}}"
        path = tmp_path / f"{size}.safetensors"
        path.write_bytes(struct.pack("<Q", len(head)) + head.encode())
        return path

    def read(path):
        with suppress(reading.Problem):
            inspect(str(path))

    assert growth(read, make, 30_000, 300_000) < 5


def test_hostile_files(tmp_path, capsys):
    marker = hostile(tmp_path)
    files = sorted(str(file) for file in tmp_path.iterdir())
    assert main(["inspect", *files, str(tmp_path / "gone.safetensors"), "--json"]) == 1
    assert not marker.exists()
    out, err = capsys.readouterr()
    answers = {os.path.basename(one["file"]): one for one in json.loads(out)}
    assert len(answers) == 10 and answers.pop("good.safetensors")["verdict"]["clip_skip"] == 2
    reasons = {
        "cut.safetensors": safetensors_file.CUT_SHORT,
        "long.safetensors": safetensors_file.LONG_HEADER(size=99),
        "pickle.pt": findings.NEVER_A_PICKLE,
        "gone.safetensors": reading.NO_FILE,
    }
    for name, answer in answers.items():
        reason = reasons.get(name, safetensors_file.NOT_SAFETENSORS)
        assert answer.keys() == {"file", "problem"} and answer["problem"] == str(complaint(name, reason))
        assert answer["problem"] in err


def test_the_command(tmp_path, capsys):
    (tmp_path / "sub").mkdir()
    save(tmp_path / "one.safetensors", trained("lora", 1), ss_clip_skip="2")
    save(tmp_path / "sub" / "two.safetensors", trained("loha", 2))
    checkpoint(tmp_path / "漢字.safetensors", tuned(2), HALF)
    (tmp_path / "notes.txt").write_text("x")
    picture = tmp_path / "figures" / "blocks.png"
    assert main(["inspect", str(tmp_path), "--base", str(CHECKPOINT), "--figure", str(picture)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    head, *lines = out.splitlines()
    assert head.split() == ["file", "model", "metadata", "weights", "verdict"]
    assert re.split(r"  +", lines[0]) == ["one.safetensors", "SD1, LoRA", "2", "12 of 12 blocks", "1 (likely)"]
    assert re.split(r"  +", lines[2]) == ["two.safetensors", "SD1, LoHa", "-", "11 of 12 blocks", "2"]
    assert re.split(r"  +", lines[4]) == ["漢字.safetensors", "SD1, checkpoint", "-", "11 of 12 blocks", "2"]
    assert lines[1].startswith(f"    {verdict.TOP_CHANGED(count=12)}") and len(lines) == 7 and lines[6] == str(picture)
    with Image.open(picture) as drawn:
        assert drawn.width > 1000 and len(drawn.convert("RGB").getcolors(1 << 20)) > 10


def test_the_json_is_as_documented(tmp_path, capsys):
    path = save(tmp_path / "a.safetensors", trained("lora", 2))
    assert main(["inspect", path, "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    levels = answer["weights"]["blocks"].pop("l")
    assert len(levels) == 12 and levels[11] == 0 and min(levels[:11]) > 0
    reason = str(verdict.CHANGED(edge=11, count=12, value=2))
    assert answer == {
        "file": path,
        "kind": "LoRA",
        "model": "SD1",
        "metadata": None,
        "named": None,
        "weights": {"clip_skip": 2, "untouched_blocks": 1, "blocks": {}},
        "verdict": {"clip_skip": 2, "certainty": "exact", "reason": reason},
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["EMPTY"],
        ["FILE", "--base", "gone.safetensors"],
        ["FILE", "--figure", "EMPTY"],
        ["FILE", "--figure", "blocks.xyz"],
    ],
)
def test_arguments_that_cannot_be_used(tmp_path, capsys, arguments):
    (tmp_path / "empty").mkdir()
    places = {
        "EMPTY": str(tmp_path / "empty"),
        "FILE": save(tmp_path / "a.safetensors", {"emb_params": torch.ones(1, 768)}),
    }
    with pytest.raises(SystemExit) as ended:
        main(["inspect", *(places.get(argument, argument) for argument in arguments)])
    assert ended.value.code == 2 and "error: " in capsys.readouterr().err


def test_the_picture_has_a_bar_for_every_changed_block(tmp_path):
    found = inspect(save(tmp_path / "a.safetensors", trained("lora", 4)))
    blue = np.array([0, 114, 178])
    pixels = np.asarray(blocks_figure.draw_blocks_figure([found]))
    row = (pixels == blue).all(-1)
    row = row[np.argmax(row.sum(1))]
    assert (np.diff(row.astype(int)) == 1).sum() == 9
    assert blocks_figure.draw_blocks_figure([found] * 13, dark=True).height < 2000
    with pytest.raises(ValueError, match=blocks_figure.NO_BLOCKS):
        blocks_figure.draw_blocks_figure([])


def test_only_what_is_needed_is_read(tmp_path, monkeypatch):
    state = trained("lora", 2) | named_lora("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k")
    path = save(tmp_path / "a.safetensors", state)
    read, raw_values = [], safetensors_file.SafetensorsFile.raw_values

    def spy(file, name, *part):
        read.append(name)
        return raw_values(file, name, *part)

    monkeypatch.setattr(safetensors_file.SafetensorsFile, "raw_values", spy)
    for _ in range(2):
        assert told(path)[2] == 2
    assert len(read) == len({*read}) and all(name.startswith("lora_te_") for name in read)


@pytest.mark.parametrize("dtype", [HALF, BRAIN, torch.float32, torch.float64, torch.float8_e5m2, torch.float8_e4m3fn])
def test_a_lone_number_of_every_type(tmp_path, dtype):
    """An alpha has no dimensions; NumPy 1 makes another type of such a number in sums with Python's numbers."""
    path = save(tmp_path / "a.safetensors", {"alpha": torch.tensor(2.0).to(dtype)})
    with safetensors_file.SafetensorsFile(path) as file:
        assert file.values("alpha") == 2 and file.values("alpha").shape == ()
