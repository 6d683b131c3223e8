#!/usr/bin/env python3
"""One command for each thing a developer or a newcomer does; needs only Python and pip.

    python dev.py demo      what clip skip does, as a picture: demo/grid.png
    python dev.py test      every check: ruff, mypy, import-linter, biome, pytest
    python dev.py check     the quick ones of these, without pytest
    python dev.py app       the page in the browser: pictures, sweeps, layers, and what LoRAs were made for
    python dev.py pictures  those of the README and the guides, anew
    python dev.py release-notes 0.3.0   what CHANGELOG.md says of that version
    python dev.py run ...   any command in the environment, as in: python dev.py run clip-skip --help

The environment is made in .venv on first use.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
INSTALLED = VENV / "clip-skip-installed"
BIOME = "@biomejs/biome@2.6.8"
CPU_TORCH = "https://download.pytorch.org/whl/cpu"
QUICKLY = ("--quiet", "--no-compile")
"""Most modules are never imported; those that are, Python compiles then."""

STANDALONE = frozenset({"standalone"})
WITHOUT_TESTS = frozenset({"standalone", "study", "app"})
EVERYTHING = WITHOUT_TESTS | {"test"}
SIZES = "about 2 GB on disk, or 6 to 7 GB where PyTorch comes with CUDA"
TRY_NEXT = """
What to try next:
  python dev.py app                                     the same in the browser, with your own prompts
  python dev.py run clip-skip sweep --model FILE.safetensors --prompt "a cat"       with a checkpoint of your own
  python dev.py run clip-skip inspect FILE              at which clip skip a LoRA was trained, or a picture was made"""


def run(*command: object, folder: Path | None = ROOT) -> int:
    """Runs a command in `folder` (None: the current one) with its output on the screen; returns its exit status."""
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    program = shutil.which(str(command[0]), path=path) or str(command[0])
    arguments = [str(part) for part in command[1:]]
    environment = {**os.environ, "PATH": path}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # nothing was compiled when it was installed
    return subprocess.run([program, *arguments], cwd=folder, env=environment).returncode


def prepare(extras: frozenset[str]) -> None:
    """Makes .venv and installs the package with these extras of pyproject.toml, unless that is done."""
    made_for = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest() + sys.version
    known, _, installed = INSTALLED.read_text(encoding="utf-8").partition("\n") if INSTALLED.exists() else ("", "", "")
    there = frozenset(installed.split(",")) if known == made_for and PYTHON.exists() else frozenset[str]()
    if extras <= there:
        return
    if not PYTHON.exists() or run(
        PYTHON, "-c", f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    ):
        print("Making .venv ...", flush=True)
        venv.create(VENV, with_pip=True, clear=True)
        there = frozenset()
    pip = (PYTHON, "-m", "pip", "--disable-pip-version-check")
    print(f"Installing what this needs into .venv, once: {SIZES}. This takes some minutes ...", flush=True)
    if platform.system() == "Linux" and not shutil.which("nvidia-smi") and not there:
        print("No NVIDIA GPU: trying PyTorch's own CPU build, which is much smaller.", flush=True)
        quick = (*QUICKLY, "--retries", "0", "--timeout", "15", "--index-url", CPU_TORCH)
        if run(*pip, "--isolated", "install", *quick, "torch", "torchvision"):
            print("It is not available here; the usual build will do.", flush=True)
    wanted = ",".join(sorted(extras | there))
    if run(*pip, "install", *QUICKLY, "--editable", f".[{wanted}]"):
        sys.exit("The installation failed; pip's message is above.")
    INSTALLED.write_text(f"{made_for}\n{wanted}", encoding="utf-8")


def demo(*arguments: str) -> int:
    own = any(argument.split("=")[0] in ("--model", "--prompt", "--out") for argument in arguments)
    status = clip_skip("sweep", *([] if own else ["--out", "demo"]), *arguments)
    if not status and not own:
        print(TRY_NEXT)
    return status


def clip_skip(*arguments: str) -> int:
    """The `clip-skip` command; relative paths among `arguments` start at the user's current folder."""
    return run(PYTHON, "-m", "clip_skip", *arguments, folder=None)


def app(*arguments: str) -> int:
    return clip_skip("app", *arguments)


def run_anything(*command: str) -> int:
    return run(*command, folder=None)


def pictures(*arguments: str) -> int:
    return run(PYTHON, "-m", "docs.pictures", *arguments)


def find_browser() -> None:
    """A browser for the tests: the machine's own, Playwright's, or, in CI, Debian's. Without one they are skipped."""
    if os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome"):
        return
    print("No Chromium or Chrome: trying Playwright's.", flush=True)
    if run(PYTHON, "-m", "playwright", "install", "chromium") and os.environ.get("CI") and shutil.which("apt-get"):
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", "chromium", "fonts-noto-cjk", "fonts-noto-color-emoji")


def lint_page() -> int:
    """Checks CSS and JavaScript with biome, which npm fetches; reports where that is not possible."""
    npx = shutil.which("npx")
    if npx is None:
        print("biome was left out: CSS and JavaScript were not checked, because there is no Node.js here.", flush=True)
        return 0
    if subprocess.run([npx, "--yes", BIOME, "--version"], cwd=ROOT, capture_output=True).returncode:
        print("biome was left out: CSS and JavaScript were not checked, because npm could not fetch it.", flush=True)
        return 0
    print("$ biome lint", flush=True)
    return run("npx", "--yes", BIOME, "lint", "--error-on-warnings")


def check() -> int:
    """The quick checks."""
    for command in (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",), ("lint-imports",)):
        print("$", *command, flush=True)
        if run(*command):
            return 1
    return lint_page()


def test(*arguments: str) -> int:
    """All checks, the quick ones first; `arguments` are for pytest."""
    if check():
        return 1
    find_browser()
    arguments = arguments or ("-n", "auto", "--dist", "worksteal")
    print("$ pytest", *arguments, flush=True)
    return run(PYTHON, "-m", "pytest", *arguments)


def release_notes(version: str) -> int:
    """Prints what CHANGELOG.md says of `version`, which must be that of pyproject.toml."""
    if f'version = "{version}"' not in (ROOT / "pyproject.toml").read_text(encoding="utf-8"):
        sys.exit(f"pyproject.toml is not at version {version}.")
    for part in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1:]:
        head, _, body = part.partition("\n")
        if head.split()[0] == version:
            print(body.strip())
            return 0
    sys.exit(f"CHANGELOG.md has nothing on {version}.")


def main() -> int:
    name, *arguments = sys.argv[1:] or ["help"]
    if sys.version_info < (3, 10):
        sys.exit(f"Clip Skip needs Python 3.10 or newer; this is {platform.python_version()}.")
    if name == "release-notes" and len(arguments) == 1:
        return release_notes(*arguments)
    if name not in COMMANDS:
        print(__doc__)
        return 0 if name in ("help", "-h", "--help") else 2
    command, extras = COMMANDS[name]
    prepare(WITHOUT_TESTS if name == "run" and arguments[:1] == ["clip-skip"] else extras)
    try:
        return command(*arguments)
    except KeyboardInterrupt:  # the command has reported it
        return 130


COMMANDS: dict[str, tuple[Callable[..., int], frozenset[str]]] = {
    "demo": (demo, STANDALONE),
    "app": (app, STANDALONE | {"app"}),
    "run": (run_anything, EVERYTHING),
    "test": (test, EVERYTHING),
    "check": (check, EVERYTHING),
    "pictures": (pictures, EVERYTHING),
}


if __name__ == "__main__":
    sys.exit(main())
