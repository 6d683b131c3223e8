"""The layers view: numbers against an independent computation, labels, figure, command and tab."""

import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPTextModel

from clip_skip.encoder import TextEncoder, conditionings, from_open_clip, from_transformers
from clip_skip.layers import figure as layers_figure
from clip_skip.layers import measure as layers
from clip_skip.skip import shorten
from clip_skip.standalone import layers as layers_command
from clip_skip.standalone.cli import main as cli
from clip_skip.standalone.demo.model import CHECKPOINT
from clip_skip.standalone.models.configs import encoder_config
from clip_skip.standalone.models.header import CheckpointError
from clip_skip.standalone.models.sizes import TEXT_PREFIXES, Sizes
from clip_skip.standalone.models.text_encoders import build_clip_text, build_text_encoder, describe_text_encoder
from clip_skip.standalone.prompts import tokens as bpe

from .helpers import imported_by
from .host_models import MODELS, clip_tower, open_clip_tower, randomize, run_open_clip, tokenize
from .random_model import SMALL_SDXL, random_weights

LABELS = ("<start>", "a", "red", "cow", "<end>")


def independent(states, norm):
    """Similarity (N, N) and distance (N, T), with numpy alone."""
    rows = np.stack([(norm(state) if norm else state)[0, : len(LABELS)].double().numpy() for state in states])
    rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
    similarity = np.array([[(one * other).sum(-1).mean() for other in rows] for one in rows])
    return similarity, np.array([1 - (row * rows[-1]).sum(-1) for row in rows])


def check(measured, states, norm):
    similarity, distance = independent(states, norm)
    assert measured.similarity.shape == (len(states), len(states))
    assert np.allclose(measured.similarity, similarity, atol=1e-6)
    assert np.allclose(measured.distance, distance, atol=1e-6)
    assert np.allclose(measured.distance[-1], 0, atol=1e-6)


@pytest.mark.parametrize(("native", "normed"), [(1, True), (2, False)])
def test_clip_l_of_sd1_and_sdxl(native, normed):
    tower, tokens = clip_tower(12), tokenize(["a red cow"])
    encoder = from_transformers(tower, native=native, final_norm=normed)
    passes = []
    forward = lambda: passes.append(1) or tower(tokens)
    measured = layers.measure_layers(encoder, forward, LABELS)
    states = tower(tokens, output_hidden_states=True).hidden_states[1:]
    check(measured, states, getattr(tower, "text_model", tower).final_layer_norm if normed else None)
    assert len(passes) == 1
    assert measured.numbers == tuple(range(1, 13)) and measured.clip_skips == tuple(range(12, 0, -1))
    assert bool(measured.notes) == (native == 2)


@pytest.mark.parametrize(("tower", "count", "normed"), [("h", 24, True), ("g", 32, False)])
def test_open_clip_of_sd2_and_sdxl(tower, count, normed):
    model, tokens = open_clip_tower(count), tokenize(["a red cow"])
    encoder = from_open_clip(model, tower=tower, final_norm=normed)
    measured = layers.measure_layers(encoder, lambda: model.encode_text(tokens), LABELS)
    check(measured, run_open_clip(model, tokens), model.ln_final if normed else None)


def made_up(*steps, native=1):
    """Layers whose neighbours have the similarities `steps`."""
    angles = np.cumsum([0, *np.arccos(steps)])
    similarity = np.cos(angles[:, None] - angles)
    numbers = tuple(range(1, len(angles) + 1))
    distance = 1 - np.repeat(similarity[-1][:, None], 2, axis=1)
    return layers.Layers("made up", ("<start>", "<end>"), numbers, numbers[::-1], similarity, distance, (), native)


FIRST = {"first": 1, "second": 2}
ALMOST, LITTLE, MUCH = (words for _, words in layers.CHANGES)


