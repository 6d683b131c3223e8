"""What LoRAs and checkpoints say about clip skip, read from files made for the test."""

import json
import os
import pickle
import struct
from contextlib import contextmanager
from types import SimpleNamespace

import numpy
import pytest
import torch
from safetensors.numpy import save_file

from clip_skip.made_for import descriptions, reading, safetensors_file, suggestions
from clip_skip.made_for.metadata import find_recommendation
from clip_skip.made_for.reading import Problem, complaint
from clip_skip.made_for.recommendation import Recommendation

from .helpers import growth
from .test_encoder import random_encoder

SD1 = {"ss_base_model_version": "sd_v1", "ss_network_module": "networks.lora"}


@pytest.fixture(autouse=True)
def forget():
    reading.once.cache_clear()


def model_file(path, **metadata):
    save_file({"a": numpy.zeros(2, numpy.float32)}, path, metadata=metadata or None)
    return str(path)


@contextmanager
def problem(path, reason):
    with pytest.raises(Problem) as raised:
        yield
    assert raised.value.message == complaint(str(path), reason)


def raw(path, header, body=0):
    """A file whose header is `header`, and whose body of zeros takes no room on the disk."""
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + body)
    return str(path)


@pytest.mark.parametrize("value", [1, 2, 12])
def test_what_a_lora_was_stated(tmp_path, value):
    path = model_file(tmp_path / "foo.safetensors", **SD1, ss_clip_skip=str(value))
    assert find_recommendation(path) == Recommendation(
        value, "ss_clip_skip", "foo.safetensors", "trained", str(value), "SD1"
    )


def test_the_layer_in_modelspec_is_the_clip_skip_too(tmp_path):
    metadata = {"modelspec.architecture": "stable-diffusion-v1/lora", "modelspec.encoder_layer": "2"}
    assert find_recommendation(model_file(tmp_path / "foo.safetensors", **metadata)).value == 2


@pytest.mark.parametrize("value", ["None", "", "abc", "99", "0", "-1", "1.5", "²", "2" * 5000])
def test_values_that_are_no_clip_skip_are_ignored(tmp_path, value):
    assert find_recommendation(model_file(tmp_path / "foo.safetensors", **SD1, ss_clip_skip=value)) is None


