"""LoRAs and textual inversions without a WebUI, on a small SDXL model with random weights."""

import contextlib
import os
import pickle
import shutil

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("open_clip")
pytest.importorskip("peft")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from clip_skip.messages.message import Message  # noqa: E402
from clip_skip.standalone.cli.main import main  # noqa: E402
from clip_skip.standalone.engine.engine import Engine  # noqa: E402
from clip_skip.standalone.engine.shots import Batch, Shot  # noqa: E402
from clip_skip.standalone.models import checkpoint  # noqa: E402
from clip_skip.standalone.models.lora_files import MANY_FILES, find_lora  # noqa: E402
from clip_skip.standalone.models.lycoris import NOT_SUPPORTED, Change, difference  # noqa: E402
from clip_skip.standalone.prompts import embeddings, tokens  # noqa: E402
from clip_skip.standalone.prompts.networks import (  # noqa: E402
    HYPERNETWORK,
    IGNORED_OPTION,
    NO_NAME,
    UNKNOWN_NETWORK,
    WEIGHT_NOT_A_NUMBER,
    EmbeddingError,
    Lora,
    LoraError,
    network_warnings,
    read_networks,
)
from tests.random_model import SMALL_SDXL, random_weights  # noqa: E402

RANK, ALPHA = 4, 2.0

CHANGED = {
    "lora_te1_text_model_encoder_layers_3_mlp_fc1": "conditioner.embedders.0.transformer.text_model."
    "encoder.layers.3.mlp.fc1.weight",
    "lora_te2_text_model_encoder_layers_7_mlp_fc2": "conditioner.embedders.1.model."
    "transformer.resblocks.7.mlp.c_proj.weight",
    "lora_unet_input_blocks_3_1_transformer_blocks_0_attn2_to_q": "model.diffusion_model."
    "input_blocks.3.1.transformer_blocks.0.attn2.to_q.weight",
}
"""What the LoRA changes, by its names and by the checkpoint's."""


@pytest.fixture(scope="module")
def weights():
    torch.set_num_threads(1)
    return dict(random_weights(SMALL_SDXL))


def write_lora(path, weights, seed):
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, changed in CHANGED.items():
        outputs, inputs = weights[changed].shape
        state[f"{key}.lora_down.weight"] = torch.randn(RANK, inputs, generator=generator) * 0.3
        state[f"{key}.lora_up.weight"] = torch.randn(outputs, RANK, generator=generator) * 0.3
        state[f"{key}.alpha"] = torch.tensor(ALPHA)
    path.parent.mkdir(exist_ok=True)
    save_file(state, path)


@pytest.fixture(scope="module")
def folder(weights, tmp_path_factory):
    """Two LoRAs, and files that are none."""
    folder = tmp_path_factory.mktemp("loras")
    for seed, name in enumerate(("one", "two.v2")):
        write_lora(folder / f"{name}.safetensors", weights, seed)
    save_file({"emb_params": torch.zeros(1, 4)}, folder / "none.safetensors")
    (folder / "broken.safetensors").write_bytes(b"x" * 100)
    return folder


@pytest.fixture(scope="module")
def engine(weights, folder):
    return Engine(checkpoint.build_models(weights, SMALL_SDXL, "cpu", torch.float32), loras=folder)


def merged(weights, folder, **scales):
    """The engine of a model into whose weights the LoRAs are merged by hand; a scale each for texts and UNet."""
    changed = dict(weights)
    for name, (text, unet) in scales.items():
        state = load_file(folder / f"{name}.safetensors")
        for key, weight in CHANGED.items():
            scale = (text if "_te" in key else unet) * ALPHA / RANK
            change = state[f"{key}.lora_up.weight"] @ state[f"{key}.lora_down.weight"]
            changed[weight] = changed[weight] + scale * change
    return Engine(checkpoint.build_models(changed, SMALL_SDXL, "cpu", torch.float32))


def latents(engine, *prompts):
    shots = tuple(Shot(prompt, "dark", 3, 7, 1) for prompt in prompts)
    return engine.make(Batch(shots, 2, 64, 64, "Euler")).latents


