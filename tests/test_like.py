"""--like: the infotext of pictures of a WebUI, what of it is understood, and what is made of it."""

import argparse
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from clip_skip.messages.message import FIELD_PROBLEM, Template, join
from clip_skip.pictures import container, reader
from clip_skip.pictures import infotext as infotexts
from clip_skip.pictures.facts import parts_message
from clip_skip.pictures.numbering import NEO_UNWRITTEN
from clip_skip.standalone.cli.errors import ArgumentError
from clip_skip.standalone.cli.like import fill_from_picture
from clip_skip.standalone.cli.main import main
from clip_skip.standalone.cli.sweep_arguments import NO_HIRES, NO_HIRES_ROWS, add_arguments, option_values
from clip_skip.standalone.engine.shots import Hires
from clip_skip.standalone.pictures import checkpoint as checkpoints
from clip_skip.standalone.pictures import recipe
from clip_skip.standalone.pictures.infotext import (
    Infotext,
    InfotextError,
    of_hires,
    parameters,
    read,
)
from clip_skip.standalone.sampling.samplers import SAMPLERS
from clip_skip.standalone.settings import Settings, build_settings, hires_of

pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("open_clip")

from tests.helpers import identify_infotext
from tests.random_model import random_model
from tests.test_pictures import encode, graph, last_layer

PROMPT, NEGATIVE = "a (cow:1.2), [red|blue]\nsecond line: x", "dark, ünïcode 🐄"
LAST = (
    "Steps: 2, Sampler: Euler a, Schedule type: Karras, CFG scale: 5.5, Seed: 7, Size: 64x96, Model hash: 0123456789, "
    'Model: m, Denoising strength: 0.5, Clip skip: 3, Hires prompt: "a \\"dog\\", far", Hires upscale: 1.5, '
    'Hires steps: 3, Hires upscaler: Latent (nearest), Lora hashes: "x: 1, y: 2", Version: v1.10.1'
)
TEXT = f"{PROMPT}\nNegative prompt: {NEGATIVE}\n{LAST}"


FIRST = next(iter(SAMPLERS))


def left_out(*settings):
    """The message that names what cannot be made again."""
    parts = [FIELD_PROBLEM(field=name, problem=f'"{value}"') for name, value in settings]
    return recipe.LEFT_OUT(settings=join(parts, ", "))


def number_problem(name, value):
    return FIELD_PROBLEM(field=name, problem=infotexts.VALUE_NOT_A_NUMBER(value=f'"{value}"'))