@pytest.mark.parametrize(
    "kind",
    [
        {"ss_base_model_version": "sdxl_base_v1-0"},
        {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"},
    ],
)
def test_sdxl_is_ignored(tmp_path, kind):
    path = model_file(tmp_path / "foo.safetensors", ss_clip_skip="2", **kind)
    assert find_recommendation(path) is None


def test_files_that_say_nothing(tmp_path):
    assert find_recommendation(model_file(tmp_path / "plain.safetensors")) is None
    assert find_recommendation(str(tmp_path / "gone.safetensors")) is None


@pytest.mark.parametrize("name", ["foo.pt", "foo.ckpt", "foo.bin"])
def test_other_files_are_never_opened(tmp_path, monkeypatch, name):
    (tmp_path / name).write_bytes(b"x")
    monkeypatch.setattr("builtins.open", lambda *args, **kwargs: pytest.fail("opened"))
    assert find_recommendation(str(tmp_path / name)) is None


class Marker:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_pickle_with_another_name_is_not_loaded(tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "evil.safetensors"
    path.write_bytes(pickle.dumps(Marker(str(marker))))
    with problem(path, safetensors_file.NOT_SAFETENSORS):
        find_recommendation(str(path))
    assert not marker.exists()
    pickle.loads(path.read_bytes()).close()
    assert marker.exists()


def test_broken_headers_are_named(tmp_path):
    path = tmp_path / "broken.safetensors"
    model_file(path, ss_clip_skip="2")
    whole = path.read_bytes()
    for broken in (b"", whole[:5], whole[:30], whole.replace(b"{", b"["), whole.replace(b"F32", b"F64")):
        path.write_bytes(broken)
        with problem(path, safetensors_file.NOT_SAFETENSORS):
            find_recommendation(str(path))
    path.write_bytes(whole[:-1])
    with problem(path, safetensors_file.CUT_SHORT):
        find_recommendation(str(path))


def test_a_header_above_100_mb_is_refused_at_once(tmp_path):
    path = tmp_path / "huge.safetensors"
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", 100_000_001))
        file.truncate(100_000_009)
    with problem(path, safetensors_file.LONG_HEADER(size=100)):
        find_recommendation(str(path))


def test_the_body_is_not_read(tmp_path):
    size = 3 << 30
    tensor = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    path = raw(
        tmp_path / "big.safetensors", json.dumps({"__metadata__": {"ss_clip_skip": "2"}, "t": tensor}).encode(), size
    )
    assert find_recommendation(path).value == 2


def test_a_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    opened, original = [], safetensors_file.read_header
    monkeypatch.setattr(safetensors_file, "read_header", lambda file: opened.append(file) or original(file))
    path = model_file(tmp_path / "foo.safetensors", ss_clip_skip="1")
    assert [find_recommendation(path).value for _ in range(3)] == [1, 1, 1]
    assert len(opened) == 1
    model_file(path, ss_clip_skip="2")
    os.utime(path, ns=(1, 1))
    assert find_recommendation(path).value == 2
    assert len(opened) == 2


@pytest.mark.parametrize(("error", "times"), [(reading.Unreadable("wrong"), 1), (PermissionError(13, "wrong"), 3)])
def test_a_problem_is_remembered_and_a_refusal_of_the_system_is_not(tmp_path, error, times):
    calls = []

    def read(path):
        calls.append(path)
        raise error

    (tmp_path / "foo").write_text("x")
    for _ in range(3):
        with problem(tmp_path / "foo", "wrong"):
            reading.remembered(read, str(tmp_path / "foo"))
    assert len(calls) == times


def test_a_host_without_safetensors(tmp_path, monkeypatch):
    path = model_file(tmp_path / "foo.safetensors", ss_clip_skip="2")
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    assert find_recommendation(path).value == 2


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
    found = find_recommendation(path)
    assert (found.value, found.source, found.file) == (value, source, "model.safetensors")


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
    found = find_recommendation(checkpoint(tmp_path, ".json", data, name))
    assert (found.value, found.source, found.file) == (value, source, "model.json")


def images(*metas):
    return {"baseModel": "SD 1.5", "images": [{"url": "x", "meta": meta} for meta in metas]}


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (images({"Clip skip": "2"}, {"clipSkip": 2}, None, {"steps": 20}), (2, "images")),
        (images({"Clip skip": "2"}, {"Clip skip": "2"}, {"Clip skip": "1"}), (2, "images")),
        (images({"Clip skip": "2"}), None),
        (images({"Clip Skip": "2"}, {"CLIP skip": 2}), (2, "images")),
        (images({"Clip skip": None, "clipSkip": 2}, {"Clip skip": "", "clipSkip": 2}), (2, "images")),
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
    answer = find_recommendation(checkpoint(tmp_path, ".civitai.info", data))
    assert (answer and (answer.value, answer.source)) == found
    assert answer is None or (answer.how == "pictures") == (answer.source == "images")


VERSION = {"baseModel": "SD 1.5", "clipSkip": 2}
PICTURES = [{"meta": {"Clip skip": "2"}}, {"meta": {"meta": {"clipSkip": 2}}}, {"meta": {"Clip skip": "-2"}}]


@pytest.mark.parametrize(
    ("ending", "data", "found"),
    [
        # WebUIs: the dropdown's words in AUTOMATIC1111, Forge Neo and what downloaders write
        *(
            (".json", {"sd version": name, "notes": "clip skip 2"}, (2, "notes", "recommended"))
            for name in ("SD1", "sd")
        ),
        *(
            (".json", {"sd version": name, "notes": "clip skip 2"}, (2, "notes", "recommended"))
            for name in ("SD 1.5", "")
        ),
        *((".json", {"sd version": name, "notes": "clip skip 2"}, None) for name in ("SD2", "xl", "Pony", "SDXL 1.0")),
        # Civitai's answers, as Civitai Helper and Civitai Browser save them
        (".civitai.info", VERSION, (2, "clipSkip", "recommended")),
        (".api_info.json", VERSION, (2, "clipSkip", "recommended")),
        (
            ".api_info.json",
            {"modelVersions": [{**VERSION, "files": [{"name": "model.safetensors"}]}, {**VERSION, "clipSkip": 1}]},
            (2, "clipSkip", "recommended"),
        ),
        (".api_info.json", {"modelVersions": [VERSION, {**VERSION, "clipSkip": 1}]}, None),
        (
            ".api_info.json",
            {"modelVersions": [{"baseModel": "SD 1.4"}], "description": "clip skip 2"},
            (2, "description", "recommended"),
        ),
        (
            ".civitai.info",
            {"baseModel": "SD 1.5", "trainingDetails": {"type": "Character", "params": {"clipSkip": 2}}},
            (2, "clipSkip", "trained"),
        ),
        (".civitai.info", {"baseModel": "Illustrious", "trainingDetails": {"params": {"clipSkip": 2}}}, None),
        (".civitai.info", {"baseModel": "SD 1.5 LCM", "images": PICTURES}, (2, "images", "pictures")),
        (
            ".civitai.info",
            {"baseModel": "SD 1.5", "images": PICTURES, "description": "clip skip 1"},
            (1, "description", "recommended"),
        ),
        # Stability Matrix
        (
            ".cm-info.json",
            {"BaseModel": "SD 1.5", "ModelDescription": "<p>Clip skip: 2</p>"},
            (2, "ModelDescription", "recommended"),
        ),
        (".cm-info.json", {"BaseModel": "SDXL 1.0", "VersionDescription": "Clip skip: 2"}, None),
        # Lora Manager
        (
            ".metadata.json",
            {"base_model": "SD 1.5", "usage_tips": '{"strength": 0.6, "clip_skip": 2}'},
            (2, "clip_skip", "recommended"),
        ),
        (".metadata.json", {"base_model": "SD1.5", "usage_tips": {"clip_skip": 1}}, (1, "clip_skip", "recommended")),
        (
            ".metadata.json",
            {"base_model": "SD 1.5", "usage_tips": "{", "modelDescription": "CLIPスキップ：2"},
            (2, "modelDescription", "recommended"),
        ),
        (
            ".metadata.json",
            {"base_model": "SD 1.5", "civitai": {**VERSION, "clipSkip": None, "images": PICTURES}},
            (2, "images", "pictures"),
        ),
        (".metadata.json", {"base_model": "Flux.1 D", "usage_tips": '{"clip_skip": 2}'}, None),
    ],
)
def test_every_sidecar(tmp_path, ending, data, found):
    answer = find_recommendation(checkpoint(tmp_path, ending, data))
    assert (answer and (answer.value, answer.source, answer.how)) == found
    assert answer is None or answer.file == f"model{ending}"


def test_what_the_user_wrote_comes_before_what_was_downloaded_and_pictures_come_last(tmp_path):
    path = checkpoint(tmp_path, ".civitai.info", {"baseModel": "SD 1.5", "images": PICTURES})
    assert find_recommendation(path).how == "pictures"
    (tmp_path / "model.cm-info.json").write_text('{"BaseModel": "SD 1.5", "VersionDescription": "clip skip 1"}')
    assert find_recommendation(path).value == 1
    (tmp_path / "model.json").write_text('{"notes": "clip skip 3"}')
    assert find_recommendation(path).value == 3


WRONG = [None, 30, "x", [], [None], {}, {"params": []}, {"clip_skip": {}}, [[[]]], True, 1e999, -0.5, "clip skip 2" * 3]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("ending", [".json", ".civitai.info", ".api_info.json", ".cm-info.json", ".metadata.json"])
def test_wrong_types_say_nothing(tmp_path, ending, wrong):
    keys = (
        "clip skip",
        "clipSkip",
        "trainingDetails",
        "model",
        "images",
        "modelVersions",
        "usage_tips",
        "civitai",
        "files",
    )
    for base in ({}, {"baseModel": wrong, "BaseModel": wrong, "base_model": wrong, "sd version": wrong}):
        path = checkpoint(tmp_path, ending, {**base, **dict.fromkeys(keys, wrong)})
        assert find_recommendation(path) is None
        checkpoint(tmp_path, ending, {"modelVersions": [{"files": wrong}, wrong], "images": [{"meta": wrong}] * 3})
        assert find_recommendation(path) is None


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_in_other_encodings(tmp_path, encoding):
    path = checkpoint(tmp_path)
    (tmp_path / "model.json").write_bytes('{"notes": "クリップスキップ 2"}'.encode(encoding))
    assert find_recommendation(path).value == 2
    (tmp_path / "model.json").write_bytes(b'{"notes": "\xff\xfe clip skip 2"}')
    with problem("model.json", reading.NOT_JSON):
        find_recommendation(path)


def test_a_number_of_a_million_digits_takes_no_time(tmp_path):
    text = '{"clip skip": ' + "9" * 1_000_000 + "}"
    assert find_recommendation(checkpoint(tmp_path, ".json", text)) is None


def one_trainer(model, **config):
    return {"ot_branch": "master", "ot_config": json.dumps({"__version": 10, "model_type": model, **config})}


@pytest.mark.parametrize(
    ("metadata", "value", "model", "how"),
    [
        (one_trainer("STABLE_DIFFUSION_15", text_encoder_layer_skip=1), 2, "SD1", "trained"),
        (one_trainer("STABLE_DIFFUSION_15_INPAINTING", text_encoder_layer_skip=0), 1, "SD1", "trained"),
        (one_trainer("STABLE_DIFFUSION_21", text_encoder_layer_skip=1) | {"ss_v2": "True"}, 3, "SD2", "trained"),
        (
            one_trainer("STABLE_DIFFUSION_XL_10_BASE", text_encoder_layer_skip=1) | {"ss_base_model_version": "sdxl_"},
            *(3, "SDXL", "trained"),
        ),
        (one_trainer("FLUX_DEV_1", text_encoder_layer_skip=1), None, None, None),
        (one_trainer("STABLE_DIFFUSION_15", text_encoder_layer_skip="1"), None, None, None),
        (one_trainer("STABLE_DIFFUSION_15", text_encoder_layer_skip=-1), None, None, None),
        (one_trainer("STABLE_DIFFUSION_15", text_encoder_layer_skip=10**30), None, None, None),
        ({"ot_config": "["}, None, None, None),
        ({"ot_config": "[" * 100_000}, None, None, None),
        # sd-scripts counts SD2's clip skip from the top of 23 blocks
        ({"ss_v2": "True", "ss_base_model_version": "sd_v2", "ss_clip_skip": "1"}, 2, "SD2", "trained"),
        (
            {"modelspec.architecture": "stable-diffusion-v2-768-v/lora", "modelspec.encoder_layer": "2"},
            3,
            "SD2",
            "trained",
        ),
        ({"ss_base_model_version": "flux1", "ss_clip_skip": "2"}, None, None, None),
        # ai-toolkit names the model otherwise, SimpleTuner has a comment
        (
            {"ss_base_model_version": "sd_1.5", "software": '{"name": "ai-toolkit"}', "ss_clip_skip": "2"},
            2,
            "SD1",
            "trained",
        ),
        (
            {"modelspec.implementation": "diffusers", "modelspec.comment": "Best at clip skip 2."},
            2,
            None,
            "recommended",
        ),
        ({"ss_base_model_version": "sd_v1", "ss_training_comment": "CLIPスキップ2"}, 2, "SD1", "recommended"),
        ({"description": "clip skip: 2"}, 2, None, "recommended"),
    ],
)
def test_what_trainers_write_into_the_header(tmp_path, metadata, value, model, how):
    found = find_recommendation(model_file(tmp_path / "foo.safetensors", **metadata))
    assert (found and (found.value, found.model, found.how)) == (value and (value, model, how))


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "3", '"clip skip 2"', "[" * 100_000, '{"a":' * 100_000, '{"clip skip": 1e999}', "\0"]
)
@pytest.mark.parametrize("ending", [".json", ".civitai.info"])
def test_broken_json_is_named_or_says_nothing(tmp_path, ending, text):
    path = checkpoint(tmp_path, ending, text)
    try:
        assert find_recommendation(path) is None
    except Problem as error:
        assert error.message == complaint(f"model{ending}", reading.NOT_JSON)