def close(one, other):
    return torch.allclose(one, other, atol=0.05, rtol=1e-3)


def test_tags_are_read_and_taken_out():
    prompt = "a <lora:one:0.8>cow<lora:two.v2:te=0.5:unet=1><lora:x:1:0.5><y:1> <lora:z><lyco:w:0.7>"
    expected = [("one", 0.8, 0.8), ("two.v2", 0.5, 1), ("x", 1, 0.5), ("z", 1, 1), ("w", 0.7, 0.7)]
    assert read_networks(prompt) == ("a cow ", tuple(Lora(*one) for one in expected))
    assert network_warnings([prompt]) == [UNKNOWN_NETWORK(tag='"<y:1>"')]
    assert read_networks("a < b <c:> <d") == ("a < b <c:> <d", ())


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("<lora:a:b>", WEIGHT_NOT_A_NUMBER(tag='"<lora:a:b>"', text='"b"')),
        ("<lora:a:te=b>", WEIGHT_NOT_A_NUMBER(tag='"<lora:a:te=b>"', text='"b"')),
        ("<lora:a:1:unet=nan>", WEIGHT_NOT_A_NUMBER(tag='"<lora:a:1:unet=nan>"', text='"nan"')),
        ("<lora:te=0.5>", NO_NAME(tag='"<lora:te=0.5>"')),
        ("<lora::1>", NO_NAME(tag='"<lora::1>"')),
        ("<hypernet:h:1>", HYPERNETWORK(tag='"<hypernet:h:1>"')),
    ],
)
def test_what_is_no_lora_is_refused(tag, message):
    with pytest.raises(LoraError) as error:
        read_networks(f"a cow {tag}")
    assert error.value.message == message


@pytest.mark.parametrize(
    ("tag", "lora", "ignored"),
    [
        ("<lora:x:0.5:OUTALL>", ("x", 0.5, 0.5), ["OUTALL"]),
        ("<lora:x:0.5:1,0,0,1>", ("x", 0.5, 0.5), ["1,0,0,1"]),
        ("<lora:x:0.5:0.7:8>", ("x", 0.5, 0.7), ["8"]),
        ("<lora:x:0.5:lbw=MIDD:stop=10>", ("x", 0.5, 0.5), ["lbw=MIDD", "stop=10"]),
        ("<lora:x:1:te=0.5:dyn=4>", ("x", 0.5, 0.5), ["dyn=4"]),
    ],
)
def test_what_other_extensions_read_is_ignored_with_a_word(tag, lora, ignored):
    assert read_networks(tag) == ("", (Lora(*lora),))
    warnings = network_warnings(["a", tag, tag])
    assert warnings == [IGNORED_OPTION(tag=f'"{tag}"', text=f'"{text}"') for text in ignored]


@given(st.lists(st.sampled_from([*"<>:=,.", "lora", "lyco", "te", "unet", "1", "x", "nan", "hypernet"])).map("".join))
def test_any_text_is_read_or_refused(text):
    network_warnings([text])
    try:
        rest, loras = read_networks(text)
    except LoraError as error:
        assert isinstance(error.message, Message)
    else:
        assert len(rest) <= len(text) and all(lora.name for lora in loras)


def metadata_file(path, **metadata):
    save_file({"a": torch.zeros(1)}, path, metadata=metadata)
    return path


def test_a_lora_is_found_by_its_alias_if_one_file_has_it(tmp_path):
    (tmp_path / "below").mkdir()
    style = metadata_file(tmp_path / "below" / "style_v3.safetensors", ss_output_name="style")
    first = metadata_file(tmp_path / "first.safetensors", ss_output_name="twice")
    second = metadata_file(tmp_path / "second.safetensors", ss_output_name="twice")
    own = metadata_file(tmp_path / "own.safetensors", ss_output_name="other")
    metadata_file(tmp_path / "another.safetensors", ss_output_name="own")
    (tmp_path / "broken.safetensors").write_bytes(b"x")
    assert find_lora("style", tmp_path) == find_lora("style_v3", tmp_path) == style
    assert find_lora("first", tmp_path) == first and find_lora("own", tmp_path) == own
    with pytest.raises(LoraError) as error:
        find_lora("twice", tmp_path)
    assert error.value.message == MANY_FILES(tag="<lora:twice>", files=f"{first.name}, {second.name}")
    metadata_file(second, ss_output_name="once")
    assert find_lora("twice", tmp_path) == first


