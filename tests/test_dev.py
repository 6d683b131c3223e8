"""`dev.py` installs what a command needs, and no more, and does so once."""

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[1] / "dev.py"


@pytest.fixture
def dev(monkeypatch, tmp_path):
    """dev.py with an environment that is only noted down: `dev.ran` has the commands."""
    spec = importlib.util.spec_from_file_location("dev", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ran = []
    python = tmp_path / "python"
    python.touch()

    def run(*command, folder=None):
        module.ran.append([str(part) for part in command])
        return 0

    for name, value in {"PYTHON": python, "INSTALLED": tmp_path / "installed", "run": run, "find_browser": int}.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module.shutil, "which", lambda name: f"/usr/bin/{name}")  # a GPU: no other build is tried
    return module


def extras(dev):
    """What the installations so far have asked for."""
    return [command[-1] for command in dev.ran if "install" in command]


def run(dev, monkeypatch, *words):
    monkeypatch.setattr(dev.sys, "argv", ["dev.py", *words])
    return dev.main()


def test_the_demo_installs_what_it_needs_and_says_how_much_and_what_next(dev, monkeypatch, capsys):
    assert run(dev, monkeypatch, "demo") == 0
    assert extras(dev) == [".[standalone]"]
    out = capsys.readouterr().out
    assert dev.SIZES in out and out.rstrip().endswith(dev.TRY_NEXT.rstrip())
    assert run(dev, monkeypatch, "demo") == 0
    assert len(extras(dev)) == 1 and dev.SIZES not in capsys.readouterr().out


def test_the_tests_add_the_rest(dev, monkeypatch):
    run(dev, monkeypatch, "demo")
    assert run(dev, monkeypatch, "test", "tests/test_skip.py") == 0
    assert extras(dev)[1:] == [".[app,standalone,study,test]"]
    assert any("pytest" in command for command in dev.ran)
    run(dev, monkeypatch, "demo")
    assert len(extras(dev)) == 2


@pytest.mark.parametrize(
    ("words", "expected"), [(["clip-skip", "study"], "app,standalone,study"), (["pytest"], "app,standalone,study,test")]
)
def test_any_command(dev, monkeypatch, words, expected):
    run(dev, monkeypatch, "run", *words)
    assert extras(dev) == [f".[{expected}]"] and dev.ran[-1] == words


def test_another_pyproject_installs_again(dev, monkeypatch):
    run(dev, monkeypatch, "demo")
    dev.INSTALLED.write_text("of another\nstandalone")
    run(dev, monkeypatch, "demo")
    assert len(extras(dev)) == 2


def test_an_unknown_command_gives_help(dev, monkeypatch, capsys):
    assert run(dev, monkeypatch, "demoo") == 2 and "python dev.py demo" in capsys.readouterr().out
    assert not dev.ran
