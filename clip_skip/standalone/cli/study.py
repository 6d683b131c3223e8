"""`clip-skip study`: which clip skip is better, over many prompts, seeds and checkpoints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clip_skip.messages.message import Template, reason
from clip_skip.prompt.override import warn_replaced
from clip_skip.prompt.parsed import find_warnings, parse_negative, parse_prompt
from clip_skip.skip import shorten
from clip_skip.standalone.cli.arguments import (
    ArgumentError,
    add_cluster,
    add_loading,
    add_options,
    as_argument_errors,
    checkpoint,
    cluster_of,
    device,
    loading,
    size,
    sizes_for,
    within,
    writing_to,
)
from clip_skip.standalone.cli.console import print_lines, warn
from clip_skip.standalone.models.sizes import FAMILY_NATIVE, Sizes
from clip_skip.standalone.option_kinds import NOT_A_TEXT, OPTION_NOT_WHOLE
from clip_skip.standalone.options import STUDY, defaults
from clip_skip.standalone.prompts.networks import network_warnings
from clip_skip.sweep.axis import parse_axis
from clip_skip.sweep.rows import ROW_KINDS, parse_rows

__all__ = ["add_arguments", "run"]

DESCRIPTION = (
    "Make a picture for every combination of checkpoint, prompt, seed, CFG scale and clip skip, score it, and "
    "report the effect of clip skip. The same command again makes only the missing pictures. STUDY.toml has the "
    "options' names."
)
EXAMPLES = """examples:
  clip-skip study --model demo
  clip-skip study --models a.safetensors b.safetensors --prompts prompts.txt --seeds 1-8 --skips 1-12 \\
      --score clip difference --clip ViT-L-14:weights.safetensors
  clip-skip study study.toml --ray
