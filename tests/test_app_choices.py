"""The standalone page's checkpoints, its hires pass and a dropped picture, without gradio and without a browser."""

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from clip_skip.encoder import SKIP_TOO_DEEP
from clip_skip.messages.catalogues import translator
from clip_skip.prompt.precedence import Texts
from clip_skip.standalone.app import reading
from clip_skip.standalone.app.checkpoints import OF_THIS_PAGE, STANDS_IN, Checkpoints
from clip_skip.standalone.app.routes import describe_checkpoint, parts_by_step, suggestions_on
from clip_skip.standalone.app.studio import Studio
from clip_skip.standalone.demo.model import CHECKPOINT
from clip_skip.standalone.models.header import CheckpointError
from clip_skip.standalone.option_kinds import FieldError
from clip_skip.standalone.options import defaults
from clip_skip.standalone.pictures import infotext, recipe
from clip_skip.standalone.pictures.checkpoint import NOT_THERE
from clip_skip.sweep.axis import SweepError
from clip_skip.sweep.rows import HIRES_PASS_NEEDED
from clip_skip.sweep.settings import SweepSettings
from tests.random_model import SMALL_SD2, SMALL_SDXL, random_weights

from .helpers import identify_infotext
from .test_app import FIELDS
from .test_families import HEADS


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "more").mkdir()
    for name, sizes in (("two", SMALL_SD2), ("more/xl", SMALL_SDXL)):
        save_file(dict(random_weights(sizes, 1)), folder / f"{name}.safetensors", HEADS[sizes.family])
    save_file({"lora_x": np_to_tensor(1)}, folder / "lora.safetensors")
    return Studio(CHECKPOINT, "cpu", tmp_path_factory.mktemp("out"), folder=folder)


def np_to_tensor(value):
    import torch

    return torch.full((1,), float(value))


def pixels(made):
    return np.asarray(Image.open(made.path).convert("RGB"), dtype=np.int16)


def picture(studio, name="", slider=1, **fields):
    checkpoint = studio.checkpoints.find(name) if name else studio.first
    return studio.picture(checkpoint, reading.read_settings({**FIELDS, **fields}, checkpoint), slider)


def test_the_checkpoints_are_those_of_the_folder_as_they_are_now(studio, tmp_path):
    assert [*studio.checkpoints.paths()] == [CHECKPOINT.stem, "lora", "more/xl", "two"]
    assert [studio.checkpoints.find(name).family for name in ("two", "more/xl", CHECKPOINT.stem)] == [
        "SD2",
        "SDXL",
        "SD1",
    ]
    with pytest.raises(CheckpointError, match="it is a LoRA"):
        studio.checkpoints.find("lora")
    with pytest.raises(FieldError, match='Checkpoint: "gone" is not there any more'):
        studio.checkpoints.find("gone")
    own = tmp_path / "demo" / CHECKPOINT.name
    own.parent.mkdir()
    own.write_bytes(CHECKPOINT.read_bytes())
    (tmp_path / CHECKPOINT.name).symlink_to(CHECKPOINT)
    assert [*Checkpoints(own, tmp_path).paths()] == [f"demo/{CHECKPOINT.stem}", CHECKPOINT.stem]
    assert [*Checkpoints(CHECKPOINT, tmp_path).paths()] == [CHECKPOINT.stem, f"demo/{CHECKPOINT.stem}"]


def test_another_checkpoint_takes_the_place_of_the_one_before(studio):
    before = pixels(picture(studio))
    xl = picture(studio, "more/xl", prompt="a circle <clipskip:2:g=5>")
    assert "Model: xl" in xl.infotext and xl.infotext.startswith("<clipskip:2:g=5>a circle")
    assert (pixels(xl) != pixels(picture(studio, "more/xl", prompt="a circle <clipskip:2:g=6>"))).any()
    assert "<clipskip:24>" in picture(studio, "two", slider=24).infotext
    assert (pixels(picture(studio)) == before).all()


def test_a_value_goes_as_deep_as_each_encoder_of_sdxl(studio):
    deep = picture(studio, "more/xl", prompt="a circle <clipskip:20>")
    assert (pixels(deep) == pixels(picture(studio, "more/xl", prompt="a circle <clipskip:l=12:g=20>"))).all()
    assert deep.notes == [SKIP_TOO_DEEP(value="20", layers=12, name="CLIP ViT-L/14", used=12)]


def test_a_sweep_of_another_checkpoint(studio):
    xl = studio.checkpoints.find("more/xl")
    settings = reading.read_settings(FIELDS, xl)
    made = studio.sweep(xl, settings, SweepSettings("2, 3", rows="clip_g", clip_g_skips="2, 32"))
    assert made.figures["cells_made"] == 4
    with pytest.raises(SweepError, match=f"Rows: {HIRES_PASS_NEEDED}"):
        studio.sweep(xl, settings, SweepSettings("2", rows="hires"))
    with_hires = reading.read_settings({**FIELDS, "hires": True}, studio.first)
    made = studio.sweep(studio.first, with_hires, SweepSettings("2", rows="hires", hires_skips="1, 12"))
    assert made.figures["cells_made"] == 2
    first, second = (np.asarray(Image.open(file)).astype(int) for file in sorted(made.folder.glob("cells/*.png")))
    assert first.shape == (128, 128, 3) and (first != second).any()


