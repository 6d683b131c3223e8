"""What LoRAs and checkpoints say about clip skip, read from files made for the test."""

import json
import os
import pickle
import struct
import time
from types import SimpleNamespace

import numpy
import pytest
import torch
from safetensors.numpy import save_file

from clip_skip.made_for import metadata
from clip_skip.made_for.metadata import Problem, Recommendation, recommended, trained_at

from .test_encoder import random_encoder

SD1 = {"ss_base_model_version": "sd_v1", "ss_network_module": "networks.lora"}


@pytest.fixture(autouse=True)
def forget():
    metadata.once.cache_clear()


def model_file(path, **metadata):
    save_file({"a": numpy.zeros(2, numpy.float32)}, path, metadata=metadata or None)
    return str(path)


def raw(path, header, body=0):
    """A file whose header is `header`, and whose body of zeros takes no room on the disk."""
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + body)
    return str(path)


@pytest.mark.parametrize("value", [1, 2, 12])
def test_what_a_lora_was_trained_at(tmp_path, value):
    path = model_file(tmp_path / "foo.safetensors", **SD1, ss_clip_skip=str(value))
    assert trained_at(path) == Recommendation(value, "ss_clip_skip", "foo.safetensors")


def test_the_layer_in_modelspec_is_the_clip_skip_too(tmp_path):
    metadata = {"modelspec.architecture": "stable-diffusion-v1/lora", "modelspec.encoder_layer": "2"}
    assert trained_at(model_file(tmp_path / "foo.safetensors", **metadata)).value == 2


@pytest.mark.parametrize("value", ["None", "", "abc", "99", "0", "-1", "1.5", "²", "2" * 5000])
def test_values_that_are_no_clip_skip_are_ignored(tmp_path, value):
    assert trained_at(model_file(tmp_path / "foo.safetensors", **SD1, ss_clip_skip=value)) is None