def png(path, text):
    info = PngImagePlugin.PngInfo()
    info.add_itxt("parameters", text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return path


def exif(path, text):
    data = Image.Exif()
    data.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text.encode("utf-16-be")
    Image.new("RGB", (8, 8)).save(path, exif=data)
    return path


@pytest.mark.parametrize("name", ["p.png", "p.jpg", "p.webp", "p.txt"])
def test_infotext_is_read_from_every_kind_of_file(name, tmp_path):
    path = tmp_path / name
    if name.endswith("txt"):
        path.write_text(TEXT, encoding="utf-8")
    else:
        (png if name.endswith("png") else exif)(path, TEXT)
    found = read(path)
    assert (found.prompt, found.negative) == (PROMPT, NEGATIVE)
    assert found.parameters["Hires prompt"] == 'a "dog", far' and found.parameters["Lora hashes"] == "x: 1, y: 2"
    assert found.size("Size") == (64, 96) and found.number("CFG scale", 1) == 5.5 and found.number("Nothing", 1) == 1
    hires = Hires(1.5, upscaler="Latent (nearest)", denoising=0.5, steps=3, prompt='a "dog", far')
    wanted = recipe.of(found)
    settings = build_settings(Settings, wanted.options, model="m")
    assert settings == Settings(
        *(2, 64, 96, "Euler a Karras", hires, "GPU"),
        **{"model": "m", "prompt": PROMPT, "negative": NEGATIVE, "seed": 7, "cfg_scale": 5.5},
    )
    assert wanted.clip_skip("SD1") == (3.0, []) and wanted.warnings == (recipe.NO_RNG,)


@pytest.mark.parametrize(
    ("text", "prompt", "negative"),
    [
        ("just a prompt", "just a prompt", ""),
        ("Negative prompt: dark\nSteps: 1, Seed: 2, Size: 8x8", "", "dark"),
        ("a Negative prompt: b\nSteps: 1, Seed: 2, Size: 8x8", "a Negative prompt: b", ""),
        ("a: b, c: d, e: f", "a: b, c: d, e: f", ""),
    ],
)
def test_what_is_prompt(text, prompt, negative):
    assert (identify_infotext(text).prompt, identify_infotext(text).negative) == (prompt, negative)


@given(st.text(max_size=300) | st.text(alphabet='Steps: 1,\n"\\Negative prompt', max_size=300))
def test_any_text_is_an_infotext(text):
    found = identify_infotext(text)
    assert isinstance(found.prompt, str)
    try:
        recipe.of(found)
    except InfotextError as error:
        assert str(error)


@given(st.dictionaries(st.sampled_from(["Model", "Hires prompt", "Emphasis"]), st.text(max_size=40)))
def test_what_is_written_is_read(values):
    values = {name: " ".join(value.split()) for name, value in values.items()}
    written = parameters({"Steps": 1, "Seed": 2, "Size": "8x8", **values})
    found = identify_infotext(f"a cow\n{written}")
    assert {name: found.parameters[name] for name in values} == values


@pytest.mark.parametrize(
    "hires",
    [
        Hires(),
        Hires(1.75, upscaler="Latent (bicubic antialiased)", denoising=0.35, steps=9, sampler="DPM++ SDE Karras"),
        Hires(resize=(0, 1024), cfg_scale=3.5, prompt='a, b: "c"', negative="d\ne", sampler="Euler"),
    ],
)
def test_a_hires_pass_is_read_as_it_is_written(hires):
    found = Infotext("a", "", {"Sampler": "DDIM", **{name: str(value) for name, value in of_hires(hires).items()}})
    assert hires_of(recipe.of(found).options) == hires
    line = parameters({"Steps": 1, "Sampler": "DDIM", "Seed": 2, **of_hires(hires)})
    assert hires_of(recipe.of(identify_infotext(f"a\n{line}")).options) == hires


def test_files_without_infotext_are_named(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "none.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\xff\xfe")
    messages = {"no.png": container.PICTURE_NOT_FOUND, "none.png": reader.NO_INFOTEXT, "broken.png": container.NEITHER}
    for name, template in messages.items():
        with pytest.raises(InfotextError) as error:
            read(tmp_path / name)
        assert error.value.message == template(file=str(tmp_path / name))


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("Variation seed: 5", left_out(("Variation seed", "5"))),
        ("Refiner: r, ENSD: 31337", left_out(("Refiner", "r"), ("ENSD", "31337"))),
        ("Sampler: Heun", recipe.NOT_RUN(field="Sampler", text='"Heun"', other=FIRST)),
        (
            "Sampler: Euler, Schedule type: Simple",
            recipe.NOT_RUN(field="Sampler", text='"Euler Simple"', other="Euler"),
        ),
        ("Emphasis: Loud", recipe.NOT_MADE(field="Emphasis", text='"Loud"', other="Original")),
        (
            "Hires upscale: 2, Hires upscaler: ESRGAN",
            recipe.NOT_MADE(field="Hires upscaler", text='"ESRGAN"', other="Latent"),
        ),
        (
            "Hires upscale: 2, Hires sampler: PLMS",
            recipe.NOT_RUN(field="Hires Sampler", text='"PLMS"', other=FIRST),
        ),
    ],
)
def test_what_cannot_be_made_again_is_said(last, said):
    assert recipe.of(identify_infotext(f"a\nSteps: 1, Seed: 2, Size: 8x8, RNG: CPU, {last}")).warnings == (said,)


def test_what_changes_no_pixel_is_not_mentioned():
    harmless = (
        'Version: v1.10.1, Hashes: {"model": "0123456789"}, Lora hashes: "a: b", Created Date: 2025-11-28T09:18:43Z, '
        'Civitai resources: [{"type":"checkpoint","modelName":"Some: Model, v2"}], Civitai metadata: {"a": {"b": 1}}, '
        "draft: false, workflow: txt2img, User: me, ENSD: 0, VAE hash: 01, Index: 1x1, App: x, Styles: y"
    )
    assert recipe.of(identify_infotext(f"a\nSteps: 1, Seed: 2, Size: 8x8, RNG: CPU, {harmless}")).warnings == ()
    many = ", ".join(f"Unknown {number}: 1" for number in range(100))
    assert len(recipe.of(identify_infotext(f"a\nSteps: 1, Seed: 2, RNG: CPU, {many}")).warnings) == 1


