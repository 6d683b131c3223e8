"""Two at once: commands and pages that want the same folder, threads that write the same file."""

import errno
import os
import subprocess
import sys
import threading
from contextlib import ExitStack

import pytest
from PIL import Image

pytest.importorskip("diffusers", reason="nothing is made without diffusers")

from clip_skip.standalone.app.studio import Studio
from clip_skip.standalone.cli import arguments, study
from clip_skip.standalone.cli import main as cli
from clip_skip.standalone.demo import scenes
from clip_skip.standalone.demo.model import CHECKPOINT
from clip_skip.standalone.files import IN_USE, Batches, InUseError, locked, replacing, save_picture, write_text
from clip_skip.standalone.study.folder import StudyFolder
from clip_skip.standalone.study.scores import OTHER_SIZE
from clip_skip.study.plan import StudyPlan
from clip_skip.sweep.settings import SweepSettings

from .test_app import settings

HOLDS_IT = """
import sys, pathlib
from clip_skip.standalone.files import locked
with locked(pathlib.Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def fails(capsys, *words):
    with pytest.raises(SystemExit) as end:
        cli.main(list(words))
    assert end.value.code == 2
    return capsys.readouterr().err


@pytest.fixture
def holder(tmp_path):
    """Another process that has the folder, with its lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS_IT, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("command", ["sweep", "study"])
def test_a_folder_in_use_is_left_alone(holder, command, tmp_path, capsys):
    (tmp_path / "cells" / ".unfinished").mkdir(parents=True)
    (tmp_path / ".unfinished").mkdir()
    error = fails(capsys, command, "--model", "demo", "--out", str(tmp_path), "--device", "cpu")
    assert f"--out: {IN_USE(folder=str(tmp_path))}" in error
    assert (tmp_path / "cells" / ".unfinished").is_dir() and (tmp_path / ".unfinished").is_dir()


def test_the_lock_ends_with_its_process(holder, tmp_path):
    with pytest.raises(InUseError), locked(tmp_path):
        pass
    holder.kill()
    holder.wait()
    with locked(tmp_path), pytest.raises(InUseError), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_the_page_leaves_a_sweep_alone_that_something_else_is_making(tmp_path):
    studio = Studio(CHECKPOINT, "cpu", tmp_path)
    folder = studio.sweep(studio.first, settings(studio), SweepSettings("1", "7")).folder
    with locked(folder), pytest.raises(InUseError):
        studio.sweep(studio.first, settings(studio), SweepSettings("1-2", "7"))
    assert len(list(folder.glob("cells/*.png"))) == 1


def test_threads_that_write_one_file_do_not_meet(tmp_path):
    with ExitStack() as stack:
        places = [stack.enter_context(replacing(tmp_path / "a.txt")) for _ in range(3)]
        assert len(set(places)) == 3
        for place in places:
            place.write_text(place.name, encoding="utf-8")
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_pages_that_count_in_one_folder_take_no_picture_of_each_other(tmp_path, monkeypatch):
    """Both have seen the same numbers before either has written."""
    studio = Studio(CHECKPOINT, "cpu", tmp_path)
    listed = threading.Barrier(2)
    monkeypatch.setattr("clip_skip.standalone.app.studio.count", lambda number: listed.wait(60) * 0 + iter_from(number))
    made = []
    draw = lambda colour: made.append(studio._save(Image.new("RGB", (8, 8), colour), 1, colour))
    threads = [threading.Thread(target=draw, args=(colour,)) for colour in ("red", "blue")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in made) == ["00000-1.png", "00001-1.png"]
    assert {Image.open(path).text["parameters"] for path in made} == {"red", "blue"}


class iter_from:
    """`itertools.count`, which can be added to a number."""

    def __init__(self, number):
        self.number = number

    def __radd__(self, other):
        return iter(range(self.number, self.number + 9))


def test_a_picture_that_cannot_be_written_leaves_no_empty_file(tmp_path, monkeypatch):
    studio = Studio(CHECKPOINT, "cpu", tmp_path)

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("clip_skip.standalone.app.studio.save_picture", full)
    with pytest.raises(OSError):
        studio._save(Image.new("RGB", (8, 8)), 1, "")
    assert list((tmp_path / "pictures").iterdir()) == []


# What a study needs is checked before anything is made