@pytest.mark.parametrize(
    "kind",
    [
        {"ss_base_model_version": "sdxl_base_v1-0"},
        {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"},
    ],
)
def test_sdxl_is_ignored(tmp_path, kind):
    path = model_file(tmp_path / "foo.safetensors", ss_clip_skip="2", **kind)
    assert trained_at(path) is None and recommended(path) is None


def test_files_that_say_nothing(tmp_path):
    assert trained_at(model_file(tmp_path / "plain.safetensors")) is None
    assert trained_at(str(tmp_path / "gone.safetensors")) is None


@pytest.mark.parametrize("name", ["foo.pt", "foo.ckpt", "foo.bin"])
def test_other_files_are_never_opened(tmp_path, monkeypatch, name):
    (tmp_path / name).write_bytes(b"x")
    monkeypatch.setattr("builtins.open", lambda *args, **kwargs: pytest.fail("opened"))
    assert trained_at(str(tmp_path / name)) is None and recommended(str(tmp_path / name)) is None


class Marker:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_pickle_with_another_name_is_not_loaded(tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "evil.safetensors"
    path.write_bytes(pickle.dumps(Marker(str(marker))))
    for read in (trained_at, recommended):
        with pytest.raises(Problem, match=r'"evil\.safetensors" could not be read: header'):
            read(str(path))
    assert not marker.exists()
    pickle.loads(path.read_bytes()).close()
    assert marker.exists()


def test_broken_headers_are_named(tmp_path):
    path = tmp_path / "broken.safetensors"
    model_file(path, ss_clip_skip="2")
    whole = path.read_bytes()
    for broken in (b"", whole[:5], whole[:30], whole[:-1], whole.replace(b"{", b"[")):
        path.write_bytes(broken)
        with pytest.raises(Problem, match=r'"broken\.safetensors" could not be read: \w+'):
            trained_at(str(path))


def test_a_header_above_100_mb_is_refused_at_once(tmp_path):
    path = tmp_path / "huge.safetensors"
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", 100_000_001))
        file.truncate(100_000_009)
    begin = time.perf_counter()
    with pytest.raises(Problem, match=r'"huge\.safetensors" could not be read: header too large'):
        trained_at(str(path))
    assert time.perf_counter() - begin < 2


def test_the_body_is_not_read(tmp_path):
    size = 3 << 30
    tensor = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    path = raw(
        tmp_path / "big.safetensors", json.dumps({"__metadata__": {"ss_clip_skip": "2"}, "t": tensor}).encode(), size
    )
    begin = time.perf_counter()
    assert trained_at(path).value == 2
    assert time.perf_counter() - begin < 1


def test_an_older_readers_words():
    assert metadata.complaint("/a/b.safetensors", "Error while deserializing header: HeaderTooLarge") == (
        '"b.safetensors" could not be read: header too large'
    )


def test_a_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    import safetensors

    opened, original = [], safetensors.safe_open
    monkeypatch.setattr(safetensors, "safe_open", lambda path, **how: opened.append(path) or original(path, **how))
    path = model_file(tmp_path / "foo.safetensors", ss_clip_skip="1")
    assert [trained_at(path).value for _ in range(3)] == [1, 1, 1]
    assert len(opened) == 1
    model_file(path, ss_clip_skip="2")
    os.utime(path, ns=(1, 1))
    assert trained_at(path).value == 2
    assert len(opened) == 2


@pytest.mark.parametrize(("error", "times"), [(ValueError("wrong"), 1), (PermissionError(13, "wrong"), 3)])
def test_a_problem_is_remembered_and_a_refusal_of_the_system_is_not(tmp_path, error, times):
    calls = []

    def read(path):
        calls.append(path)
        raise error

    (tmp_path / "foo").write_text("x")
    for _ in range(3):
        with pytest.raises(Problem, match=r'^"foo" could not be read: wrong$'):
            metadata.remembered(read, str(tmp_path / "foo"))
    assert len(calls) == times


def test_a_host_without_safetensors(tmp_path, monkeypatch):
    path = model_file(tmp_path / "foo.safetensors", ss_clip_skip="2")
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    assert trained_at(path) is None


@pytest.mark.parametrize(
    ("metadata", "value", "source"),
    [
        ({"ss_clip_skip": "2"}, 2, "ss_clip_skip"),
        ({"clip_skip": "1"}, 1, "clip_skip"),
        ({"modelspec.encoder_layer": "2"}, 2, "modelspec.encoder_layer"),
        ({"modelspec.usage_hint": "Trigger: cat. CLIP skip: 2"}, 2, "modelspec.usage_hint"),
        ({"modelspec.usage_hint": "none", "modelspec.description": "Use clip skip 1."}, 1, "modelspec.description"),
    ],
)
def test_a_checkpoints_own_metadata(tmp_path, metadata, value, source):
    path = model_file(tmp_path / "model.safetensors", **metadata)
    assert recommended(path) == Recommendation(value, source, "model.safetensors")


def checkpoint(tmp_path, ending=None, data=None, name="model.safetensors"):
    path = tmp_path / name
    path.write_bytes(b"") if name.endswith(".ckpt") else model_file(path)
    if ending:
        (tmp_path / f"model{ending}").write_text(data if isinstance(data, str) else json.dumps(data), "utf-8")
    return str(path)


@pytest.mark.parametrize("name", ["model.safetensors", "model.ckpt"])
@pytest.mark.parametrize(
    ("data", "value", "source"),
    [
        ({"clip skip": 2}, 2, "clip skip"),
        ({"description": "", "notes": "Clip Skip 2, 30 steps", "vae": "None"}, 2, "notes"),
        ({"description": "<p>CLIP skip:&nbsp;<strong>1</strong></p>", "sd version": "SD1"}, 1, "description"),
    ],
)
def test_the_hosts_json(tmp_path, name, data, value, source):
    assert recommended(checkpoint(tmp_path, ".json", data, name)) == Recommendation(value, source, "model.json")


def images(*metas):
    return {"baseModel": "SD 1.5", "images": [{"url": "x", "meta": meta} for meta in metas]}


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (images({"Clip skip": "2"}, {"clipSkip": 2}, None, {"steps": 20}), (2, "images")),
        (images({"Clip skip": "2"}, {"Clip skip": "2"}, {"Clip skip": "1"}), (2, "images")),
        (images({"Clip skip": "2"}), None),
        (images({"Clip skip": "2"}, {"Clip skip": "1"}), None),
        (images({"Clip skip": "2"}, {"Clip skip": "2"}, {"steps": 20}, {"steps": 20}), None),
        (images({"Clip skip": "2"}, {"Clip skip": "2"}) | {"baseModel": "SDXL 1.0"}, None),
        (images({"Clip skip": "2"}, {"Clip skip": "2"}) | {"clipSkip": 1}, (1, "clipSkip")),
        (images() | {"description": "<b>Clip skip 2</b>"}, (2, "description")),
        (images() | {"description": None, "model": {"description": "clip-skip = 1"}}, (1, "description")),
        ({"images": None, "model": None, "description": 3}, None),
        ({"images": [None, 3, {"meta": "x"}, {"meta": {"Clip skip": ["2"]}}]}, None),
    ],
)
def test_civitai_helpers_json(tmp_path, data, found):
    expected = found and Recommendation(*found, "model.civitai.info")
    assert recommended(checkpoint(tmp_path, ".civitai.info", data)) == expected


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", '"clip skip 2"', "[" * 100_000, '{"clip skip": 1e999}', "\0"])
@pytest.mark.parametrize("ending", [".json", ".civitai.info"])
def test_broken_json_is_named_or_says_nothing(tmp_path, ending, text):
    path = checkpoint(tmp_path, ending, text)
    try:
        assert recommended(path) is None
    except Problem as problem:
        assert str(problem).startswith(f'"model{ending}" could not be read: ')


def test_huge_json_is_refused(tmp_path):
    path = checkpoint(tmp_path, ".json", "{}")
    os.truncate(tmp_path / "model.json", metadata.LARGEST_JSON + 1)
    with pytest.raises(Problem, match=r'"model\.json" could not be read: it is larger than 10 MB'):
        recommended(path)


def test_a_broken_file_does_not_hide_what_another_says(tmp_path):
    path = checkpoint(tmp_path, ".json", "{")
    (tmp_path / "model.civitai.info").write_text('{"clipSkip": 2}')
    assert recommended(path).value == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("clip skip 2", 2),
        ("CLIP skip: 2", 2),
        ("ClipSkip=2", 2),
        ("Set clip_skip to 2.", 2),
        ("use a Clip Skip of 1!", 1),
        ("Clip Skip： 2", 2),
        ("clip skip -2 in ComfyUI", 2),
        ("clip skip 2, clip skip: 2, steps 30", 2),
        ("clip skip 1 or 2", None),
        ("clip skip 1-2", None),
        ("clip skip: 1 (or 2)", None),
        ("clip skip 1, though clip skip 2 works", None),
        ("clip skip 1.5", None),
        ("clip skip 20", None),
        ("clip skip does not matter", None),
        ("Do not use clip skip 2", None),
        ("you don't need clip skip 2", None),
        ("eclipse 2", None),
    ],
)
def test_what_a_text_recommends(text, value):
    assert metadata.mentioned(text) == value


