"""The standalone host, on a small model with random weights and on the real diffusers and transformers."""

import json
import os
import random
import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("open_clip")

from PIL import Image  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from clip_skip.prompt.tags import strip  # noqa: E402
from clip_skip.standalone.cli.arguments import A_FOLDER, NEEDS_RAY  # noqa: E402
from clip_skip.standalone.cli.main import main  # noqa: E402
from clip_skip.standalone.cli.sweep_arguments import VALUES_NEEDED  # noqa: E402
from clip_skip.standalone.demo.model import CHECKPOINT, write_encoder  # noqa: E402
from clip_skip.standalone.engine.engine import Engine  # noqa: E402
from clip_skip.standalone.engine.shots import Batch, Hires, Shot  # noqa: E402
from clip_skip.standalone.models import checkpoint, header, heads, sizes  # noqa: E402
from clip_skip.standalone.models.header import CheckpointError  # noqa: E402
from clip_skip.standalone.models.sizes import Sizes  # noqa: E402
from clip_skip.standalone.prompts import tokens  # noqa: E402
from clip_skip.standalone.sampling.samplers import scheduler  # noqa: E402
from clip_skip.standalone.settings import SIZE_TOO_LARGE, Settings  # noqa: E402
from clip_skip.standalone.sweep.folder import NO_RECORD, SweepFolder  # noqa: E402
from clip_skip.standalone.sweep.job import SweepJob  # noqa: E402
from clip_skip.sweep.axis import COLUMN_TOO_DEEP  # noqa: E402
from clip_skip.sweep.plan import SweepPlan  # noqa: E402
from clip_skip.sweep.rows import Rows  # noqa: E402
from clip_skip.sweep.settings import NEEDS_SDXL  # noqa: E402
from tests.random_model import SMALL, random_model  # noqa: E402
from tests.random_weights import shapes  # noqa: E402

PROMPT, NEGATIVE = "a photo of a cow in a field", "blurry, <clipskip:3> dark"
LONG = "a cow, " * 40


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return random_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def models(model):
    return checkpoint.load_checkpoint(model)


@pytest.fixture(scope="module")
def engine(models):
    return Engine(models)


@pytest.fixture(scope="module")
def clip_tokenizer(tmp_path_factory):
    from transformers import CLIPTokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    write_encoder(folder)
    return CLIPTokenizer.from_pretrained(str(folder))


def batch(*shots, sampler="DPM++ 2M Karras", steps=3, size=64):
    return Batch(shots, steps, size, size, sampler)


def largest_difference(one, other):
    return np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int)).max()


# Checkpoints


@pytest.mark.parametrize(
    "wanted",
    [
        Sizes(),
        SMALL,
        Sizes(unet=(32, 64), attention=(False, True), unet_depth=3, vae=(32, 64, 64), vae_depth=1, text_layers=5),
        Sizes(unet=(64,), attention=(True,), unet_depth=1, text=128, text_heads=2, text_inner=64, positions=32),
    ],
)
def test_sizes_are_read_from_the_shapes_that_belong_to_them(wanted):
    assert sizes.sizes_of(shapes(wanted)) == replace(wanted, unet_heads=0, text_heads=0)


def test_published_size_of_stable_diffusion_1():
    counts = dict.fromkeys((sizes.UNET, sizes.VAE, sizes.TEXT), 0)
    for name, shape in shapes(Sizes()).items():
        counts[next(prefix for prefix in counts if name.startswith(prefix))] += int(np.prod(shape))
    assert list(counts.values()) == [859_520_964, 83_653_863, 123_060_480]


def test_every_weight_is_loaded(model, models):
    assert models.sizes == SMALL == header.inspect(model)
    loaded = 0
    for module in (models.unet, models.vae, models.text_encoder):
        assert not module.training
        loaded += sum(weight.numel() for weight in module.parameters())
    assert loaded == sum(weight.numel() for weight in load_file(model).values())
    assert models.unet.config.attention_head_dim == 4
    assert models.text_encoder.config.num_attention_heads == 4


