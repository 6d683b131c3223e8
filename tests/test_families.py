"""SD2 and SDXL without a WebUI: small models with random weights, against diffusers' own pipelines."""

import json
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("open_clip")

from safetensors.torch import save_file  # noqa: E402

from clip_skip.standalone.cli.main import main  # noqa: E402
from clip_skip.standalone.demo.model import write_encoder  # noqa: E402
from clip_skip.standalone.engine.engine import Engine  # noqa: E402
from clip_skip.standalone.engine.shots import Batch, Shot  # noqa: E402
from clip_skip.standalone.models import checkpoint, header, sizes  # noqa: E402
from clip_skip.standalone.models.header import CheckpointError  # noqa: E402
from clip_skip.standalone.sampling.samplers import scheduler  # noqa: E402
from clip_skip.standalone.settings import CommonSettings  # noqa: E402
from clip_skip.standalone.study.job import StudyJob  # noqa: E402
from clip_skip.study.plan import StudyPlan  # noqa: E402
from tests.random_model import PUBLISHED_SIZES, SMALL_SD2, SMALL_SDXL, random_weights  # noqa: E402
from tests.random_weights import shapes  # noqa: E402
from tests.webui import checkpoints  # noqa: E402

SD2, SDXL = PUBLISHED_SIZES["SD2"], PUBLISHED_SIZES["SDXL"]

HEADS = {
    "SD2": {"clip_skip.unet_head_channels": "16", "clip_skip.text_heads": "4"},
    "SDXL": {"clip_skip.unet_head_channels": "16", "clip_skip.text_heads_l": "4", "clip_skip.text_heads_g": "5"},
}
PROMPT, NEGATIVE = "a photo of a cow in a field", "dark"


def models_of(small, seed=0):
    return checkpoint.build_models(dict(random_weights(small, seed)), small, "cpu", torch.float32)


@pytest.fixture(scope="module")
def sd2():
    return Engine(models_of(SMALL_SD2))


@pytest.fixture(scope="module")
def sdxl():
    return Engine(models_of(SMALL_SDXL))


@pytest.fixture(scope="module")
def clip_tokenizer(tmp_path_factory):
    from transformers import CLIPTokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    write_encoder(folder)
    return CLIPTokenizer.from_pretrained(str(folder))


def picture(engine, *shots, sampler="Euler", steps=3):
    return engine.make(Batch(shots, steps, 64, 64, sampler)).pictures


def largest_difference(one, other):
    return np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int)).max()


@pytest.mark.parametrize("wanted", [SD2, SDXL, SMALL_SD2, SMALL_SDXL])
def test_sizes_are_read_from_the_shapes_that_belong_to_them(wanted):
    second = replace(wanted.second, heads=0) if wanted.second else None
    expected = replace(wanted, unet_heads=0, text_heads=0, head_channels=0, second=second, prediction="epsilon")
    assert sizes.sizes_of(shapes(wanted)) == expected


def test_published_sizes():
    counts = {}
    for name, wanted in (("SD2", SD2), ("SDXL", SDXL)):
        found = shapes(wanted)
        for prefix in (sizes.UNET, *sizes.TEXT_PREFIXES[name]):
            counts[name, prefix] = sum(int(np.prod(s)) for n, s in found.items() if n.startswith(prefix))
    assert list(counts.values()) == [865_910_724, 352_984_064, 2_567_463_684, 123_060_480, 694_659_840]


def saved(small, path, metadata):
    save_file({name: weight.half().contiguous() for name, weight in random_weights(small)}, path, metadata=metadata)
    return path


@pytest.mark.parametrize("small", [SMALL_SD2, SMALL_SDXL])
def test_a_file_is_the_model_that_it_was_written_from(small, tmp_path):
    path = saved(small, tmp_path / "m.safetensors", {**HEADS[small.family], "modelspec.prediction_type": "epsilon"})
    assert header.inspect(path) == small
    loaded = checkpoint.load_checkpoint(path)
    parts = (loaded.unet, loaded.vae, *loaded.text_encoders)
    assert sum(w.numel() for part in parts for w in part.parameters()) == sum(
        int(np.prod(shape)) for shape in shapes(small).values()
    )