@pytest.mark.parametrize(
    ("tag", "scales"), [("", (1, 1)), (":0.5", (0.5, 0.5)), (":0:1", (0, 1)), (":-1:0.5", (-1, 0.5))]
)
def test_a_lora_is_the_model_that_it_is_merged_into(tag, scales, engine, weights, folder):
    made = latents(engine, f"<lora:one{tag}>a cow")
    assert close(made, latents(merged(weights, folder, one=scales), "a cow"))
    assert not close(made, latents(engine, "a cow"))


def test_pictures_of_a_batch_have_each_their_own(engine, weights, folder):
    plain = merged(weights, folder)
    prompts = ["a cow", "<lora:one:0.7>a cow", "<lora:one:0.7><lora:two.v2:0.4>a cow", "a horse"]
    together = latents(engine, *prompts)
    two = merged(weights, folder, **{"one": (0.7, 0.7), "two.v2": (0.4, 0.4)})
    assert close(together[:1], latents(plain, "a cow")) and close(together[3:], latents(plain, "a horse"))
    assert close(together[2:3], latents(two, "a cow"))
    assert close(together[1:2], latents(engine, prompts[1]))


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("<lora:missing>", r"<lora:missing>: there is no missing\.safetensors in"),
        ("<lora:none>", r"none\.safetensors (has nothing|cannot be used)"),
        ("<lora:broken>", r"broken\.safetensors cannot be used with this model"),
    ],
)
def test_what_cannot_be_used_is_named(prompt, message, engine):
    with pytest.raises(LoraError, match=message):
        latents(engine, prompt)


def test_the_command_names_a_lora_that_is_not_there(tmp_path, capsys):
    arguments = ["--prompt", "<lora:x>a", "--steps", "1", "--skips", "1", "--cfg", "7", "--out", str(tmp_path / "out")]
    for more, message in (
        ([], "no folder of LoRAs is given"),
        (["--loras", str(tmp_path)], "there is no x.safetensors"),
    ):
        with pytest.raises(SystemExit):
            main(["sweep", *arguments, *more])
        assert f"--prompt: <lora:x>: {message}" in capsys.readouterr().err


# LyCORIS


