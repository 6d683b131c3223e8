"""`clip-skip sweep`: a grid of clip skips and CFG scales with one seed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from clip_skip import tags
from clip_skip.standalone.cli.arguments import (
    DEMO_PROMPT,
    DEMO_SEED,
    SEED,
    ArgumentError,
    checkpoint,
    device,
    size,
    within,
)
from clip_skip.standalone.models import header
from clip_skip.standalone.samplers import SAMPLERS
from clip_skip.standalone.sweep.job import Job, Settings
from clip_skip.standalone.sweep.run import run as run_job
from clip_skip.sweep.plan import Plan, parse_axis

__all__ = ["add_arguments", "run"]

HELP = "a grid of clip skips and CFG scales with one seed"
DESCRIPTION = (
    "Make a grid of clip skips and CFG scales with one seed. Run again on the same folder, it makes only what is "
    "missing or changed."
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--model", default="demo", metavar="FILE", help="an SD1 checkpoint (.safetensors), or demo, the one in the box")
    add("--prompt", help=f"default, with --model demo: {DEMO_PROMPT}")
    add("--negative", default="", help="the negative prompt; a <clipskip:n> in it stays")
    add("--skips", default="1-12", help="clip skips, as in the X/Y/Z plot: 1-12, 1-3 (+0.5), 1-12 [4], 1, 2, 2.5")
    add("--cfg", default="4, 7, 11", help="CFG scales, in the same syntax")
    add("--seed", type=int, help=f"default: {SEED}; with --model demo: {DEMO_SEED}")
    add("--steps", type=int, default=20, help="default: %(default)s")
    add("--size", help="512, or 512x768 (width, height); default: 512, for the demo 128")
    add("--sampler", default="DPM++ 2M Karras", help="default: %(default)s")
    add("--batch", type=int, default=0, help="cells per batch; default: chosen to fit the device")
    add("--device", help="cpu, cuda, cuda:1; default: cuda if there is one")
    add("--out", type=Path, default=Path("sweep"), metavar="DIR", help="default: %(default)s")
    add("--report", action="store_true", help="also measure what changes with what (report.png)")


def run(arguments: argparse.Namespace) -> int:
    try:
        return make(arguments)
    except KeyboardInterrupt:
        print(f"\nStopped. What is finished is in {arguments.out}; the same command goes on with it.", file=sys.stderr)
        return 130


def make(arguments: argparse.Namespace) -> int:
    cfg_scales = parse_axis(arguments.cfg, "--cfg", 0, 100)
    clip_skips = parse_axis(arguments.skips, "--skips", 1, 1000)
    width, height = size(arguments.size or ("128" if arguments.model == "demo" else "512"))
    within("--steps", arguments.steps, 1, 1000)
    seed = arguments.seed
    if seed is None:
        seed = DEMO_SEED if arguments.model == "demo" else SEED
    within("--seed", seed, 0, 2**32 - 1)
    within("--batch", arguments.batch, 0, 4096)
    prompt = arguments.prompt
    if prompt is None:
        if arguments.model != "demo":
            raise ArgumentError("--prompt is needed with a model of your own")
        prompt = DEMO_PROMPT
    if arguments.sampler not in SAMPLERS:
        raise ArgumentError(f"--sampler: {arguments.sampler!r} is not one of {', '.join(SAMPLERS)}")
    import torch  # slow, so not before the arguments are known to be good

    name = device(arguments.device, torch.cuda.is_available())
    path = checkpoint(arguments.model)
    try:
        sizes = header.inspect(path)
        clip_skips = parse_axis(arguments.skips, "--skips", 1, sizes.text_layers)
        if width % sizes.vae_factor or height % sizes.vae_factor:
            raise ArgumentError(f"--size: {width}x{height} is not a multiple of {sizes.vae_factor} in both directions")
        for warning in tags.warnings([prompt, arguments.negative]):
            print(warning, file=sys.stderr)
        settings = Settings(
            path.stem, prompt, arguments.negative, seed, arguments.steps, width, height, arguments.sampler
        )
        plan = Plan(clip_skips, cfg_scales)
        figures = run_job(Job(path, settings, plan, name, arguments.batch, arguments.out, arguments.report))
    except header.CheckpointError as error:
        raise ArgumentError(f"--model: {error}") from error
    made, kept = figures["cells_made"], figures["cells_kept"]
    print(f"{made} cells made, {kept} kept, in {figures['seconds']:.1f} s: {arguments.out / 'index.html'}")
    return 0