def test_huge_json_is_refused(tmp_path):
    path = checkpoint(tmp_path, ".json", "{}")
    for size in (reading.LARGEST_JSON + 1, 10 * reading.LARGEST_JSON):
        os.truncate(tmp_path / "model.json", size)
        with problem("model.json", reading.LARGE(size=10)):
            find_recommendation(path)


def test_a_broken_file_does_not_hide_what_another_says(tmp_path):
    path = checkpoint(tmp_path, ".json", "{")
    (tmp_path / "model.civitai.info").write_text('{"clipSkip": 2}')
    assert find_recommendation(path).value == 2


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
        ("Clip skip： ２", 2),
        ("ＣＬＩＰ ｓｋｉｐ＝１", 1),
        ("CLIPスキップ：2", 2),
        ("CLIP Skipは2を推奨", 2),
        ("CLIP Skipは「2」を推奨", 2),
        ("clip skip设置为（2）", 2),
        ("クリップスキップは 2 にしてください", 2),
        ("ｸﾘｯﾌﾟｽｷｯﾌﾟ 2", 2),
        ("クリップスキップ 1か2", None),
        ("クリップスキップ2は使わないでください", None),
        ("클립 스킵 2 권장", 2),
        ("클립스킵: 1", 1),
        ("CLIP 스킵은 2로 설정", 2),
        ("클립 스킵 1 또는 2", None),
        ("CLIP跳过层：2", 2),
        ("跳过层数设置为2", 2),
        ("CLIP 終止層數 2", 2),
        ("CLIP 终止层数：2，步数：30", 2),
        ("剪辑跳过 2", 2),
        ("跳過層 1或2", None),
        ("不要用 clip skip 2", None),
        ("<b>Clip skip</b> — <i>2</i>", None),
    ],
)
def test_what_a_text_recommends(text, value):
    assert descriptions.mentioned(text) == value