@pytest.mark.parametrize(
    ("last", "problem"),
    [
        ("Size: big", Template("Size: {value} is not a size such as 512x768")(value='"big"')),
        ("Steps: many, Seed: 3", number_problem("Steps", "many")),
        ("Steps: 1e400, Seed: 3", number_problem("Steps", "1e400")),
        ("Seed: nan", number_problem("Seed", "nan")),
        ("Seed: 1e17", FIELD_PROBLEM(field="Seed", problem=infotexts.VALUE_NOT_WHOLE(value='"1e17"'))),
        ("CFG scale: inf", number_problem("CFG scale", "inf")),
        ("Hires resize: 2", Template("Hires resize: {value} is not a size such as 512x768")(value='"2"')),
    ],
)
def test_what_is_no_number_is_named(last, problem):
    with pytest.raises(InfotextError) as error:
        recipe.of(identify_infotext(f"a\nSteps: 1, Seed: 2, CFG scale: 7, {last}"))
    assert str(error.value) == str(problem)


@pytest.mark.parametrize(
    ("infotext", "family", "value", "says"),
    [
        ("Clip skip: 3", "SD1", 3.0, False),
        ("CFG scale: 7", "SD1", 1.0, False),
        ("Clip skip: 3, Version: v1.10.1", "SDXL", 2.0, True),
        ("Clip skip: 2, Version: v1.10.1", "SDXL", 2.0, False),
        ("Clip skip: 3, Version: v1.10.1", "SD2", 2.0, True),
        ("Clip skip: 3, Version: f2.0.1v1.10.1-previous-669-gdfdcbab6", "SDXL", 3.0, False),
        ("Clip skip: 3, Version: neo", "SDXL", 3.0, False),
    ],
)
def test_where_the_headers_value_acted(infotext, family, value, says):
    found, said = recipe.of(identify_infotext(f"a\nSteps: 1, Seed: 2, {infotext}")).clip_skip(family)
    assert found == value and bool(said) == says
    tagged, said = recipe.of(identify_infotext(f"<clipskip:5>a\nSteps: 1, Seed: 2, {infotext}")).clip_skip(family)
    assert (tagged, said) == (5.0, [])


@pytest.mark.parametrize(
    ("settings", "family", "value"),
    [
        ("CLiP-skip: 2, App: SD.Next", "SD1", 2.0),
        ("CLiP-skip: 2, App: SD.Next", "SDXL", 3.0),
        ("Clip skip: 2, Version: ComfyUI", "SDXL", 2.0),
        ("Clip skip: -3", "SD1", 3.0),
        ("Clip skip: 0", "SD1", 1.0),
        ("Clip skip: nan", "SD1", 1.0),
    ],
)
def test_another_tools_number_is_taken_for_the_checkpoint_that_is_used(settings, family, value):
    assert recipe.of(identify_infotext(f"a\nSteps: 1, Seed: 2, {settings}")).clip_skip(family)[0] == value


def test_what_is_not_known_is_as_published_and_said():
    value, said = recipe.of(identify_infotext("a\nSteps: 1, Seed: 2, RNG: CPU, Version: neo-2.26")).clip_skip("SDXL")
    assert value == 2.0 and said == [recipe.TAKEN(reason=NEO_UNWRITTEN, native="2")]


@pytest.mark.parametrize(
    ("settings", "sampler"),
    [
        ("Sampler: DPM++ 2M Karras", "DPM++ 2M Karras"),
        ("Sampler: dpmpp_2m_sde_karras", "DPM++ 2M SDE Karras"),
        ("Sampler: dpmpp_2m_sde_gpu, Scheduler: karras", "DPM++ 2M SDE Karras"),
        ("Sampler: euler_ancestral", "Euler a"),
        ("Sampler: euler, Scheduler: normal", "Euler Uniform"),
        ("Sampler: Undefined", FIRST),
    ],
)
def test_samplers_by_the_names_of_other_tools(settings, sampler):
    assert recipe.of(identify_infotext(f"a\nSteps: 1, Seed: 2, {settings}")).options["sampler"] == sampler


