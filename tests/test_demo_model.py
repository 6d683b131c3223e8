"""The demonstration model: the file, what is written beside it for a WebUI, and what it draws."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from random import Random

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("scipy")
yaml = pytest.importorskip("yaml")

from safetensors import safe_open  # noqa: E402

from clip_skip.standalone.demo import captions, checker  # noqa: E402
from clip_skip.standalone.demo.model import CHECKPOINT, write_demo_model  # noqa: E402
from clip_skip.standalone.prompts import tokens  # noqa: E402
from training import random_scenes  # noqa: E402
from training.evaluate import Model, cases  # noqa: E402
from training.model import LATENT_SCALE, SIZES, cells  # noqa: E402


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(CHECKPOINT, "cpu", batch=12)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return write_demo_model(tmp_path_factory.mktemp("a folder") / "models")
    except FileNotFoundError as error:
        pytest.skip(str(error))


def test_the_file_is_small_and_says_what_it_is() -> None:
    with safe_open(CHECKPOINT, "pt") as file:
        metadata = file.metadata()
    assert CHECKPOINT.stat().st_size <= 25_000_000
    assert int(metadata["clip_skip.parameters"]) <= 12_000_000
    assert metadata["modelspec.license"] == "MIT"
    assert metadata["clip_skip.training_commit"]


def test_its_sizes_are_the_ones_that_were_trained(model: Model) -> None:
    assert model.parts.sizes == SIZES


def test_no_weight_is_infinite_or_nan(model: Model) -> None:
    for module in (model.parts.unet, model.parts.vae, model.parts.text_encoder):
        assert all(weight.isfinite().all() for weight in module.parameters())


def test_what_is_written_for_a_webui_fits_the_weights(written: Path) -> None:
    config = yaml.safe_load(written.with_suffix(".yaml").read_text(encoding="utf-8"))["model"]["params"]
    unet, vae = config["unet_config"]["params"], config["first_stage_config"]["params"]["ddconfig"]
    encoder = Path(config["cond_stage_config"]["params"]["version"])
    text = json.loads((encoder / "config.json").read_text(encoding="utf-8"))
    assert written.read_bytes() == CHECKPOINT.read_bytes()
    assert tuple(unet["model_channels"] * times for times in unet["channel_mult"]) == SIZES.unet
    assert tuple(2**level in unet["attention_resolutions"] for level in range(len(SIZES.unet))) == SIZES.attention
    assert tuple(vae["ch"] * times for times in vae["ch_mult"]) == SIZES.vae
    assert (unet["num_res_blocks"], unet["num_heads"], unet["context_dim"]) == (1, SIZES.unet_heads, SIZES.text)
    assert config["scale_factor"] == LATENT_SCALE
    assert (text["hidden_size"], text["num_attention_heads"]) == (SIZES.text, SIZES.text_heads)


def test_its_tokenizer_is_clips(written: Path) -> None:
    from transformers import CLIPTokenizer

    text = "A large RED circle, (it's) 12:1 on naïve ground"
    theirs = CLIPTokenizer.from_pretrained(str(written.with_suffix("")))
    assert len(theirs) == SIZES.vocabulary
    ids = theirs(text, padding="max_length", max_length=77).input_ids
    assert ids == tokens.chunks(tokens.tokenizer(), text)[0].tolist()


def test_writing_twice_changes_nothing(written: Path) -> None:
    before = written.with_suffix(".yaml").read_bytes()
    assert write_demo_model(written.parent) == written
    assert written.with_suffix(".yaml").read_bytes() == before


def test_its_latents_are_cells(model: Model) -> None:
    drawn = torch.stack(
        [2 * random_scenes.draw_scene(random_scenes.random_scene(Random(seed))) - 1 for seed in range(4)]
    )
    with torch.no_grad():
        latents = model.parts.vae.encode(drawn).latent_dist.mean * LATENT_SCALE
    assert (latents - cells(drawn)).square().mean() < 0.05


@pytest.mark.parametrize("things", [1, 2])
def test_the_checker_knows_what_was_drawn(things: int) -> None:
    for case in cases(12, "checker", held_out=True, things=things):
        verdict = checker.judge(random_scenes.draw_scene(case.scene), case.scene, case.mentions)
        assert verdict.count and all(verdict.colours) and all(verdict.shapes)


def test_training_never_sees_a_held_out_pair() -> None:
    rng = Random(0)
    seen = {(thing.colour, thing.shape) for _ in range(500) for thing in random_scenes.random_scene(rng).things}
    assert seen == set(random_scenes.HELD_IN)


def test_a_seed_names_a_picture_and_a_caption() -> None:
    first, again = (random_scenes.random_scene(Random(3)) for _ in range(2))
    assert torch.equal(random_scenes.draw_scene(first), random_scenes.draw_scene(again))
    assert random_scenes.caption(first, Random(3)) == random_scenes.caption(again, Random(3))


def test_it_draws_what_it_is_told_and_clip_skip_matters(model: Model) -> None:
    asked = cases(12, "drawing", held_out=False, things=1)
    texts = [case.text for case in asked]
    verdicts = [
        checker.judge(picture, case.scene, case.mentions) for picture, case in zip(model.pictures(texts), asked)
    ]
    assert sum(verdict.colours[0] for verdict in verdicts) >= 9
    assert sum(verdict.shapes[0] for verdict in verdicts) >= 8
    assert not torch.allclose(model.pictures(texts[:1]), model.pictures(texts[:1], skip=8), atol=0.05)


def test_diffusers_own_loader_reads_it(written: Path) -> None:
    """`from_single_file` with the yaml beside it; tokenizer and encoder come from the folder beside it."""
    from diffusers import StableDiffusionPipeline
    from transformers import CLIPTokenizer

    from clip_skip.standalone.models import checkpoint

    models = checkpoint.load_checkpoint(written, "cpu", torch.float32)
    pipeline = StableDiffusionPipeline.from_single_file(
        str(written),
        original_config=str(written.with_suffix(".yaml")),
        tokenizer=CLIPTokenizer.from_pretrained(written.with_suffix("")),
        text_encoder=models.text_encoder,
        safety_checker=None,
        feature_extractor=None,
        local_files_only=True,
        torch_dtype=torch.float32,
    )
    for ours, theirs in ((models.unet, pipeline.unet), (models.vae, pipeline.vae)):
        assert all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values()))
    assert pipeline.unet.config.attention_head_dim == models.unet.config.attention_head_dim


@pytest.mark.parametrize("things", [1, 2])
def test_a_caption_is_read_as_it_was_written(things: int) -> None:
    for case in cases(40, "captions", held_out=False, things=things):
        scene, mentions = captions.read_caption(case.text)
        assert mentions == dataclasses.replace(case.mentions, colour=True, shape=True)
        told = [(thing.colour, thing.shape, thing.size * mentions.size) for thing in scene.things]
        asked = [(thing.colour, thing.shape, thing.size * mentions.size) for thing in case.scene.things]
        assert sorted(told) == sorted(asked)
        drawn = random_scenes.draw_scene(case.scene)
        assert checker.judge(drawn, scene, mentions).places == (True if mentions.place else None)


@pytest.mark.parametrize(
    "text", ["", "a red cow", "red circle, blue ring, green star", "a red circle in space", "large"]
)
def test_what_is_no_caption_is_refused_by_name(text: str) -> None:
    with pytest.raises(captions.CaptionError, match="not a caption of the bundled demo model"):
        captions.read_caption(text)


def test_an_empty_picture_has_nothing_right_in_it() -> None:
    scene, mentions = captions.read_caption("a large red circle at the left")
    verdict = checker.judge(torch.full((3, 128, 128), 0.5), scene, mentions)
    assert (verdict.colours, verdict.shapes, verdict.sizes, verdict.places) == ((False,), (False,), (False,), False)
    assert not verdict.count