@pytest.mark.parametrize(
    "piece",
    [
        *("<", "<a", "&amp;", "clip ", "clip skip ", "clip skip 1 ", "clip_", "not ", "not clip skip 2 ", "クリップ"),
        *("跳过层", " ", "clip skip: of to ", "１", "ﷺ", "clip skip 2 or ", "clip skip 1不", "클립 스킵 은 는 "),
    ],
)
def test_the_time_grows_with_the_length_of_a_text(piece):
    for start in ("", "clip"):
        assert growth(descriptions.mentioned, lambda size, start=start: start + piece * (size // len(piece))) < 5


def said(name, value, in_effect, used=suggestions.THIS_PICTURE):
    file = suggestions.FILES["LoRA"](name=f'"{name}"')
    return suggestions.TRAINED(file=file, value=value, comparison=used(value=in_effect))


class Params:
    """The host's, of a tag in a prompt."""

    def __init__(self, items):
        self.items = items
        self.named = dict(item.split("=", 1) for item in items if "=" in item)
        self.positional = [item for item in items if "=" not in item]


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


@pytest.mark.parametrize(
    ("tag", "named"),
    [
        *((f"<lora:two{end}>", True) for end in ("", ":1", ":0.5", ":0:1", ":-1", ":te=0:unet=1", ":x")),
        *((f"<lora:two{end}>", False) for end in (":0", ":0.0", ":0:0", ":0:unet=0", ":te=0", ":1:te=0:unet=0")),
    ],
)
def test_a_lora_at_weight_0_is_not_named(host, tag, named):
    assert (host.webui.loras(f"a cow {tag}") != {}) == named


def test_a_loras_sidecar_is_asked_where_its_header_is_silent(host):
    model_file(host.folder / "two.safetensors", **SD1)
    (host.folder / "two.civitai.info").write_text(json.dumps({"baseModel": "SD 1.5", "images": PICTURES}))
    (one,) = host.webui.suggest(host.model, "<lora:two:1>", 1.0)
    file = suggestions.FILES["LoRA"](name='"two"')
    assert one["text"] == suggestions.EXAMPLES_MADE_AT(
        file=file, value=2, comparison=suggestions.THIS_PICTURE(value="1")
    )
    (host.folder / "two.civitai.info").write_text("{")
    assert host.webui.suggest(host.model, "<lora:two:1>", 1.0) == [
        {"problem": complaint("two.civitai.info", reading.NOT_JSON)}
    ]


def test_what_is_said_of_sdxl_is_not_suggested_for_sd1(host):
    model_file(host.folder / "two.safetensors", **one_trainer("STABLE_DIFFUSION_XL_10_BASE", text_encoder_layer_skip=1))
    assert host.webui.suggest(host.model, "<lora:two:1>", 1.0) == []


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
            "text": said("two", 2, "1"),
        }
    ]
    assert str(said("two", 2, "1")) == 'LoRA "two" was trained at clip skip 2; this picture used 1.'
    assert [one["value"] for one in host.webui.suggest(host.model, "<lora:one:1> <lora:two:1>", 1.5)] == [1, 2]
    assert host.webui.suggest(host.model, "no LoRA", 1.0) == []


