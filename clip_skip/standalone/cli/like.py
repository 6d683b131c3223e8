"""`--like PICTURE`: arguments that are not given are taken from the picture's infotext."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from clip_skip import skip
from clip_skip.messages.message import Message, Template, reason
from clip_skip.prompt.precedence import prompt_tag
from clip_skip.standalone.cli import arguments as shared
from clip_skip.standalone.demo.model import CHECKPOINT
from clip_skip.standalone.models.header import CheckpointError, inspect
from clip_skip.standalone.models.sizes import FAMILY_NATIVE
from clip_skip.standalone.option_kinds import FieldError
from clip_skip.standalone.options import OPTIONS
from clip_skip.standalone.pictures import recipe
from clip_skip.standalone.pictures.checkpoint import model_name
from clip_skip.standalone.pictures.infotext import Infotext, InfotextError, read

__all__ = ["fill_from_picture"]

WHERE_IS_IT = Template("the picture was made with {name}: give its folder with --models or its file with --model")


def fill_from_picture(arguments: argparse.Namespace) -> tuple[Mapping[str, Any], list[Message | str]]:
    """The options' values of the picture `arguments.like`, and warnings about settings that can't be reproduced.

    The model, and the axes for this one picture, are put into `arguments` where these are None.
    Raises `ArgumentError`.
    """
    try:
        infotext = read(arguments.like)
        picture_recipe = recipe.of(infotext)
        names = {option.name for option in OPTIONS if getattr(arguments, option.argument, None) is not None}
        warnings: list[Message | str] = list(picture_recipe.warnings_unless(names))
        options = check_options(picture_recipe.options, names | {"width", "height"} if arguments.size else names)
        if arguments.model is None:
            arguments.model, about_model = model(infotext, arguments.models)
            warnings += [about_model] if about_model else []
        family = inspect(shared.checkpoint(arguments.model)).family
    except (InfotextError, FieldError, CheckpointError, OSError) as error:
        raise shared.ArgumentError.of("--like", reason(error)) from error
    axes, about_skip = axes_of(picture_recipe, family)
    if arguments.skips is not None:
        about_skip = []
    for name, value in axes.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return options, [*warnings, *about_skip]


def check_options(values: Mapping[str, Any], given_names: Collection[str]) -> dict[str, Any]:
    """`values`, the picture's, of which those not in `given_names` are checked. Raises `FieldError`."""
    own = {
        one.name: one.check(values[one.name]) for one in OPTIONS if one.name in values and one.name not in given_names
    }
    return {**values, **own}


def model(infotext: Infotext, folder: Path | None) -> tuple[str, Message | None]:
    """The `--model` for the picture, and a message if its hash differs. Raises `InfotextError`."""
    if folder is not None:
        from tqdm import tqdm

        each = lambda files: tqdm(files, desc="read", unit="file", leave=False, disable=None)
        path, message = recipe.checkpoint(infotext, sorted(folder.rglob("*.safetensors")), str(folder), each)
        return str(path), message
    if model_name(infotext).name == CHECKPOINT.stem:
        return "demo", None
    raise InfotextError(WHERE_IS_IT(name=skip.shorten(infotext.parameters.get("Model", ""))))


def axes_of(picture_recipe: recipe.Recipe, family: str) -> tuple[dict[str, str], list[Message | str]]:
    """The arguments of the axes, and a message where the picture's clip skip had no effect or isn't shared."""
    clip_skip, warnings = picture_recipe.clip_skip(family)
    axes = {"skips": skip.format_skip(clip_skip)}
    if "cfg_scale" in picture_recipe.options:
        axes["cfg"] = f"{picture_recipe.options['cfg_scale']:g}"
    tag = prompt_tag(picture_recipe.options["prompt"])
    if family == "SDXL" and tag and tag.at("g", False) != tag.at("l", False):  # a value for each encoder
        g = tag.at("g", False)
        axes |= {"rows": "clip_g", "row_values": skip.format_skip(FAMILY_NATIVE[family] if g is None else g)}
    return axes, warnings