@pytest.mark.parametrize(
    ("steps", "native", "sentence"),
    [
        (
            (0.4, 0.95, 0.998),
            1,
            layers.FIRST_AND_LARGEST(**FIRST, how=ALMOST, step="0.998", below=3, above=4, least="0.400"),
        ),
        (
            (0.4, 0.95, 0.92),
            1,
            layers.FIRST_AND_LARGEST(**FIRST, how=LITTLE, step="0.92", below=3, above=4, least="0.40"),
        ),
        ((0.4, 0.95, 0.6), 1, layers.FIRST_AND_LARGEST(**FIRST, how=MUCH, step="0.60", below=3, above=4, least="0.40")),
        ((0.98, 0.95, 0.42), 1, layers.FIRST_IS_LARGEST(**FIRST, step="0.42")),
        ((0.5,), 1, layers.FIRST_IS_LARGEST(**FIRST, step="0.50")),
        ((), 1, layers.ONE_LAYER),
        (
            (0.6, 0.95, 0.1),
            2,
            layers.FIRST_AND_LARGEST(first=2, second=3, how=LITTLE, step="0.95", below=3, above=4, least="0.60"),
        ),
    ],
)
def test_the_sentence_says_what_a_clip_skip_changes(steps, native, sentence):
    assert made_up(*steps, native=native).sentence() == sentence
    assert made_up(*steps, native=native).sentences() == (sentence,)


def with_tokens(*tokens, distances=()):
    """Layers of a prompt of `tokens`, which are so far from themselves at the last layer."""
    layered = made_up(0.9, 0.9)
    distance = np.repeat(np.array([distances or [0.1] * len(tokens)]), 3, axis=0)
    return replace(layered, tokens=tokens, distance=distance)


def test_the_tokens_that_change_most_are_shown_and_never_the_start():
    tokens = ("<start>", "a", "red", "cow", "stands", "<end>")
    assert with_tokens(*tokens, distances=[2, 0.1, 0.5, 0.3, 0.1, 0.4]).most_changed_tokens() == [2, 3, 5]
    assert with_tokens("<start>", "<end>").most_changed_tokens() == [1]


def test_words_of_the_prompt_choose_tokens():
    layered = with_tokens("<start>", "a", "illu-", "stration", "of", "a", "-", "Cow", "<end>")
    assert layered.find_tokens("illustration, cow") == [2, 3, 7]
    assert layered.find_tokens(" 0 , A,, ") == [0, 1, 5] and layered.find_tokens("-") == [6]
    assert layered.find_tokens("  ") == layered.most_changed_tokens()
    for wrong in ("horse", "9", "-1", "stration", "1" * 5000):
        with pytest.raises(layers.LayersError) as error:
            layered.find_tokens(wrong)
        assert error.value.message == layers.NO_SUCH_WORD(word=shorten(wrong))
    with pytest.raises(layers.LayersError) as error:
        layered.find_tokens("0, a, illustration, of, -, cow, <end>")
    assert error.value.message == layers.TOO_MANY_WORDS(count=9, most=layers.MOST_TOKENS)


def test_layers_above_the_published_one_are_named():
    encoder = lambda native: TextEncoder("", "l", [0] * 12, None, native)
    assert layers.notes_on_layers(encoder(1), 1) == []
    assert layers.notes_on_layers(encoder(2), 1) == [layers.LAYER_UNUSED(native=2, layer=12)]
    assert layers.notes_on_layers(encoder(3), 1) == [layers.LAYERS_UNUSED(native=3, first=11, last=12)]
    assert layers.notes_on_layers(encoder(2), 2) == [layers.LAYER_NOT_RUN(layer=12)]
    assert layers.notes_on_layers(encoder(2), 3) == [layers.LAYERS_NOT_RUN(first=11, last=12)]


