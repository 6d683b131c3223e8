"""Checkpoints, and the files beside them, that are broken or want to do harm: each ends in words that name the file."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("yaml")

from hypothesis import HealthCheck, example, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from clip_skip.messages.message import Message  # noqa: E402
from clip_skip.standalone.models import checkpoint, config_files, header, text_encoders  # noqa: E402
from clip_skip.standalone.models.config_files import ConfigError, path_inside, yaml_scalars  # noqa: E402
from clip_skip.standalone.models.errors import CheckpointError  # noqa: E402
from clip_skip.standalone.models.heads import HeadsError, text_heads_beside  # noqa: E402
from tests.random_model import SMALL, SMALL_SD2, SMALL_SDXL, random_weights  # noqa: E402

HEADS = {"clip_skip.unet_heads": "4", "clip_skip.text_heads": "4"}


@pytest.fixture(scope="module")
def weights():
    return dict(random_weights(SMALL))


@pytest.fixture(scope="module")
def folder(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    save_file(weights, folder / "m.safetensors", metadata=HEADS)
    return folder


@pytest.fixture
def no_network(monkeypatch):
    """Nothing is looked up, connected to, or opened on another machine."""

    def refuse(*arguments, **options):
        raise AssertionError(f"the network was asked for {arguments}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def written(folder, text, name="m.yaml"):
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / "m.safetensors"


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi")
)

HOSTILE = {
    "alias bomb": BOMB + "model: {params: {scale_factor: *i}}",
    "an alias": "model: &a {params: {scale_factor: 0.5}}\nother: *a",
    "deep lists": "model: " + "[" * 5000 + "]" * 5000,
    "deep mappings": "{a: " * 5000 + "}" * 5000,
    "400 digits": "model: {params: {scale_factor: " + "9" * 400 + "}}",
    "sexagesimal": "model: {params: {scale_factor: " + ":".join(["1"] * 1000) + "}}",
    "not a number": "model: {params: {scale_factor: .nan}}",
    "infinite": "model: {params: {scale_factor: -.inf}}",
    "zero": "model: {params: {scale_factor: 0}}",
    "a list": "model: {params: {scale_factor: hello}}",
    "large": "#" * (config_files.LARGEST_FILE + 1),
    "no text": b"\xff\xfe\x00\x00",
    "two documents": "a: 1\n--- \nb: 2",
    "odd key": "? [a, b]\n: c",
    "unclosed": "model: [",
    "tab": "model:\n\t- a",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_yaml_is_refused_by_name(text, folder):
    path = written(folder, text)
    with pytest.raises(CheckpointError) as error:
        header.inspect(path)
    assert "m.yaml" in str(error.value) and len(str(error.value)) < 1000
    assert isinstance(error.value.message, Message)


def test_what_a_yaml_says_is_read_with_a_byte_order_mark_and_without(folder):
    for mark in (b"", b"\xef\xbb\xbf"):
        path = written(
            folder, mark + b"model: {params: {scale_factor: 0.5, parameterization: v, odd: !!python/name:os.system 1}}"
        )
        assert (header.inspect(path).vae_scale, header.inspect(path).prediction) == (0.5, "v_prediction")
    path = written(folder, "model: {params: [{scale_factor: 0.5}], other: null}\nmodel2: {}")
    assert header.inspect(path).vae_scale == SMALL.vae_scale
    path.with_suffix(".yaml").unlink()


def test_scalars_have_their_places(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a:\n  b: 1\n  c:\n  - x\n  - {d: 2}\n  - [y, z]\n  e: last\nf:\n")
    assert yaml_scalars(path) == {
        ("a", "b"): "1", ("a", "c", 0): "x", ("a", "c", 1, "d"): "2", ("a", "c", 2, 0): "y", ("a", "c", 2, 1): "z",
        ("a", "e"): "last", ("f",): "",
    }  # fmt: skip


SECRET = json.dumps({"num_attention_heads": 3, "text_cfg": {"heads": 3}})

ELSEWHERE = [
    "hf-hub:somebody/model",
    "local-dir:{secret}",
    "{secret}",
    "../secret",
    "encoder/../../secret",
    "//127.0.0.1/share",
    "\\\\127.0.0.1\\share",
    "C:\\secret",
    "http://127.0.0.1/model",
    "openai/clip-vit-large-patch14",
    ".",
    "",
    "a\0b",
]


@pytest.mark.parametrize("place", ELSEWHERE)
@pytest.mark.parametrize("key", ["arch", "version"])
def test_nothing_in_a_yaml_leads_elsewhere(key, place, tmp_path, monkeypatch, no_network):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "config.json").write_text(SECRET)
    (tmp_path / "secret" / "open_clip_config.json").write_text(SECRET)
    (tmp_path / "secret.json").write_text(SECRET)
    (tmp_path / "models").mkdir()
    place = place.format(secret=tmp_path / "secret")
    path = tmp_path / "models" / "m.safetensors"
    path.with_suffix(".yaml").write_text(
        "model: {params: {cond_stage_config: {params: {" + key + ": " + json.dumps(place) + "}}}}"
    )
    read = []
    text_of = config_files.text_of
    monkeypatch.setattr(config_files, "text_of", lambda path: read.append(path.name) or text_of(path))
    assert text_heads_beside(path, 0) is None
    assert read == ["m.yaml"]


def test_folders_inside_and_plain_names_are_read(tmp_path, no_network):
    path = tmp_path / "m.safetensors"
    (tmp_path / "encoder").mkdir()
    for mark in ("", "\ufeff"):
        (tmp_path / "encoder" / "config.json").write_text(mark + '{"num_attention_heads": 4}', encoding="utf-8")
        for version in ("encoder", "./encoder", str(tmp_path / "encoder")):
            path.with_suffix(".yaml").write_text(
                f"model: {{params: {{cond_stage_config: {{params: {{version: '{version}'}}}}}}}}"
            )
            assert text_heads_beside(path, 0) == 4
    (tmp_path / "mine.json").write_text('{"text_cfg": {"heads": 5}}')
    for name, heads in (("mine", 5), ("ViT-bigG-14", 20), ("ViT-H-14", 16), ("unknown", None)):
        path.with_suffix(".yaml").write_text(f"model: {{params: {{cond_stage_config: {{params: {{arch: {name}}}}}}}}}")
        assert text_heads_beside(path, 0) == heads


@pytest.mark.parametrize(
    "content",
    ["", "[", "[" * 100_000, '{"num_attention_heads": ' + "9" * 5000 + "}", '{"num_attention_heads": 1e400}',
     '{"num_attention_heads": true}', '{"num_attention_heads": -1}', '{"num_attention_heads": "many"}',
     '{"num_attention_heads": [4]}', '{"num_attention_heads": 0}', " " * (config_files.LARGEST_FILE + 1)],
    ids=lambda content: content[:40],
)  # fmt: skip
def test_a_hostile_config_json_is_refused_by_name(content, tmp_path):
    path = tmp_path / "m.safetensors"
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text(content)
    path.with_suffix(".yaml").write_text("model: {params: {cond_stage_config: {params: {version: encoder}}}}")
    with pytest.raises(HeadsError, match=r"config\.json"):
        text_heads_beside(path, 0)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.sampled_from("ab:-[]{},&*!? \n\t'\"#|>%1.\ufeff"), max_size=60) | st.binary(max_size=60))
@example(text="a: &a [*a]")
@example(text="!!float x: 1")
def test_any_yaml_is_read_or_refused(text, tmp_path):
    (tmp_path / "a.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with contextlib.suppress(ConfigError):
        found = yaml_scalars(tmp_path / "a.yaml")
        assert all(isinstance(value, str) for value in found.values())


@settings(max_examples=150)
@given(text=st.text(max_size=30) | st.text(st.sampled_from("./\\:~CN\0 "), max_size=12))
def test_a_path_from_a_file_stays_inside(text):
    path = path_inside(Path("/models/sd"), text)
    assert path is None or Path("/models/sd") in path.parents


@pytest.mark.parametrize("text", ["//host/share", "\\\\host\\share", "C:\\secret", "C:secret", "a\0b"])
def test_a_share_or_a_drive_is_no_path_inside(text):
    assert path_inside(Path("/models/sd"), text) is None


# Weights


@pytest.mark.parametrize(
    "name",
    ["model.diffusion_model.input_blocks.0.0.weight", "model.diffusion_model.middle_block.1.proj_in.weight",
     "model.diffusion_model.out.0.weight", "first_stage_model.post_quant_conv.weight",
     "first_stage_model.encoder.down.0.block.0.conv1.weight",
     "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
     "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight",
     "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight",
     "cond_stage_model.transformer.text_model.final_layer_norm.weight"],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(), (7,), (0, 0, 0, 0), (4, 4, 3, 3)], ids=str)
def test_weights_of_other_shapes_are_refused_by_name(name, shape, weights, tmp_path):
    path = tmp_path / "m.safetensors"
    assert name in weights
    save_file({**weights, name: torch.zeros(shape)}, path, metadata=HEADS)
    for load in (header.inspect, text_encoders.load_text_encoder, checkpoint.load_checkpoint):
        with contextlib.suppress(CheckpointError):
            load(path)
    with pytest.raises(CheckpointError) as error:
        checkpoint.load_checkpoint(path)
    assert "m.safetensors" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("small", [SMALL_SD2, SMALL_SDXL], ids=["SD2", "SDXL"])
@pytest.mark.parametrize(
    "end", ["text_projection", "token_embedding.weight", "positional_embedding", "attn.in_proj_weight"]
)
@pytest.mark.parametrize("shape", [(), (7,), (3, 3)], ids=str)
def test_weights_of_openclip_of_other_shapes_are_refused_by_name(small, end, shape, tmp_path):
    path = tmp_path / "m.safetensors"
    metadata = {
        **HEADS,
        **{f"clip_skip.text_heads_{tower}": "4" for tower in "lgh"},
        "clip_skip.unet_head_channels": "16",
    }
    changed = {name: torch.zeros(shape) if name.endswith(end) else weight for name, weight in random_weights(small)}
    save_file({name: weight.contiguous() for name, weight in changed.items()}, path, metadata=metadata)
    tower = "h" if small is SMALL_SD2 else "g"
    if small is SMALL_SDXL or end != "text_projection":
        with pytest.raises(CheckpointError, match=r"m\.safetensors"):
            checkpoint.load_checkpoint(path)
        with pytest.raises(CheckpointError, match=r"m\.safetensors"):
            text_encoders.load_text_encoder(path, tower)


def test_a_model_of_absurd_size_is_refused_before_it_is_built(tmp_path):
    names = {f"model.diffusion_model.input_blocks.{n}.0.out_layers.3.weight": torch.zeros(1) for n in range(1, 3000)}
    names |= {f"model.diffusion_model.input_blocks.{n}.0.op.weight": torch.zeros(1) for n in range(1, 3000, 2)}
    names |= {
        "model.diffusion_model.input_blocks.0.0.weight": torch.zeros(1, 4),
        "first_stage_model.post_quant_conv.weight": torch.zeros(1, 4),
        "cond_stage_model.transformer.text_model.final_layer_norm.weight": torch.zeros(1),
        **{f"first_stage_model.encoder.down.{n}.block.0.conv1.weight": torch.zeros(1) for n in range(4)},
    }
    save_file(names, tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match=r"m\.safetensors .*: \d{4} levels of the UNet"):
        header.inspect(tmp_path / "m.safetensors")


def test_more_blocks_than_any_model_has_are_refused_before_it_is_built(weights, tmp_path):
    layers = [f"cond_stage_model.transformer.text_model.encoder.layers.{n}.mlp.fc1.weight" for n in range(300)]
    save_file({name: torch.zeros(1) for name in layers} | weights, tmp_path / "m.safetensors", metadata=HEADS)
    with pytest.raises(CheckpointError, match=r"m\.safetensors .*: 300 x"):
        header.inspect(tmp_path / "m.safetensors")


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_file_is_a_checkpoint_or_refused(data, tmp_path):
    path = tmp_path / "any.safetensors"
    if data.draw(st.booleans()):
        path.write_bytes(data.draw(st.binary(max_size=200)))
    else:
        prefixes = st.sampled_from(
            ["model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.post_quant_conv.weight",
             "cond_stage_model.transformer.text_model.final_layer_norm.weight",
             "cond_stage_model.model.token_embedding.weight", "cond_stage_model.model.positional_embedding",
             "conditioner.embedders.1.model.ln_final.weight", "conditioner.embedders.0.model.token_embedding.weight",
             "model.diffusion_model.input_blocks.1.0.out_layers.3.weight", "x"]
        )  # fmt: skip
        shapes = data.draw(st.dictionaries(prefixes, st.lists(st.integers(0, 5), max_size=5), max_size=6))
        save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, path)
    for load in (header.inspect, checkpoint.load_checkpoint, text_encoders.load_text_encoder):
        with pytest.raises(CheckpointError, match=r"any\.safetensors"):
            load(path)