def test_loading_reads_each_weight_once(tmp_path, monkeypatch):
    path = saved(SMALL_SDXL, tmp_path / "m.safetensors", HEADS["SDXL"])
    opened, read = header.safe_open, []

    @contextmanager
    def counting(*arguments, **options):
        with opened(*arguments, **options) as file:
            get = lambda name: read.append(name) or file.get_tensor(name)
            yield SimpleNamespace(keys=file.keys, metadata=file.metadata, get_slice=file.get_slice, get_tensor=get)

    monkeypatch.setattr(header, "safe_open", counting)
    checkpoint.load_checkpoint(path)
    assert sorted(read) == sorted(shapes(SMALL_SDXL))


@pytest.mark.parametrize("small", [SMALL_SD2, SMALL_SDXL])
def test_what_the_weights_do_not_tell_is_told_or_the_file_is_refused(small, tmp_path):
    path = saved(small, tmp_path / "m.safetensors", None)
    with pytest.raises(CheckpointError, match="attention heads of its UNet is unknown: 32-64-64"):
        checkpoint.load_checkpoint(path)
    for key in HEADS[small.family]:
        if "text" in key:
            others = {name: value for name, value in HEADS[small.family].items() if name != key}
            saved(small, path, others)
            with pytest.raises(CheckpointError, match="attention heads of its text encoder is unknown"):
                checkpoint.load_checkpoint(path)


def test_the_yaml_says_what_is_predicted_and_the_scale(tmp_path):
    path = saved(SMALL_SD2, tmp_path / "m.safetensors", HEADS["SD2"])
    assert header.inspect(path).prediction == ""
    path.with_suffix(".yaml").write_text("model:\n  params:\n    parameterization: v\n    scale_factor: 0.5\n")
    assert (header.inspect(path).prediction, header.inspect(path).vae_scale) == ("v_prediction", 0.5)
    path.with_suffix(".yaml").write_text("model:\n  params:\n    scale_factor: half\n")
    with pytest.raises(CheckpointError, match=r'scale_factor in m\.yaml is "half", not a number'):
        header.inspect(path)
    scaling = "sgm.modules.diffusionmodules.denoiser_scaling.VScaling"
    path = saved(SMALL_SDXL, tmp_path / "x.safetensors", HEADS["SDXL"])
    assert header.inspect(path).prediction == "epsilon"
    path.with_suffix(".yaml").write_text(
        "model: {params: {denoiser_config: {params: {scaling_config: {target: " + scaling + "}}}}}"
    )
    assert header.inspect(path).prediction == "v_prediction"


def test_small_checkpoints_for_a_webui_are_what_their_yaml_says(tmp_path, capsys):
    checkpoints.main(str(tmp_path / "models"))
    assert "CLIP_SKIP_SDXL=tiny-sdxl CLIP_SKIP_EMBEDDING=tinyti" in capsys.readouterr().out
    for name, wanted in (
        ("tiny-sd2", replace(checkpoints.TINY_SD2, prediction="epsilon")),
        ("tiny-sd2-v", replace(checkpoints.TINY_SD2, prediction="v_prediction")),
        ("tiny-sdxl", checkpoints.TINY_SDXL),
    ):
        path = tmp_path / "models" / "Stable-diffusion" / f"{name}.safetensors"
        assert header.inspect(path) == wanted
        path.with_suffix(".yaml").unlink()
        with pytest.raises(CheckpointError, match="is unknown"):
            header.inspect(path)