def test_a_score_that_judges_other_sizes_is_refused_first(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(StudyFolder, "__init__", lambda *args: pytest.fail("something is made"))
    error = fails(capsys, "study", "--model", "demo", "--size", "64", "--score", "right", "--out", str(tmp_path / "o"))
    assert str(OTHER_SIZE(size=scenes.PICTURE_SIZE, width=64, height=64)) in error


def test_too_large_a_study_is_refused_before_its_pictures_are_listed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("clip_skip.study.plan.StudyCell", lambda *args: pytest.fail("a picture is listed"))
    sizes = ["--seeds", "1-1000", "--cfg", "1-30 (+0.1)"]
    error = fails(capsys, "study", "--model", "demo", *sizes, "--out", str(tmp_path / "o"))
    count = f"{1000 * 291 * 12 * 24:,}"
    assert str(study.TOO_MANY(count=count, most=f"{study.MOST_PICTURES:,}")) in error


def test_the_cells_of_a_plan_are_made_when_they_are_asked_for():
    many = tuple(range(1, 100_001))
    plan = StudyPlan({"m": (1.0, 2.0)}, {"m": 1.0}, ("a", "b"), many, tuple(map(float, many)))
    assert len(plan.cells) == 2 * 2 * 100_000**2
    first = iter(plan.cells)
    assert [(next(first).cfg_scale, next(first).clip_skip) for _ in range(2)] == [(1.0, 2.0), (2.0, 2.0)]


SMALL = ["--prompts", "", "--seeds", "1-2", "--skips", "1", "--steps", "1", "--score", "difference", "--device", "cpu"]


@pytest.fixture
def small(tmp_path):
    """The words of a study of two pictures."""
    (tmp_path / "prompts.txt").write_text("a red cow\n", encoding="utf-8")
    words = [*SMALL, "--batch", "1", "--out", str(tmp_path / "out")]
    words[1] = str(tmp_path / "prompts.txt")
    return ["study", "--model", "demo", *words]


def test_a_full_disk_is_said_in_words_and_what_was_made_stays(tmp_path, capsys, monkeypatch, small):
    save, calls = StudyFolder.save, []

    def save_until_full(self, cells, pictures):
        calls.append(cells)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "out" / "x.png"))
        save(self, cells, pictures)

    monkeypatch.setattr(StudyFolder, "save", save_until_full)
    error = fails(capsys, *small)
    assert str(arguments.NOT_WRITTEN(file=str(tmp_path / "out" / "x.png"), reason="No space left on device")) in error
    assert "Traceback" not in error and len(list((tmp_path / "out").rglob("*.png"))) == 1


def test_a_folder_that_cannot_be_written_to_is_said_in_words(tmp_path, capsys, monkeypatch, small):
    def refused(*args, **more):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(arguments, "TemporaryFile", refused)
    error = fails(capsys, *small)
    assert "--out: " in error and "Permission denied" in error and "Traceback" not in error


@pytest.mark.parametrize("command", ["sweep", "study"])
@pytest.mark.parametrize("out", ["", "."])
def test_the_working_folder_is_not_filled(command, out, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = fails(capsys, command, "--model", "demo", "--device", "cpu", "--out", out)
    assert f"--out: {arguments.EMPTY_NAME}" in error and list(tmp_path.iterdir()) == []


def test_a_saved_picture_is_whole_or_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr("clip_skip.standalone.files.os.replace", lambda *args: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError):
        save_picture(Image.new("RGB", (8, 8)), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_what_is_renamed_is_on_the_disk(tmp_path, monkeypatch):
    """After a power cut there would be an empty file, else."""
    done, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr("clip_skip.standalone.files.os.fsync", lambda file: done.append("flush") or fsync(file))
    monkeypatch.setattr("clip_skip.standalone.files.os.replace", lambda *to: done.append("move") or replace(*to))
    write_text(tmp_path / "a.txt", "text")
    assert done == ["flush", "move"]
    done.clear()
    with Batches(tmp_path).batch() as folder:
        (folder / "a.npy").write_bytes(b"latents")
        (folder / "a.png").write_bytes(b"picture")
    assert done == ["flush", "flush", "move", "move", "move"]


# Two windows of a page


@pytest.fixture(scope="module")
def dependencies(tmp_path_factory):
    """What gradio does at each event of the page: of each function by its name."""
    pytest.importorskip("gradio", reason="gradio is not installed: no page to test")
    from clip_skip.standalone.app.page import Page
    from clip_skip.standalone.options import defaults

    page = Page(Studio(CHECKPOINT, "cpu", tmp_path_factory.mktemp("page")), defaults(demo=True))
    functions = page.blocks.fns
    functions = dict(functions.items() if isinstance(functions, dict) else enumerate(functions))
    described = page.blocks.get_config_file()["dependencies"]
    return {
        getattr(function.fn, "__name__", ""): (number, function, described[number])
        for number, function in functions.items()
    }, described


def test_a_job_starts_when_its_announcement_is_known_and_not_beside_it(dependencies):
    """An announcement that came late would be taken for the next job's, and an interrupt with it."""
    functions, described = dependencies
    for name in ("generate", "sweep"):
        number = functions[name][2]["trigger_after"]
        assert number is not None and described[number]["queue"] is False


def test_a_window_that_waits_for_its_sweep_holds_up_no_other_window(dependencies):
    """A window's name comes from the browser alone, and each window may wait for its own sweep at the same time."""
    functions, described = dependencies
    _, find_again, answer = functions["find_again"]
    window = answer["inputs"][0]
    names = [one for one in described if one["outputs"] == [window] and not one["backend_fn"]]
    assert len(names) == 1 and "sessionStorage" in str(names[0]["js"])
    if hasattr(find_again, "concurrency_limit"):  # gradio 3 has one queue for all, with room for many
        assert find_again.concurrency_limit is None
