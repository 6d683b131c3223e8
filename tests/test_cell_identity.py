"""The identity of a cell, on an object with the fields of AUTOMATIC1111 v1.10.1: all counts but what is listed."""

import dataclasses
import os
import sys
from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from clip_skip.panel import TITLE
from clip_skip.sweep.settings import SweepSettings

from .host_models import MODELS
from .test_webui import Host


@dataclass
class StableDiffusionProcessing:
    """Both tabs' fields in one; those with `init=False` are the host's own, and the mask of img2img is one of them."""

    sd_model: Any = None
    outpath_samples: str = "samples"
    outpath_grids: str = "grids"
    prompt: str = "a cow"
    prompt_for_display: str = None
    negative_prompt: str = "bad"
    styles: list = field(default_factory=list)
    seed: int = 5
    subseed: int = 7
    subseed_strength: float = 0
    seed_resize_from_h: int = -1
    seed_resize_from_w: int = -1
    seed_enable_extras: bool = True
    sampler_name: str = "Euler"
    scheduler: str = None
    batch_size: int = 1
    n_iter: int = 1
    steps: int = 20
    cfg_scale: float = 7.0
    width: int = 64
    height: int = 64
    restore_faces: bool = None
    tiling: bool = None
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    extra_generation_params: dict = field(default_factory=dict)
    overlay_images: list = None
    eta: float = None
    do_not_reload_embeddings: bool = False
    denoising_strength: float = 0.75
    ddim_discretize: str = None
    s_min_uncond: float = None
    s_churn: float = None
    s_tmax: float = None
    s_tmin: float = None
    s_noise: float = None
    override_settings: dict = field(default_factory=dict)
    override_settings_restore_afterwards: bool = True
    sampler_index: int = None
    refiner_checkpoint: str = None
    refiner_switch_at: float = None
    disable_extra_networks: bool = False
    firstpass_image: Any = None
    scripts_value: Any = field(default=None, init=False)
    script_args_value: list = field(default=None, init=False)
    scripts_setup_complete: bool = field(default=False, init=False)
    comments: dict = field(default_factory=dict)
    sampler: Any = field(default=None, init=False)
    is_using_inpainting_conditioning: bool = field(default=False, init=False)
    paste_to: tuple = field(default=None, init=False)
    is_hr_pass: bool = field(default=False, init=False)
    c: tuple = field(default=None, init=False)
    uc: tuple = field(default=None, init=False)
    rng: Any = field(default=None, init=False)
    step_multiplier: int = field(default=1, init=False)
    color_corrections: list = field(default=None, init=False)
    all_prompts: list = field(default=None, init=False)
    iteration: int = field(default=0, init=False)
    extra_network_data: dict = field(default=None, init=False)
    user: str = field(default=None, init=False)
    is_api: bool = field(default=False, init=False)
    enable_hr: bool = False
    firstphase_width: int = 0
    firstphase_height: int = 0
    hr_scale: float = 2.0
    hr_upscaler: str = None
    hr_second_pass_steps: int = 0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_checkpoint_name: str = None
    hr_sampler_name: str = None
    hr_scheduler: str = None
    hr_prompt: str = ""
    hr_negative_prompt: str = ""
    force_task_id: str = None
    init_images: list = field(default_factory=lambda: [Image.new("RGB", (8, 8))])
    resize_mode: int = 0
    image_cfg_scale: float = None
    mask_blur_x: int = 4
    mask_blur_y: int = 4
    mask_round: bool = True
    inpainting_fill: int = 0
    inpaint_full_res: bool = True
    inpaint_full_res_padding: int = 0
    inpainting_mask_invert: int = 0
    initial_noise_multiplier: float = None
    latent_mask: Any = None
    image_mask: Any = field(default=None, init=False)

    def __post_init__(self):
        self.image_mask = Image.new("L", (8, 8))
        self.sampler_noise_scheduler_override = None
        self.cached_c = self.cached_uc = self.cached_hr_c = self.cached_hr_uc = [None, None]

    @property
    def scripts(self):
        return self.scripts_value

    @property
    def script_args(self):
        return self.script_args_value


@pytest.fixture
def host(standins):
    host = Host()
    host.shared.opts.data.update(eta_ancestral=1.0, sd_vae="Automatic", samples_format="png", unknown_option="x")
    return host