def lycoris_parts(kind, outputs, inputs, generator):
    """The weights of a module of this algorithm."""
    random = lambda *shape: torch.randn(shape, generator=generator) * 0.3
    if kind == "LoHa":
        return {f"hada_w{n}_a": random(outputs, RANK) for n in (1, 2)} | {
            f"hada_w{n}_b": random(RANK, inputs) for n in (1, 2)
        }
    if kind == "LoKr":
        return {
            "lokr_w1": random(4, 4),
            "lokr_w2_a": random(outputs // 4, RANK),
            "lokr_w2_b": random(RANK, inputs // 4),
        }
    return {"diff": random(outputs, inputs) * 0.1}


def lycoris_change(kind, parts):
    """What they stand for, by the formulas of the papers."""
    if kind == "LoHa":
        first, second = (parts[f"hada_w{n}_a"] @ parts[f"hada_w{n}_b"] for n in (1, 2))
        return first * second * ALPHA / RANK
    if kind == "LoKr":
        return torch.kron(parts["lokr_w1"], parts["lokr_w2_a"] @ parts["lokr_w2_b"]) * ALPHA / RANK
    return parts["diff"]


def lycoris_file(path, kind, weights):
    """A file of this algorithm, and the changes of weights that it stands for, by the checkpoint's names."""
    generator = torch.Generator().manual_seed(5)
    state, changes = {}, {}
    for key, changed in CHANGED.items():
        parts = lycoris_parts(kind, *weights[changed].shape, generator)
        changes[changed] = lycoris_change(kind, parts)
        state |= {f"{key}.{name}": weight for name, weight in parts.items()}
        if kind != "diff":
            state[f"{key}.alpha"] = torch.tensor(ALPHA)
    save_file(state, path)
    return changes


@pytest.mark.parametrize("kind", ["LoHa", "LoKr", "diff"])
def test_a_lycoris_file_is_the_model_that_it_is_merged_into(kind, weights, folder, tmp_path):
    changes = lycoris_file(tmp_path / "lyco.safetensors", kind, weights)
    shutil.copy(folder / "one.safetensors", tmp_path)
    engine = Engine(checkpoint.build_models(weights, SMALL_SDXL, "cpu", torch.float32), loras=tmp_path)

    def merged_with(text, unet, one=0.0):
        loaded = load_file(folder / "one.safetensors")
        changed = dict(weights)
        for key, name in CHANGED.items():
            scale = text if "_te" in key else unet
            change = loaded[f"{key}.lora_up.weight"] @ loaded[f"{key}.lora_down.weight"]
            changed[name] = weights[name] + scale * changes[name] + one * ALPHA / RANK * change
        return Engine(checkpoint.build_models(changed, SMALL_SDXL, "cpu", torch.float32))

    plain = latents(engine, "a cow")
    made = latents(engine, "<lora:lyco:0.5>a cow")
    assert close(made, latents(merged_with(0.5, 0.5), "a cow")) and not close(made, plain)
    assert close(latents(engine, "<lyco:lyco:te=-0.5:unet=1>a cow"), latents(merged_with(-0.5, 1), "a cow"))
    assert close(latents(engine, "<lora:lyco:0.5><lora:one:0.7>a cow"), latents(merged_with(0.5, 0.5, 0.7), "a cow"))
    assert close(latents(engine, "<lora:lyco:0.5>a cow"), made)
    assert torch.equal(latents(engine, "a cow"), plain)


def test_changes_are_those_of_lycoris():
    """By the functions of its library; `get_diff_weight` of its module for LoHa multiplies by alpha / rank twice."""
    functional = pytest.importorskip("lycoris.functional", reason="lycoris_lora is not installed")
    generator = torch.Generator().manual_seed(1)
    random = lambda *shape: torch.randn(shape, generator=generator)
    linear, conv = torch.nn.Linear(12, 20), torch.nn.Conv2d(12, 20, 3)
    alpha = torch.tensor(ALPHA)
    names = ["hada_w1_b", "hada_w1_a", "hada_w2_b", "hada_w2_a"]
    cores = [random(RANK, RANK, 3, 3) for _ in range(2)]
    for module, core, left in ((linear, [None, None], (20, RANK)), (conv, cores, (RANK, 20))):
        loha = [random(RANK, 12), random(*left), random(RANK, 12), random(*left)]
        parts = dict(zip(names, loha)) | {"alpha": alpha}
        parts |= {f"hada_t{n}": tensor for n, tensor in enumerate(core, 1) if tensor is not None}
        expected = functional.loha.diff_weight(*loha, *core, gamma=ALPHA / RANK)
        found, _ = difference(Change(module, False, parts), module.weight)
        assert torch.allclose(found, expected.reshape(module.weight.shape), atol=1e-5)
    first, left, right = random(4, 3), random(5, RANK), random(RANK, 4)
    found, _ = difference(
        Change(linear, False, {"lokr_w1": first, "lokr_w2_a": left, "lokr_w2_b": right, "alpha": alpha}), linear.weight
    )
    expected = functional.lokr.diff_weight(first, None, None, None, left, right, None, gamma=ALPHA)
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("end", "algorithm"), [("oft_blocks", "OFT"), ("a1.weight", "GLoRA"), ("dora_scale", "DoRA")])
def test_other_algorithms_are_refused_by_name(end, algorithm, engine, folder):
    name, path = next(iter(CHANGED)), folder / f"other-{algorithm}.safetensors"
    save_file({f"{name}.{end}": torch.zeros(4, 4), f"{name}.diff": torch.zeros(4, 4)}, path)
    with pytest.raises(LoraError) as error:
        latents(engine, f"<lora:other-{algorithm}>a cow")
    assert error.value.message == NOT_SUPPORTED(file=str(path), algorithm=algorithm)


@pytest.mark.parametrize(
    "end", ["lora_down.weight", "hada_w1_a", "lokr_w1", "diff", "alpha", "lora_mid.weight", "b_norm"]
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 5), (4, 4, 3, 3)], ids=str)
def test_weights_of_other_shapes_are_refused_and_stop_nothing_else(end, shape, engine, folder):
    path = folder / f"odd-{end}-{len(shape)}-{sum(shape)}.safetensors"
    state = {f"{name}.{end}": torch.zeros(shape) for name in CHANGED}
    state |= {f"{name}.lora_up.weight": torch.ones(3, 2) for name in CHANGED if end.startswith("lora")}
    save_file(state, path)
    before = latents(engine, "<lora:one:0.7>a cow")
    with pytest.raises(LoraError) as error:
        latents(engine, f"<lora:{path.stem}>a cow")
    assert path.name in str(error.value)
    assert torch.equal(latents(engine, "<lora:one:0.7>a cow"), before)