def test_the_random_model_is_the_same_everywhere_and_has_live_norms(model, tmp_path):
    again = load_file(random_model(tmp_path))
    for name, weight in load_file(model).items():
        assert torch.equal(weight, again[name])
    norm = sizes.TEXT + "final_layer_norm"
    assert again[norm + ".bias"].std() > 0.05 and again[norm + ".weight"].std() > 0.05


def test_other_spellings_of_the_same_checkpoint(model, models, tmp_path):
    weights = load_file(model)
    variant = {name.replace(sizes.TEXT, header.OLD_TEXT): weight.float() for name, weight in weights.items()}
    variant[header.OLD_TEXT + "embeddings.position_ids"] = torch.arange(77)[None]
    for index, name in enumerate(weights):
        if name.startswith(sizes.UNET):
            variant["model_ema." + name[len("model.") :].replace(".", "")] = torch.zeros(1)
        if index < 3:
            variant[f"optimizer.{index}"] = torch.zeros(1)
    save_file(variant, tmp_path / "v.safetensors", metadata={"clip_skip.unet_heads": "4", "clip_skip.text_heads": "4"})
    loaded = checkpoint.load_checkpoint(tmp_path / "v.safetensors")
    for one, other in zip(models.text_encoder.parameters(), loaded.text_encoder.parameters()):
        assert torch.equal(one, other)
    assert torch.equal(models.unet.conv_in.weight, loaded.unet.conv_in.weight)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"conditioner.embedders.0.model.x", "model.diffusion_model.x", "first_stage_model.x"}, "an SDXL refiner"),
        ({"lora_unet_x.lora_up.weight"}, "a LoRA"),
        ({"model.diffusion_model.double_blocks.0.x"}, "Flux"),
        ({"emb_params"}, "textual inversion"),
        ({"something"}, "no UNet, no VAE, no text encoder"),
    ],
)
def test_other_models_are_named(names, message, tmp_path):
    save_file({name: torch.zeros(1) for name in names}, tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load_checkpoint(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: [w.pop(n) for n in list(w) if n.startswith(sizes.VAE)], "it has no VAE"),
        (lambda w: w.pop(f"{sizes.UNET}middle_block.0.in_layers.0.bias"), "not a complete checkpoint"),
        (lambda w: w.pop(f"{sizes.TEXT}encoder.layers.0.mlp.fc1.weight"), "not a complete SD1 checkpoint"),
        (lambda w: w.update({f"{sizes.UNET}input_blocks.0.0.weight": torch.zeros(32, 9, 3, 3)}), "inpainting"),
        (lambda w: w.update({f"{sizes.UNET}out.0.bias": torch.zeros(7)}), "size mismatch"),
    ],
)
def test_incomplete_and_odd_checkpoints_are_refused(change, message, model, tmp_path):
    weights = load_file(model)
    change(weights)
    heads = {"clip_skip.unet_heads": "4", "clip_skip.text_heads": "4"}
    save_file(weights, tmp_path / "m.safetensors", metadata=heads)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load_checkpoint(tmp_path / "m.safetensors")


