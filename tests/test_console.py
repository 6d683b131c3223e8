"""What names, prompts and metadata can do to a terminal, to a table, and to files that hold them."""

import base64
import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from clip_skip.messages.safe_text import json_text, printable, table_cell, well_formed
from clip_skip.page.made_for import link
from clip_skip.standalone import files
from clip_skip.standalone.cli import console
from clip_skip.standalone.cli import main as cli
from clip_skip.standalone.cli.main import INTERRUPTED, SIGINT_STATUS

ROOT = Path(__file__).parents[1]
HOSTILE = "a\x1b]0;title\x07\x1b[2J\r\x9b1m\u202egpj.exe\u2066\u2028\x7f\u200b\ufeffb"
UNSAFE = set(HOSTILE) - set("a]0;title[2J1mgpj.exeb")


def is_harmless(text):
    return not UNSAFE & set(text.replace("\n", ""))


def test_what_a_terminal_obeys_is_escaped_and_what_people_write_is_not():
    assert is_harmless(printable(HOSTILE)) and printable(HOSTILE).startswith("a\\x1b]0;title\\x07")
    for text in ("a red cow", "牛　と 馬", "👩‍🚀", "naïve – “x”", "می‌خواهم", "C:\\new\\table"):
        assert printable(text) == text
    assert printable("a\nb\udcff") == "a\\nb\\udcff"


@given(st.recursive(st.text() | st.integers() | st.none(), lambda inner: st.lists(inner), max_leaves=5))
def test_json_for_a_terminal_is_the_same_data(value):
    text = json_text(value)
    assert json.loads(text) == value and is_harmless(text)
    text.encode("utf-8")


@given(st.text(st.sampled_from(["\ud800", "a", "\udcff", "😀", "\ud83d"])))
def test_text_without_lone_surrogates_can_be_written(text):
    well_formed(text).encode("utf-8")
    assert len(well_formed(text)) == len(text) and well_formed(text).count("a😀") == text.count("a😀")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1"])
def test_no_cell_of_a_table_is_a_formula(text):
    assert table_cell(text) == f"'{text}"
    address = link(["file"], [[text], [-1], ["a-b"]], "Download").split("base64,")[1].split('"')[0]
    rows = list(csv.reader(io.StringIO(base64.b64decode(address).decode("utf-8-sig"))))
    assert rows[2:] == [["-1"], ["a-b"]] and rows[1][0].startswith("'")


def test_each_line_of_a_command_is_escaped(capsys):
    console.print_lines("a", HOSTILE)
    console.warn(HOSTILE, "b")
    said = capsys.readouterr()
    assert is_harmless(said.out) and said.out.startswith("a\na\\x1b") and said.out.count("\n") == 2
    assert is_harmless(said.err) and said.err.endswith("b\n") and said.err.count("\n") == 2


def test_half_a_letter_is_written_into_pictures_and_text_files(tmp_path):
    path = files.save_picture(Image.new("RGB", (8, 8)), tmp_path / "a.png", {"parameters": "a \udcff", "b": "牛\ud800"})
    with Image.open(path) as picture:
        assert picture.text == {"parameters": "a \ufffd", "b": "牛\ufffd"}
    files.write_text(tmp_path / "a.txt", "a \udcff")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "a \\udcff"


def lora(path):
    """A file that says much in its metadata."""
    import torch
    from safetensors.torch import save_file

    save_file({"lora_te_x.alpha": torch.ones(1)}, path, {"ss_clip_skip": HOSTILE, "ss_sd_model_name": HOSTILE})


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such file names")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_inspect_prints_no_control_characters(options, tmp_path, capsys):
    folder = tmp_path / "files"
    folder.mkdir()
    lora(folder / f"{HOSTILE}.safetensors")
    (folder / "\udcff=\x1b[2Jbroken.safetensors").write_bytes(b"broken")
    info = PngImagePlugin.PngInfo()
    info.add_itxt(
        "parameters", f"{HOSTILE}\nNegative prompt: {HOSTILE}\nSteps: 1, Seed: 2, Model: {HOSTILE}, Clip skip: 2"
    )
    picture = folder / f"\udcff{HOSTILE}.png"
    Image.new("RGB", (8, 8)).save(picture, pnginfo=info)
    broken = folder / f"{HOSTILE}broken.png"
    broken.write_bytes(b"broken")
    cli.main(["inspect", *options, str(folder), str(picture), str(broken)])
    said = capsys.readouterr()
    assert is_harmless(said.out) and is_harmless(said.err.replace("\r", "")), (said.out, said.err)
    said.out.encode("utf-8")
    if options:
        assert len(json.loads(said.out)) == 4


@pytest.mark.parametrize(
    "words",
    [
        ["sweep", "--model", HOSTILE],
        ["sweep", "--prompt", f"<clipskip:{HOSTILE}>", "--rows", HOSTILE],
        ["sweep", HOSTILE],
        [HOSTILE],
        ["study", "--score", HOSTILE],
        ["study", f"{HOSTILE}.toml"],
        ["layers", "--out", f"{HOSTILE}"],
        ["demo-model", f"nowhere/{HOSTILE}/x"],
        ["sweep", "--like", f"{HOSTILE}.png"],
        ["app", "--language", HOSTILE],
        ["app", "--no-browser", "--model", HOSTILE],
    ],
)
def test_no_message_about_an_argument_has_control_characters(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        cli.main(words)
    said = capsys.readouterr()
    assert is_harmless(said.out) and is_harmless(said.err) and "error:" in said.err, said.err


SMALL = ["--skips", "1", "--cfg", "7", "--steps", "1", "--size", "64", "--device", "cpu"]


@pytest.mark.skipif(sys.platform != "linux", reason="half a letter reaches a program on Linux alone")
def test_half_a_letter_in_a_prompt_a_name_or_a_folder_ends_nothing(tmp_path):
    """Through a console that has ASCII alone."""
    out = tmp_path / "\udcff 牛 out"
    words = ["sweep", "--prompt", "a \udcff cow <clipskip:\udcff>", *SMALL, "--out", str(out)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-m", "clip_skip", *words], env=environment, capture_output=True)
    assert ended.returncode == 0 and b"Traceback" not in ended.stderr, ended.stderr.decode()
    assert (out / "index.html").is_file() and json.loads((out / "sweep.json").read_text(encoding="utf-8"))
    assert "Steps: 1" in Image.open(next((out / "cells").glob("*.png"))).text["parameters"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as on Unix")
@pytest.mark.parametrize("reached", ["import torch", "clip_skip.standalone.sweep.folder", "clip_skip.sweep.grid"])
def test_ctrl_c_ends_in_a_line(reached, tmp_path):
    """The signal comes from within, when a module is imported: at the start, before the pictures, and to draw them."""
    code = f"""
import builtins, os, signal, sys
from clip_skip.standalone.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it
real, at = builtins.__import__, {reached.removeprefix("import ")!r}
def hooked(name, *args, **more):
    if name == at and not done:
        done.append(1)
        os.kill(os.getpid(), signal.SIGINT)
    return real(name, *args, **more)
done = []
builtins.__import__ = hooked
sys.exit(main(["sweep", *{SMALL!r}, "--out", {str(tmp_path / "out")!r}]))
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode in (SIGINT_STATUS, -signal.SIGINT), ended
    assert "Traceback" not in ended.stderr and INTERRUPTED in ended.stderr, ended.stderr
