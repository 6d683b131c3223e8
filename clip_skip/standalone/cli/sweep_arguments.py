"""The arguments of `clip-skip sweep`, and the job that they ask for."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from clip_skip.standalone.cli.arguments import (
    DEMO_PROMPT,
    DEMO_SEED,
    SEED,
    ArgumentError,
    add_cluster,
    add_loading,
    checkpoint,
    device,
    known_sampler,
    loading,
    size,
    sizes_for,
    within,
)
from clip_skip.standalone.engine.shots import NOISES, UPSCALERS, Hires
from clip_skip.standalone.models.sizes import TOWERS
from clip_skip.standalone.sampling.samplers import SAMPLERS
from clip_skip.standalone.sweep.job import ROWS, Job, Settings
from clip_skip.sweep.axis import parse_axis
from clip_skip.sweep.plan import SweepPlan
from clip_skip.sweep.rows import CFG, ROW_KINDS, random_seeds
from clip_skip.sweep.settings import COLUMNS, SweepSettings

__all__ = ["add_arguments", "job_of"]

STEPS = 20

HIRES = (
    *("hires_upscaler", "denoising", "hires_steps", "hires_sampler", "hires_cfg", "hires_prompt"),
    "hires_negative",
)
"""The arguments that say how the hires pass is, if there is one."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "--model",
        metavar="FILE",
        help="an SD1, SD2 or SDXL checkpoint (.safetensors); default: demo, the one in the box",
    )
    add("--like", type=Path, metavar="PICTURE", help="make this again: a WebUI's PNG, JPEG or WebP, or its infotext")
    add("--models", type=Path, metavar="DIR", help="where --like looks for the picture's checkpoint")
    add("--loras", type=Path, metavar="DIR", help="LoRAs that prompts may name: <lora:name:0.8>")
    add_loading(command)
    add("--prompt", help=f"default, with --model demo: {DEMO_PROMPT}")
    add("--negative", help="the negative prompt; a <clipskip:n> in it stays")
    add("--skips", help="as in the X/Y/Z plot: 1-12, 1-3 (+0.5), 1-12 [4], 1, 2, 2.5; default: 1 to the model's layers")
    add("--cfg", help="CFG scales, in the same syntax; default: 4, 7, 11; with other --rows one value, default: 7")
    add("--rows", choices=ROWS, help=f"what differs between the rows; default: {CFG.name}")
    add("--row-values", metavar="VALUES", help="in the same syntax; seeds: 1-8, -1 is random; prompt: cow, horse, hen")
    add("--columns", default="clip_skip", choices=list(COLUMNS), help="clip_l: CLIP-L's alone (SDXL)")
    add("--seed", type=int, help=f"default: {SEED}; with --model demo: {DEMO_SEED}")
    add("--steps", type=int, help=f"default: {STEPS}")
    add("--size", help="512, or 512x768 (width, height); default: 512, for the demo 128")
    add("--sampler", help=f"one of {', '.join(SAMPLERS)}; default: {next(iter(SAMPLERS))}")
    add("--noise", choices=NOISES, help="whose: the CPU's, or an NVIDIA GPU's, as most WebUIs have it; default: CPU")
    add("--hires", metavar="SCALE", help="a hires pass, so much larger: 1.5, or to a size: 1024x1536; 0 is none")
    add("--hires-upscaler", metavar="NAME", help=f"one of {', '.join(UPSCALERS)}; default: {Hires.upscaler}")
    add("--denoising", type=float, metavar="N", help=f"the hires pass's denoising strength; default: {Hires.denoising}")
    add("--hires-steps", type=int, metavar="N", help="default: as many as --steps")
    add("--hires-sampler", metavar="NAME", help="default: that of the first pass")
    add("--hires-cfg", type=float, metavar="N", help="default: that of the first pass")
    add("--hires-prompt", metavar="PROMPT", help="default: that of the first pass")
    add("--hires-negative", metavar="PROMPT", help="default: that of the first pass")
    add("--batch", type=int, default=0, help="cells per batch; default: chosen to fit the device")
    add("--device", help="cpu, cuda, cuda:1; default: cuda if there is one")
    add("--out", type=Path, metavar="DIR", help="default: a folder of its own for each sweep, in sweeps/")
    add("--replace", action="store_true", help="take the folder even if another sweep is in it")
    add("--report", action="store_true", help="also measure what changes with what (report.png)")
    add_cluster(command)