def identities(p=None, settings=None, towers=None, **changes):
    """Those of all cells, in the plan's order."""
    from clip_skip.webui.state import State, SweepGrid
    from clip_skip.webui.sweep.identity import cell_identities

    p = p or StableDiffusionProcessing()
    for name, value in changes.items():
        setattr(p, name, value)
    settings = settings or SweepSettings(clip_skips="2", cfg_scales="7")
    plan = settings.plan(towers)
    p.clip_skip_state = State(job=SweepGrid(settings, plan))
    return list(cell_identities(p, plan.cells).values())


def identity(p=None, **changes):
    (one,) = identities(p, **changes)
    return one


def changed(value):
    """Another value of the same kind."""
    if isinstance(value, Image.Image):
        value = value.copy()
        value.putpixel((0, 0), 255)
        return value
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, str) or value is None:
        return f"{value or ''}x"
    if isinstance(value, list):
        return [*map(changed, value)] or ["x"]
    return {**value, "x": 1}


FIELDS = sorted(
    {*vars(StableDiffusionProcessing()), *(one.name for one in dataclasses.fields(StableDiffusionProcessing))}
)


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_counts_but_those_that_are_listed(host, name):
    """`cfg_scale` is the row's, `subseed` does nothing without its strength, and here no script owns the arguments."""
    from clip_skip.webui.sweep.identity import LEFT_OUT

    left_out = {*LEFT_OUT, "cfg_scale", "subseed"} - {"script_args_value"}

    p, before = StableDiffusionProcessing(), identity()
    assert before is not None and identity() == before
    other = identity(**{name: changed(getattr(p, name))})
    assert (other == before) == (name in left_out)


def test_what_is_left_out_exists(standins):
    from clip_skip.webui.sweep.identity import LEFT_OUT

    here = {*FIELDS, "scripts", "script_args"}
    assert set(LEFT_OUT) - here == {"clip_skip_state"}


def test_a_field_that_nobody_knew_counts(host):
    assert identity(of_a_later_host=1) != identity(of_a_later_host=2) != identity()


def test_sets_are_compared_by_what_is_in_them(host):
    from clip_skip.webui.sweep.comparable import comparable

    assert comparable({"a", "b"}) == comparable({"b", "a"}) != comparable({"a", "c"})


def test_the_cells_own_values_count(host):
    cells = identities(settings=SweepSettings(clip_skips="2, 3", cfg_scales="4, 7"))
    assert len({*cells}) == 4
    assert identity() == identities(settings=SweepSettings(clip_skips="2", rows="seed", seeds="5"))[0] == cells[2]
    strong = {"subseed_strength": 0.5}
    assert identity(**strong) != identity(**strong, subseed=8)
    seeds = SweepSettings(clip_skips="2", rows="seed", seeds="5")
    assert identities(settings=seeds, cfg_scale=7.0) != identities(settings=seeds, cfg_scale=8.0)


@pytest.mark.parametrize("name", ["eta_ancestral", "sd_vae", "unknown_option"])
def test_options_count(host, name):
    before = identity()
    host.shared.opts.data[name] = changed(host.shared.opts.data[name])
    assert identity() != before
    host.shared.opts.data["of_a_later_host"] = 1
    assert identity() != before


def test_options_that_only_say_how_pictures_are_saved_or_shown_do_not_count(host, monkeypatch):
    from clip_skip.webui.sweep.identity import OPTIONS_LEFT_OUT, SECTIONS_LEFT_OUT

    before = identity()
    for number, section in enumerate(SECTIONS_LEFT_OUT):
        name = f"option_{number}"
        monkeypatch.setitem(host.shared.opts.data_labels, name, SimpleNamespace(section=(section, "Title")))
        host.shared.opts.data[name] = "x"
        assert identity() == before, section
    for name in OPTIONS_LEFT_OUT:
        host.shared.opts.data[name] = 3
        assert identity() == before, name
    monkeypatch.setitem(host.shared.opts.data_labels, "other", SimpleNamespace(section=("sampler-params", "Title")))
    host.shared.opts.data["other"] = "x"
    assert identity() != before


def script(title, start, end, **more):
    return SimpleNamespace(title=lambda: title, args_from=start, args_to=end, **more)