def test_what_cannot_be_measured_is_told():
    tower = clip_tower(12)
    encoder = from_transformers(tower)
    with pytest.raises(ValueError, match="78 labels for 77 tokens"):
        layers.measure_layers(encoder, lambda: tower(tokenize(["a"])), ["x"] * 78)
    with pytest.raises(RuntimeError, match="not run"):
        layers.measure_layers(encoder, lambda: None, LABELS)
    torch.nn.init.constant_(encoder.blocks[3].layer_norm1.weight, float("nan"))
    with pytest.raises(layers.LayersError, match=re.escape(str(layers.STATES_NOT_FINITE(encoder=encoder.name)))):
        layers.measure_layers(encoder, lambda: tower(tokenize(["a"])), LABELS)


def test_labels_are_words():
    words = ["<|startoftext|>", "illu", "stration</w>", "ã", "ģ", "<|endoftext|>"]
    assert layers.token_labels(words)[:3] == ("<start>", "illu-", "stration</w>".removesuffix("</w>"))
    assert layers.token_labels(words)[-1] == "<end>"
    assert layers.token_label("\u0125</w>") == "\\x83"  # a byte that is no text by itself
    assert layers.token_label("caf\u00c3\u00a9</w>") == "caf\u00e9"


@pytest.mark.parametrize("tokens", [2, 12, 40, 77])
def test_the_figure_is_drawn_light_and_dark(tokens):
    layered = made_up(*[0.9] * 11)
    words = ("<start>", *[f"word{n}" for n in range(tokens - 2)], "<end>")
    distance = np.repeat(layered.distance[:, :1], tokens, axis=1)
    layered = layers.Layers("t", words, layered.numbers, layered.clip_skips, layered.similarity, distance)
    light, dark = layers_figure.draw_layers(layered), layers_figure.draw_layers(layered, dark=True)
    assert light.size == dark.size and light.size[0] == 1430
    assert light.getpixel((2, 2)) == (255, 255, 255) and max(dark.getpixel((2, 2))) < 40


def test_the_figure_has_the_chosen_tokens_and_sentences_where_they_are_asked_for():
    layered = made_up(*[0.9] * 11)
    plain = layers_figure.draw_layers(layered)
    assert layers_figure.draw_layers(layered, sentences=True).height > plain.height
    one = layers_figure.draw_layers(layered, tokens=[0])
    assert one.size == plain.size and one.tobytes() != plain.tobytes()


def test_the_command_on_the_model_in_the_box(tmp_path, capsys):
    out = tmp_path / "layers.png"
    assert cli.main(["layers", "--prompt", "a red <clipskip:3> circle", "--out", str(out)]) == 0
    assert "biggest change" in capsys.readouterr().out
    assert out.read_bytes().startswith(b"\x89PNG")
    three = out.read_bytes()
    assert cli.main(["layers", "--prompt", "a red circle", "--words", "a", "--out", str(out)]) == 0
    assert out.read_bytes() != three
    with pytest.raises(SystemExit):
        cli.main(["layers", "--prompt", "a red circle", "--words", "cow", "--out", str(out)])
    assert str(layers.NO_SUCH_WORD(word='"cow"')) in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["layers", "--model", str(tmp_path / "none.safetensors"), "--out", str(out)])
    assert "none.safetensors" in capsys.readouterr().err
    for wrong in ("layers.txt", "/proc/layers.png"):
        with pytest.raises(SystemExit):
            cli.main(["layers", "--out", wrong])
        assert "--out: " in capsys.readouterr().err


def test_the_command_imports_no_libraries_that_it_does_not_use(tmp_path):
    unused = {"transformers", "diffusers", "scipy", "torch._dynamo", "matplotlib.pyplot"}
    assert imported_by(["layers", "--out", str(tmp_path / "layers.png")], unused) == set()


