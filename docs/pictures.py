"""Makes the pictures of the README and the guides, so that they stay true.

    python dev.py pictures                                              the demo's, the viewer's, the standalone page's
    python dev.py pictures --webui http://127.0.0.1:7860 --loras DIR    those of a WebUI's page
    python dev.py pictures --webui http://127.0.0.1:7860 --models DIR   checkpoints at their own clip skips
    python dev.py pictures --study DIR                                  that of a study, which DIR has or is to have

The WebUI runs with `--api`, this extension and the bundled demo model; DIR is its folder of LoRAs or of checkpoints.
The pictures of docs/demo-model.md come from `training/evaluate.py`.
"""

from __future__ import annotations

import argparse
import base64
import copy
import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import torch
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from safetensors import safe_open
from safetensors.torch import save_file

from clip_skip.standalone.demo.model import CHECKPOINT
from clip_skip.standalone.prompts import tokens
from tests.conftest import CHROMIUM
from tests.trained import TEXT, lycoris_adapter
from tests.trained import demo as demo_encoder
from tests.webui.conftest import WebUI, plot_arguments
from training.random_scenes import caption, random_scene

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
PROMPT = "a small green triangle below a large orange ring on a black background"


def clip_skip(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "clip_skip", *map(str, arguments)], cwd=ROOT, check=True)


