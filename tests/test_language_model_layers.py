"""`clip-skip layers` for a text encoder alone: each layer is that of transformers' own model."""

import re
import sys
from types import SimpleNamespace

import pytest
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from clip_skip.encoder import conditionings
from clip_skip.standalone.cli.main import main
from clip_skip.standalone.models import language_models
from clip_skip.standalone.models.errors import CheckpointError
from clip_skip.standalone.models.language_models import is_language_model, load_language_model, load_tokenizer

from .host_models import randomize

N = 4
T5 = {"vocab_size": 50, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": N, "num_heads": 4}
LLAMA = {"vocab_size": 50, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": N, "pad_token_id": None}


def heads(count, dim):
    return {"num_attention_heads": count, "num_key_value_heads": 1, "head_dim": dim}


def make(kind, model, **sizes):
    return getattr(transformers, model)(getattr(transformers, f"{kind}Config")(**sizes))


GATED = {"feed_forward_proj": "gated-gelu"}
FAR = {"rope_theta": 1e6}
MISTRAL = {"rms_norm_eps": 1e-5, "sliding_window": None}
MODELS = {
    "t5": (lambda: make("T5", "T5EncoderModel", **T5, **GATED), "T5", 1),
    "umt5": (lambda: make("UMT5", "UMT5EncoderModel", **T5, **GATED), "UMT5", 1),
    "gemma2": (
        lambda: make("Gemma2", "Gemma2Model", **LLAMA, **heads(2, 256), attn_logit_softcapping=None),
        "Gemma 2",
        2,
    ),
    "qwen3": (lambda: make("Qwen3", "Qwen3Model", **LLAMA, **heads(2, 16), **FAR), "Qwen3", 1),
    "qwen2": (
        lambda: make("Qwen2", "Qwen2Model", **{**LLAMA, "hidden_size": 256}, **heads(2, 128), **FAR),
        "Qwen2.5",
        1,
    ),
    "mistral": (
        lambda: make("Mistral", "MistralModel", **LLAMA, **heads(2, 128), **FAR, **MISTRAL),
        "Ministral",
        2,
    ),
}


@pytest.fixture(params=MODELS)
def model(request):
    build, name, native = MODELS[request.param]
    kind = {"t5": "T5", "umt5": "UMT5"}.get(request.param, request.param.capitalize())
    if not hasattr(transformers, f"{kind}Config"):
        pytest.skip(f"transformers {transformers.__version__} has no {kind}")
    return randomize(build()), name, native


def write_tokenizer(folder):
    words = {word: index for index, word in enumerate(["a", "red", "cow", "in", "field", "?"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))


def of_file(model, path, prefix=""):
    save_file({prefix + name: value.clone() for name, value in model.state_dict().items()}, str(path))


@pytest.mark.parametrize("place", ["file", "file with a prefix", "folder"])
def test_every_layer_is_the_models_own(model, place, tmp_path):
    original, name, native = model
    if place == "folder":
        path = tmp_path / "encoder"
        original.save_pretrained(path)
    else:
        is_llama = hasattr(original, "layers")
        path = tmp_path / "encoder.safetensors"
        of_file(original, path, "model." if is_llama and place != "file" else "")
    assert is_language_model(path)
    described, module = load_language_model(path)
    assert (described.name, described.native, described.layers) == (name, native, N)
    tokens = torch.tensor([[1, 7, 33, 20, 5]])
    with torch.inference_mode():
        states = original(input_ids=tokens, output_hidden_states=True).hidden_states
        made = conditionings(described, lambda: module(input_ids=tokens), range(1, N + 1))
    norm = getattr(original, "norm", None) or original.encoder.final_layer_norm
    for skip in range(2, N + 1):
        want = norm(states[-skip]) if described.norm else states[-skip]
        assert torch.allclose(made[skip], want, atol=1e-5), skip
    if described.norm:
        assert torch.allclose(made[1], states[-1], atol=1e-5)  # transformers' last one is normed


def test_the_command(tmp_path, capsys):
    original = randomize(MODELS["t5"][0]())
    path, out = tmp_path / "t5.safetensors", tmp_path / "layers.png"
    of_file(original, path)
    arguments = ["layers", "--model", str(path), "--prompt", "a red <clipskip:3> cow", "--out", str(out)]
    with pytest.raises(SystemExit):
        main(arguments)
    assert str(language_models.NO_TOKENIZER(file="t5.safetensors")) in capsys.readouterr().err
    write_tokenizer(tmp_path / "words")
    assert main([*arguments, "--tokenizer", str(tmp_path / "words")]) == 0
    assert out.is_file() and "clip skip 1 to 2" in capsys.readouterr().out


def test_where_the_tokenizer_is(tmp_path):
    folder = tmp_path / "text_encoder_2"
    folder.mkdir()
    with pytest.raises(CheckpointError):
        load_tokenizer(folder)
    write_tokenizer(tmp_path / "tokenizer_2")
    assert load_tokenizer(folder).encode("a cow").ids == [0, 2]


def test_what_it_is_not(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file({language_models.T5_BLOCK: torch.zeros(4, 4), "scaled_fp8": torch.zeros(1)}, str(path))
    with pytest.raises(CheckpointError) as error:
        load_language_model(path)
    assert error.value.message == language_models.QUANTIZED_FILE(file="x.safetensors")
    save_file({"text_model.x": torch.zeros(1)}, str(path))
    assert not is_language_model(path) and not is_language_model(tmp_path / "none.safetensors")
    folder = tmp_path / "clip"
    transformers.CLIPTextConfig().save_pretrained(folder)
    with pytest.raises(CheckpointError) as error:
        load_language_model(folder)
    assert error.value.message == language_models.UNKNOWN_TEXT_ENCODER(file="clip")


def test_a_transformers_without_the_model_is_named(tmp_path, monkeypatch):
    of_file(make("T5", "T5EncoderModel", **T5, **GATED), tmp_path / "t5.safetensors")
    old = SimpleNamespace(__version__="4.0", T5Config=transformers.T5Config)
    monkeypatch.setitem(sys.modules, "transformers", old)
    message = language_models.TRANSFORMERS_TOO_OLD(version="4.0", name="T5EncoderModel")
    with pytest.raises(CheckpointError, match=re.escape(str(message))):
        load_language_model(tmp_path / "t5.safetensors")