def test_seeds_of_64_bits_are_exact():
    for seed in (2**32, 2**53 + 1, 2**64 - 1):
        assert recipe.of(identify_infotext(f"a\nSteps: 1, Seed: {seed}, Size: 8x8")).options["seed"] == seed


@pytest.mark.parametrize("noise", ["CPU", "NV"])
def test_a_seed_of_64_bits_is_used_and_written_exactly(tmp_path, noise):
    """An NVIDIA GPU's noise is another one than that of its lower half; torch's on a CPU takes that half alone."""
    text = f"a red circle\nSteps: 1, Sampler: Euler, CFG scale: 7, Size: 64x64, Model: clip-skip-demo, RNG: {noise}"
    pixels = {}
    for seed in (2**64 - 1, 2**64 - 2, 2**32 - 1):
        picture = png(tmp_path / "p.png", f"{text}, Seed: {seed}")
        assert main(["sweep", "--like", str(picture), "--device", "cpu", "--out", str(tmp_path / str(seed))]) == 0
        (cell,) = (tmp_path / str(seed) / "cells").glob("*.png")
        with Image.open(cell) as made:
            assert f"Seed: {seed}," in made.info["parameters"]
            pixels[seed] = made.convert("RGB").tobytes()
    assert len(set(pixels.values())) == (2 if noise == "CPU" else 3)
    with pytest.raises(SystemExit):
        main(["sweep", "--like", str(picture), "--seed", str(2**64), "--out", str(tmp_path / "x")])


def test_the_page_leaves_out_a_seed_that_a_browser_rounds():
    from clip_skip.standalone.app import reading

    wanted = recipe.of(identify_infotext("a\nSteps: 1, Size: 8x8, RNG: CPU, Seed: 9007199254740993"))
    fields, said = reading.fields_of(wanted, "SD1")
    assert "seed" not in fields
    assert said == [reading.SEED_TOO_LARGE(most=2**53, seed="9007199254740993")]
    fields, said = reading.fields_of(recipe.of(identify_infotext("a\nSteps: 1, Size: 8x8, Seed: 4294967296")), "SD1")
    assert fields["seed"] == 2**32 and said == []


def test_a_picture_of_comfyui_is_made_again_with_its_own_values(tmp_path):
    def like(nodes):
        info = PngImagePlugin.PngInfo()
        info.add_text("prompt", json.dumps(nodes))
        Image.new("RGB", (8, 8)).save(tmp_path / "p.png", pnginfo=info)
        return recipe.of(read(tmp_path / "p.png"))

    found = like(graph(-3))
    options = {"sampler": "DPM++ 2M SDE Karras", "noise": "CPU", "seed": 2**64 - 1, "width": 512, "height": 768}
    assert {name: found.options[name] for name in options} == options
    assert found.warnings == () and found.clip_skip("SD1") == (3.0, [])
    parts = like(graph(-3, **{"8": last_layer(-4, ["1", 1]), "3": encode("dark", ["8", 0])}))
    assert (parts.options["prompt"], parts.options["negative"]) == ("<clipskip:3>a cat", "<clipskip:4>dark")
    second = {"seed": 1, "steps": 2, "positive": ["9", 0], "negative": ["3", 0], "latent_image": ["5", 0]}
    more = {"8": last_layer(-4, ["1", 1]), "9": encode("a dog", ["8", 0]), "10": ("KSampler", second)}
    three = like(graph(-3, **more))
    unknown = like(graph(-3, **{"8": last_layer(["gone", 0], ["1", 1]), "3": encode("dark", ["8", 0])}))
    for parts in (three, unknown):
        reason = parts_message(parts.source)
        assert parts.clip_skip("SD1") == (1.0, [recipe.TAKEN(reason=reason, native="1")])
        assert parts.options["prompt"] == "a cat" and "?" not in str(reason)


