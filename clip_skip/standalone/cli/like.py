"""`--like PICTURE`: what an infotext says takes the place of the arguments that are not given."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from clip_skip import skip
from clip_skip.messages.message import FIELD_PROBLEM, Message, Template, reason
from clip_skip.prompt.precedence import prompt_tag
from clip_skip.standalone.cli import arguments as known
from clip_skip.standalone.demo.model import CHECKPOINT
from clip_skip.standalone.models.header import CheckpointError, inspect
from clip_skip.standalone.models.sizes import NATIVE
from clip_skip.standalone.pictures import recipe
from clip_skip.standalone.pictures.checkpoint import model_name
from clip_skip.standalone.pictures.infotext import Infotext, InfotextError, read

__all__ = ["fill"]

NO_FOLDER = Template("the picture was made with {model}: --models or --model must say where that is")


def fill(arguments: argparse.Namespace) -> list[Message | Template]:
    """Put what the picture `arguments.like` was made with into `arguments` where these are None.

    Returns messages about what cannot be made again. Raises `ArgumentError`.
    """
    about_model: Message | None = None
    try:
        infotext = read(arguments.like)
        wanted = recipe.of(infotext)
        if arguments.model is None:
            arguments.model, about_model = model(infotext, arguments.models)
        family = inspect(known.checkpoint(arguments.model)).family
    except (InfotextError, CheckpointError, OSError) as error:
        raise known.ArgumentError(str(FIELD_PROBLEM(field="--like", problem=reason(error)))) from error
    given = [name for name, value in vars(arguments).items() if value is not None]
    values, about_skip = values_of(wanted, family)
    for name, value in values.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    messages = [*wanted.messages(given), *([about_model] if about_model else [])]
    return messages if "skips" in given else [*messages, *about_skip]


def model(infotext: Infotext, folder: Path | None) -> tuple[str, Message | None]:
    """What `--model` is for the picture, and a message if its hash is another. Raises `InfotextError`."""
    if folder is not None:
        path, message = recipe.checkpoint(infotext, sorted(folder.rglob("*.safetensors")), str(folder))
        return str(path), message
    if model_name(infotext).name == CHECKPOINT.stem:
        return "demo", None
    raise InfotextError(NO_FOLDER(model=skip.shorten(infotext.parameters.get("Model", ""))))


def values_of(wanted: recipe.Recipe, family: str) -> tuple[dict[str, Any], list[Message | Template]]:
    """The other arguments, and a message where the picture's clip skip had no effect or isn't known."""
    clip_skip, about_skip = wanted.clip_skip(family)
    values: dict[str, Any] = {
        "prompt": wanted.prompt,
        "negative": wanted.negative,
        "cfg": None if wanted.cfg_scale is None else f"{wanted.cfg_scale:g}",
        "seed": wanted.seed,
        "steps": wanted.steps,
        "size": wanted.size and "{}x{}".format(*wanted.size),
        "sampler": wanted.sampler,
        "emphasis": wanted.emphasis,
        "noise": wanted.noise,
        "skips": skip.format(clip_skip),
    }
    tag = prompt_tag(wanted.prompt)
    if family == "SDXL" and tag and tag.at("g", False) != tag.at("l", False):  # each encoder its own
        g = tag.at("g", False)
        values |= {"rows": "clip_g", "row_values": skip.format(NATIVE[family] if g is None else g)}
    if hires := wanted.hires:
        values |= {
            "hires": f"{hires.scale:g}" if hires.resize is None else "{}x{}".format(*hires.resize),
            "hires_upscaler": hires.upscaler,
            "hires_steps": hires.steps,
            "hires_sampler": hires.sampler,
            "hires_cfg": hires.cfg_scale,
            "hires_prompt": hires.prompt,
            "hires_negative": hires.negative,
            "denoising": hires.denoising,
        }
    return values, about_skip
