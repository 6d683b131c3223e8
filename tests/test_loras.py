"""LoRAs and textual inversions without a WebUI, on a small SDXL model with random weights."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("open_clip")
pytest.importorskip("peft")

from safetensors.torch import save_file  # noqa: E402

from clip_skip.standalone.cli.main import main  # noqa: E402
from clip_skip.standalone.engine.engine import Engine  # noqa: E402
from clip_skip.standalone.engine.shots import Batch, Shot  # noqa: E402
from clip_skip.standalone.models import checkpoint  # noqa: E402
from clip_skip.standalone.prompts import embeddings, tokens  # noqa: E402
from clip_skip.standalone.prompts.networks import EmbeddingError, Lora, LoraError, read  # noqa: E402
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


@pytest.fixture(scope="module")
def folder(weights, tmp_path_factory):
    """Two LoRAs, and files that are none."""
    folder = tmp_path_factory.mktemp("loras")
    for seed, name in enumerate(("one", "two.v2")):
        generator = torch.Generator().manual_seed(seed)
        state = {}
        for key, changed in CHANGED.items():
            outputs, inputs = weights[changed].shape
            state[f"{key}.lora_down.weight"] = torch.randn(RANK, inputs, generator=generator) * 0.3
            state[f"{key}.lora_up.weight"] = torch.randn(outputs, RANK, generator=generator) * 0.3
            state[f"{key}.alpha"] = torch.tensor(ALPHA)
        save_file(state, folder / f"{name}.safetensors")
    save_file({"emb_params": torch.zeros(1, 4)}, folder / "none.safetensors")
    (folder / "broken.safetensors").write_bytes(b"x" * 100)
    return folder


@pytest.fixture(scope="module")
def engine(weights, folder):
    return Engine(checkpoint.build(weights, SMALL_SDXL, "cpu", torch.float32), loras=folder)


def merged(weights, folder, **scales):
    """The engine of a model into whose weights the LoRAs are merged by hand; a scale each for texts and UNet."""
    from safetensors.torch import load_file

    changed = dict(weights)
    for name, (text, unet) in scales.items():
        state = load_file(folder / f"{name}.safetensors")
        for key, weight in CHANGED.items():
            scale = (text if "_te" in key else unet) * ALPHA / RANK
            change = state[f"{key}.lora_up.weight"] @ state[f"{key}.lora_down.weight"]
            changed[weight] = changed[weight] + scale * change
    return Engine(checkpoint.build(changed, SMALL_SDXL, "cpu", torch.float32))


def latents(engine, *prompts):
    shots = tuple(Shot(prompt, "dark", 3, 7, 1) for prompt in prompts)
    return engine.make(Batch(shots, 2, 64, 64, "Euler")).latents


def close(one, other):
    return torch.allclose(one, other, atol=0.05, rtol=1e-3)


def test_tags_are_read_and_taken_out():
    prompt = "a <lora:one:0.8>cow<lora:two.v2:te=0.5:unet=1><lora:x:1:0.5:8><hypernet:y:1> <lora:z>"
    expected = [("one", 0.8, 0.8), ("two.v2", 0.5, 1), ("x", 1, 0.5), ("z", 1, 1)]
    assert read(prompt) == ("a cow ", tuple(Lora(*one) for one in expected))
    with pytest.raises(LoraError, match=r"<lora:a:b>: a weight of it is not a number"):
        read("<lora:a:b>")


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


# Textual inversions


def write_embedding(path, data):
    save_file(data, path) if path.suffix == ".safetensors" else torch.save(data, path)
    return path


def test_a_word_stands_for_vectors(weights, tmp_path):
    models = checkpoint.build(weights, SMALL_SDXL, "cpu", torch.float32)
    rows = {"l": models.text_encoders[0], "g": models.text_encoders[1]}
    cow = tokens.tokenizer().encode("cow", add_special_tokens=False).ids[0]
    data = {f"clip_{tower}": embeddings.token_embedding(rows[tower]).weight[[cow, cow]].clone() for tower in rows}
    write_embedding(tmp_path / "my-word.safetensors", data)
    engine = Engine(models, embeddings=embeddings.Embeddings(embeddings.load(tmp_path)))
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
    found = embeddings.read(write_embedding(tmp_path / name, data))
    assert found.name == "a" and set(found.vectors) == {"l", "h"} and found.vectors["l"].shape[1] == 8


def test_a_file_that_is_no_textual_inversion_is_named(tmp_path, capsys):
    write_embedding(tmp_path / "x.safetensors", {"a": torch.ones(1), "b": torch.ones(1)})
    with pytest.raises(EmbeddingError, match=r"x\.safetensors is not a textual inversion"):
        embeddings.load(tmp_path)
    with pytest.raises(SystemExit):
        main(["sweep", "--embeddings", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "--embeddings: " in capsys.readouterr().err