def test_hostile_texts_take_no_time():
    begin = time.perf_counter()
    for text in ("<" * 200_000, "clip " * 100_000, "clip skip " * 50_000, "clip" + " " * 200_000, "not " * 50_000):
        metadata.mentioned(text)
    assert time.perf_counter() - begin < 2


class Params:
    def __init__(self, items):
        self.items = items


@pytest.fixture
def host(standins, monkeypatch, tmp_path):
    """An SD1 model, LoRAs "one" and "two" on disk, and the host's LoRA extension stood in for."""
    import re
    import sys

    from modules import extra_networks, sd_hijack_clip, sd_models, shared

    def parse_prompt(prompt):
        found = {}
        for name, items in re.findall(r"<(\w+):([^>]+)>", prompt):
            found.setdefault(name, []).append(Params(items.split(":")))
        return re.sub(r"<(\w+):([^>]+)>", "", prompt), found

    monkeypatch.setattr(extra_networks, "parse_prompt", parse_prompt, raising=False)
    stage = sd_hijack_clip.FrozenCLIPEmbedderWithCustomWords(torch.nn.Module())
    stage.wrapped.transformer = random_encoder()
    path = checkpoint(tmp_path)
    model = SimpleNamespace(
        cond_stage_model=stage, is_sd1=True, sd_checkpoint_info=SimpleNamespace(filename=path), folder=tmp_path
    )
    shared.sd_model = sd_models.model_data.sd_model = model
    entries = {
        name: SimpleNamespace(filename=model_file(tmp_path / f"{name}.safetensors", **SD1, ss_clip_skip=value))
        for name, value in (("one", "1"), ("two", "2"))
    }
    aliases = {**entries, "alias": entries["two"], "Addams": entries["one"]}
    networks = SimpleNamespace(
        available_networks=entries, available_network_aliases=aliases, forbidden_network_aliases={"addams": 1}
    )
    monkeypatch.setitem(sys.modules, "networks", networks)
    from clip_skip.webui import models_in_use as webui

    return SimpleNamespace(webui=webui, model=model, shared=shared, networks=networks, folder=tmp_path)


