"""An update while the WebUI runs: with the version before in memory, git replaces the files and *Reload UI* runs them.

Needs the folder of the WebUI, which `python -m tests.webui.run` names; the server is one of its own.
"""

import os
import subprocess
from pathlib import Path

import pytest

from clip_skip.standalone.demo.model import write_demo_model

from .conftest import WebUI, pixels, same
from .run import ROOT, server

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser to test with")

PROMPT, NEGATIVE = "a red cow on a green field", "blurry"
SWEEP = {"script_name": "clip skip sweep", "script_args": [{"clip_skips": "1, 3", "cfg_scales": "7"}]}


def git(*arguments, folder=ROOT):
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def inputs(webui):
    """The inputs of our scripts, as the API names them."""
    scripts = webui.call("/sdapi/v1/script-info")
    return [(one["name"], one["args"]) for one in scripts if one["name"].startswith("clip skip")]


@pytest.fixture
def extension(tmp_path):
    """A clone of this repository, in a folder of data of its own, at the version before."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a git repository, so the version before is not here")
    folder = tmp_path / "extensions" / "clip-skip"
    versions = git("log", "--format=%H", "-G", "^version = ", "--", "pyproject.toml").split()
    if len(versions) < 2:
        pytest.skip("the version before is not here: a shallow clone")
    git("clone", "--quiet", str(ROOT), str(folder))
    git("checkout", "--quiet", "-B", "main", versions[1], folder=folder)
    return folder


def test_reload_ui_after_an_update_runs_the_new_version(webui, browser, extension, tmp_path):
    host_folder = os.environ.get("CLIP_SKIP_WEBUI_FOLDER") or pytest.skip("CLIP_SKIP_WEBUI_FOLDER not set")
    write_demo_model(tmp_path / "models" / "Stable-diffusion")
    python = os.environ["CLIP_SKIP_WEBUI_PYTHON"]
    with server(Path(host_folder), python, "updated", "--data-dir", str(tmp_path)) as url:
        host = WebUI(url)
        stock = [host.at(skip, PROMPT, NEGATIVE) for skip in (1, 3)]
        assert not same(*stock) and same(host.picture(f"<clipskip:3>{PROMPT}", NEGATIVE), stock[1])
        old, new = inputs(host), inputs(webui)
        assert old and old != new, "the versions cannot be told apart by their inputs"
        git("reset", "--quiet", "--hard", git("rev-parse", "HEAD"), folder=extension)
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector("#txt2img_generate", timeout=90_000)
        page.locator("#tabs button", has_text="Settings").first.click()
        with page.expect_navigation(timeout=300_000):
            page.locator("#settings_restart_gradio").click()
        page.wait_for_selector("#clip_skip_readout", timeout=300_000)
        page.close()
        assert inputs(host) == new
        assert same(host.picture(PROMPT, NEGATIVE), stock[0])
        assert same(host.picture(f"<clipskip:3>{PROMPT}", NEGATIVE), stock[1])
        cells = host.answer(PROMPT, NEGATIVE, **SWEEP)["images"][1:]
        assert len(cells) == 2 and all(same(pixels(cell), picture, within=2) for cell, picture in zip(cells, stock))
    log = (Path(host_folder) / "updated.log").read_text(errors="replace")
    assert "Traceback" not in log, log[-3000:]