def test_arguments_of_scripts_that_run_beside_it_count(host):
    def of(arguments):
        always = [script(TITLE, 1, 3), script("ControlNet", 3, 5), script("Seed", 5, 6, setup_for_ui_only=True)]
        p = StableDiffusionProcessing()
        p.scripts_value = SimpleNamespace(alwayson_scripts=always)
        p.script_args_value = arguments
        return identity(p)

    class Mode(Enum):
        ON, OFF = 1, 2

    @dataclass
    class Unit:
        image: Any
        weight: float = 1.0
        mode: Mode = Mode.ON

    picture = np.zeros((4, 4), np.uint8)
    before = of([0, False, 1, Unit(picture), "model", -1, "another script's"])
    assert before is not None
    assert before == of([3, False, 1, Unit(picture.copy()), "model", 5, "changed"])  # of no script that runs
    assert before == of([0, False, 9, Unit(picture), "model", -1, ""])  # our panel is not ticked
    for unit in (Unit(picture + 1), Unit(picture, 0.5), Unit(picture, mode=Mode.OFF), Unit(torch.zeros(4, 4))):
        assert of([0, False, 1, unit, "model", -1, ""]) not in (before, None)
    assert of([0, False, 1, Unit(picture), "other", -1, ""]) != before
    assert of([0, False, 1, Unit(object()), "model", -1, ""]) is None
    assert of([0, False, 1, lambda: 1, "model", -1, ""]) is None


def test_the_panel_and_the_header_count_where_a_cell_follows_them(host):
    def of(settings, panel, header=1):
        p = StableDiffusionProcessing()
        p.scripts_value = SimpleNamespace(alwayson_scripts=[script(TITLE, 0, 5)])
        p.script_args_value = panel
        host.shared.opts.data["CLIP_stop_at_last_layers"] = header
        return identities(p, SweepSettings(clip_skips="2", cfg_scales="7", **settings))[0]

    off, on = [False, 1, 0, 0, 0], [True, 3, 4, 0, 0]
    assert of({}, off) == of({}, off, 5) == of({}, on)
    prompt = {"apply_to": "prompt"}
    assert of(prompt, off) == of({"apply_to": "prompt"}, off)
    assert len({of(prompt, off), of(prompt, off, 5), of(prompt, on)}) == 3
    assert of(prompt, on) == of(prompt, on, 5)
    slider_between = [True, 3, 0.4, 0, 0]  # comes to the slider's minimum
    assert of(prompt, slider_between) == of(prompt, [True, 3, 0, 0, 0]) is not None


def test_tags_that_a_cell_replaces_do_not_count_and_others_do(host):
    assert identity(prompt="<clipskip:9>a cow") == identity(prompt="a cow")
    assert len({identity(prompt=f"a cow AND <clipskip:{skip}>b") for skip in (3, 4)}) == 2
    for text in ("[<clipskip:3>:<clipskip:4>:0.5]a cow", "[<clipskip:4>:<clipskip:3>:0.5]a cow"):
        assert identity(prompt=text) != identity(prompt="[::0.5]a cow")


def test_the_hires_pass_counts_where_there_is_one(host):
    def of(tag, hr_prompt="", **more):
        return identity(prompt=f"{tag}a cow", hr_prompt=hr_prompt, **more)

    hires = {"enable_hr": True}
    assert of("<clipskip:9:hires=3>") == of("<clipskip:9:hires=4>") == of("")
    assert len({of("", **hires), of("<clipskip:9:hires=3>", **hires), of("<clipskip:9:hires=4>", **hires)}) == 3
    assert len({of("", f"b AND <clipskip:{skip}>c", **hires) for skip in (3, 4)}) == 2
    assert len({of(f"<clipskip:9:hires={skip}>", "b", **hires) for skip in (3, 4)}) == 2  # it follows the first's tag


def test_a_request_whose_panel_cannot_be_used_is_comparable_with_none(host):
    def of(values, **more):
        p = StableDiffusionProcessing()
        p.scripts_value, p.is_api = SimpleNamespace(alwayson_scripts=[script(TITLE, 0, len(values))]), True
        p.script_args_value = values
        return identity(p, settings=SweepSettings(clip_skips="2", cfg_scales="7", apply_to="prompt"), **more)

    assert of([{"clip_skip": 99}]) is None
    assert of([True, 3, 0.4]) is None  # between 0 and 1 only the page's sliders are put right
    assert len({of([{"enabled": True, "clip_skip": skip}]) for skip in (3, 4)}) == 2


def test_sdxl_has_one_picture_for_1_and_2(host):
    host.shared.sd_model = MODELS["A1111 SDXL"]()
    towers = {"l": 12, "g": 32}
    one, two, three = identities(settings=SweepSettings(clip_skips="1-3", cfg_scales="7"), towers=towers)
    assert one == two != three
    one, two = identities(settings=SweepSettings(clip_skips="1, 2", cfg_scales="7", columns="clip_l"), towers=towers)
    assert one == two
    host.shared.sd_model = host.model
    assert len({*identities(settings=SweepSettings(clip_skips="1-3", cfg_scales="7"))}) == 3


