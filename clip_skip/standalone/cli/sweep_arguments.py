"""The arguments of `clip-skip sweep`, and the job that they describe."""

from __future__ import annotations

import argparse
import dataclasses
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clip_skip.messages.message import Template
from clip_skip.skip import shorten
from clip_skip.standalone.cli.arguments import (
    ArgumentError,
    add_cluster,
    add_loading,
    add_options,
    check_folder,
    checkpoint,
    device,
    given_values,
    known_name,
    loading,
    size,
    sizes_for,
    within,
)
from clip_skip.standalone.models.sizes import FAMILY_TOWERS
from clip_skip.standalone.options import LAST_SEED, OPTIONS, defaults
from clip_skip.standalone.settings import Settings, build_settings
from clip_skip.standalone.sweep.job import ROWS, SweepJob
from clip_skip.sweep.axis import parse_axis
from clip_skip.sweep.plan import SweepPlan
from clip_skip.sweep.rows import CFG, ROW_KINDS, random_seeds
from clip_skip.sweep.settings import COLUMNS, SweepSettings

__all__ = ["add_arguments", "job_of"]

PROMPT_NEEDED = Template("required with your own model")
NO_HIRES = Template("there is no hires pass without --hires")
NO_HIRES_ROWS = Template("--rows hires requires --hires")
NO_SCALE = Template("{value} is neither a number nor a size")
ONE_CFG = Template("with --rows {rows} all pictures have one CFG scale, not {count}")
VALUES_NEEDED = Template("--rows prompt needs it: the text to replace, then its replacements, as in cow, horse, hen")


def add_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "--model",
        metavar="FILE",
        help="an SD1, SD2 or SDXL checkpoint (.safetensors); default: demo, the bundled one",
    )
    add("--like", type=Path, metavar="PICTURE", help="make this again: a WebUI's PNG, JPEG or WebP, or its infotext")
    add("--models", type=Path, metavar="DIR", help="where --like looks for the picture's checkpoint")
    add("--loras", type=Path, metavar="DIR", help="LoRAs that prompts may name: <lora:name:0.8>")
    add_loading(command)
    add("--skips", help="as in the X/Y/Z plot: 1-12, 1-3 (+0.5), 1-12 [4], 1, 2, 2.5; default: 1 to the model's layers")
    add("--cfg", help="CFG scales, in the same syntax; default: 4, 7, 11; with other --rows one value, default: 7")
    add("--rows", metavar=f"{{{','.join(ROWS)}}}", help=f"what differs between the rows; default: {CFG.name}")
    add("--row-values", metavar="VALUES", help="in the same syntax; seeds: 1-8, -1 is random; prompt: cow, horse, hen")
    columns = f"{{{','.join(COLUMNS)}}}"
    add("--columns", default="clip_skip", metavar=columns, help="clip_l: CLIP-L's alone (SDXL)")
    add("--size", help="512, or 512x768 (width, height); default: 512, for the demo 128")
    add("--hires", metavar="SCALE", help="hires pass: an upscale factor (1.5) or a size (1024x1536); 0 disables it")
    add_options(command, OPTIONS)
    add("--batch", type=int, default=0, help="cells per batch; default: chosen to fit the device")
    add("--device", help="cpu, cuda (or gpu), cuda:1; default: cuda if there is one")
    add("--out", type=Path, metavar="DIR", help="default: a folder of its own for each sweep, in sweeps/")
    add("--replace", action="store_true", help="overwrite a folder that contains another sweep")
    add("--report", action="store_true", help="also write report.png: how much each axis changes the picture")
    add_cluster(command)