def test_broken_files_are_refused(model, tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(CheckpointError, match="no such file"):
        checkpoint.load_checkpoint(path)
    for content in (b"", b"garbage" * 100, model.read_bytes()[:1_000_000], model.read_bytes()[:100]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"not a complete \.safetensors file"):
            checkpoint.load_checkpoint(path)
    save_file(load_file(model), path, metadata={"clip_skip.unet_heads": "4", "clip_skip.text_heads": "many"})
    with pytest.raises(CheckpointError, match='"many", not a number of heads'):
        checkpoint.load_checkpoint(path)


def yaml_beside(path, unet="num_heads: 4", encoder="encoder"):
    """What a WebUI reads beside a checkpoint of unusual sizes."""
    (path.parent / "encoder").mkdir(exist_ok=True)
    (path.parent / "encoder" / "config.json").write_text('{"num_attention_heads": 4}')
    path.with_suffix(".yaml").write_text(
        f"model:\n  params:\n    unet_config:\n      params:\n        {unet}\n"
        f"    cond_stage_config:\n      params:\n        version: {encoder}\n"
    )


def test_heads_are_told_or_the_checkpoint_is_refused(model, models, tmp_path):
    path = tmp_path / "m.safetensors"
    save_file(load_file(model), path)
    with pytest.raises(CheckpointError, match="attention heads of its UNet is unknown: 32-64-64-64 channels"):
        checkpoint.load_checkpoint(path)
    yaml_beside(path)
    assert checkpoint.load_checkpoint(path).sizes == models.sizes
    yaml_beside(path, encoder="openai/clip-vit-large-patch14")
    with pytest.raises(CheckpointError, match="attention heads of its text encoder is unknown: width 64"):
        checkpoint.load_checkpoint(path)
    yaml_beside(path, encoder=tmp_path / "encoder")
    assert checkpoint.load_checkpoint(path).sizes == models.sizes
    for unet, message in (
        ("num_heads: many", 'num_heads in m.yaml is "many", not a number of heads'),
        ("num_heads: 7", "7 attention heads do not divide the UNet's 64 channels"),
        ("num_head_channels: 48", "48 channels per attention head do not divide"),
        ("num_heads: [", "m.yaml cannot be read"),
        ("- a", "is unknown"),
    ):
        yaml_beside(path, unet)
        with pytest.raises(CheckpointError, match=message):
            checkpoint.load_checkpoint(path)
    path.with_suffix(".yaml").write_text("just a text")
    with pytest.raises(CheckpointError, match="is unknown"):
        checkpoint.load_checkpoint(path)
    assert heads.unet_heads(path, {}, Sizes().unet) == 8 and heads.text_heads(path, {}, Sizes().text) == 12


def test_the_digest_tells_models_apart(model, tmp_path):
    weights = load_file(model)
    weights[f"{sizes.UNET}out.2.bias"][0] += 1
    with safe_open(model, "pt") as file:
        save_file(weights, tmp_path / "m.safetensors", metadata=file.metadata())
    assert header.digest(tmp_path / "m.safetensors") != header.digest(model)


# Tokens


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a photo of a cat",
        "Don't (1 girl, solo:1.5), 3D's  \n x",
        "ünïcödé 日本語 🐄🐄!!",
        "é é 12345 foo_bar",
        LONG,
    ],
)
def test_tokens_equal_those_of_transformers(text, clip_tokenizer):
    ours = tokens.tokenizer().encode(text, add_special_tokens=False).ids
    assert ours == clip_tokenizer(text, add_special_tokens=False).input_ids


def test_chunks():
    tokenizer = tokens.tokenizer()
    assert tokens.chunks(tokenizer, "").tolist() == [[tokens.START, *[tokens.END] * 76]]
    rows = tokens.chunks(tokenizer, LONG)
    assert rows.shape == (2, 77)
    assert (rows[:, 0] == tokens.START).all() and (rows[:, 76] == tokens.END).all()
    inner = rows[:, 1:76].flatten().tolist()[:120]
    assert inner == tokenizer.encode(LONG, add_special_tokens=False).ids
    assert tokens.chunks(tokenizer, "a " * 75).shape == (1, 77)


# Conditionings


def test_each_text_is_encoded_once_for_all_values(models):
    engine = Engine(models)
    shots = [Shot(PROMPT, NEGATIVE, skip, 7, 1) for skip in range(1, 13)]
    engine.prepare(shots)
    engine.make(batch(*shots[:6], steps=1))
    engine.make(batch(*shots[6:], steps=1))
    assert engine.conditioner.passes == 2


def looked_at(engine, text, skip):
    """What the UNet looks at for the whole of `text` at one clip skip."""
    ((_, look),) = engine.conditioner.timeline(Shot(text, "", skip, 7, 1).texts()[0], 20)
    return look.texts


@pytest.mark.parametrize("text", [PROMPT, LONG])
def test_conditionings_equal_the_hidden_states(text, engine):
    model = engine.models.text_encoder
    norm = getattr(model, "text_model", model).final_layer_norm
    rows = tokens.chunks(tokens.tokenizer(), text)
    with torch.inference_mode():
        states = model(rows, output_hidden_states=True).hidden_states
        for skip in range(1, 13):
            expected = norm(states[-skip]).flatten(0, 1)[None]
            assert torch.allclose(looked_at(engine, text, skip), expected, atol=1e-5)
        between = torch.lerp(norm(states[-1]), norm(states[-2]), 0.25).flatten(0, 1)[None]
        assert torch.allclose(looked_at(engine, text, 1.25), between, atol=1e-5)