@pytest.mark.parametrize("tower", ["l", "g"])
def test_a_text_encoder_in_torch_alone_is_that_of_transformers(tower):
    weights, place = dict(random_weights(SMALL_SDXL)), "lg".index(tower)
    tokens = bpe.chunks(bpe.tokenizer(), "a red cow")
    states = []
    for build in (build_clip_text, build_text_encoder):
        module = build(SMALL_SDXL.texts[place], weights, TEXT_PREFIXES["SDXL"][place], "xl.safetensors")
        described = describe_text_encoder("SDXL", tower, module)
        made = conditionings(described, lambda module=module: module(tokens), range(2, described.layers + 1))
        states.append(torch.stack(list(made.values())))
    assert torch.allclose(*states, atol=1e-5)


def save(path, metadata, **parts):
    """A checkpoint in half precision of the text towers `parts`, by the beginning of their weights' names."""
    left_out = ("visual", "logit_scale", "attn_mask", "embeddings.position_ids")
    weights = {
        prefix + name: weight.half()
        for prefix, tower in parts.items()
        for name, weight in tower.state_dict().items()
        if not name.startswith(left_out)
    }
    save_file(weights, path, metadata)


def large_clip(width, layers):
    """CLIP's text encoder with heads of 64 and the whole vocabulary."""
    sizes = Sizes(text=width, text_inner=2 * width, text_layers=layers, text_heads=width // 64)
    model = CLIPTextModel(encoder_config(sizes.texts[0], "quick_gelu"))
    return randomize(getattr(model, "text_model", model)).half().float()


def large_open_clip(width, layers):
    vision = {"layers": 1, "width": 32, "head_width": 16, "patch_size": 8, "image_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": width, "heads": width // 64, "layers": layers}
    return randomize(open_clip.CLIP(width, vision, text)).half().float()


def test_the_command_on_sdxl_and_sd2_files(tmp_path):
    clip, tower = large_clip(64, 5), large_open_clip(128, 6)
    xl, sd2 = tmp_path / "xl.safetensors", tmp_path / "sd2.safetensors"
    heads = {"clip_skip.text_heads_l": "1", "clip_skip.text_heads_g": "2", "clip_skip.text_heads_h": "2"}
    save(
        xl, heads, **{"conditioner.embedders.0.transformer.text_model.": clip, "conditioner.embedders.1.model.": tower}
    )
    save(sd2, heads, **{"cond_stage_model.model.": tower})
    tokens = bpe.chunks(bpe.tokenizer(), "a red cow")
    states = run_open_clip(tower, tokens)
    check(
        layers_command.measure_checkpoint_layers(xl, "a red cow"),
        clip(tokens, output_hidden_states=True).hidden_states[1:],
        None,
    )
    check(layers_command.measure_checkpoint_layers(xl, "a red <clipskip:2>cow", "g"), states, None)
    check(layers_command.measure_checkpoint_layers(sd2, "a red cow"), states, tower.ln_final)
    assert layers_command.measure_checkpoint_layers(xl, "a red cow").tokens == LABELS
    with pytest.raises(CheckpointError, match="no text encoder g, but h"):
        layers_command.measure_checkpoint_layers(sd2, "a red cow", "g")
    save(sd2, {}, **{"cond_stage_model.model.": tower})
    with pytest.raises(CheckpointError, match="attention heads of its text encoder is unknown: width 128"):
        layers_command.measure_checkpoint_layers(sd2, "a red cow")


def test_a_long_prompt_is_limited_to_its_first_chunk():
    measured = layers_command.measure_checkpoint_layers(CHECKPOINT, "cow " * 80)
    assert len(measured.tokens) == 77 and measured.notes == (layers.FIRST_CHUNK(count=2),)


class Chunk:
    def __init__(self, text):
        self.tokens, self.fixes = tokenize([text])[0].tolist(), []


@pytest.mark.parametrize("name", MODELS)
def test_the_tab_on_every_host(standins, name):
    from modules import shared

    from clip_skip.webui.widgets import layers_tab

    shared.sd_model = model = MODELS[name]()
    for embedder in model.embedders:
        embedder.id_end = 99
        embedder.tokenize_line = lambda text: ([Chunk(text)], 3)
        embedder.tokenizer = type("Tokenizer", (), {"convert_ids_to_tokens": lambda self, token: f"t{token}</w>"})()
        embedder.wrapped.layer_idx = 1
    sentence, picture, tower = layers_tab.show(
        "a red <clipskip:3><lora:x:1> cow", layers_tab.TOWER_NAMES["g"], "", False
    )
    assert "biggest change" in sentence and picture.size[0] == 1430
    assert tower["visible"] == (len(model.embedders) > 1)
    towers = {host.encoder.tower: host for host in layers_tab.describe_model(model).hosts}
    host = towers.get("g") or next(iter(towers.values()))
    measured = layers_tab.measure_prompt_on_page("a red cow", "g")
    assert measured.tokens[0] == "<start>" and measured.tokens[-1] == "<end>" and len(measured.tokens) == 5
    run = len(host.encoder.blocks) - (1 if name == "A1111 SD2" else 0)
    assert len(measured.numbers) == run


@pytest.mark.parametrize(
    ("prompt", "text", "note"),
    [
        ("a <clipskip:2> cow", "a  cow", None),
        ("a cow AND a field :1.2", "a cow ", layers.FIRST_SUB_PROMPT(count=2)),
        ("a [red:blue:0.5] cow", "a red cow", layers.FIRST_STEP),
        ("a [<clipskip:1>:<clipskip:3>:0.5] cow", "a  cow", None),
        (" ", " ", layers.EMPTY_PROMPT),
    ],
)
def test_the_tab_shows_what_is_encoded_first(standins, prompt, text, note):
    from clip_skip.webui.widgets import layers_tab

    first, parts, changes = layers_tab.first_text(prompt)
    assert first == text
    assert layers.notes_on_prompt(1, parts, changes, not text.strip()) == ([note] if note else [])


def test_the_tab_without_an_encoder(standins):
    from modules import shared

    from clip_skip.webui.widgets import layers_tab

    shared.sd_model = torch.nn.Module()
    shared.sd_model.is_sd3 = True
    assert layers_tab.show("a", "", "", False)[:2] == (str(layers_tab.NOTHING_TO_SHOW(model="SD3")), None)
    shared.sd_model = None
    assert layers_tab.show("a", "", "", False)[:2] == (layers_tab.NO_MODEL, None)


def test_the_tab_on_forges_thread_which_loses_what_is_raised(standins, monkeypatch):
    from modules import shared

    def run_and_wait_result(function, *args):
        try:
            return function(*args)
        except Exception:
            return None

    thread = SimpleNamespace(run_and_wait_result=run_and_wait_result)
    monkeypatch.setitem(sys.modules, "modules_forge", SimpleNamespace(main_thread=thread))
    monkeypatch.setitem(sys.modules, "modules_forge.main_thread", thread)
    from clip_skip.webui.widgets import layers_tab

    shared.sd_model = torch.nn.Module()
    assert layers_tab.show("a", "", "", False)[:2] == (str(layers_tab.NOTHING_TO_SHOW(model="this model")), None)
    shared.sd_model = MODELS["Forge SD1"]()  # has no tokenize_line here, so it fails
    assert layers_tab.show("a", "", "", False)[:2] == (layers_tab.FAILED, None)


def test_an_openclip_h_without_its_last_block_is_numbered_as_the_full_one(tmp_path):
    """As by the sweep: forks and diffusers store SD2's with 23 of its 24 blocks."""
    tower = large_open_clip(64, 23)
    save(tmp_path / "sd2.safetensors", {"clip_skip.text_heads": "1"}, **{"cond_stage_model.model.": tower})
    measured = layers_command.measure_checkpoint_layers(tmp_path / "sd2.safetensors", "a red cow")
    assert measured.numbers == tuple(range(1, 24)) and measured.clip_skips == tuple(range(24, 1, -1))