def test_what_the_page_is_told_of_a_checkpoint_without_loading_it(studio):
    told = [describe_checkpoint(studio.checkpoints.find(name)) for name in ("two", "more/xl")]
    assert [(one["model"], one["checkpoint"]) for one in told] == [("SD2", "two"), ("SDXL", "more/xl")]
    encoders = [[(e["tower"], e["layers"], e["native"]) for e in one["encoders"]] for one in told]
    assert encoders == [[("h", 24, 2)], [("l", 12, 2), ("g", 32, 2)]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scale": 0.5}, "Upscale by: 0.5 is outside 1 to 8"),
        ({"denoising": 0}, "Denoising strength: 0 is outside 0.0001 to 1"),
        ({"upscaler": "ESRGAN"}, 'Upscaler: "ESRGAN" is not one of Latent'),
        ({"hires_steps": 1.5}, "Hires steps: 1.5 is not a whole number"),
        ({"width": 4096, "scale": 4}, "Hires. fix: 16384x256 is more than 8192"),
        ({"noise": "NV"}, 'Noise from: "NV" is not one of CPU, GPU'),
    ],
)
def test_a_field_that_cannot_be_used_is_named(studio, fields, message):
    with pytest.raises(FieldError, match=message):
        picture(studio, hires=True, **fields)


HIRES = {"hires": True, "scale": 1.5, "denoising": 0.6, "hires_steps": 1, "hires_sampler": "Euler a"}
LIKES = [
    {},
    {"prompt": "a (red:1.2) circle", "emphasis": "No norm", "noise": "GPU", "seed": 7},
    {"prompt": "a [circle:ring:0.5] AND a star <clipskip:6>", "negative": "<clipskip:2> blue, dark"},
    {**HIRES, "hires_cfg_scale": 5, "hires_prompt": "a ring, <clipskip:4>"},
    {
        **HIRES,
        "scale": 2,
        "resize_width": 128,
        "resize_height": 96,
        "upscaler": "Latent (bicubic)",
        "hires_sampler": "",
    },
]


@pytest.mark.parametrize("fields", LIKES)
def test_a_dropped_picture_fills_the_fields_that_make_it_again(studio, fields):
    made = picture(studio, slider=3, **fields)
    read = infotext.read(made.path)
    checkpoint, said = studio.checkpoints.like(read, "two")
    filled, more = reading.fields_of(recipe.of(read), checkpoint.family)
    assert checkpoint.name == CHECKPOINT.stem and not said and not more
    slider = filled.pop("slider")
    again = studio.picture(checkpoint, reading.read_settings({**FIELDS, **filled}, checkpoint), slider)
    assert (pixels(again) == pixels(made)).all() and again.infotext == made.infotext


def test_a_picture_of_a_checkpoint_that_is_not_there(studio):
    read = identify_infotext("a\nSteps: 2, Sampler: Euler, Seed: 1, Model: other, Model hash: 0123456789")
    checkpoint, said = studio.checkpoints.like(read, "two")
    assert checkpoint.name == "two"
    missing = NOT_THERE(name='"other"', hash="0123456789", place=OF_THIS_PAGE)
    assert said == STANDS_IN(problem=missing)


def test_the_tags_decide_part_by_part_and_step_by_step(studio):
    """Prompt editing, sub-prompts and the negative prompt are in the page as they are in the picture."""
    texts = "[<clipskip:1>:<clipskip:3>:0.5] a red circle AND <clipskip:4> a star", "<clipskip:5> blue"
    told = parts_by_step(Texts(*texts), False, {"steps": 20})
    assert [[step["l"] for step in steps] for steps in told] == [[1, 3], [4]]
    assert [[step["l"] for step in steps] for steps in parts_by_step(Texts(*texts), True, {})] == [[5]]
    made = picture(studio, prompt=texts[0], negative=texts[1], slider=12, steps=4)
    assert (pixels(made) == pixels(picture(studio, prompt=texts[0], negative=texts[1], steps=4))).all()
    other = texts[0].replace("<clipskip:4>", "<clipskip:9>")
    assert (pixels(made) != pixels(picture(studio, prompt=other, negative=texts[1], steps=4))).any()


def test_emphasis_is_the_pictures_own(studio):
    kinds = ("Original", "No norm", "Ignore")
    of = {kind: pixels(picture(studio, prompt="a (red:1.6) circle", emphasis=kind)) for kind in kinds}
    assert (of["Original"] != of["No norm"]).any() and (of["Ignore"] != of["No norm"]).any()
    assert (pixels(picture(studio, prompt="a (red:1.6) circle")) == of["Original"]).all()