@contextmanager
def app(out: Path, *arguments: str) -> Iterator[str]:
    """The address of the standalone page."""
    command = [sys.executable, "-m", "clip_skip", "app", "--no-browser", "--out", str(out), *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[0]
        finally:
            process.terminate()


def shoot(page: Page, name: str, **how: Any) -> None:
    page.mouse.move(0, 0)
    page.wait_for_timeout(1500)  # what is faded in
    page.screenshot(path=IMAGES / name, **how)
    print(IMAGES / name, flush=True)


def made_for() -> None:
    """made-for.png"""
    with tempfile.TemporaryDirectory() as folder, loras(Path(folder)):
        clip_skip("inspect", folder, "--figure", IMAGES / "made-for.png")


def demo(browser: Browser, folder: Path) -> None:
    """grid.png, report.png, layers.png, viewer.png, compare.webp"""
    clip_skip("sweep", "--report", "--out", folder)
    for name in ("grid.png", "report.png"):
        shutil.copy(folder / name, IMAGES)
    clip_skip("layers", "--prompt", "a red cow", "--out", IMAGES / "layers.png")
    page = browser.new_page(viewport={"width": 1300, "height": 800})
    page.goto((folder / "index.html").as_uri())
    page.get_by_role("gridcell").nth(7 + 12).click()
    shoot(page, "viewer.png")
    page.close()
    compare(browser, (folder / "index.html").as_uri())


def compare(browser: Browser, address: str) -> None:
    """compare.webp: the viewer's cells of clip skip 2, 7 and 12, each compared with that of 1."""
    page = browser.new_page(viewport={"width": 960, "height": 640})
    page.goto(address)
    frames: list[tuple[Image.Image, int]] = []

    def frame(milliseconds: int) -> None:
        page.wait_for_timeout(300)
        frames.append((Image.open(io.BytesIO(page.screenshot())).convert("RGB"), milliseconds))

    frame(1600)
    page.locator('[data-place="1,2"]').click()
    for step in (0, 5, 5):
        for _ in range(step):
            page.keyboard.press("ArrowRight")
        frame(1200)
        for _ in range(2):
            page.keyboard.down("c")
            frame(700)
            page.keyboard.up("c")
            frame(700)
    page.close()
    (first, _), *others = frames
    durations = [milliseconds for _, milliseconds in frames]
    first.save(
        IMAGES / "compare.webp",
        save_all=True,
        append_images=[picture for picture, _ in others],
        duration=durations,
        loop=0,
        quality=80,
        method=6,
    )
    print(IMAGES / "compare.webp", (IMAGES / "compare.webp").stat().st_size, flush=True)


def study(browser: Browser, folder: Path) -> None:
    """study.png, study-prompts.png"""
    clip_skip("study", "--model", "demo", "--steps", 10, "--out", folder)
    page = browser.new_page(viewport={"width": 1264, "height": 700})
    page.goto((folder / "index.html").absolute().as_uri())
    shoot(page, "study.png")
    page.locator("#most").evaluate("it => it.scrollIntoView()")
    shoot(page, "study-prompts.png")
    page.close()


def standalone(browser: Browser, folder: Path) -> None:
    """app.png, app-ja-dark.png, app-ko.png"""
    for name, theme, language in (
        ("app.png", "light", []),
        ("app-ja-dark.png", "dark", ["--language", "ja_JP"]),
        ("app-ko.png", "light", ["--language", "ko_KR"]),
    ):
        with app(folder / name, *language) as address:
            page = browser.new_page(viewport={"width": 1300, "height": 900})
            page.goto(f"{address}?__theme={theme}")
            page.wait_for_selector("#clip_skip_readout")
            page.get_by_role("tab").nth(1).click()
            page.locator("#clip_skip_app_report input").check()
            page.locator("#clip_skip_app_sweep").click()
            page.locator("#clip_skip_app_figure img").wait_for(timeout=300_000)
            page.evaluate(
                "folder => {for (const text of document.querySelectorAll('#clip_skip_app_links div'))"
                " if (!text.children.length) text.textContent = text.textContent.replace(folder, '~')}",
                str(folder),
            )
            shoot(page, name, full_page=True)


@contextmanager
def loras(folder: Path) -> Iterator[None]:
    """LoRAs trained at 1, 2 and 4, the second of which says so in its metadata; taken away afterwards."""
    made: list[Path] = []
    try:
        for name, skip, metadata in (("crayon", 1, {}), ("ink", 2, {"ss_clip_skip": "2"}), ("pastel", 4, {})):
            path = folder / f"{name}.safetensors"
            if path.exists():
                sys.exit(f"{path} is there already")
            made.append(path)
            save_file(lycoris_adapter("lora", skip), path, {"ss_base_model_version": "sd_v1", **metadata})
        yield
    finally:
        for path in made:
            path.unlink()


def webui(browser: Browser, url: str, folder: Path) -> None:
    """webui.png, page.png, page-dark.png, page-ja.png, page-ko.png"""
    call = WebUI(url).call
    before = call("/sdapi/v1/options")
    with loras(folder):
        try:
            call("/sdapi/v1/options", {"CLIP_stop_at_last_layers": 1, "sd_model_checkpoint": "clip-skip-demo"})
            call("/sdapi/v1/refresh-loras", {})
            for name, language, theme, panel in (
                ("webui.png", "None", "light", True),
                ("page.png", "None", "light", False),
                ("page-dark.png", "None", "dark", False),
                ("page-ja.png", "ja_JP", "light", True),
                ("page-ko.png", "ko_KR", "light", True),
            ):
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                call("/sdapi/v1/options", {"localization": language})
                if language != "None":
                    speak(page, language)
                page.goto(f"{url}/?__theme={theme}")
                page.wait_for_selector("#clip_skip_readout", timeout=90_000)
                generated(page, panel)
                shoot(page, name)
                page.close()
        finally:
            names = ("CLIP_stop_at_last_layers", "sd_model_checkpoint", "localization")
            call("/sdapi/v1/options", {name: before.get(name) for name in names})
            call("/sdapi/v1/refresh-loras", {})


def checkpoints(url: str, folder: Path) -> None:
    """checkpoints.png: an X/Y/Z plot over the demo model, and a second one that was made for clip skip 3."""
    call = WebUI(url).call
    path = folder / "made-for-3.safetensors"
    if path.exists():
        sys.exit(f"{path} is there already")
    try:
        save_distilled(path, 3)
        shutil.copy(folder / f"{CHECKPOINT.stem}.yaml", path.with_suffix(".yaml"))
        call("/sdapi/v1/options", {"CLIP_stop_at_last_layers": 1, "sd_model_checkpoint": CHECKPOINT.stem})
        call("/sdapi/v1/refresh-checkpoints", {})
        call("/clip-skip/v1/remember", {"clip_skip": 3, "checkpoint": path.name})
        names = f"{CHECKPOINT.stem}, {path.stem}"
        settings = {"width": 128, "height": 128, "steps": 20, "sampler_name": "DPM++ 2M", "scheduler": "Karras"}
        client = WebUI(url)
        axes = ("Checkpoint name", names, "Seed", "1, 2, 3")
        arguments = plot_arguments(client.plot_inputs(), *axes, legend=True, cells=False)
        images = client.answer(PROMPT, script_name="X/Y/Z plot", script_args=arguments, **settings)["images"]
        Image.open(io.BytesIO(base64.b64decode(images[0]))).save(IMAGES / "checkpoints.png")
        print(IMAGES / "checkpoints.png", flush=True)
    finally:
        for file in folder.glob(f"{path.stem}.*"):
            file.unlink()
        call("/sdapi/v1/refresh-checkpoints", {})


def save_distilled(path: Path, clip_skip: int, steps: int = 300) -> None:
    """Saves a checkpoint whose text encoder gives at `clip_skip` what the demo model's gives at 1.

    The blocks above are the demo model's own, as those of a model are that was trained at a clip skip.
    """
    teacher, student = (copy.deepcopy(demo_encoder()) for _ in range(2))
    tokenizer, rng = tokens.tokenizer(), Random(0)
    norms = [getattr(module, "text_model", module).final_layer_norm for module in (teacher, student)]
    optimizer = torch.optim.AdamW(student.requires_grad_(True).parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.01, steps)
    for _ in range(steps):
        texts = [*(caption(random_scene(rng), rng) for _ in range(15)), ""]
        rows = torch.cat([tokens.chunks(tokenizer, text)[:1] for text in texts])
        with torch.no_grad():
            target = norms[0](teacher(rows, output_hidden_states=True).hidden_states[-1])
        states = student(rows, output_hidden_states=True).hidden_states
        (norms[1](states[-clip_skip]) - target).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    with safe_open(CHECKPOINT, "pt") as file:
        metadata, state = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    trained = getattr(student, "text_model", student).state_dict()
    state |= {TEXT + name: value.detach() for name, value in trained.items() if TEXT + name in state}
    save_file({name: value.contiguous() for name, value in state.items()}, path, metadata)


def speak(page: Page, language: str) -> None:
    """The page in `language`, as the host builds it at its start: with the texts in it."""
    words = (ROOT / "localizations" / f"{language}.json").read_text(encoding="utf-8")
    page.add_init_script(f"Object.defineProperty(window, 'localization', {{get: () => ({words}), set() {{}}}})")


def generated(page: Page, panel: bool) -> None:
    """A picture with the panel on; or one with a suggestion, while a tag is being written."""
    for name, value in (("width", "128"), ("height", "128"), ("seed", "1")):
        write(page, f"#txt2img_{name} input[type=number]", value)
    page.locator("#txt2img_prompt textarea").fill(PROMPT if panel else f"{PROMPT} <lora:ink:0.5>")
    if panel:
        page.locator("#script_txt2img_clip_skip_enabled .label-wrap").click()
        for name, value in (("clip_skip", "2"), ("negative", "4")):
            write(page, f"#script_txt2img_clip_skip_{name} input[type=number]", value)
    else:
        page.locator("#txt2img_prompt .clip-skip-suggestions button").wait_for(timeout=30_000)
    page.locator("#txt2img_generate").click()
    page.locator("#html_info_txt2img.prose", has_text="Seed: 1").wait_for(timeout=30_000)
    page.wait_for_timeout(1000)
    if not panel:
        page.locator("#txt2img_neg_prompt textarea").click()
        page.keyboard.type("red <clipskip:")
        page.wait_for_selector("#clip_skip_completion")


def write(page: Page, field: str, value: str) -> None:
    page.locator(field).fill(value)
    page.locator(field).press("Tab")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--webui", metavar="URL")
    parser.add_argument("--loras", metavar="DIR", type=Path)
    parser.add_argument("--models", metavar="DIR", type=Path)
    parser.add_argument("--study", metavar="DIR", type=Path)
    arguments = parser.parse_args()
    if bool(arguments.webui) != bool(arguments.loras or arguments.models):
        parser.error("--webui goes with --loras or --models")
    if arguments.models:
        checkpoints(arguments.webui.rstrip("/"), arguments.models)
        return
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        if arguments.webui:
            webui(browser, arguments.webui.rstrip("/"), arguments.loras)
        elif arguments.study:
            study(browser, arguments.study)
        else:
            made_for()
            demo(browser, Path(folder) / "sweep")
            standalone(browser, Path(folder))
        browser.close()


if __name__ == "__main__":
    main()