def job_of(arguments: argparse.Namespace, cluster_device: str = "", like: Mapping[str, Any] | None = None) -> SweepJob:
    """The sweep that the arguments describe. like: the values of options without an argument.

    FieldError or SweepError names the argument that cannot be used.
    """
    within("--batch", arguments.batch, 0, 4096)
    rows = known_name("--rows", arguments.rows or CFG.name, ROWS)
    columns = known_name("--columns", arguments.columns, list(COLUMNS))
    path = checkpoint(arguments.model or "demo")
    check_folder("--models", arguments.models)
    values = option_values(arguments, like or {})
    sizes = sizes_for(path, values["width"], values["height"])
    if not values["prompt"] and arguments.prompt is None and like is None:
        raise ArgumentError.of("--prompt", PROMPT_NEEDED)
    if rows == "hires" and not values["hires"]:
        raise ArgumentError.of("--rows", NO_HIRES_ROWS)
    towers = dict(zip(FAMILY_TOWERS[sizes.family], (text.layers for text in sizes.texts)))
    plan = plan_of(arguments, rows, columns, towers)
    plan.rows.check("--row-values", values["prompt"], values["negative"])
    if plan.rows.kind != CFG:
        values["cfg_scale"] = one_cfg_scale(arguments.cfg, rows)
    how = loading(arguments)
    import torch  # slow, so not before the arguments are known to be good

    name = cluster_device or device(arguments.device, torch.cuda.is_available())
    settings = build_settings(Settings, values, "--hires", model=path.stem, family=sizes.family)
    job = SweepJob(path, settings, plan, name, arguments.batch, arguments.out, arguments.report, how)
    return job if arguments.out else dataclasses.replace(job, out=Path("sweeps") / job.name)


def option_values(arguments: argparse.Namespace, like: Mapping[str, Any]) -> dict[str, Any]:
    """The values of all options: from the arguments, else from `like`, else by default."""
    from_arguments = given_values(arguments, OPTIONS)
    if arguments.size:
        from_arguments["width"], from_arguments["height"] = size(arguments.size)
    if arguments.hires is not None:
        from_arguments |= hires_values(arguments.hires)
    values = {
        **defaults((arguments.model or "demo") == "demo"),
        **like,
        **from_arguments,
        "cfg_scale": Settings.cfg_scale,
    }
    if arguments.hires is None and not values["hires"]:
        for option in OPTIONS:
            if option.hires and option.name in from_arguments:
                raise ArgumentError.of(option.flag, NO_HIRES)
    if values["seed"] == -1:
        values["seed"] = secrets.randbelow(LAST_SEED + 1)
    return values


def hires_values(text: str) -> dict[str, Any]:
    """The value of `--hires`: a scale, or a size; 0 is none."""
    values: dict[str, Any] = {"hires": text != "0", "resize_width": 0, "resize_height": 0}
    if "x" in text.lower():
        values["resize_width"], values["resize_height"] = size(text, "--hires", 0)
    elif text != "0":
        try:
            scale = float(text)
        except ValueError:
            raise ArgumentError.of("--hires", NO_SCALE(value=shorten(text))) from None
        values["scale"] = next(option for option in OPTIONS if option.name == "scale").check(scale, "--hires")
    return values


def plan_of(arguments: argparse.Namespace, rows: str, columns: str, towers: dict[str, int]) -> SweepPlan:
    """The cells; `towers` has the layers of each text encoder."""
    kind = ROW_KINDS[rows]
    names = dict.fromkeys((one.field for one in ROW_KINDS.values()), "--row-values")
    names |= {"clip_skips": "--skips", "rows": "--rows", "columns": "--columns", "apply_to": "--rows"}
    values = arguments.row_values
    if values is None and kind.name == "prompt":
        raise ArgumentError.of("--row-values", VALUES_NEEDED)
    if kind == CFG and values is None:
        names[kind.field], values = "--cfg", arguments.cfg or SweepSettings.cfg_scales
    of_l = towers.get("l") if kind.name == "clip_g" or columns == "clip_l" else None
    fields = {"clip_skips": arguments.skips or f"1-{of_l or max(towers.values())}"}
    if values is not None:
        fields[kind.field] = random_seeds(values) if kind.name == "seed" else values
    settings = SweepSettings.from_args([{"rows": kind.name, "columns": columns, **fields}])
    return settings.plan(towers, names)


def one_cfg_scale(text: str | None, rows: str) -> float:
    scales = parse_axis(text or f"{Settings.cfg_scale:g}", "--cfg", 0, 100)
    if len(scales) > 1:
        raise ArgumentError.of("--cfg", ONE_CFG(rows=rows, count=len(scales)))
    return scales[0]
