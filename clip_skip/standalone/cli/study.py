"""`clip-skip study`: which clip skip is better, over many prompts, seeds and checkpoints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clip_skip.prompt.override import warn_replaced
from clip_skip.prompt.parsed import find_warnings, parse, parse_negative
from clip_skip.skip import shorten
from clip_skip.standalone.cli.arguments import (
    ArgumentError,
    add_cluster,
    add_loading,
    checkpoint,
    cluster_of,
    device,
    known_sampler,
    loading,
    size,
    sizes_for,
    telling,
    within,
)
from clip_skip.standalone.cli.sweep import prepare
from clip_skip.standalone.engine.loading import DTYPES, EMPHASES
from clip_skip.standalone.models.sizes import NATIVE, Sizes
from clip_skip.standalone.sampling.samplers import SAMPLERS
from clip_skip.sweep import rows
from clip_skip.sweep.axis import parse_axis

__all__ = ["add_arguments", "run"]

HELP = "which clip skip is better, over many prompts, seeds and checkpoints"
DESCRIPTION = (
    "Make a picture for every combination of checkpoint, prompt, seed, CFG scale and clip skip, score it, and tell "
    "what clip skip does. The same command again makes only what is missing. STUDY.toml has the options' names."
)
EXAMPLES = """examples:
  clip-skip study --model demo
  clip-skip study --models a.safetensors b.safetensors --prompts prompts.txt --seeds 1-8 --skips 1-12 \\
      --score clip difference --clip ViT-L-14:weights.safetensors
  clip-skip study study.toml --ray