def generation(prompt, clip_skip=None):
    from clip_skip.panel import Panel
    from clip_skip.webui.state import State

    panel = Panel() if clip_skip is None else Panel(True, clip_skip)
    return SimpleNamespace(clip_skip_state=State(panels=[panel]), all_prompts=[prompt], all_negative_prompts=[""])


def test_the_loras_of_a_prompt(host):
    paths = {name: entry.filename for name, entry in host.networks.available_networks.items()}
    prompt = "a <lora:one:1><lyco:alias:0.5:te=1> <lora:gone:1> <hypernet:two:1> <clipskip:2> <lora:Addams:1>"
    assert host.webui.loras(prompt) == {"one": paths["one"], "alias": paths["two"]}


def test_a_host_without_loras(host, monkeypatch):
    import sys

    for other in (None, SimpleNamespace()):
        monkeypatch.setitem(sys.modules, "networks", other)
        assert host.webui.loras("<lora:one:1>") == {}


def test_a_suggestion(host):
    assert host.webui.suggest(host.model, "<lora:one:1> <lora:two:1>", 1.0) == [
        {
            "file": "two.safetensors",
            "kind": "LoRA",
            "value": 2,
            "source": "ss_clip_skip in two.safetensors",
            "text": 'LoRA "two" was trained at clip skip 2; this picture used 1.',
        }
    ]
    assert [one["value"] for one in host.webui.suggest(host.model, "<lora:one:1> <lora:two:1>", 1.5)] == [1, 2]
    assert host.webui.suggest(host.model, "no LoRA", 1.0) == []


def test_the_checkpoints_recommendation(host):
    (host.folder / "model.civitai.info").write_text('{"clipSkip": 2}')
    (one,) = host.webui.suggest(host.model, "", 1.0)
    assert one["text"] == 'Checkpoint "model" recommends clip skip 2; this picture used 1.'
    assert (one["kind"], one["source"]) == ("checkpoint", "clipSkip in model.civitai.info")


def test_nothing_is_suggested_for_other_models(host, monkeypatch):
    monkeypatch.setattr(host.webui, "describe_model", lambda model: SimpleNamespace(kind="SDXL"))
    assert host.webui.suggest(host.model, "<lora:two:1>", 1.0) == []
    assert host.webui.suggest(None, "<lora:two:1>", 1.0) == []


def test_tell_compares_with_the_value_in_effect(host):
    two = ['LoRA "two" was trained at clip skip 2; this picture used 1.']
    assert host.webui.find_messages(generation("<lora:two:1>")) == two
    assert host.webui.find_messages(generation("<lora:two:1> <clipskip:2>")) == []
    assert host.webui.find_messages(generation("<lora:two:1>", clip_skip=2.0)) == []
    assert host.webui.find_messages(generation("<lora:two:1> <clipskip:1>", clip_skip=2.0)) == two
    host.shared.opts.data["CLIP_stop_at_last_layers"] = 2
    assert host.webui.find_messages(generation("<lora:two:1>")) == []


def test_a_problem_is_told_once(host):
    path = host.folder / "two.safetensors"
    path.write_bytes(b"broken")
    shown = set()
    message = ['"two.safetensors" could not be read: header too small.']
    assert host.webui.find_messages(generation("<lora:two:1>"), shown) == message
    assert host.webui.find_messages(generation("<lora:two:1>"), shown) == []
    assert host.webui.answer(host.model, "<lora:two:1>", None) == {"suggestions": [], "problems": message}


def test_nothing_breaks_a_generation(host, monkeypatch):
    assert host.webui.find_messages(SimpleNamespace()) == []
    monkeypatch.setattr(host.webui.suggestions, "trained_at", lambda path: 1 / 0)
    assert host.webui.find_messages(generation("<lora:two:1>")) == []
    assert host.webui.answer(host.model, "<lora:two:1>", None) == {"suggestions": [], "problems": []}


def test_the_answer_for_the_panel(host):
    (one,) = host.webui.answer(host.model, "<lora:two:1>", None)["suggestions"]
    assert one["text"] == 'LoRA "two" was trained at clip skip 2; now it is 1.'
    assert host.webui.answer(host.model, "<lora:two:1> <clipskip:2>", None)["suggestions"] == []
    assert host.webui.answer(host.model, "<lora:two:1>", 2.0)["suggestions"] == []
    assert host.webui.answer(host.model, "<lora:two:1>", float("nan"))["suggestions"] == [one]
    assert host.webui.answer(host.model, "", None) == {"suggestions": [], "problems": []}
    json.dumps(host.webui.answer(host.model, "<lora:two:1>", None))