@pytest.mark.parametrize("language", ["ja_JP", "ko_KR", "zh_CN", "zh_TW"])
def test_what_cannot_be_made_again_is_told_in_the_pages_language(studio, language):
    last = (
        "Steps: 2, Sampler: PLMS, Seed: 1, Clip skip: 3, Model: two, Model hash: 0000000000, Hires upscale: 2, VAE: x"
    )
    read = identify_infotext(f"a\n{last}, Hires upscaler: ESRGAN")
    wanted = recipe.of(read)
    said = [*wanted.warnings, studio.checkpoints.like(read, "two")[1], *reading.fields_of(wanted, "SD2")[1]]
    other = identify_infotext("a\nSteps: 2, Sampler: Euler, Seed: 1, Model: other, Model hash: 0123456789")
    said.append(studio.checkpoints.like(other, "two")[1])
    for fields in ({"scale": 0.5}, {"upscaler": "ESRGAN"}, {"width": 4096, "scale": 4}):
        with pytest.raises(FieldError) as wrong:
            picture(studio, hires=True, **fields)
        said.append(wrong.value.message)
    with pytest.raises(FieldError) as wrong:
        studio.checkpoints.find("gone")
    said.append(wrong.value.message)
    assert len(said) == 11
    for sentence in said:
        told = translator(language)(sentence)
        assert told != str(sentence) and "{" not in told, sentence


@pytest.fixture(scope="module")
def page(studio):
    pytest.importorskip("gradio", reason="gradio is not installed: no page")
    from clip_skip.standalone.app.page import Page

    return Page(studio, defaults(demo=True))


def drop(page, path):
    """What dropping the file at `path` changes, by the names of the fields, and what is said."""
    given = {page.dropped_file: str(path), page.at["checkpoint"]: CHECKPOINT.stem}
    changed = page.like(given)
    names = {widget: name for name, widget in page.at.items()}
    return {names[widget] for widget in changed if widget in names}, changed[page.like_notes]


def test_a_dropped_picture_without_infotext_changes_no_field_and_is_named_alone(page, studio, tmp_path):
    path = tmp_path / "of-nobody.png"
    Image.new("RGB", (8, 8)).save(path)
    fields, notes = drop(page, path)
    assert fields == set() and path.name in notes and str(tmp_path) not in notes
    path.write_text("a\nSteps: many, Seed: 1, Size: 8x8, Sampler: Euler")
    assert drop(page, path)[0] == set()
    fields, notes = drop(page, picture(studio).path)
    assert {"prompt", "seed", "sampler", "eta", "checkpoint"} <= fields and path.name not in notes


def test_the_page_names_a_lora_that_was_made_for_another_value(tmp_path):
    """As the WebUI's route does; nothing of one that is not there or has no weight, and nothing on SDXL."""
    metadata = {"ss_clip_skip": "2", "ss_base_model_version": "sd_v1", "ss_sd_model_name": "x"}
    save_file({"lora_unet_x.lora_up.weight": np_to_tensor(1)}, tmp_path / "mine.safetensors", metadata)
    checkpoint = Checkpoints(CHECKPOINT).first

    def suggested(prompt, value=1, of=checkpoint):
        found = suggestions_on(of, {"prompt": prompt, "value": value}, tmp_path, str)
        return [(one["kind"], one["value"]) for one in found["suggestions"]]

    assert suggested("a cow <lora:mine:0.8>") == [("LoRA", 2)]
    assert suggested("a cow <lora:mine:0.8>", 2) == suggested("a <clipskip:2> <lora:mine:0.8>") == []
    assert suggested("a <lora:mine:0>") == suggested("a <lora:gone:1>") == suggested("# <lora:mine:1>") == []
    sdxl = type("SDXL", (), {"family": "SDXL"})
    assert suggested("a cow <lora:mine:0.8>", of=sdxl) == []


def test_the_slider_starts_at_what_is_remembered_for_a_checkpoint(page, studio):
    """`own` is what the user had set, 0 while no remembered value is followed."""
    from clip_skip.made_for import remembered

    paths = {name: str(studio.checkpoints.find(name).path) for name in ("two", "more/xl")}
    follow = lambda name, slider, own: [
        {key: value for key, value in one.items() if key == "value"} if isinstance(one, dict) else one
        for one in page.follow(name, slider, own)
    ]
    try:
        for name, value in (("two", 3), ("more/xl", 2)):
            remembered.remember(paths[name], value)
        assert studio.checkpoints.find("two").remembered == 3 and studio.first.remembered is None
        assert follow("two", 5, 0) == [{"value": 3}, 5]
        assert follow("more/xl", 3, 5) == [{"value": 2}, 5]
        assert follow(studio.first.name, 2, 5) == [{"value": 5}, 0]
        assert follow(studio.first.name, 5, 0) == [{}, 0]
    finally:
        for path in paths.values():
            remembered.forget(path)