def test_sd2_without_a_yaml_is_tried_out():
    model = models_of(replace(SMALL_SD2, prediction=""))
    assert model.sizes.prediction == "epsilon"
    with torch.no_grad():
        model.unet.conv_out.weight.zero_()
        model.unet.conv_out.bias.fill_(-2.0)
    assert checkpoint.try_out(model.unet) == "v_prediction"


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_sd2_equals_the_diffusers_pipeline(prediction, sd2, clip_tokenizer):
    from diffusers import StableDiffusionPipeline

    models = replace(sd2.models, sizes=replace(sd2.models.sizes, prediction=prediction))
    embeds = {}
    for name, text in (("prompt_embeds", PROMPT), ("negative_prompt_embeds", NEGATIVE)):
        ids = clip_tokenizer(text, padding="max_length", max_length=77).input_ids
        end = ids.index(49407)
        row = torch.tensor([ids[: end + 1] + [0] * (76 - end)])
        model = models.text_encoder
        states = model(row, output_hidden_states=True).hidden_states
        embeds[name] = getattr(model, "text_model", model).final_layer_norm(states[-2])
    pipeline = StableDiffusionPipeline(
        models.vae, None, None, models.unet, scheduler("Euler", prediction), None, None, requires_safety_checker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        **embeds, num_inference_steps=3, width=64, height=64, generator=torch.Generator().manual_seed(7)
    ).images[0]
    engine = Engine(models)
    made = picture(engine, Shot(PROMPT, NEGATIVE, None, 7.5, 7))[0]
    assert largest_difference(made, expected) <= 1
    assert largest_difference(made, picture(engine, Shot(PROMPT, NEGATIVE, 5, 7.5, 7))[0]) > 1


def test_sdxl_equals_the_diffusers_pipeline(sdxl, clip_tokenizer):
    from diffusers import StableDiffusionXLPipeline

    models = sdxl.models

    def embeds(text):
        ids = clip_tokenizer(text, padding="max_length", max_length=77).input_ids
        end = ids.index(49407)
        rows = torch.tensor([ids]), torch.tensor([ids[: end + 1] + [0] * (76 - end)])
        made = [m(row, output_hidden_states=True) for m, row in zip(models.text_encoders, rows)]
        return torch.cat([one.hidden_states[-2] for one in made], -1), made[1].text_embeds

    for negative in (NEGATIVE, ""):
        texts, pooled = embeds(PROMPT)
        without, without_pooled = embeds(negative)
        zero = 0 if negative == "" else 1
        pipeline = StableDiffusionXLPipeline(
            models.vae, None, None, None, None, models.unet, scheduler("Euler"), add_watermarker=False
        )
        pipeline.set_progress_bar_config(disable=True)
        expected = pipeline(
            prompt_embeds=texts,
            negative_prompt_embeds=without * zero,
            pooled_prompt_embeds=pooled,
            negative_pooled_prompt_embeds=without_pooled * zero,
            num_inference_steps=3,
            guidance_scale=7.5,
            width=64,
            height=64,
            generator=torch.Generator().manual_seed(7),
        ).images[0]
        assert largest_difference(picture(sdxl, Shot(PROMPT, negative, None, 7.5, 7))[0], expected) <= 1


def test_each_encoder_of_sdxl_has_its_own_clip_skip(sdxl):
    (plain,) = picture(sdxl, Shot(PROMPT, NEGATIVE, 2, 7, 1))
    shots = {
        "native": Shot(PROMPT, NEGATIVE, None, 7, 1),
        "l=4": Shot(f"<clipskip:l=4>{PROMPT}", NEGATIVE, None, 7, 1),
        "g=4": Shot(f"<clipskip:g=4>{PROMPT}", NEGATIVE, None, 7, 1),
        "g": Shot(PROMPT, NEGATIVE, 2, 7, 1, clip_skip_g=4),
    }
    made = {name: picture(sdxl, shot)[0] for name, shot in shots.items()}
    assert largest_difference(made["native"], plain) == 0
    assert largest_difference(made["g=4"], made["g"]) == 0
    assert len({np.asarray(one).tobytes() for one in made.values()}) == 3


def test_the_size_that_sdxl_is_told_changes_the_picture(sdxl):
    batches = [Batch((Shot(PROMPT, NEGATIVE, 2, 7, 1),), 3, 64, height, "Euler") for height in (64, 128)]
    parts = [sdxl._guidance(batch, calls=3, before=0, hires=None) for batch in batches]
    latents = torch.ones(1, 4, 8, 8)
    with torch.inference_mode():
        one, other = (part(sdxl._predict, latents, torch.tensor(500.0), 0) for part in parts)
    assert not torch.allclose(one, other)


