"""`clip-skip sweep`: a grid of clip skips and CFG scales with one seed."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from tempfile import TemporaryFile

from clip_skip import tags
from clip_skip.override import replaced
from clip_skip.standalone.cli.arguments import (
    DEMO_PROMPT,
    DEMO_SEED,
    SEED,
    ArgumentError,
    add_loading,
    checkpoint,
    device,
    loading,
    size,
    within,
)
from clip_skip.standalone.models.header import CheckpointError, inspect
from clip_skip.standalone.prompts.networks import EmbeddingError, LoraError
from clip_skip.standalone.samplers import SAMPLERS
from clip_skip.standalone.sweep.folder import clear, left_by_another
from clip_skip.standalone.sweep.job import Job, Settings
from clip_skip.standalone.sweep.run import run as run_job
from clip_skip.sweep.axis import parse_axis
from clip_skip.sweep.plan import Plan
from clip_skip.sweep.rows import Rows

__all__ = ["add_arguments", "run"]

HELP = "a grid of clip skips and CFG scales with one seed"
DESCRIPTION = (
    "Make a grid of clip skips and CFG scales with one seed. The same command again makes only what is missing; "
    "another sweep never takes a folder that is in use."
)
EXAMPLES = """examples:
  clip-skip sweep
  clip-skip sweep --model model.safetensors --prompt "a red cow" --skips "1-3 (+0.5)" --cfg 7 --report
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--model", default="demo", metavar="FILE", help="an SD1, SD2 or SDXL checkpoint (.safetensors), or demo")
    add("--loras", type=Path, metavar="DIR", help="LoRAs that prompts may name: <lora:name:0.8>")
    add_loading(command)
    add("--prompt", help=f"default, with --model demo: {DEMO_PROMPT}")
    add("--negative", default="", help="the negative prompt; a <clipskip:n> in it stays")
    add("--skips", help="as in the X/Y/Z plot: 1-12, 1-3 (+0.5), 1-12 [4], 1, 2, 2.5; default: 1 to the model's layers")
    add("--cfg", default="4, 7, 11", help="CFG scales, in the same syntax; default: %(default)s")
    add("--seed", type=int, help=f"default: {SEED}; with --model demo: {DEMO_SEED}")
    add("--steps", type=int, default=20, help="default: %(default)s")
    add("--size", help="512, or 512x768 (width, height); default: 512, for the demo 128")
    add("--sampler", default=next(iter(SAMPLERS)), help=f"one of {', '.join(SAMPLERS)}; default: %(default)s")
    add("--batch", type=int, default=0, help="cells per batch; default: chosen to fit the device")
    add("--device", help="cpu, cuda, cuda:1; default: cuda if there is one")
    add("--out", type=Path, metavar="DIR", help="default: a folder of its own for each sweep, in sweeps/")
    add("--replace", action="store_true", help="take the folder even if another sweep is in it")
    add("--report", action="store_true", help="also measure what changes with what (report.png)")


def run(arguments: argparse.Namespace) -> int:
    job = job_of(arguments)
    for sentence in (*tags.warnings([job.settings.prompt, job.settings.negative]), *replaced(job.settings.prompt)):
        print(sentence, file=sys.stderr)
    try:
        prepare(job.out)
        if taken := another(job, arguments.replace):
            raise ArgumentError(f"--out: {taken}; give another folder, or --replace")
        figures = run_job(job)
    except OSError as error:
        raise ArgumentError(f"--out: {error}") from error
    except CheckpointError as error:
        raise ArgumentError(f"--model: {error}") from error
    except LoraError as error:
        raise ArgumentError(f"--prompt: {error}") from error
    except EmbeddingError as error:
        raise ArgumentError(f"--embeddings: {error}") from error
    made, kept, wanted = figures["cells_made"], figures["cells_kept"], len(job.plan.cells)
    if "interrupted" in figures:
        said = f"Stopped. {made + kept} of {wanted} cells are in {job.out}, with a grid and a page of them"
        print(f"\n{said}; the same command makes the others.", file=sys.stderr)
        return 130
    cells = "1 cell" if made == 1 else f"{made} cells"
    print(f"{cells} made, {kept} kept, in {figures['seconds']:.1f} s: {job.out / 'index.html'}")
    return 0


def job_of(arguments: argparse.Namespace) -> Job:
    """The sweep that the arguments ask for. ArgumentError or SweepError names the one that cannot be used."""
    cfg_scales = parse_axis(arguments.cfg, "--cfg", 0, 100)
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
        sizes = inspect(path)
    except CheckpointError as error:
        raise ArgumentError(f"--model: {error}") from error
    clip_skips = parse_axis(arguments.skips or f"1-{sizes.text_layers}", "--skips", 1, sizes.text_layers)
    if width % sizes.vae_factor or height % sizes.vae_factor:
        raise ArgumentError(f"--size: {width}x{height} is not a multiple of {sizes.vae_factor} in both directions")
    settings = Settings(path.stem, prompt, arguments.negative, seed, arguments.steps, width, height, arguments.sampler)
    job = Job(
        path,
        settings,
        Plan(clip_skips, Rows(cfg_scales)),
        name,
        arguments.batch,
        arguments.out,
        arguments.report,
        loading(arguments),
    )
    return job if arguments.out else dataclasses.replace(job, out=Path("sweeps") / job.name)


def prepare(out: Path) -> None:
    """Makes the folder, and finds out whether it can be written to. OSError says why not."""
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=out):
        pass


def another(job: Job, replace: bool) -> str:
    """What is in the job's folder that it may not overwrite; with `replace` it is taken away, if it is a sweep's."""
    found = left_by_another(job.out, job.made_with())
    if found and replace:
        clear(job.out)
        return ""
    return found