"""

DEFAULTS: dict[str, Any] = {
    "models": ["demo"],
    "negative": "",
    "emphasis": EMPHASES[0],
    "dtype": "",
    "seeds": "1-8",
    "cfg": "7",
    "steps": 20,
    "sampler": next(iter(SAMPLERS)),
    "score": [],
    "clip": "",
    "batch": 0,
    "out": "study",
    "actors": 0,
    "actor_cpus": 1,
}
NUMBERS = ("steps", "batch", "actors", "actor_cpus")


def add_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("study", nargs="?", type=Path, metavar="STUDY.toml", help='the options below, as in: seeds = "1-8"')
    add("--models", "--model", nargs="+", metavar="FILE", help="SD1, SD2 or SDXL checkpoints, or demo; default: demo")
    add("--loras", type=Path, metavar="DIR", help="LoRAs that prompts may name: <lora:name:0.8>")
    add_loading(command)
    add("--prompts", metavar="FILE", help="a prompt a line; default, with the demo alone: 24 captions of its own")
    add("--negative", help="the negative prompt of all")
    add("--seeds", help="as in the X/Y/Z plot; default: 1-8")
    add("--skips", help="clip skips, in the same syntax; default: 1 to the checkpoint's layers")
    add("--cfg", help="CFG scales, in the same syntax; default: 7")
    add("--steps", type=int, help="default: 20")
    add("--sampler", help=f"one of {', '.join(SAMPLERS)}; default: {DEFAULTS['sampler']}")
    add("--size", help="512, or 512x768 (width, height); default: 512, for the demo alone 128")
    add(
        "--score", nargs="+", metavar="NAME", help="right (the demo's captions), clip, difference; the first one counts"
    )
    add("--clip", metavar="MODEL:FILE", help="for --score clip: an open_clip model and its weights, ViT-L-14:FILE")
    add("--batch", type=int, help="cells per batch; default: chosen to fit the device")
    add("--device", help="cpu, cuda, cuda:1; default: cuda if there is one")
    add("--out", metavar="DIR", help="default: study")
    add_cluster(command)


def run(arguments: argparse.Namespace) -> int:
    given = complete(arguments)
    warnings = find_warnings([*map(parse, given.prompts), parse_negative(given.negative)])
    for sentence in (*warnings, *warn_replaced(*given.prompts[:1])):
        print(sentence, file=sys.stderr)
    from clip_skip.standalone.study.folder import left_by_another
    from clip_skip.standalone.study.run import run as run_job
    from clip_skip.standalone.study.scores import ScoreError, find

    try:
        with telling("--models", "--prompts"), cluster_of(given) as cluster:
            job = job_of(given, cluster.device if cluster else "")
            scores = find(given.score, given.clip, device(given.device, has_cuda()), given.prompts)
            if taken := left_by_another(job):
                raise ArgumentError(f"--out: {taken}; give another folder")
            prepare(job.out)
            figures = run_job(job, scores, cluster, given.batch)
    except ScoreError as error:
        raise ArgumentError(str(error)) from error
    made, kept, wanted = figures["cells_made"], figures["cells_kept"], len(job.plan.cells)
    if "interrupted" in figures:
        print(
            f"\nStopped. {made + kept} of {wanted} pictures are in {job.out}; the same command makes the others.",
            file=sys.stderr,
        )
        return 130
    print("\n".join(figures["sentences"]))
    print(f"{made} pictures made, {kept} kept, in {figures['seconds']:.1f} s: {job.out / 'index.html'}")
    return 0


def complete(arguments: argparse.Namespace) -> argparse.Namespace:
    """The options: from the command line, else from STUDY.toml, else by default. ArgumentError names what is wrong."""
    file = read_toml(arguments.study) if arguments.study else {}
    known = {name for name in vars(arguments) if name not in ("study", "command")}
    for name in file:
        if name not in known:
            raise ArgumentError(f"{arguments.study}: {shorten(name)} is not one of {', '.join(sorted(known))}")
    given = argparse.Namespace(**vars(arguments))
    for name in known:
        value = getattr(arguments, name)
        if value is None:
            value = file.get(name, DEFAULTS.get(name, value))
        setattr(given, name, value)
    for name in ("models", "score"):
        setattr(given, name, [getattr(given, name)] if isinstance(getattr(given, name), str) else getattr(given, name))
    for name in ("seeds", "skips", "cfg", "size"):
        setattr(given, name, written(getattr(given, name)))
    for name in NUMBERS:
        if type(getattr(given, name)) is not int:
            raise ArgumentError(f"{name}: {shorten(str(getattr(given, name)))} is not a whole number")
    for name, choices in (("emphasis", EMPHASES), ("dtype", ("", *DTYPES))):
        if getattr(given, name) not in choices:
            raise ArgumentError(f"{name}: {shorten(str(getattr(given, name)))} is not one of {', '.join(choices)}")
    for name in ("loras", "embeddings"):
        setattr(given, name, Path(getattr(given, name)) if getattr(given, name) else None)
    demo = given.models == ["demo"]
    given.prompts = prompts_of(given.prompts, demo)
    given.score = given.score or [*(["right"] if demo else []), *(["clip"] if given.clip else []), "difference"]
    given.size = given.size or ("128" if demo else "512")
    return given


def read_toml(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArgumentError(f"STUDY.toml: {path}: {error}") from error
    return {name.replace("-", "_"): value for name, value in content.items()}


def written(value: Any) -> str | None:
    """An axis of STUDY.toml, a text, a number or a list, as the command line has it."""
    if value is None or isinstance(value, str):
        return value
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def prompts_of(value: Any, demo: bool) -> list[str]:
    """The prompts: a list of them, or a file with one on each line."""
    if value is None:
        if not demo:
            raise ArgumentError("--prompts is needed with a model of your own")
        from clip_skip.standalone.demo.captions import DEMO

        return list(DEMO)
    if isinstance(value, str):
        try:
            value = Path(value).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise ArgumentError(f"--prompts: {error}") from error
    found = list(dict.fromkeys(str(line).strip() for line in value if str(line).strip()))
    if not found:
        raise ArgumentError("--prompts: there is no prompt in it")
    return found


def has_cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def job_of(given: argparse.Namespace, cluster_device: str) -> Any:
    """The study that is asked for. ArgumentError or SweepError names the option that cannot be used."""
    from clip_skip.standalone.study.job import Common, Job
    from clip_skip.study.plan import Plan

    width, height = size(given.size)
    within("--steps", given.steps, 1, 1000)
    within("--batch", given.batch, 0, 4096)
    known_sampler("--sampler", given.sampler)
    models: dict[str, Path] = {}
    skips: dict[str, tuple[float, ...]] = {}
    published: dict[str, float] = {}
    for model in given.models:
        path = checkpoint(model)
        if path.stem in models:
            raise ArgumentError(f"--models: two of them are called {path.stem}")
        sizes = sizes_for(path, width, height, "--models")
        models[path.stem] = path
        published[path.stem] = float(NATIVE[sizes.family])
        skips[path.stem] = skips_of(given.skips, sizes, published[path.stem])
    seeds = rows.read(rows.KINDS["seed"], given.seeds, "--seeds").values
    cfg_scales = parse_axis(given.cfg, "--cfg", 0, 100)
    plan = Plan(skips, published, tuple(given.prompts), tuple(int(seed) for seed in seeds), cfg_scales)
    how = loading(given)
    common = Common(given.negative, given.steps, width, height, given.sampler, how.emphasis)
    name = cluster_device or device(given.device, has_cuda())
    return Job(models, common, plan, name, Path(given.out), how)


def skips_of(text: str | None, sizes: Sizes, published: float) -> tuple[float, ...]:
    """The clip skips of a checkpoint, in order; the published one is always among them."""
    deepest = max(one.layers for one in sizes.texts)
    found: Sequence[float] = parse_axis(text or f"{published:g}-{deepest}", "--skips", 1, deepest)
    return tuple(sorted({published, *found}))