def test_the_checkpoints_recommendation(host):
    (host.folder / "model.civitai.info").write_text('{"clipSkip": 2}')
    (one,) = host.webui.suggest(host.model, "", 1.0)
    file = suggestions.FILES["checkpoint"](name='"model"')
    comparison = suggestions.THIS_PICTURE(value="1")
    assert one["text"] == suggestions.RECOMMENDS(file=file, value=2, comparison=comparison)
    assert (one["kind"], one["source"]) == ("checkpoint", "clipSkip in model.civitai.info")


def test_nothing_is_suggested_for_other_models(host, monkeypatch):
    monkeypatch.setattr(host.webui, "describe_model", lambda model: SimpleNamespace(kind="SDXL"))
    assert host.webui.suggest(host.model, "<lora:two:1>", 1.0) == []
    assert host.webui.suggest(None, "<lora:two:1>", 1.0) == []


def test_tell_compares_with_the_value_in_effect(host):
    two = [said("two", 2, "1")]
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
    message = [complaint("two.safetensors", safetensors_file.NOT_SAFETENSORS)]
    assert host.webui.find_messages(generation("<lora:two:1>"), shown) == message
    assert host.webui.find_messages(generation("<lora:two:1>"), shown) == []
    assert host.webui.suggest_while_writing(host.model, "<lora:two:1>", None) == {
        "suggestions": [],
        "problems": [*map(str, message)],
    }


def test_nothing_breaks_a_generation(host, monkeypatch):
    assert host.webui.find_messages(SimpleNamespace()) == []
    monkeypatch.setattr(host.webui.suggestions, "find_recommendation", lambda path: 1 / 0)
    assert host.webui.find_messages(generation("<lora:two:1>")) == []
    assert host.webui.suggest_while_writing(host.model, "<lora:two:1>", None) == {"suggestions": [], "problems": []}


def test_the_answer_for_the_panel(host):
    (one,) = host.webui.suggest_while_writing(host.model, "<lora:two:1>", None)["suggestions"]
    assert one["text"] == str(said("two", 2, "1", suggestions.NOW))
    assert host.webui.suggest_while_writing(host.model, "<lora:two:1> <clipskip:2>", None)["suggestions"] == []
    assert host.webui.suggest_while_writing(host.model, "<lora:two:1>", 2.0)["suggestions"] == []
    assert host.webui.suggest_while_writing(host.model, "<lora:two:1>", float("nan"))["suggestions"] == [one]
    assert host.webui.suggest_while_writing(host.model, "", None) == {"suggestions": [], "problems": []}
    json.dumps(host.webui.suggest_while_writing(host.model, "<lora:two:1>", None))
