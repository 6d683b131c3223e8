"""What is different on Windows, as far as it can be stood in for: names, lengths, files that somebody has open."""

import ast
import os
import re
import sys
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
from PIL import Image

from clip_skip.standalone import files
from clip_skip.standalone.demo.model import CHECKPOINT

ROOT = Path(__file__).parents[1]
TEXT = ("read_text", "write_text")


@pytest.fixture
def held_paths(monkeypatch):
    """Paths that somebody reads, with how often each has to be tried: nothing takes their place before."""
    waits, real = {}, os.replace

    def replace(source, target):
        if waits.get(Path(target), 0) > 0:
            waits[Path(target)] -= 1
            raise PermissionError(13, "Access is denied", str(target))
        real(source, target)

    monkeypatch.setattr(files.os, "replace", replace)
    monkeypatch.setattr(files.time, "sleep", lambda seconds: None)
    return waits


def picture(colour="red"):
    return Image.new("RGB", (8, 8), colour)


def test_a_file_that_is_read_for_a_moment_is_replaced_after_it(held_paths, tmp_path):
    path = files.save_picture(picture("blue"), tmp_path / "grid.png")
    held_paths[path] = 2
    assert files.save_picture(picture(), path) == path
    assert Image.open(path).getpixel((0, 0)) == (255, 0, 0)
    held_paths[path] = 3
    files.write_text(path, "text")
    assert path.read_text(encoding="utf-8") == "text"


def test_a_picture_that_is_read_for_long_gets_a_name_beside_it(held_paths, tmp_path):
    path = files.save_picture(picture("blue"), tmp_path / "grid.png")
    held_paths[path] = 1000
    other = files.save_picture(picture(), path)
    assert other == tmp_path / "grid-2.png" and Image.open(other).getpixel((0, 0)) == (255, 0, 0)
    assert Image.open(path).getpixel((0, 0)) == (0, 0, 255)
    held_paths[other] = 1000
    assert files.save_picture(picture(), path).name == "grid-3.png"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["grid-2.png", "grid-3.png", "grid.png"]


def test_a_folder_that_refuses_everything_is_a_permission_error(held_paths, tmp_path):
    held_paths[tmp_path / "grid.png"] = 1000
    with pytest.raises(PermissionError):
        files.save_picture(picture(), tmp_path / "grid.png")
    assert list(tmp_path.iterdir()) == []


def test_a_batch_waits_for_files_that_are_read(held_paths, tmp_path):
    batches = files.Batches(tmp_path)
    held_paths.update({tmp_path / "a.png": 2, tmp_path / ".finished": 2})
    with batches.batch() as folder:
        picture().save(folder / "a.png")
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_the_page_shows_a_grid_that_has_another_name(held_paths, tmp_path):
    pytest.importorskip("diffusers", reason="nothing is made without diffusers")
    from clip_skip.standalone.app.studio import Studio
    from clip_skip.sweep.settings import SweepSettings

    from .test_app import settings

    studio = Studio(CHECKPOINT, "cpu", tmp_path)
    made = studio.sweep(studio.first, settings(studio), SweepSettings("1", "7"))
    assert made.grid == made.folder / "grid.png"
    held_paths[made.grid] = 1000
    made = studio.sweep(studio.first, settings(studio), SweepSettings("1-2", "7"))
    assert made.grid == made.folder / "grid-2.png" and made.grid.is_file()


def test_a_report_that_somebody_reads_may_stay(tmp_path, monkeypatch):
    pytest.importorskip("diffusers", reason="nothing is made without diffusers")
    from clip_skip.standalone.sweep.folder import SweepFolder

    def refuse(path, missing_ok=False):
        raise PermissionError(13, "Access is denied", str(path))

    folder = SweepFolder.__new__(SweepFolder)
    folder.path = tmp_path
    (tmp_path / "report.png").touch()
    monkeypatch.setattr(Path, "unlink", refuse)
    folder.remove("report.png")


RESERVED = ["con", "NUL", "aux.v1", "COM1", "lpt9.x", "com¹"]


@pytest.mark.parametrize(
    "name", [*RESERVED, "a.", "a ", "a:b", 'a"b', "a/b", "a\\b", "a|b", "a?", "a\n", "", "x" * 200]
)
def test_every_checkpoint_has_a_folder_whatever_its_name(name):
    made = files.folder_name(name)
    windows = PureWindowsPath("D:/study/pictures") / made
    assert made != name and windows.name == made and not made.endswith((".", " ")) and len(made) <= 60
    if hasattr(os.path, "isreserved"):
        import ntpath

        assert not ntpath.isreserved(str(windows))
    assert made == files.folder_name(name) != files.folder_name(f"{name}2")


