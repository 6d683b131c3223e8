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
from clip_skip.standalone.models.sizes import TOWERS
from clip_skip.standalone.prompts.networks import EmbeddingError, LoraError
from clip_skip.standalone.samplers import SAMPLERS
from clip_skip.standalone.sweep.folder import clear, left_by_another
from clip_skip.standalone.sweep.job import ROWS, Job, Settings
from clip_skip.standalone.sweep.run import run as run_job
from clip_skip.sweep.axis import parse_axis
from clip_skip.sweep.plan import Plan
from clip_skip.sweep.rows import CFG, KINDS, random_seeds
from clip_skip.sweep.settings import COLUMNS, SweepSettings

__all__ = ["add_arguments", "run"]

HELP = "a grid of clip skips and CFG scales with one seed"
DESCRIPTION = (
    "Make a grid of clip skips and CFG scales with one seed. The same command again makes only what is missing; "
    "another sweep never takes a folder that is in use."
)
EXAMPLES = """examples:
  clip-skip sweep
  clip-skip sweep --model model.safetensors --prompt "a red cow" --skips "1-3 (+0.5)" --cfg 7 --report
  clip-skip sweep --rows seed --row-values 1-8 --report
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--model", default="demo", metavar="FILE", help="an SD1, SD2 or SDXL checkpoint (.safetensors), or demo")
    add("--loras", type=Path, metavar="DIR", help="LoRAs that prompts may name: <lora:name:0.8>")
    add_loading(command)
    add("--prompt", help=f"default, with --model demo: {DEMO_PROMPT}")
    add("--negative", default="", help="the negative prompt; a <clipskip:n> in it stays")
    add("--skips", help="as in the X/Y/Z plot: 1-12, 1-3 (+0.5), 1-12 [4], 1, 2, 2.5; default: 1 to the model's layers")
    add("--cfg", help="CFG scales, in the same syntax; default: 4, 7, 11; with other --rows one value, default: 7")
    add("--rows", default=CFG.name, choices=ROWS, help="what differs between the rows; default: %(default)s")
    add("--row-values", metavar="VALUES", help="in the same syntax; seeds: 1-8, -1 is random; prompt: cow, horse, hen")
    add("--columns", default="clip_skip", choices=list(COLUMNS), help="clip_l: CLIP-L's alone (SDXL)")
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
    plan = plan_of(arguments, dict(zip(TOWERS[sizes.family], (text.layers for text in sizes.texts))))
    plan.rows.check("--row-values", prompt, arguments.negative)
    if width % sizes.vae_factor or height % sizes.vae_factor:
        raise ArgumentError(f"--size: {width}x{height} is not a multiple of {sizes.vae_factor} in both directions")
    cfg_scale = Settings.cfg_scale if plan.rows.kind == CFG else one_cfg_scale(arguments)
    numbers = (seed, arguments.steps, width, height)
    how = loading(arguments)
    settings = Settings(
        path.stem, prompt, arguments.negative, *numbers, arguments.sampler, cfg_scale, emphasis=how.emphasis
    )
    job = Job(path, settings, plan, name, arguments.batch, arguments.out, arguments.report, how)
    return job if arguments.out else dataclasses.replace(job, out=Path("sweeps") / job.name)


def plan_of(arguments: argparse.Namespace, towers: dict[str, int]) -> Plan:
    """The cells; `towers` has the layers of each text encoder."""
    kind = KINDS[arguments.rows]
    names = dict.fromkeys((one.field for one in KINDS.values()), "--row-values")
    names |= {"clip_skips": "--skips", "rows": "--rows", "columns": "--columns", "apply_to": "--rows"}
    values = arguments.row_values
    if kind == CFG and values is None:
        names[kind.field], values = "--cfg", arguments.cfg or SweepSettings.cfg_scales
    of_l = towers.get("l") if kind.name == "clip_g" or arguments.columns == "clip_l" else None
    given = {"clip_skips": arguments.skips or f"1-{of_l or max(towers.values())}"}
    if values is not None:
        given[kind.field] = random_seeds(values) if kind.name == "seed" else values
    settings = SweepSettings.from_args([{"rows": kind.name, "columns": arguments.columns, **given}])
    return settings.plan(towers, names)


def one_cfg_scale(arguments: argparse.Namespace) -> float:
    scales = parse_axis(arguments.cfg or "7", "--cfg", 0, 100)
    if len(scales) > 1:
        raise ArgumentError(f"--cfg: with --rows {arguments.rows} all pictures have one CFG scale, not {len(scales)}")
    return scales[0]


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