def job_of(arguments: argparse.Namespace, cluster_device: str = "") -> Job:
    """The sweep that the arguments ask for. ArgumentError or SweepError names the one that cannot be used."""
    model = arguments.model or "demo"
    width, height = size(arguments.size or ("128" if model == "demo" else "512"))
    steps = STEPS if arguments.steps is None else arguments.steps
    within("--steps", steps, 1, 1000)
    seed = arguments.seed
    if seed is None:
        seed = DEMO_SEED if model == "demo" else SEED
    within("--seed", seed, 0, 2**32 - 1)
    within("--batch", arguments.batch, 0, 4096)
    prompt = arguments.prompt
    if prompt is None:
        if model != "demo":
            raise ArgumentError("--prompt is needed with a model of your own")
        prompt = DEMO_PROMPT
    sampler = known_sampler("--sampler", arguments.sampler or next(iter(SAMPLERS)))
    hires = hires_of(arguments)
    if arguments.models is not None and not arguments.models.is_dir():
        raise ArgumentError(f"--models: {arguments.models} is no folder")
    import torch  # slow, so not before the arguments are known to be good

    name = cluster_device or device(arguments.device, torch.cuda.is_available())
    path = checkpoint(model)
    sizes = sizes_for(path, width, height)
    plan = plan_of(arguments, dict(zip(TOWERS[sizes.family], (text.layers for text in sizes.texts))))
    negative = arguments.negative or ""
    plan.rows.check("--row-values", prompt, negative)
    if plan.rows.kind.name == "hires" and not hires:
        raise ArgumentError("--rows: there is no hires pass (--hires), so its clip skip cannot be the rows")
    how = loading(arguments)
    settings = Settings(
        path.stem,
        prompt,
        negative,
        seed,
        steps,
        width,
        height,
        sampler,
        cfg_scale=Settings.cfg_scale if plan.rows.kind == CFG else one_cfg_scale(arguments),
        emphasis=how.emphasis,
        hires=hires,
        noise=arguments.noise or NOISES[0],
        family=sizes.family,
    )
    job = Job(path, settings, plan, name, arguments.batch, arguments.out, arguments.report, how)
    return job if arguments.out else dataclasses.replace(job, out=Path("sweeps") / job.name)


def hires_of(arguments: argparse.Namespace) -> Hires | None:
    """The hires pass, if there is one. ArgumentError names what cannot be used."""
    given = {name: getattr(arguments, name) for name in HIRES}
    if arguments.hires == "0":
        return None
    if arguments.hires is None:
        for name, value in given.items():
            if value is not None:
                raise ArgumentError(f"--{name.replace('_', '-')}: there is no hires pass without --hires")
        return None
    scale, resize = Hires.scale, None
    if "x" in arguments.hires.lower():
        resize = size(arguments.hires, "--hires", 0)
    else:
        try:
            scale = float(arguments.hires)
        except ValueError:
            raise ArgumentError(f"--hires: {arguments.hires!r} is neither a number nor a size") from None
        within("--hires", scale, 1, 8)
    if (upscaler := given["hires_upscaler"] or Hires.upscaler) not in UPSCALERS:
        raise ArgumentError(f"--hires-upscaler: {upscaler!r} is not one of {', '.join(UPSCALERS)}")
    denoising = Hires.denoising if given["denoising"] is None else given["denoising"]
    steps, sampler = given["hires_steps"] or 0, given["hires_sampler"] or ""
    within("--denoising", denoising, 0.0001, 1)
    within("--hires-steps", steps, 0, 1000)
    within("--hires-cfg", given["hires_cfg"] or 0, 0, 100)
    return Hires(
        scale,
        resize,
        upscaler,
        denoising,
        steps,
        sampler and known_sampler("--hires-sampler", sampler),
        given["hires_cfg"],
        given["hires_prompt"] or "",
        given["hires_negative"] or "",
    )


def plan_of(arguments: argparse.Namespace, towers: dict[str, int]) -> SweepPlan:
    """The cells; `towers` has the layers of each text encoder."""
    kind = ROW_KINDS[arguments.rows or CFG.name]
    names = dict.fromkeys((one.field for one in ROW_KINDS.values()), "--row-values")
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
