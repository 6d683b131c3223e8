"""The `clip-skip` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from clip_skip import tags
from clip_skip.standalone import header, job
from clip_skip.standalone.app import assets
from clip_skip.standalone.demo_model import CHECKPOINT, write_demo_model
from clip_skip.standalone.infotext import Settings
from clip_skip.standalone.samplers import SAMPLERS
from clip_skip.sweep import Plan, SweepError, parse_axis

DEMO_PROMPT = "a large red circle on a white background"
SEED = 2881122569


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv`; its exit code. Arguments that cannot be used end it with code 2."""
    parser = argparse.ArgumentParser(prog="clip-skip", description="See what clip skip does.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "sweep",
        help="a grid of clip skips and CFG scales with one seed",
        description="Make a grid of clip skips and CFG scales with one seed. Run again on the same folder, it makes "
        "only what is missing or changed.",
    )
    _add_arguments(command)
    writing = commands.add_parser("demo-model", help="write the model in the box where a WebUI finds it")
    writing.add_argument("folder", type=Path, metavar="DIR", help="such as models/Stable-diffusion of the WebUI")
    looking = commands.add_parser(
        "layers",
        help="how alike the text encoder's layers are for a prompt",
        description="Draw how alike the layers of a text encoder are for a prompt, from one pass.",
    )
    _add_layers_arguments(looking)
    serving = commands.add_parser("app", help="a page in the browser: pictures, sweeps and layers")
    _add_app_arguments(serving)
    arguments = parser.parse_args(argv)
    if arguments.command == "demo-model":
        print(write_demo_model(arguments.folder))
        return 0
    if arguments.command == "layers":
        return _layers(arguments, looking)
    if arguments.command == "app":
        return _app(arguments, serving)
    try:
        return _sweep(arguments)
    except (SweepError, ArgumentError) as error:
        command.error(str(error))
    except KeyboardInterrupt:
        print(f"\nStopped. What is finished is in {arguments.out}; the same command goes on with it.", file=sys.stderr)
        return 130


class ArgumentError(ValueError):
    """An argument that cannot be used; the message names it."""


def _add_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--model", default="demo", metavar="FILE", help="an SD1 checkpoint (.safetensors), or demo, the one in the box")
    add("--prompt", help=f"default, with --model demo: {DEMO_PROMPT}")
    add("--negative", default="", help="the negative prompt; a <clipskip:n> in it stays")
    add("--skips", default="1-12", help="clip skips, as in the X/Y/Z plot: 1-12, 1-3 (+0.5), 1-12 [4], 1, 2, 2.5")
    add("--cfg", default="4, 7, 11", help="CFG scales, in the same syntax")
    add("--seed", type=int, default=SEED, help="default: %(default)s")
    add("--steps", type=int, default=20, help="default: %(default)s")
    add("--size", help="512, or 512x768 (width, height); default: 512, for the demo 128")
    add("--sampler", default="DPM++ 2M Karras", help="default: %(default)s")
    add("--batch", type=int, default=0, help="cells per batch; default: chosen to fit the device")
    add("--device", help="cpu, cuda, cuda:1; default: cuda if there is one")
    add("--out", type=Path, default=Path("sweep"), metavar="DIR", help="default: %(default)s")
    add("--report", action="store_true", help="also measure what changes with what (report.png)")


def _add_layers_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--model", default="demo", metavar="FILE", help="an SD1, SD2 or SDXL checkpoint (.safetensors), or demo")
    add("--prompt", default=DEMO_PROMPT, help="default: %(default)s")
    add("--tower", choices=("l", "g"), help="which of SDXL's encoders; default: l")
    add("--dark", action="store_true", help="light on dark")
    add("--out", type=Path, default=Path("layers.png"), metavar="FILE", help="default: %(default)s")


def _add_app_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--model", default="demo", metavar="FILE", help="an SD1 checkpoint (.safetensors), or demo, the one in the box")
    add("--device", help="cpu, cuda, cuda:1; default: cuda if there is one")
    add("--port", type=int, help="default: the first free one from 7860 on")
    add("--language", choices=assets.languages(), help="default: English")
    add("--no-browser", action="store_true", help="do not open a browser")
    add("--out", type=Path, default=Path("clip-skip-app"), metavar="DIR", help="for what is made; default: %(default)s")