def test_nothing_stays_of_a_lora_whose_second_part_does_not_fit(engine, weights, folder):
    write_lora(folder / "half.safetensors", weights, 5)
    state = load_file(folder / "half.safetensors")
    end = "te2_text_model_encoder_layers_7_mlp_fc2.lora_up.weight"
    save_file(state | {f"lora_{end}": torch.ones(3, RANK)}, folder / "half.safetensors")
    before = latents(engine, "<lora:one:0.7>a cow")
    with pytest.raises(LoraError, match=r"half\.safetensors"):
        latents(engine, "<lora:half>a cow")
    assert torch.equal(latents(engine, "<lora:one:0.7>a cow"), before)


# Textual inversions


def write_embedding(path, data):
    save_file(data, path) if path.suffix == ".safetensors" else torch.save(data, path)
    return path


def test_a_word_stands_for_vectors(weights, tmp_path):
    models = checkpoint.build_models(weights, SMALL_SDXL, "cpu", torch.float32)
    rows = {"l": models.text_encoders[0], "g": models.text_encoders[1]}
    cow = tokens.tokenizer().encode("cow", add_special_tokens=False).ids[0]
    data = {f"clip_{tower}": embeddings.token_embedding(rows[tower]).weight[[cow, cow]].clone() for tower in rows}
    write_embedding(tmp_path / "my-word.safetensors", data)
    engine = Engine(models, embeddings=embeddings.Embeddings(embeddings.load_embeddings(tmp_path)))
    assert close(latents(engine, "a My-Word field"), latents(Engine(models), "a cow cow field"))
    long = "a field, " * 24
    assert len(long.replace(",", " ,").split()) == 72
    assert close(latents(engine, f"{long} x x my-word"), latents(Engine(models), f"{long} x x BREAK cow cow"))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.pt", {"string_to_param": {"*": torch.ones(2, 8)}, "name": "a"}),
        ("a.bin", {"<a>": torch.ones(8)}),
        ("a.safetensors", {"emb_params": torch.ones(3, 8)}),
    ],
)
def test_files_of_other_tools(name, data, tmp_path):
    found = embeddings.read_embedding(write_embedding(tmp_path / name, data))
    assert found.name == "a" and set(found.vectors) == {"l", "h"} and found.vectors["l"].shape[1] == 8