def test_clip_g_at_its_own_value_does_not_follow_clip_l(host):
    host.shared.sd_model = MODELS["A1111 SDXL"]()
    host.shared.opts.data["sdxl_clip_l_skip"] = True
    settings = SweepSettings(clip_skips="3", cfg_scales="7", columns="clip_l")
    found = []
    for header in (1, 5):
        host.shared.opts.data["CLIP_stop_at_last_layers"] = header
        found.append(identities(settings=settings, towers={"l": 12, "g": 32}))
    assert found[0] == found[1] != [None]


def test_another_checkpoint_in_play_has_text_encoders_of_its_own(host):
    from modules import sd_models

    host.shared.sd_model = MODELS["A1111 SDXL"]()
    sd_models.checkpoints_list["an SD1 model"] = SimpleNamespace(name="an SD1 model", filename="sd1.safetensors")
    both = SweepSettings(clip_skips="1, 2", cfg_scales="7")
    one, two = identities(settings=both, towers={"l": 12, "g": 32}, hr_checkpoint_name="an SD1 model")
    assert one != two
    one, two = identities(settings=both, override_settings={"sd_model_checkpoint": "an SD1 model"})
    assert one != two  # it is not loaded yet


def renew(file, text="trained again"):
    file.write_text(text)
    os.utime(file, ns=(1, file.stat().st_mtime_ns + 1_000_000_000))


NAMED_FILES = ("lora", "hypernet", "mood.pt", "model", "vae", "upscaler", "other.pt", "named vae", "alias")


def test_files_that_a_text_names_count_by_their_content(host, monkeypatch, tmp_path):
    from modules import sd_models

    from clip_skip.webui import models_in_use

    files = {name: tmp_path / ("embeddings" if name.endswith(".pt") else "") / name for name in NAMED_FILES}
    (tmp_path / "embeddings").mkdir()
    for file in files.values():
        file.write_text("as it was")
    loras = lambda text: {"x": str(files["lora"])} if "<lora:x" in text else {}
    monkeypatch.setattr(models_in_use, "loras", loras)
    shared = host.shared
    monkeypatch.setattr(shared, "hypernetworks", {"y": str(files["hypernet"])}, raising=False)
    monkeypatch.setattr(shared, "cmd_opts", SimpleNamespace(embeddings_dir=str(tmp_path / "embeddings")), raising=False)
    upscaler = SimpleNamespace(name="4x", data_path=str(files["upscaler"]))
    monkeypatch.setattr(shared, "sd_upscalers", [upscaler], raising=False)
    styles = SimpleNamespace(
        apply_styles_to_prompt=lambda text, names: f"{text}, in a Mood" if names else text,
        apply_negative_styles_to_prompt=lambda text, names: text,
    )
    monkeypatch.setattr(shared, "prompt_styles", styles, raising=False)
    host.model.sd_checkpoint_info = SimpleNamespace(filename=str(files["model"]))
    sd_models.checkpoints_list["refiner"] = SimpleNamespace(name="refiner", filename=str(files["vae"]))
    alias = SimpleNamespace(name="alias.safetensors", filename=str(files["alias"]))
    monkeypatch.setattr(sd_models, "checkpoint_aliases", {"alias": alias}, raising=False)
    monkeypatch.setattr(sd_models, "get_closet_checkpoint_match", lambda name: alias, raising=False)
    vae = SimpleNamespace(loaded_vae_file=None, vae_dict={"named": str(files["named vae"])})
    monkeypatch.setitem(sys.modules, "modules.sd_vae", vae)
    named = [
        ("named vae", {"override_settings": {"sd_vae": "named"}}),
        ("alias", {"refiner_checkpoint": "alias"}),
        ("alias", {"override_settings": {"sd_model_checkpoint": "nearly the alias"}}),
        ("lora", {"prompt": "a <lora:x:1> cow"}),
        ("lora", {"negative_prompt": "<lora:x:1>"}),
        ("lora", {"hr_prompt": "a <lora:x:1> hen"}),
        ("hypernet", {"prompt": "a <hypernet:y:1> cow"}),
        ("mood.pt", {"prompt": "a cow in a MOOD"}),
        ("mood.pt", {"hr_negative_prompt": "mood"}),
        ("mood.pt", {"styles": ["moody"]}),
        ("model", {}),
        ("vae", {"refiner_checkpoint": "refiner"}),
        ("vae", {"override_settings": {"forge_additional_modules": [str(files["vae"])]}}),
        ("upscaler", {"hr_upscaler": "4x"}),
    ]
    for name, fields in named:
        before = identity(**fields)
        assert before == identity(**fields)
        renew(files[name], name)
        assert identity(**fields) != before, (name, fields)
        before = identity(**fields)
        renew(files["other.pt"])
        assert identity(**fields) == before
    before = identities(settings=SweepSettings(clip_skips="2", rows="prompt", replacements="cow, <lora:x:1>"))
    renew(files["lora"], "and again")
    after = identities(settings=SweepSettings(clip_skips="2", rows="prompt", replacements="cow, <lora:x:1>"))
    assert [one == other for one, other in zip(before, after)] == [True, False]