def _app(arguments: argparse.Namespace, command: argparse.ArgumentParser) -> int:
    try:
        import torch

        from clip_skip.standalone.app import page
    except ImportError as error:
        command.error(f"{error}; the page needs: pip install clip-skip[standalone,app]")
    demo = arguments.model == "demo"
    prompt, size = (DEMO_PROMPT, 128) if demo else ("", 512)
    try:
        if arguments.port is not None:
            _within("--port", arguments.port, 1, 65535)
        device = _device(arguments.device, torch.cuda.is_available())
        torch.empty(0, device=device)
    except ArgumentError as error:
        command.error(str(error))
    except RuntimeError as error:
        command.error(f"--device: {error}")
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        command.error(f"--out: {error}")
    try:
        studio = page.Studio(_demo_checkpoint() if demo else Path(arguments.model), device, arguments.out)
    except (header.CheckpointError, OSError) as error:
        command.error(f"--model: {error}")
    made = page.Page(studio, prompt, SEED, size, arguments.language)
    try:
        page.main(made, arguments.port, not arguments.no_browser)
    except OSError as error:
        command.error(f"--port: {error}")
    return 0


def _layers(arguments: argparse.Namespace, command: argparse.ArgumentParser) -> int:
    from clip_skip.standalone import layers_command

    path = _demo_checkpoint() if arguments.model == "demo" else Path(arguments.model)
    try:
        print(layers_command.run(path, arguments.prompt, arguments.tower, arguments.dark, arguments.out))
    except (header.CheckpointError, OSError) as error:
        command.error(f"--model: {error}")
    print(arguments.out)
    return 0


def _sweep(arguments: argparse.Namespace) -> int:
    cfg_scales = parse_axis(arguments.cfg, "--cfg", 0, 100)
    clip_skips = parse_axis(arguments.skips, "--skips", 1, 1000)
    width, height = _size(arguments.size or ("128" if arguments.model == "demo" else "512"))
    _within("--steps", arguments.steps, 1, 1000)
    _within("--seed", arguments.seed, 0, 2**32 - 1)
    _within("--batch", arguments.batch, 0, 4096)
    prompt = arguments.prompt
    if prompt is None:
        if arguments.model != "demo":
            raise ArgumentError("--prompt is needed with a model of your own")
        prompt = DEMO_PROMPT

    if arguments.sampler not in SAMPLERS:
        raise ArgumentError(f"--sampler: {arguments.sampler!r} is not one of {', '.join(SAMPLERS)}")
    import torch  # slow, so not before the arguments are known to be good

    device = _device(arguments.device, torch.cuda.is_available())
    path = _demo_checkpoint() if arguments.model == "demo" else Path(arguments.model)
    try:
        sizes = header.inspect(path)
        clip_skips = parse_axis(arguments.skips, "--skips", 1, sizes.text_layers)
        if width % sizes.vae_factor or height % sizes.vae_factor:
            raise ArgumentError(f"--size: {width}x{height} is not a multiple of {sizes.vae_factor} in both directions")
        for warning in tags.warnings([prompt, arguments.negative]):
            print(warning, file=sys.stderr)
        settings = Settings(
            path.stem, prompt, arguments.negative, arguments.seed, arguments.steps, width, height, arguments.sampler
        )
        plan = Plan(clip_skips, cfg_scales)
        figures = job.run(job.Job(path, settings, plan, device, arguments.batch, arguments.out, arguments.report))
    except header.CheckpointError as error:
        raise ArgumentError(f"--model: {error}") from error
    made, kept = figures["cells_made"], figures["cells_kept"]
    print(f"{made} cells made, {kept} kept, in {figures['seconds']:.1f} s: {arguments.out / 'index.html'}")
    return 0


def _demo_checkpoint() -> Path:
    from clip_skip.standalone.random_model import random_model

    return CHECKPOINT if CHECKPOINT.exists() else random_model(Path.home() / ".cache" / "clip-skip")


def _size(text: str) -> tuple[int, int]:
    """Width and height from `512` or `512x768`."""
    numbers = text.lower().split("x")
    if len(numbers) > 2 or not all(number.isdecimal() and len(number) <= 4 for number in numbers):
        raise ArgumentError(f"--size: {text!r} is not a size such as 512 or 512x768")
    width, height = int(numbers[0]), int(numbers[-1])
    _within("--size", min(width, height), 64, 4096)
    _within("--size", max(width, height), 64, 4096)
    return width, height


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ArgumentError(f"{name}: {value} is outside {low} to {high}")


def _device(text: str | None, has_cuda: bool) -> str:
    name = text or ("cuda" if has_cuda else "cpu")
    if name.partition(":")[0] not in ("cpu", "cuda", "mps"):
        raise ArgumentError(f"--device: {name!r} is not cpu, cuda, cuda:1 or mps")
    if name.startswith("cuda") and not has_cuda:
        raise ArgumentError("--device: there is no CUDA GPU that torch can use")
    return name