@pytest.mark.parametrize(
    ("prompt", "negative", "given", "expected"),
    [
        ("cow", "dark", 4, (4, 4)),
        ("<clipskip:2>cow", "dark", 4, (4, 4)),
        ("<clipskip:2>cow", "dark", None, (2, 2)),
        ("cow", "dark <clipskip:3>", 4, (4, 3)),
        ("cow", "dark", None, (1, 1)),
    ],
)
def test_the_sweep_replaces_the_prompts_tag_and_keeps_the_negative_ones(prompt, negative, given, expected):
    assert Shot(prompt, negative, given, 7, 1).clip_skips() == expected


# Pictures


def pipeline_pictures(models, clip_tokenizer, sampler, cells, prompt, negative, seed, steps, size):
    """The same cells by the straightforward way: one call of diffusers' pipeline each."""
    try:
        from diffusers import StableDiffusionPipeline
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"this diffusers has no pipeline for this transformers: {error}")
    if not hasattr(models.text_encoder, "text_model"):  # diffusers' clip_skip looks there; transformers 5 has none
        object.__setattr__(models.text_encoder, "text_model", models.text_encoder)
    pipeline = StableDiffusionPipeline(
        vae=models.vae,
        text_encoder=models.text_encoder,
        tokenizer=clip_tokenizer,
        unet=models.unet,
        scheduler=scheduler(sampler),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    for skip, cfg_scale in cells:
        yield pipeline(
            prompt,
            negative_prompt=negative,
            clip_skip=skip - 1 or None,  # diffusers' k is our k + 1, and it never applies to the negative prompt
            guidance_scale=cfg_scale,
            num_inference_steps=steps,
            width=size,
            height=size,
            generator=torch.Generator().manual_seed(seed),
        ).images[0]


@pytest.mark.parametrize("sampler", ["DPM++ 2M Karras", "DPM++ 2M", "Euler", "DDIM", "UniPC"])
def test_pictures_equal_those_of_the_diffusers_pipeline(sampler, engine, models, clip_tokenizer):
    cells = [(1, 4), (2, 7), (5, 11)]
    shots = [Shot(PROMPT, "<clipskip:1>dark", skip, cfg_scale, 7) for skip, cfg_scale in cells]
    expected = list(pipeline_pictures(models, clip_tokenizer, sampler, cells, PROMPT, "dark", 7, 3, 64))
    together = engine.make(batch(*shots, sampler=sampler)).pictures
    for shot, picture, reference in zip(shots, together, expected):
        alone = engine.make(batch(shot, sampler=sampler)).pictures[0]
        assert largest_difference(alone, reference) <= 1  # the pipeline rounds, the WebUI cuts off
        assert largest_difference(picture, alone) <= 1
    assert largest_difference(expected[0], expected[2]) > 10


def test_a_batch_may_mix_seeds_texts_and_values(engine):
    shots = [Shot(PROMPT, "", 2.5, 4, 1), Shot("another", NEGATIVE, None, 9.3, 2), Shot(PROMPT, "", 2, 1, 1)]
    together = engine.make(batch(*shots, sampler="Euler a"))
    assert together.latents.shape == (3, 4, 8, 8)
    for index, shot in enumerate(shots):
        alone = engine.make(batch(shot, sampler="Euler a"))
        assert largest_difference(alone.pictures[0], together.pictures[index]) <= 1
        assert torch.allclose(alone.latents[0], together.latents[index], atol=1e-3, rtol=1e-3)


def test_texts_of_different_length(engine):
    long = engine.make(batch(Shot(LONG, NEGATIVE, 2, 7, 1))).pictures[0]
    assert largest_difference(long, engine.make(batch(Shot(LONG[:60], NEGATIVE, 2, 7, 1))).pictures[0]) > 0


def test_tags_do_not_reach_the_encoder(engine):
    one, other = engine.make(batch(Shot("<clipskip:3>cow", "", None, 7, 1), Shot("cow", "", 3, 7, 1))).pictures
    assert largest_difference(one, other) == 0


# The folder and the command

SETTINGS = Settings(20, 64, 96, "Euler a", model="m", prompt="<clipskip:5>a cow", negative="dark <clipskip:3>", seed=1)


def test_infotext_is_that_of_the_webui():
    assert SETTINGS.infotext(Shot(SETTINGS.prompt, SETTINGS.negative, 2.0, 7.5, 1)) == (
        "a cow\nNegative prompt: dark <clipskip:3>\n"
        "Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7.5, Seed: 1, Size: 64x96, Model: m, "
        "Clip skip: 2, RNG: CPU"
    )
    fraction = SETTINGS.infotext(Shot(SETTINGS.prompt, SETTINGS.negative, 1.5, 7.0, 1))
    assert fraction.startswith("<clipskip:1.5>a cow\n")
    assert "Clip skip" not in fraction
    more = replace(SETTINGS, family="SDXL", hires=Hires(1.5, steps=7), noise="GPU").infotext(Shot("a", "", 3.0, 7.0, 1))
    assert more.startswith("<clipskip:3>a\n") and "Clip skip" not in more and "RNG: NV" in more
    assert "Denoising strength: 0.7, Hires upscale: 1.5, Hires steps: 7, Hires upscaler: Latent" in more


def folder_of(path, plan, settings=SETTINGS):
    return SweepFolder(SweepJob(CHECKPOINT, settings, plan, "cpu", 0, path, True))


def test_a_batch_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    plan = SweepPlan((1.0, 2.0), Rows((7.0,)))
    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    arguments = (plan.cells, pictures, np.zeros((2, 4, 1, 1)), ["one", "zwei ü"])
    replace, calls = os.replace, []

    def killed_at(count):
        def patched(*paths):
            calls.append(paths)
            if len(calls) > count:
                raise KeyboardInterrupt
            replace(*paths)

        return patched

    for count in range(6):
        folder = folder_of(tmp_path / str(count), plan)
        calls.clear()
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", killed_at(count))
            try:
                folder.save(*arguments)
            except KeyboardInterrupt:
                assert count < 5
        again = folder_of(tmp_path / str(count), plan)
        assert len(again.missing(plan.cells)) == (0 if count else 2)
        assert (again.latents(plan) is not None) == bool(count)
        if not count:
            again.save(*arguments)
        assert [picture.info["parameters"] for picture in next(again.rows(plan))] == ["one", "zwei ü"]
        assert sorted(path.suffix for path in again.cells.iterdir()) == [".npy", ".npy", ".png", ".png"]


def test_only_complete_cells_with_the_same_settings_count(tmp_path):
    plan = SweepPlan((1.0, 2.0, 3.0), Rows((7.0,)))
    folder = folder_of(tmp_path, plan)
    folder.save(plan.cells, [Image.new("RGB", (64, 64))] * 3, np.zeros((3, 4, 1, 1)), [""] * 3)
    assert folder.missing(plan.cells) == []
    whole = (folder.cells / folder.name(plan.cells[0])).read_bytes()
    (folder.cells / folder.name(plan.cells[0])).write_bytes(whole[:-20])
    (folder.cells / folder.name(plan.cells[1])).write_bytes(b"")
    assert folder.missing(plan.cells) == list(plan.cells[:2])
    assert folder_of(tmp_path, plan, replace(SETTINGS, seed=2)).missing(plan.cells) == list(plan.cells)


def sweep(model, out, *more):
    arguments = ["sweep", "--model", model, "--prompt", PROMPT, "--negative", NEGATIVE, "--steps", "2", "--size", "64"]
    return [*map(str, arguments), "--device", "cpu", "--out", str(out), *more]


@pytest.fixture(scope="module")
def finished(model, tmp_path_factory):
    out = tmp_path_factory.mktemp("sweep")
    assert main(sweep(model, out, "--skips", "1-4", "--cfg", "4,7", "--batch", "3", "--report")) == 0
    return out


def test_what_a_sweep_leaves(finished):
    shown = {path.name for path in finished.iterdir() if not path.name.startswith(".")}
    assert shown == {"cells", "grid.png", "index.html", "report.png", "sweep.json"}
    record = json.loads((finished / "sweep.json").read_text(encoding="utf-8"))
    assert record["run"]["cells_made"] == 8 and record["run"]["encoder_passes"] == 2
    assert record["clip_skips"] == [1, 2, 3, 4] and record["cfg_scales"] == [4, 7]
    assert sum(record["report"]["latents"][part] for part in ("clip_skip", "rows", "interaction")) == pytest.approx(1)
    for cell in record["cells"]:
        assert cell["negative_clip_skip"] == 3
        with Image.open(finished / cell["file"]) as picture:
            assert picture.size == (64, 64)
            assert picture.info["parameters"] == cell["infotext"]
    assert (
        cell["infotext"]
        in json.loads(
            (finished / "index.html")
            .read_text(encoding="utf-8")
            .split('type="application/json">')[1]
            .split("</script>")[0]
        )["cells"][-1]["infotext"]
    )


def test_run_again_it_makes_only_what_is_missing_or_changed(finished, model, capsys):
    times = {path: path.stat().st_mtime_ns for path in (finished / "cells").iterdir()}
    next(iter(times)).with_suffix(".png").unlink()
    assert main(sweep(model, finished, "--skips", "1-5", "--cfg", "4,7")) == 0
    assert "3 cells made, 7 kept" in capsys.readouterr().out
    kept = [path for path, before in times.items() if path.stat().st_mtime_ns == before]
    assert len(kept) == 14


ROWS = ["--skips", "1, 2", "--cfg", "5", "--batch", "4"]


@pytest.mark.parametrize(
    ("rows", "values", "made_of"),
    [
        ("seed", (5, 6), lambda seed: {"seed": seed}),
        ("negative", (2, 4), lambda skip: {"negative": f"<clipskip:{skip}>{strip(NEGATIVE)}"}),
        ("prompt", ("cow", "hen"), lambda word: {"prompt": PROMPT.replace("cow", word)}),
    ],
    ids=["seed", "negative", "prompt"],
)
def test_rows_other_than_cfg(model, engine, tmp_path, rows, values, made_of, capsys):
    """Each cell is the picture that its settings make; again, only what is missing is made."""
    text = ", ".join(map(str, values))
    arguments = sweep(model, tmp_path, *ROWS, "--rows", rows, "--row-values", text, "--report")
    assert main(arguments) == 0
    record = json.loads((tmp_path / "sweep.json").read_text(encoding="utf-8"))
    assert (record["rows"], record["row_values"], record["columns"]) == (rows, list(values), "clip_skip")
    assert "4 cells made" in capsys.readouterr().out and ("change_over_seeds" in record["report"]) == (rows == "seed")
    files = [cell["file"] for cell in record["cells"]]
    assert len(set(files)) == 4
    for file, (value, skip) in zip(files, [(value, skip) for value in values for skip in (1.0, 2.0)]):
        shot = replace(Shot(PROMPT, NEGATIVE, skip, 5.0, 2881122569), **made_of(value))
        alone = engine.make(Batch((shot,), 2, 64, 64, "DPM++ 2M Karras")).pictures[0]
        with Image.open(tmp_path / file) as picture:
            assert np.abs(np.asarray(picture, np.int16) - np.asarray(alone, np.int16)).max() <= 1
            assert (
                f"Clip skip: {skip:g}" in picture.info["parameters"] and "CFG scale: 5," in picture.info["parameters"]
            )
    (tmp_path / files[3]).unlink()
    assert main(arguments) == 0
    assert "1 cell made, 3 kept" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rows", "seed", "--row-values", "x"], '--row-values: "x" is neither a number'),
        (["--rows", "seed", "--cfg", "4, 7"], "--cfg: with --rows seed all pictures have one CFG scale, not 2"),
        (["--rows", "negative", "--row-values", "99"], f"--row-values: {COLUMN_TOO_DEEP(value=99, layers=12)}"),
        (["--rows", "prompt"], f"--row-values: {VALUES_NEEDED}"),
        (["--rows", "prompt", "--row-values", "zebra, hen"], '--row-values: "zebra" is neither in the prompt'),
        (["--rows", "clip_g"], f"--rows: {NEEDS_SDXL}"),
        (["--columns", "clip_l"], f"--columns: {NEEDS_SDXL}"),
        (["--row-values", "nan"], '--row-values: "nan"'),
    ],
)
def test_rows_that_cannot_be(model, tmp_path, arguments, said, capsys):
    with pytest.raises(SystemExit):
        main(sweep(model, tmp_path, *arguments))
    assert said in capsys.readouterr().err


