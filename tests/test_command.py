"""The `clip-skip` command itself: what it needs, and how it ends where nobody listens or somebody interrupts it."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from clip_skip.standalone.cli import main as cli
from clip_skip.standalone.cli.arguments import NOT_A_FOLDER
from clip_skip.standalone.cli.main import COMMANDS, INTERRUPTED, MISSING, SIGINT_STATUS

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "clip_skip"]


def run(*words, **more):
    return subprocess.run([*COMMAND, *words], cwd=ROOT, capture_output=True, text=True, **more)


def test_help_and_version_need_the_standard_library_alone():
    lacks = "import sys; sys.modules.update(dict.fromkeys(['torch', 'PIL', 'numpy', 'tqdm', 'safetensors']));"
    code = f"{lacks} from clip_skip.standalone.cli.main import main; sys.exit(main(sys.argv[1:]))"
    for words, status, expected in (
        (["--version"], 0, "clip-skip "),
        (["--help"], 0, "app"),
        (["sweep"], 2, str(MISSING(command="clip-skip sweep", library="tqdm", extras="standalone"))),
    ):
        ended = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True)
        assert ended.returncode == status and "Traceback" not in ended.stderr
        assert expected in ended.stdout + ended.stderr, ended


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_help(name, capsys):
    pytest.importorskip("torch")
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--help"])
    assert end.value.code == 0 and f"usage: clip-skip {name}" in capsys.readouterr().out


def test_ctrl_c_during_imports_ends_in_one_line(monkeypatch, capsys):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.importlib, "import_module", interrupted)
    assert cli.main(["sweep"]) == SIGINT_STATUS
    assert capsys.readouterr().err.strip() == INTERRUPTED


@pytest.mark.skipif(sys.platform == "win32", reason="streams are closed by a shell")
@pytest.mark.parametrize("streams", ["| head -0", ">&-", "2>&-", ">&- 2>&-"])
def test_nobody_reads_what_it_says(streams):
    words = f"{sys.executable} -m clip_skip study --help {streams}"
    ended = subprocess.run(["sh", "-c", words], cwd=ROOT, capture_output=True, text=True)
    assert "Traceback" not in ended.stderr and "Error" not in ended.stderr, ended.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="streams are closed by a shell")
@pytest.mark.parametrize("streams", ["| head -0", "2>&-"])
def test_a_sweep_is_made_though_nobody_reads_what_it_says(streams, tmp_path):
    pytest.importorskip("diffusers")
    options = f"--skips 1 --cfg 7 --steps 1 --size 64 --device cpu --out {tmp_path / 'out'}"
    words = f"{sys.executable} -m clip_skip sweep {options} {streams}"
    ended = subprocess.run(["sh", "-c", words], cwd=ROOT, capture_output=True, text=True)
    assert "Traceback" not in ended.stderr and "Error" not in ended.stderr, ended.stderr
    assert (tmp_path / "out" / "index.html").is_file()


def test_a_file_is_not_a_folder_for_the_demo_model(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit):
        cli.main(["demo-model", str(tmp_path / "file")])
    assert str(NOT_A_FOLDER(path=str(tmp_path / "file"))) in capsys.readouterr().err


def test_relative_paths_are_those_of_where_the_user_stands(tmp_path, monkeypatch):
    """dev.py demo, app and run start their commands there; the checks run in the repository."""
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    dev = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dev)
    started = []

    def start(command, cwd, env):
        started.append((command, cwd))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(dev.subprocess, "run", start)
    monkeypatch.chdir(tmp_path)
    for call, folder in (
        (lambda: dev.demo("--like", "picture.png"), None),
        (lambda: dev.app("--model", "m.safetensors"), None),
        (lambda: dev.run_anything("clip-skip", "inspect", "m.safetensors"), None),
        (lambda: dev.pictures(), ROOT),
        (lambda: dev.run("ruff", "check", "."), ROOT),
    ):
        call()
        assert started[-1][1] == folder, started[-1]