def test_a_noise_that_is_given_is_not_spoken_of(tmp_path):
    picture = png(tmp_path / "p.png", TEXT)
    for noise, expected in (([], (recipe.NO_RNG,)), (["--noise", "cpu"], ()), (["--noise", "GPU"], ())):
        command = argparse.ArgumentParser()
        add_arguments(command)
        arguments = command.parse_args(["--like", str(picture), "--model", "demo", *noise])
        options, warnings = fill_from_picture(arguments)
        assert options["noise"] == "GPU"
        assert tuple(message for message in warnings if message == recipe.NO_RNG) == expected
        assert option_values(arguments, options)["noise"] == ("CPU" if "cpu" in noise else "GPU")


def test_what_the_panel_said_becomes_tags():
    last = "Steps: 1, Seed: 2, Clip skip panel: 2.5, Clip skip negative: 4, Clip skip hires: 3, RNG: CPU"
    found = recipe.of(identify_infotext(f"a <clipskip:7>\nNegative prompt: dark\n{last}"))
    assert found.options["prompt"] == "<clipskip:2.5:hires=3>a <clipskip:7>"
    assert found.options["negative"] == "<clipskip:4:hires=3>dark"
    assert found.clip_skip("SD1") == (7.0, []) and found.warnings == ()


@pytest.mark.parametrize(
    ("size", "scale", "resize", "expected"),
    [
        ((512, 768), 1.5, None, ((768, 1152), (0, 0))),
        ((512, 768), 2, (0, 1024), ((682, 1024), (0, 0))),
        ((512, 768), 2, (1024, 0), ((1024, 1536), (0, 0))),
        ((512, 768), 2, (1024, 1024), ((1024, 1536), (0, 512))),
        ((128, 96), 2, (160, 160), ((213, 160), (53, 0))),
    ],
)
def test_the_size_of_the_hires_pass(size, scale, resize, expected):
    hires = Hires(scale, resize)
    assert (hires.size(*size), hires.cut(*size)) == expected
    large, cut = expected
    assert hires.final(*size, 8) == tuple(one // 8 * 8 - off // 8 * 8 for one, off in zip(large, cut))


def test_the_checkpoint_is_found_by_name_and_hash(tmp_path):
    (tmp_path / "sub").mkdir()
    files = [tmp_path / "m.safetensors", tmp_path / "sub" / "m.safetensors", tmp_path / "other.safetensors"]
    for number, path in enumerate(files):
        path.write_bytes(b"%d" % number)
    told = [hashlib.sha256(path.read_bytes()).hexdigest()[:10] for path in files]

    def found(name, number):
        infotext = identify_infotext(f"a\nSteps: 1, Seed: 1, Model: {name}, Model hash: {number}")
        return recipe.checkpoint(infotext, files, "this folder")

    assert found("m", told[1]) == (files[1], None)
    assert found("renamed", told[2]) == (files[2], None)
    assert found("m", "0123456789") == (files[0], checkpoints.OTHER_HASH(file="m.safetensors", hash="0123456789"))
    for name in ("m.safetensors", "M.SAFETENSORS", "M", "m.ckpt", "other/m", "m [0123456789]"):
        assert found(name, "")[0] == files[0]
    for name in ("sub/m", "sub\\m.safetensors", "SUB\\M.safetensors"):
        assert found(name, "")[0] == files[1]
    whole = hashlib.sha256(files[2].read_bytes()).hexdigest()
    for spelling in (whole, whole.upper(), f"0x{whole}", whole[:10].upper(), whole[:12]):
        assert found("renamed", spelling) == (files[2], None)
    assert found("other_fp16", told[2]) == (files[2], None)
    for name, known in (("gone", "0123456789"), ("other_fp16", "0123456789"), ("other_fp16", ""), ("", "")):
        with pytest.raises(InfotextError) as error:
            found(name, known)
        known = known or checkpoints.NO_HASH
        assert error.value.message == checkpoints.NOT_THERE(name=f'"{name}"', hash=known, place="this folder")
    among_all = identify_infotext(f'a\nSteps: 1, Seed: 1, Model: x, Hashes: {{"model": "{told[2]}"}}')
    assert recipe.checkpoint(among_all, files, "this folder") == (files[2], None)
    swarmui = Infotext("a", "", {"Model": "sub/m", "Model hash": "ab" * 32}, "SwarmUI")  # a hash of the tensors alone
    assert recipe.checkpoint(swarmui, files, "this folder") == (files[1], None)


def test_the_command_makes_a_picture_again(tmp_path, capsys):
    model = random_model(tmp_path / "models")
    text = TEXT.replace("Model: m", f"Model: {model.stem}").replace("Hires upscaler", "Refiner: r, Hires upscaler")
    arguments = ["sweep", "--like", str(png(tmp_path / "p.png", text)), "--models", str(model.parent)]
    arguments += ["--device", "cpu", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    told = capsys.readouterr().err
    assert "clip-skip-random.safetensors has another hash" in told and str(left_out(("Refiner", "r"))) in told
    (cell,) = (tmp_path / "out" / "cells").glob("*.png")
    with Image.open(cell) as made:
        assert made.size == (96, 144)
        again = identify_infotext(made.info["parameters"])
    first = identify_infotext(text)
    assert (again.prompt, again.negative) == (first.prompt, first.negative)
    for name in ("Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Clip skip", "Hires steps"):
        assert again.parameters[name] == first.parameters[name]
    assert hires_of(recipe.of(again).options) == hires_of(recipe.of(first).options)
    assert again.parameters["RNG"] == "NV"


@pytest.mark.parametrize(
    ("setting", "option"),
    [
        ("Seed: 18446744073709551616", "--seed"),
        ("Seed: -2", "--seed"),
        ("Steps: 0", "--steps"),
        ("Steps: 1e5", "--steps"),
    ],
)
def test_what_the_picture_says_is_checked_unless_it_is_given(tmp_path, capsys, setting, option):
    text = f"a\nSteps: 1, Seed: 2, Size: 64x64, Sampler: Euler, {setting}"
    command = argparse.ArgumentParser()
    add_arguments(command)
    like = ["--like", str(png(tmp_path / "p.png", text)), "--model", "demo"]
    with pytest.raises(ArgumentError) as error:
        fill_from_picture(command.parse_args(like))
    assert str(error.value).startswith("--like: ") and "is outside" in str(error.value)
    options, _ = fill_from_picture(command.parse_args([*like, option, "3"]))
    assert options["width"] == 64


def test_what_is_given_on_the_command_line_wins(tmp_path, capsys):
    model = random_model(tmp_path / "models")
    like = ["sweep", "--like", str(png(tmp_path / "p.png", TEXT.replace("Hires upscale: 1.5, ", "")))]
    like += ["--model", str(model), "--device", "cpu", "--out", str(tmp_path / "out")]
    assert main([*like, "--skips", "1-2", "--cfg", "4", "--size", "64", "--steps", "1", "--prompt", "a dog"]) == 0
    cells = sorted((tmp_path / "out" / "cells").glob("*.png"))
    assert [cell.stem.rpartition("_")[0] for cell in cells] == ["clip-skip-1_cfg-4", "clip-skip-2_cfg-4"]
    with Image.open(cells[0]) as made:
        found = identify_infotext(made.info["parameters"])
    assert (found.prompt, found.negative, found.parameters["Seed"]) == ("a dog", NEGATIVE, "7")
    for more, message in (
        (["--like", str(tmp_path / "gone.png")], "--like: "),
        (["--hires", "x"], '--hires: "x" is not a size'),
        (["--hires", "2", "--hires-upscaler", "ESRGAN"], '--hires-upscaler: "ESRGAN" is not one of Latent'),
        (["--denoising", "2", "--hires", "2"], "--denoising: 2 is outside"),
        (["--emphasis", "loud"], '--emphasis: "loud" is not one of Original'),
        (["--hires-steps", "3"], f"--hires-steps: {NO_HIRES}"),
        (["--rows", "hires"], f"--rows: {NO_HIRES_ROWS}"),
        (["--hires", "2", "--hires-sampler", "PLMS"], '--hires-sampler: "PLMS" is not one of'),
        (["--loras", str(tmp_path / "gone")], "--loras: "),
        (
            ["--prompt", "<lora:x:1>", "--skips", "1", "--steps", "1", "--out", str(tmp_path / "b")],
            "--prompt: <lora:x>",
        ),
    ):
        with pytest.raises(SystemExit):
            main([*like, *more])
        assert message in capsys.readouterr().err