def test_another_sweep_never_takes_the_folder_unasked(model, tmp_path, capsys):
    arguments = ("--skips", "1-2", "--cfg", "4")
    assert main(sweep(model, tmp_path / "a", *arguments)) == 0
    grid = (tmp_path / "a" / "grid.png").read_bytes()
    with pytest.raises(SystemExit):
        main(sweep(model, tmp_path / "a", *arguments, "--seed", "5"))
    assert f'has another sweep in it, of "{PROMPT}" with seed 2881122569' in capsys.readouterr().err
    assert (tmp_path / "a" / "grid.png").read_bytes() == grid
    assert main(sweep(model, tmp_path / "a", "--skips", "1", "--cfg", "4", "--seed", "5", "--replace")) == 0
    assert "1 cell made, 0 kept" in capsys.readouterr().out
    assert len(list((tmp_path / "a" / "cells").glob("*.png"))) == 1
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "index.html").write_text("a stranger's")
    with pytest.raises(SystemExit):
        main(sweep(model, tmp_path / "b", *arguments))
    assert str(NO_RECORD(folder=str(tmp_path / "b"), found="index.html")) in capsys.readouterr().err
    assert (tmp_path / "b" / "index.html").read_text() == "a stranger's"


def test_without_a_folder_each_sweep_has_its_own(model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for seed, cells in ((1, "1 cell made"), (2, "1 cell made"), (1, "0 cells made, 1 kept")):
        arguments = ["sweep", "--model", str(model), "--prompt", PROMPT, "--steps", "1", "--size", "64"]
        assert main([*arguments, "--skips", "1", "--cfg", "7", "--device", "cpu", "--seed", str(seed)]) == 0
        assert cells in capsys.readouterr().out
    assert len(list((tmp_path / "sweeps").glob("*/grid.png"))) == 2


def test_a_folder_that_cannot_be_written_to_is_named(model, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for out in ("/proc/x", tmp_path / "file", tmp_path / "file" / "x"):
        with pytest.raises(SystemExit) as caught:
            main(sweep(model, out))
        assert caught.value.code == 2 and "--out: " in capsys.readouterr().err


def test_stopped_it_leaves_a_grid_and_a_page_of_what_is_finished(model, tmp_path, monkeypatch, capsys):
    make, calls = Engine.make, []

    def stopped_in_the_second_batch(self, batch, step):
        calls.append(batch)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return make(self, batch, step)

    monkeypatch.setattr(Engine, "make", stopped_in_the_second_batch)
    arguments = sweep(model, tmp_path / "out", "--skips", "1-4", "--cfg", "4", "--batch", "2")
    assert main(arguments) == 130
    assert "Stopped. 2 of 4 cells are in" in capsys.readouterr().err
    assert Image.open(tmp_path / "out" / "grid.png").width > 4 * 64
    assert (tmp_path / "out" / "index.html").read_text(encoding="utf-8").count("data:image") == 2
    assert main(arguments) == 0
    assert "2 cells made, 2 kept" in capsys.readouterr().out


def test_a_replaced_tag_is_told(model, tmp_path, capsys):
    arguments = sweep(model, tmp_path, "--skips", "1", "--cfg", "7", "--prompt", "<clipskip:3>a cow")
    assert main(arguments) == 0
    assert 'The sweep\'s values replaced the tag "<clipskip:3>".' in capsys.readouterr().err


def test_help_and_version(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.*)"', project, re.MULTILINE)[1]
    for arguments, told in (
        (["--version"], f"clip-skip {version}"),
        (["sweep", "--help"], "one of DPM++ 2M Karras, DPM++ 2M, DPM++ 2M Uniform, "),
        (["sweep", "--help"], "default: 4, 7, 11"),
        (["sweep", "--help"], "examples:"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0 and told in capsys.readouterr().out


def test_no_bar_where_there_is_no_terminal(model, tmp_path, capsys):
    assert main(sweep(model, tmp_path, "--skips", "1", "--cfg", "7")) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--skips", "1-13"], f"--skips: {COLUMN_TOO_DEEP(value=13, layers=12)}"),
        (["--skips", "x"], '--skips: "x"'),
        (["--skips", "0-3"], '--skips: "0-3" is outside 1 to 12'),
        (["--skips", "1-99"], f"--skips: {COLUMN_TOO_DEEP(value=99, layers=12)}"),
        (["--cfg", "nan"], '--cfg: "nan"'),
        (["--size", "65"], "--size: 65x65 is not a multiple of 8"),
        (["--size", "1x2x3"], '--size: "1x2x3"'),
        (["--size", "8"], "--size: 8 is outside 64 to 4096"),
        (["--steps", "0"], "--steps: 0 is outside"),
        (["--seed", "-2"], "--seed: -2 is outside"),
        (["--sampler", "PLMS"], '--sampler: "PLMS" is not one of DPM++ 2M Karras'),
        (["--device", "tpu"], '--device: "tpu"'),
        (["--sampler", "Euler b"], '--sampler: "Euler b" is not known; did you mean Euler a?'),
        (["--rows", "seeds"], '--rows: "seeds" is not known; did you mean seed?'),
        (["--actors", "2"], f"--actors: {NEEDS_RAY}"),
        (["--model", "."], f"--model: {A_FOLDER(path='.')}"),
        (["--hires", "8", "--size", "4096"], f"--hires: {SIZE_TOO_LARGE(size='32768x32768', most=8192)}"),
        (["--model", "missing.safetensors"], "--model: missing.safetensors: there is no such file"),
    ],
)
def test_bad_arguments_end_with_code_2(arguments, message, model, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(sweep(model, tmp_path / "out", *arguments))
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_names_are_taken_in_any_case_and_seed_minus_1_is_random(model, tmp_path):
    seeds = set()
    for number in range(2):
        out = tmp_path / str(number)
        typed = [
            "--sampler",
            "euler A",
            "--noise",
            "gpu",
            "--emphasis",
            "no norm",
            "--dtype",
            "Float32",
            "--rows",
            "CFG",
        ]
        assert main(sweep(model, out, "--skips", "1", "--cfg", "7", "--steps", "1", "--seed", "-1", *typed)) == 0
        settings = json.loads((out / "sweep.json").read_text(encoding="utf-8"))["settings"]
        assert (settings["sampler"], settings["noise"], settings["emphasis"]) == ("Euler a", "GPU", "No norm")
        seeds.add(settings["seed"])
    assert len(seeds) == 2 and min(seeds) >= 0


def test_bad_tags_are_told_and_the_rest_is_used(model, tmp_path, capsys):
    arguments = sweep(model, tmp_path, "--skips", "1", "--cfg", "7", "--negative", "dark <clipskip:abc>")
    assert main(arguments) == 0
    assert "<clipskip:abc>" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_killed_ten_times_it_ends_with_the_same_grid(model, tmp_path, monkeypatch):
    options = ("--skips", "1-6", "--cfg", "4,7", "--batch", "2", "--steps", "3")
    began = time.monotonic()
    assert main(sweep(model, tmp_path / "whole", *options)) == 0
    took = time.monotonic() - began
    replace = os.replace
    moments = random.Random(0)
    finished = []
    for _ in range(10):
        child = os.fork()
        if child == 0:
            monkeypatch.setattr(os, "replace", lambda *paths: (time.sleep(0.01), replace(*paths)))
            os._exit(main(sweep(model, tmp_path / "killed", *options)))
        time.sleep(took * moments.uniform(0, 0.6))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        finished.append(len(list((tmp_path / "killed" / "cells").glob("*.png"))))
    assert finished == sorted(finished)
    assert main(sweep(model, tmp_path / "killed", *options)) == 0
    assert (tmp_path / "killed" / "grid.png").read_bytes() == (tmp_path / "whole" / "grid.png").read_bytes()