def test_networks_that_scripts_and_options_name_count_by_their_files(host, monkeypatch, tmp_path):
    """ADetailer's own prompts, and the options that add a LoRA or a hypernetwork to each prompt."""
    files = {name: tmp_path / name for name in ("face.safetensors", "always.safetensors", "hyper.pt", "mood.pt")}
    for file in files.values():
        file.write_text("as it was")
    entries = {name: SimpleNamespace(filename=str(files[f"{name}.safetensors"])) for name in ("face", "always")}
    networks = SimpleNamespace(available_network_aliases=entries, forbidden_network_aliases={})
    monkeypatch.setitem(sys.modules, "networks", networks)
    monkeypatch.setattr(host.shared, "hypernetworks", {"hyper": str(files["hyper.pt"])}, raising=False)
    monkeypatch.setattr(host.shared, "cmd_opts", SimpleNamespace(embeddings_dir=str(tmp_path)), raising=False)
    detailer = {"scripts_value": SimpleNamespace(alwayson_scripts=[script("ADetailer", 0, 2)])}
    detailer["script_args_value"] = [True, {"ad_prompt": "<lora:face:0.8> in a mood"}]
    host.shared.opts.data.update(sd_lora="always", sd_hypernetwork="hyper")
    for file in files.values():
        before = identity(**detailer)
        assert before == identity(**detailer)
        renew(file, "trained again")
        assert identity(**detailer) != before, file.name


def test_files_of_one_name_all_count(host, monkeypatch, tmp_path):
    """A checkpoint, a hypernetwork, an upscaler and a LoRA may be called the same."""
    from modules import sd_models

    files = {name: tmp_path / name for name in ("checkpoint", "hypernetwork", "upscaler", "lora")}
    for file in files.values():
        file.write_text("as it was")
    entry = SimpleNamespace(filename=str(files["lora"]))
    networks = SimpleNamespace(available_network_aliases={"x": entry}, forbidden_network_aliases={})
    monkeypatch.setitem(sys.modules, "networks", networks)
    monkeypatch.setattr(host.shared, "hypernetworks", {"x": str(files["hypernetwork"])}, raising=False)
    upscaler = SimpleNamespace(name="x", data_path=str(files["upscaler"]))
    monkeypatch.setattr(host.shared, "sd_upscalers", [upscaler], raising=False)
    checkpoint = SimpleNamespace(name="x", filename=str(files["checkpoint"]))
    monkeypatch.setattr(sd_models, "checkpoint_aliases", {"x": checkpoint}, raising=False)
    host.shared.opts.data["sd_lora"] = "x"
    for name, file in files.items():
        before = identity()
        renew(file, "another")
        assert identity() != before, name


def test_the_loaded_vae_counts(host, monkeypatch, tmp_path):
    file = tmp_path / "vae"
    file.write_text("x")
    before = identity()
    vae = SimpleNamespace(loaded_vae_file=str(file), vae_dict={})
    monkeypatch.setitem(sys.modules, "modules.sd_vae", vae)
    one = identity()
    renew(file)
    assert len({before, one, identity()}) == 3


def test_a_dataclass_field_of_the_settings_counts_where_it_changes_cells(host):
    """Those that do not change a cell: how many at once, what is drawn and saved, and the axes' texts themselves."""
    other = {"apply_to": "prompt", "columns": "clip_skip", "rows": "cfg"}
    neutral = {field.name for field in dataclasses.fields(SweepSettings)} - {*other, "clip_skips", "cfg_scales"}
    before = identity()
    for name in neutral:
        value = changed(getattr(SweepSettings(), name))
        settings = SweepSettings(clip_skips="2", cfg_scales="7", **{name: value})
        assert identities(settings=settings) == [before], name