def broken_embeddings(folder):
    """Files that are none, by the words that they would stand for."""
    write_embedding(folder / "two.safetensors", {"a": torch.ones(1), "b": torch.ones(1)})
    write_embedding(folder / "cube.safetensors", {"a": torch.ones(2, 2, 2)})
    write_embedding(folder / "whole.pt", {"a": torch.ones(2, 8, dtype=torch.int64)})
    write_embedding(folder / "infinite.pt", {"a": torch.full((2, 8), torch.inf)})
    write_embedding(folder / "long.pt", {"a": torch.ones(76, 8)})
    write_embedding(folder / "list.pt", [1, 2])
    for name in ("empty.pt", "empty2.safetensors", "empty3.bin"):
        (folder / name).touch()
    (folder / "text.pt").write_text("not a pickle")
    with (folder / "code.pt").open("wb") as file:
        pickle.dump(print, file)
    torch.save(print, folder / "code2.pt")
    return sorted(path.stem for path in folder.iterdir())


def test_files_that_are_no_textual_inversions_stop_nothing_else(engine, tmp_path):
    names = broken_embeddings(tmp_path)
    vectors = {"clip_l": torch.ones(1, 64), "clip_g": torch.ones(1, 80)}
    write_embedding(tmp_path / "fine.safetensors", vectors)
    write_embedding(tmp_path / "sd1.safetensors", {"emb_params": torch.ones(1, 64)})
    other = Engine(engine.models, embeddings=embeddings.Embeddings(embeddings.load_embeddings(tmp_path)))
    fine, of_another_family = latents(engine, "a fine cow"), latents(engine, "a sd1 cow")
    assert not close(latents(other, "a fine cow"), fine)
    assert close(latents(other, "a sd1 cow"), of_another_family)  # words, as in the WebUI
    for name in names:
        with pytest.raises(EmbeddingError) as error:
            latents(other, f"a {name} cow")
        assert f"{name}." in str(error.value) and "weights_only" not in str(error.value)


class Code:
    """A pickle of it makes a folder where it is read by Python's own rules."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_code_in_a_file_does_not_run(tmp_path):
    torch.save({"emb_params": torch.ones(2, 8), "code": Code(tmp_path / "run")}, tmp_path / "a.pt")
    with (tmp_path / "b.pt").open("wb") as file:
        pickle.dump(Code(tmp_path / "run"), file)
    for name in ("a.pt", "b.pt"):
        with pytest.raises(EmbeddingError):
            embeddings.read_embedding(tmp_path / name)
    assert not (tmp_path / "run").exists()


def test_the_command_names_a_file_that_is_no_textual_inversion(tmp_path, capsys):
    (tmp_path / "circle.pt").touch()
    arguments = ["sweep", "--embeddings", str(tmp_path), "--steps", "1", "--skips", "1", "--cfg", "7"]
    assert main([*arguments, "--prompt", "a red square", "--out", str(tmp_path / "out")]) == 0
    with pytest.raises(SystemExit):
        main([*arguments, "--prompt", "a red circle", "--out", str(tmp_path / "out2")])
    assert f"--embeddings: {tmp_path / 'circle.pt'} is not a textual inversion" in capsys.readouterr().err


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), name=st.sampled_from(["a.pt", "a.bin", "a.safetensors"]))
def test_any_file_is_a_textual_inversion_or_refused(content, name, tmp_path):
    (tmp_path / name).write_bytes(content)
    with contextlib.suppress(EmbeddingError):
        embeddings.read_embedding(tmp_path / name)


SHAPES = st.lists(st.integers(0, 3), max_size=4).map(tuple)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shapes=st.dictionaries(st.sampled_from(["clip_l", "clip_g", "emb_params", "*"]), SHAPES, max_size=3),
    kind=st.sampled_from([torch.float16, torch.float32, torch.int64, torch.bool]),
)
def test_any_weights_are_a_textual_inversion_or_refused(shapes, kind, tmp_path):
    weights = {name: torch.zeros(shape, dtype=kind) for name, shape in shapes.items()}
    write_embedding(tmp_path / "a.safetensors", weights)
    with contextlib.suppress(EmbeddingError):
        for vectors in embeddings.read_embedding(tmp_path / "a.safetensors").vectors.values():
            assert vectors.dim() == 2 and 0 not in vectors.shape