def test_the_places_of_a_study_are_allowed_and_the_longest_is_known():
    pytest.importorskip("diffusers", reason="nothing is made without diffusers")
    from clip_skip.standalone.study.folder import StudyFolder, place_of
    from clip_skip.study.plan import StudyPlan

    skips = {"con": (1.0, 2.5, 12.0), "a model": (1.0, 11.25)}
    prompts = ("a", "a prompt that is longer than the forty letters of a name", "牛")
    plan = StudyPlan(skips, dict.fromkeys(skips, 1.0), prompts, (1, 2**64 - 1), (7.0, 7.125))
    folder = StudyFolder.__new__(StudyFolder)
    folder.job = SimpleNamespace(plan=plan)
    places = [place_of(cell, "01234567") for cell in plan.cells]
    assert max(map(len, folder._longest())) == max(map(len, places))
    assert {place.split("/")[1] for place in places} == {files.folder_name("con"), "a model"}


@pytest.mark.parametrize("name", ["model", "v1-5-pruned.emaonly", "模型", "constant", "com10", "null", "a b"])
def test_ordinary_names_are_folders_as_they_are(name):
    assert files.folder_name(name) == name


def test_paths_that_would_be_too_long_are_reported_before_anything_is_made(tmp_path, monkeypatch, capsys):
    pytest.importorskip("diffusers", reason="nothing is made without diffusers")
    from clip_skip.standalone.cli import main as cli

    monkeypatch.setattr(files, "PATH_LIMIT", 259)
    out = tmp_path / ("long" * 40)
    for command in ("study", "sweep"):
        with pytest.raises(SystemExit) as end:
            cli.main([command, "--model", "demo", "--device", "cpu", "--out", str(out)])
        error = capsys.readouterr().err
        start, _, rest = str(files.TOO_LONG(folder="", length=0, most=259)).lstrip(": ").partition("0")
        assert end.value.code == 2 and start in error and rest in error
        assert not list(out.rglob("*.png"))


def test_texts_are_read_and_written_in_an_encoding_that_is_named():
    """Windows has another default. Of pathlib's methods ruff sees only those whose path it knows."""
    found = []
    for path in [*(ROOT / "clip_skip").rglob("*.py"), *ROOT.glob("*.py"), *(ROOT / "scripts").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TEXT:
                named = any(keyword.arg == "encoding" for keyword in node.keywords)
                if not named and len(node.args) < (1 if node.func.attr == "read_text" else 2):
                    found.append(f"{path}:{node.lineno}")
    assert not found


@pytest.mark.skipif(sys.platform != "linux", reason="which files are mapped is read from Linux's /proc")
@pytest.mark.parametrize("what", ["checkpoint", "text encoder", "SDXL's", "LoRA", "textual inversion", "made for"])
def test_no_file_stays_mapped(what, tmp_path):
    """Windows lets nobody replace a file that is. In float32 nothing is converted, which would be a copy."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("diffusers", reason="nothing is made without diffusers")
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    from clip_skip.made_for.findings import inspect
    from clip_skip.standalone.engine.loading import AS_USUAL
    from clip_skip.standalone.models import loras, text_encoders
    from clip_skip.standalone.prompts import embeddings
    from tests.random_model import SMALL_SDXL, random_weights

    path = tmp_path / "mapped.safetensors"
    if what == "textual inversion":
        save_file({"emb_params": torch.ones(2, 64)}, path)
    elif what == "SDXL's":
        save_file(dict(random_weights(SMALL_SDXL)), path, {"clip_skip.text_heads_g": "4"})
    else:
        with safe_open(CHECKPOINT, framework="pt") as file:
            metadata = file.metadata()
        save_file({name: weight.float() for name, weight in load_file(CHECKPOINT).items()}, path, metadata)
    beside = CHECKPOINT.with_suffix(".yaml")
    if beside.exists():
        path.with_suffix(".yaml").write_bytes(beside.read_bytes())
    load = {
        "checkpoint": lambda: AS_USUAL.engine(path, device="cpu"),
        "text encoder": lambda: text_encoders.load_text_encoder(path),
        "SDXL's": lambda: text_encoders.load_text_encoder(path, "g"),
        "LoRA": lambda: loras.copies(path),
        "textual inversion": lambda: embeddings.read_embedding(path),
        "made for": lambda: inspect(str(path)),
    }[what]
    kept = load()
    assert kept is not None and "mapped.safetensors" not in Path("/proc/self/maps").read_text(encoding="utf-8")


def test_the_link_to_a_page_holds_every_letter_of_its_path(browser):
    path = "D:/100% #1?/grid & 2/clip_skip_sweep-0001.html"
    tab = browser.new_page()
    prompt = '<div id="txt2img_prompt"><textarea></textarea></div>'
    tab.set_content(f'{prompt}<div id="html_log_txt2img"><p></p></div>')
    tab.evaluate("path => { document.querySelector('p').textContent = `The page: ${path}`; }", path)
    host = "window.gradioApp = () => document; window.onAfterUiUpdate = (callback) => { window.update = callback; };"
    tab.evaluate(f"() => {{ {host} window.onUiLoaded = () => {{}}; }}")
    for name in ("clip_skip.js", "clip_skip_viewer.js"):
        tab.add_script_tag(path=ROOT / "javascript" / name)
    tab.evaluate("update()")
    link = tab.locator("a.clip-skip-page")
    address = link.get_attribute("href")
    assert link.inner_text() == path
    assert not set("%#?") & set(re.sub("%[0-9A-F]{2}", "", address)), address
    assert unquote(address.removeprefix("file=")) == path
    tab.close()