def test_a_study_says_the_clip_skip_of_sdxl_as_a_tag(tmp_path):
    path = saved(SMALL_SDXL, tmp_path / "m.safetensors", HEADS["SDXL"])
    plan = StudyPlan({"m": (2.0, 3.0)}, {"m": 2.0}, ("a cow",), (1,), (7.0,))
    job = StudyJob({"m": path}, CommonSettings(2, 64, 64, "Euler"), plan, "cpu", tmp_path)
    text = job.infotext([*plan.cells][1])
    assert text.startswith("<clipskip:3>a cow\n") and "Clip skip" not in text


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float16, 2), (torch.bfloat16, 8)])
def test_half_precision(dtype, bound):
    models = checkpoint.build_models(dict(random_weights(SMALL_SDXL)), SMALL_SDXL, "cpu", dtype)
    made = picture(Engine(models), Shot(PROMPT, NEGATIVE, 2, 7, 1))[0]
    exact = picture(Engine(models_of(SMALL_SDXL)), Shot(PROMPT, NEGATIVE, 2, 7, 1))[0]
    assert np.abs(np.asarray(made).astype(int) - np.asarray(exact)).mean() < bound


def test_a_vae_that_overflows_in_half_precision_runs_in_single():
    models = checkpoint.build_models(dict(random_weights(SMALL_SDXL)), SMALL_SDXL, "cpu", torch.float16)
    with torch.no_grad():
        models.vae.decoder.conv_in.weight.mul_(30000)
    made = picture(Engine(models), Shot(PROMPT, NEGATIVE, 2, 7, 1))[0]
    assert np.asarray(made).std() > 1


@pytest.mark.parametrize("small", [SMALL_SD2, SMALL_SDXL])
def test_a_sweep_of_each_family(small, tmp_path, capsys):
    path = saved(small, tmp_path / "m.safetensors", {**HEADS[small.family], "modelspec.prediction_type": "epsilon"})
    arguments = [
        "--skips",
        "2,4",
        "--cfg",
        "7",
        "--steps",
        "1",
        "--size",
        "64",
        "--device",
        "cpu",
        "--prompt",
        "a (cow)",
    ]
    assert main(["sweep", "--model", str(path), *arguments, "--out", str(tmp_path / "out")]) == 0
    assert "2 cells made" in capsys.readouterr().out


def test_clip_l_against_clip_g(tmp_path):
    """Each cell of such a sweep is the picture that the two values make; CLIP-L alone leaves CLIP-G where it is."""
    path = saved(SMALL_SDXL, tmp_path / "m.safetensors", {**HEADS["SDXL"], "modelspec.prediction_type": "epsilon"})
    common = ["--steps", "1", "--size", "64", "--device", "cpu", "--prompt", PROMPT, "--seed", "3", "--batch", "1"]
    arguments = ["sweep", "--model", str(path), "--skips", "2, 4", *common]
    assert main([*arguments, "--rows", "clip_g", "--row-values", "2, 5", "--out", str(tmp_path / "g")]) == 0
    assert main([*arguments, "--columns", "clip_l", "--cfg", "7", "--out", str(tmp_path / "l")]) == 0
    engine = Engine(checkpoint.load_checkpoint(path, "cpu", torch.float32))

    def alone(clip_l, clip_g):
        shot = Shot(PROMPT, "", clip_l, 7.0, 3, clip_skip_g=clip_g)
        return np.asarray(engine.make(Batch((shot,), 1, 64, 64, "DPM++ 2M Karras")).pictures[0])

    made = {}
    for folder in ("g", "l"):
        for cell in json.loads((tmp_path / folder / "sweep.json").read_text(encoding="utf-8"))["cells"]:
            with Image.open(tmp_path / folder / cell["file"]) as picture:
                made[cell["file"]] = np.asarray(picture)
                wanted = cell["file"].split("clip-g-")
                clip_g = float(wanted[1].partition("_")[0]) if len(wanted) > 1 else 2.0
                assert np.array_equal(made[cell["file"]], alone(cell["clip_skip"], clip_g)), cell["file"]
                assert f":g={clip_g:g}>" in cell["infotext"]
    assert len({picture.tobytes() for picture in made.values()}) == 4