"""

DEFAULTS: dict[str, Any] = {
    **{option.argument: option.default for option in STUDY},
    "models": ["demo"],
    "dtype": "",
    "seeds": "1-8",
    "cfg": "7",
    "score": [],
    "clip": "",
    "batch": 0,
    "out": "study",
}
MOST_PICTURES = 1_000_000

NUMBERS = ("batch", "actors", "actor_cpus")
TEXTS = ("clip", "device", "dtype", "embeddings", "loras", "out", "ray")
LISTS = ("models", "score")

STOPPED = Template("Stopped. {done} of {pictures} pictures are in {folder}; the same command makes the others.")
STUDY_MADE = Template("{made} pictures made, {kept} kept, in {seconds} s: {page}")
ANOTHER_FOLDER = Template("{problem}; give another folder")
NO_STUDY_FILE = Template("there is no such file")
NO_STUDY_FILE_AT = Template("{path}: there is no such file")
NOT_TOML = Template("it is not a TOML file: {reason}")
NO_PROMPT = Template("there is no prompt in it")
PROMPTS_NEEDED = Template("required with your own model")
TWO_ALIKE = Template("two of them are called {name}")
TOO_MANY = Template(
    "this study would have {count} pictures, more than {most}: give fewer prompts, --seeds, --cfg or --skips"
)
NOT_TRUE_OR_FALSE = Template("{value} is neither true nor false")
NOT_AN_OPTION = Template("{name} is not one of {names}")


def add_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("study", nargs="?", type=Path, metavar="STUDY.toml", help='the options below, as in: seeds = "1-8"')
    add("--models", "--model", nargs="+", metavar="FILE", help="SD1, SD2 or SDXL checkpoints, or demo; default: demo")
    add("--loras", type=Path, metavar="DIR", help="LoRAs that prompts may name: <lora:name:0.8>")
    add_loading(command)
    add("--prompts", metavar="FILE", help="one prompt per line; default for the demo model: its 24 captions")
    add("--seeds", help="as in the X/Y/Z plot; default: 1-8")
    add("--skips", help="clip skips, in the same syntax; default: 1 to the checkpoint's layers")
    add("--cfg", help="CFG scales, in the same syntax; default: 7")
    add_options(command, STUDY)
    add("--size", help="512, or 512x768 (width, height); default: 512, for the demo alone 128")
    add(
        "--score",
        nargs="+",
        metavar="NAME",
        help="right (the demo's captions), clip, difference; the first one decides",
    )
    add("--clip", metavar="MODEL:FILE", help="for --score clip: an open_clip model and its weights, ViT-L-14:FILE")
    add("--batch", type=int, help="cells per batch; default: chosen to fit the device")
    add("--device", help="cpu, cuda, cuda:1; default: cuda if there is one")
    add("--out", metavar="DIR", help="default: study")
    add_cluster(command)


def run(arguments: argparse.Namespace) -> int:
    options = complete(arguments)
    prompts = [parse_prompt(prompt) for prompt in options.prompts]
    warnings = find_warnings([*prompts, parse_negative(options.negative)])
    networks = network_warnings(prompt.clean for prompt in prompts)
    warn(*warnings, *networks, *warn_replaced(*options.prompts[:1]))
    from clip_skip.standalone.study.folder import find_another_study
    from clip_skip.standalone.study.run import run_study as run_job
    from clip_skip.standalone.study.scores import ScoreError, load_scores

    try:
        with as_argument_errors("--models", "--prompts"), cluster_of(options) as cluster:
            job = job_of(options, cluster.device if cluster else "")
            shape = job.settings.width, job.settings.height
            scores = load_scores(
                options.score, options.clip, device(options.device, has_cuda()), options.prompts, shape
            )
            with writing_to(job.out):
                if problem := find_another_study(job):
                    raise ArgumentError.of("--out", ANOTHER_FOLDER(problem=problem))
                figures = run_job(job, scores, cluster, options.batch)
    except ScoreError as error:
        raise ArgumentError(reason(error)) from error
    new, old, total = figures["cells_made"], figures["cells_kept"], len(job.plan.cells)
    if "interrupted" in figures:
        warn("", STOPPED(done=new + old, pictures=total, folder=str(job.out)))
        return 130
    seconds, page = f"{figures['seconds']:.1f}", str(job.out / "index.html")
    print_lines(*figures["sentences"], STUDY_MADE(made=new, kept=old, seconds=seconds, page=page))
    return 0


def complete(arguments: argparse.Namespace) -> argparse.Namespace:
    """The options: from the command line, else from STUDY.toml, else by default. FieldError names the wrong one."""
    file = read_toml(arguments.study) if arguments.study else {}
    names = {name for name in vars(arguments) if name not in ("study", "command")}
    for name in file:
        if name not in names:
            problem = NOT_AN_OPTION(name=shorten(name), names=", ".join(sorted(names)))
            raise ArgumentError.of(str(arguments.study), problem)
    options = argparse.Namespace(**vars(arguments))
    for name in names:
        value = getattr(arguments, name)
        if value is None:
            value = file.get(name, DEFAULTS.get(name, value))
        setattr(options, name, value)
    for option in STUDY:
        setattr(options, option.argument, option.check(getattr(options, option.argument), option.flag))
    for name in LISTS:
        value = getattr(options, name)
        setattr(options, name, value if isinstance(value, list) else [value])
        check_texts(name, getattr(options, name))
    for name in TEXTS:
        check_texts(name, [getattr(options, name)])
    for name in ("seeds", "skips", "cfg", "size"):
        setattr(options, name, as_typed(getattr(options, name)))
    for name in NUMBERS:
        if type(getattr(options, name)) not in (int, type(None)):
            raise ArgumentError.of(name, OPTION_NOT_WHOLE(value=shorten(str(getattr(options, name)))))
    if type(options.low_memory) not in (bool, type(None)):
        raise ArgumentError.of("low_memory", NOT_TRUE_OR_FALSE(value=shorten(str(options.low_memory))))
    for name in ("loras", "embeddings"):
        setattr(options, name, Path(getattr(options, name)) if getattr(options, name) else None)
    demo = options.models == ["demo"]
    options.prompts = prompts_of(options.prompts, demo)
    options.score = options.score or [*(["right"] if demo else []), *(["clip"] if options.clip else []), "difference"]
    options.score = [score.lower() for score in options.score]
    options.size = options.size or ("128" if demo else "512")
    return options


def read_toml(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ArgumentError.of(str(path), NO_STUDY_FILE) from None
    except OSError as error:
        raise ArgumentError.of(str(path), Template(error.strerror or "it cannot be read")) from error
    except (ValueError, RecursionError) as error:
        raise ArgumentError.of(str(path), NOT_TOML(reason=str(error))) from error
    return {name.replace("-", "_"): value for name, value in content.items()}


def as_typed(value: Any) -> str | None:
    """An axis of STUDY.toml, a text, a number or a list, as the command line has it."""
    if value is None or isinstance(value, str):
        return value
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def check_texts(name: str, values: Sequence[Any]) -> None:
    """ArgumentError unless each of `values` is a text, a path, or not given."""
    for value in values:
        if not isinstance(value, (str, Path, type(None))):
            raise ArgumentError.of(name, NOT_A_TEXT(value=shorten(str(value))))


def prompts_of(value: Any, demo: bool) -> list[str]:
    """The prompts: a list of them, or a file with one on each line."""
    if value is None:
        if not demo:
            raise ArgumentError.of("--prompts", PROMPTS_NEEDED)
        from clip_skip.standalone.demo.captions import DEMO

        return list(DEMO)
    if isinstance(value, str):
        try:
            value = Path(value).read_text(encoding="utf-8-sig").splitlines()
        except FileNotFoundError:
            raise ArgumentError.of("--prompts", NO_STUDY_FILE_AT(path=value)) from None
        except (OSError, ValueError) as error:
            raise ArgumentError.of("--prompts", reason(error)) from error
    if not isinstance(value, list):
        raise ArgumentError.of("--prompts", NOT_A_TEXT(value=shorten(str(value))))
    texts = (str(line).strip() for line in value)
    prompts = list(dict.fromkeys(text for text in texts if text))
    if not prompts:
        raise ArgumentError.of("--prompts", NO_PROMPT)
    return prompts


def has_cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def job_of(options: argparse.Namespace, cluster_device: str) -> Any:
    """The requested study. ArgumentError or SweepError names the option that cannot be used."""
    from clip_skip.standalone.settings import CommonSettings, build_settings
    from clip_skip.standalone.study.job import StudyJob
    from clip_skip.study.plan import StudyPlan

    width, height = size(options.size)
    within("--batch", options.batch, 0, 4096)
    models: dict[str, Path] = {}
    skips: dict[str, tuple[float, ...]] = {}
    published_skips: dict[str, float] = {}
    for model in options.models:
        path = checkpoint(model)
        if path.stem in models:
            raise ArgumentError.of("--models", TWO_ALIKE(name=path.stem))
        sizes = sizes_for(path, width, height, "--models")
        models[path.stem] = path
        published_skips[path.stem] = float(FAMILY_NATIVE[sizes.family])
        skips[path.stem] = skips_of(options.skips, sizes, published_skips[path.stem])
    seeds = parse_rows(ROW_KINDS["seed"], options.seeds, "--seeds").values
    cfg_scales = parse_axis(options.cfg, "--cfg", 0, 100)
    plan = StudyPlan(skips, published_skips, tuple(options.prompts), tuple(int(seed) for seed in seeds), cfg_scales)
    if len(plan.cells) > MOST_PICTURES:
        raise ArgumentError(TOO_MANY(count=f"{len(plan.cells):,}", most=f"{MOST_PICTURES:,}"))
    how = loading(options)
    values = {option.name: getattr(options, option.argument) for option in STUDY}
    settings = build_settings(CommonSettings, {**defaults(), **values, "width": width, "height": height})
    name = cluster_device or device(options.device, has_cuda())
    return StudyJob(models, settings, plan, name, Path(options.out), how)


def skips_of(text: str | None, sizes: Sizes, published_skip: float) -> tuple[float, ...]:
    """The clip skips of a checkpoint, in order; the published one is always among them."""
    deepest = max(one.layers for one in sizes.texts)
    skips: Sequence[float] = parse_axis(text or f"{published_skip:g}-{deepest}", "--skips", 1, deepest)
    return tuple(sorted({published_skip, *skips}))
