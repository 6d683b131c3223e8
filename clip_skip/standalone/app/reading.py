"""The page's fields as checked settings, and from an infotext."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from clip_skip.messages.message import Message, Template
from clip_skip.standalone.app.checkpoints import Checkpoint
from clip_skip.standalone.option_kinds import Choice, Number
from clip_skip.standalone.options import LAST_SEED, OPTIONS, check_values
from clip_skip.standalone.pictures.recipe import Recipe
from clip_skip.standalone.settings import Settings, build_settings

__all__ = ["fields_of", "read_settings"]

EXACT = 2**53
"""A browser's numbers are exact up to here."""

SEED_TOO_LARGE = Template("This page's seed is exact up to {most} only: the picture's, {seed}, needs the command line.")


def read_settings(fields: Mapping[str, Any], checkpoint: Checkpoint) -> Settings:
    """The fields, checked. Seed -1 is a random one. Raises `FieldError`."""
    values = {option.name: fields[option.name] for option in OPTIONS}
    for option in OPTIONS:
        if isinstance(option.kind, Choice) and option.kind.none and values[option.name] not in option.kind.names:
            values[option.name] = ""  # on the page it has a name in the reader's language
    values = check_values(values, checkpoint.sizes.vae_factor)
    if values["seed"] == -1:
        values["seed"] = secrets.randbelow(LAST_SEED + 1)
    return build_settings(Settings, values, model=checkpoint.path.stem, family=checkpoint.family)


def fields_of(recipe: Recipe, family: str) -> tuple[dict[str, Any], list[Message | str]]:
    """The fields as `recipe` has them, "slider" among them, and messages. Absent settings are left out."""
    clip_skip, warnings = recipe.clip_skip(family)
    values = dict(recipe.options)
    for option in OPTIONS:
        if isinstance(option.kind, Number) and option.name in values and values[option.name] is None:
            values[option.name] = option.kind.none
    if values.get("seed", 0) > EXACT:
        warnings = [*warnings, SEED_TOO_LARGE(most=EXACT, seed=str(values.pop("seed")))]
    return {**values, **({"slider": clip_skip} if clip_skip.is_integer() else {})}, warnings
