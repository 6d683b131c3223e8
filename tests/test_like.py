"""--like: the infotext of pictures of a WebUI, what of it is understood, and what is made of it."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from clip_skip.standalone.cli.main import main
from clip_skip.standalone.cli.sweep_arguments import NO_HIRES, NO_HIRES_ROWS
from clip_skip.standalone.engine.shots import Hires
from clip_skip.standalone.pictures import recipe
from clip_skip.standalone.pictures.infotext import Infotext, InfotextError, of_hires, parameters, parse, read
from clip_skip.standalone.settings import Settings, hires_of, settings_of

pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("open_clip")

from tests.random_model import random_model

PROMPT, NEGATIVE = "a (cow:1.2), [red|blue]\nsecond line: x", "dark, ünïcode 🐄"
LAST = (
    "Steps: 2, Sampler: Euler a, Schedule type: Karras, CFG scale: 5.5, Seed: 7, Size: 64x96, Model hash: 0123456789, "
    'Model: m, Denoising strength: 0.5, Clip skip: 3, Hires prompt: "a \\"dog\\", far", Hires upscale: 1.5, '
    'Hires steps: 3, Hires upscaler: Latent (nearest), Lora hashes: "x: 1, y: 2", Version: v1.10.1'
)
TEXT = f"{PROMPT}\nNegative prompt: {NEGATIVE}\n{LAST}"


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
    settings = settings_of(Settings, wanted.options, model="m")
    assert settings == Settings(
        *(2, 64, 96, "Euler a Karras", hires, "GPU"),
        **{"model": "m", "prompt": PROMPT, "negative": NEGATIVE, "seed": 7, "cfg_scale": 5.5},
    )
    assert (wanted.header, wanted.of_fork) == (3.0, False)
    assert wanted.warnings == ("The picture does not say RNG: CPU, so its noise is taken to be an NVIDIA GPU's.",)


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
    assert (parse(text).prompt, parse(text).negative) == (prompt, negative)


@given(st.text(max_size=300) | st.text(alphabet='Steps: 1,\n"\\Negative prompt', max_size=300))
def test_any_text_is_an_infotext(text):
    found = parse(text)
    assert isinstance(found.prompt, str)
    try:
        recipe.of(found)
    except InfotextError as error:
        assert str(error)


@given(st.dictionaries(st.sampled_from(["Model", "Hires prompt", "Emphasis"]), st.text(max_size=40)))
def test_what_is_written_is_read(values):
    values = {name: " ".join(value.split()) for name, value in values.items()}
    written = parameters({"Steps": 1, "Seed": 2, "Size": "8x8", **values})
    found = parse(f"a cow\n{written}")
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
    assert hires_of(recipe.of(parse(f"a\n{line}")).options) == hires


def test_files_without_infotext_are_named(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "none.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\xff\xfe")
    for name, message in (("no.png", "there is no such file"), ("none.png", "no infotext"), ("broken.png", "neither")):
        with pytest.raises(InfotextError, match=message):
            read(tmp_path / name)


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("Variation seed: 5", 'Variation seed: "5" cannot be made again here, and was left out.'),
        ("Refiner: r", 'Refiner: "r" cannot be made again here, and was left out.'),
        ("Sampler: Heun", 'Sampler: "Heun" cannot be run here; DPM++ 2M Karras takes its place.'),
        ("Sampler: Euler, Schedule type: Simple", 'Sampler: "Euler Simple" cannot be run here; Euler takes its place.'),
        ("Emphasis: Loud", 'Emphasis: "Loud" cannot be made here; Original takes its place.'),
        (
            "Hires upscale: 2, Hires upscaler: ESRGAN",
            'Hires upscaler: "ESRGAN" cannot be made here; Latent takes its place.',
        ),
        (
            "Hires upscale: 2, Hires sampler: PLMS",
            'Hires Sampler: "PLMS" cannot be run here; DPM++ 2M Karras takes its place.',
        ),
    ],
)
def test_what_cannot_be_made_again_is_said(last, said):
    assert recipe.of(parse(f"a\nSteps: 1, Seed: 2, Size: 8x8, RNG: CPU, {last}")).warnings == (said,)


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ("Size: big", 'Size: "big" is not a size such as 512x768'),
        ("Steps: many, Seed: 3", 'Steps: "many" is not a number'),
        ("Hires resize: 2", 'Hires resize: "2" is not a size'),
    ],
)
def test_what_is_no_number_is_named(last, message):
    with pytest.raises(InfotextError, match=message):
        recipe.of(parse(f"a\nSteps: 1, Seed: 2, CFG scale: 7, {last}"))


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
    found, said = recipe.of(parse(f"a\nSteps: 1, Seed: 2, {infotext}")).clip_skip(family)
    assert found == value and bool(said) == says
    tagged, said = recipe.of(parse(f"<clipskip:5>a\nSteps: 1, Seed: 2, {infotext}")).clip_skip(family)
    assert (tagged, said) == (5.0, [])


def test_what_the_panel_said_becomes_tags():
    last = "Steps: 1, Seed: 2, Clip skip panel: 2.5, Clip skip negative: 4, Clip skip hires: 3, RNG: CPU"
    found = recipe.of(parse(f"a <clipskip:7>\nNegative prompt: dark\n{last}"))
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
        infotext = parse(f"a\nSteps: 1, Seed: 1, Model: {name}, Model hash: {number}")
        return recipe.checkpoint(infotext, files, "this folder")

    assert found("m", told[1]) == (files[1], "")
    assert found("renamed", told[2]) == (files[2], "")
    assert found("m", "0123456789")[1] == "m.safetensors has another hash than the picture's checkpoint, 0123456789."
    with pytest.raises(InfotextError, match=r'the checkpoint "gone" \(hash 0123456789\) is not in this folder'):
        found("gone", "0123456789")


def test_the_command_makes_a_picture_again(tmp_path, capsys):
    model = random_model(tmp_path / "models")
    text = TEXT.replace("Model: m", f"Model: {model.stem}").replace("Hires upscaler", "Refiner: r, Hires upscaler")
    arguments = ["sweep", "--like", str(png(tmp_path / "p.png", text)), "--models", str(model.parent)]
    arguments += ["--device", "cpu", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    told = capsys.readouterr().err
    assert "clip-skip-random.safetensors has another hash" in told and 'Refiner: "r" cannot be made again' in told
    (cell,) = (tmp_path / "out" / "cells").glob("*.png")
    with Image.open(cell) as made:
        assert made.size == (96, 144)
        again = parse(made.info["parameters"])
    first = parse(text)
    assert (again.prompt, again.negative) == (first.prompt, first.negative)
    for name in ("Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Clip skip", "Hires steps"):
        assert again.parameters[name] == first.parameters[name]
    assert hires_of(recipe.of(again).options) == hires_of(recipe.of(first).options)
    assert again.parameters["RNG"] == "NV"


def test_what_is_given_on_the_command_line_wins(tmp_path, capsys):
    model = random_model(tmp_path / "models")
    like = ["sweep", "--like", str(png(tmp_path / "p.png", TEXT.replace("Hires upscale: 1.5, ", "")))]
    like += ["--model", str(model), "--device", "cpu", "--out", str(tmp_path / "out")]
    assert main([*like, "--skips", "1-2", "--cfg", "4", "--size", "64", "--steps", "1", "--prompt", "a dog"]) == 0
    cells = sorted((tmp_path / "out" / "cells").glob("*.png"))
    assert [cell.stem.rpartition("_")[0] for cell in cells] == ["clip-skip-1_cfg-4", "clip-skip-2_cfg-4"]
    with Image.open(cells[0]) as made:
        found = parse(made.info["parameters"])
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
