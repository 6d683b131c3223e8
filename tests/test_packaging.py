"""`pip install .` alone gives a `clip-skip` that works for what needs no torch, and names the extra for what does."""

import subprocess
import sys
from pathlib import Path

import pytest

from clip_skip.standalone.cli.main import COMMANDS, MISSING

from .test_inspect import save, trained

try:
    import tomllib
except ImportError:  # Python 3.10
    tomllib = pytest.importorskip("tomli", reason="neither tomllib nor tomli is there to read pyproject.toml")

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

IMPORTED_AS = {"pillow": "PIL", "open_clip_torch": "open_clip", "pyyaml": "yaml", "scikit-image": "skimage"}

PROGRAM = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from clip_skip.standalone.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def modules(requirements):
    names = {
        requirement.replace(">", "=").replace("[", "=").replace(";", "=").split("=")[0] for requirement in requirements
    }
    return {IMPORTED_AS.get(name.strip(), name.strip()) for name in names}


def clip_skip(*arguments):
    """Runs the command as if nothing but the package's own dependencies were installed."""
    extras = [requirement for group in PROJECT["optional-dependencies"].values() for requirement in group]
    hidden = modules(extras) - modules(PROJECT["dependencies"])
    assert {"torch", "safetensors"} <= hidden and not {"numpy", "PIL"} & hidden
    command = [sys.executable, "-c", f"HIDDEN = {hidden!r}\n{PROGRAM}", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")


def test_help_version_and_inspect_work(tmp_path):
    assert clip_skip("--version").stdout.startswith("clip-skip ")
    assert all(name in clip_skip("--help").stdout for name in COMMANDS)
    lora = save(tmp_path / "lora.safetensors", trained("lora", 2))
    ended = clip_skip("inspect", lora)
    assert ended.returncode == 0 and "2" in ended.stdout, ended.stderr
    (tmp_path / "picture.txt").write_text("a cow\nSteps: 1, Sampler: Euler, Seed: 1, Size: 8x8, Clip skip: 2")
    ended = clip_skip("inspect", tmp_path / "picture.txt", "--json")
    assert ended.returncode == 0 and '"clip_skip": 2.0' in ended.stdout, ended.stderr


@pytest.mark.parametrize("command", sorted({*COMMANDS} - {"inspect"}))
def test_what_is_missing_is_named_with_the_extra_that_brings_it(command):
    ended = clip_skip(command)
    beginning, _, end = MISSING.partition("{library}")[2].partition("{extras}")
    assert ended.returncode and beginning.strip() in ended.stderr and COMMANDS[command].extras + end in ended.stderr
    assert "Traceback" not in ended.stderr
