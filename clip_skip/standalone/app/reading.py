"""The page's fields as settings, checked, and as an infotext says them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clip_skip import skip
from clip_skip.standalone.engine.loading import EMPHASES
from clip_skip.standalone.engine.shots import NOISES, UPSCALERS, Hires
from clip_skip.standalone.pictures.recipe import Recipe
from clip_skip.standalone.sampling.samplers import SAMPLERS
from clip_skip.standalone.settings import Settings

if TYPE_CHECKING:
    from clip_skip.standalone.app.checkpoints import Checkpoint

__all__ = ["LABELS", "SEED_LIMIT", "FieldError", "filled", "settings", "whole"]

SEED_LIMIT = 2**32 - 1

LABELS = {
    "prompt": "Prompt",
    "negative": "Negative prompt",
    "seed": "Seed (-1 = random)",
    "steps": "Steps",
    "width": "Width",
    "height": "Height",
    "sampler": "Sampler",
    "cfg_scale": "CFG scale",
    "emphasis": "Emphasis",
    "noise": "Noise from",
    "hires": "Hires. fix",
    "upscaler": "Upscaler",
    "scale": "Upscale by",
    "resize_width": "Resize width",
    "resize_height": "Resize height",
    "denoising": "Denoising strength",
    "hires_steps": "Hires steps",
    "hires_sampler": "Hires sampler",
    "hires_cfg_scale": "Hires CFG scale",
    "hires_prompt": "Hires prompt",
    "hires_negative": "Hires negative prompt",
}
"""The fields, by the names that they have here, and what the page calls them."""


class FieldError(ValueError):
    """A field that cannot be used; the message names it."""


def settings(given: Mapping[str, Any], checkpoint: Checkpoint) -> Settings:
    """The fields, checked. Seed -1 is a random one. Raises `FieldError`."""
    factor = checkpoint.sizes.vae_factor
    seed = whole("Seed", given["seed"], -1, SEED_LIMIT)
    width, height = (whole(LABELS[name], given[name], 64, 4096, factor) for name in ("width", "height"))
    return Settings(
        model=checkpoint.path.stem,
        prompt=given["prompt"],
        negative=given["negative"],
        seed=secrets.randbelow(SEED_LIMIT + 1) if seed == -1 else seed,
        steps=whole("Steps", given["steps"], 1, 1000),
        width=width,
        height=height,
        sampler=one_of("sampler", given["sampler"], SAMPLERS),
        cfg_scale=number("CFG scale", given["cfg_scale"], 0, 100),
        emphasis=one_of("emphasis", given["emphasis"], EMPHASES),
        hires=hires(given, width, height) if given["hires"] else None,
        noise=one_of("noise", given["noise"], NOISES),
        family=checkpoint.family,
    )


def hires(given: Mapping[str, Any], width: int, height: int) -> Hires:
    """The hires pass of a picture of this size. Raises `FieldError`."""
    wide, high = (whole(LABELS[name], given[name] or 0, 0, 4096) for name in ("resize_width", "resize_height"))
    made = Hires(
        scale=number(LABELS["scale"], given["scale"], 1, 8),
        resize=(wide, high) if wide or high else None,
        upscaler=one_of("upscaler", given["upscaler"], UPSCALERS),
        denoising=number(LABELS["denoising"], given["denoising"], 0.0001, 1),
        steps=whole(LABELS["hires_steps"], given["hires_steps"] or 0, 0, 1000),
        sampler=given["hires_sampler"] if given["hires_sampler"] in SAMPLERS else "",
        cfg_scale=number(LABELS["hires_cfg_scale"], given["hires_cfg_scale"] or 0, 0, 100) or None,
        prompt=given["hires_prompt"],
        negative=given["hires_negative"],
    )
    if max(made.size(width, height)) > 8192:
        raise FieldError("Hires. fix: {}x{} is more than 8192".format(*made.size(width, height)))
    return made


def filled(wanted: Recipe, family: str) -> tuple[dict[str, Any], list[str]]:
    """The fields as `wanted` has them, "slider" among them, and sentences. What it does not say is not there."""
    clip_skip, said = wanted.clip_skip(family)
    width, height = wanted.size or (None, None)
    values: dict[str, Any] = {
        "prompt": wanted.prompt,
        "negative": wanted.negative,
        "seed": wanted.seed,
        "steps": wanted.steps,
        "width": width,
        "height": height,
        "sampler": wanted.sampler,
        "cfg_scale": wanted.cfg_scale,
        "emphasis": wanted.emphasis,
        "noise": wanted.noise,
        "hires": wanted.hires is not None,
        "slider": clip_skip if clip_skip.is_integer() else None,
    }
    if second := wanted.hires:
        values |= {
            "upscaler": second.upscaler,
            "scale": second.scale,
            "resize_width": second.resize[0] if second.resize else 0,
            "resize_height": second.resize[1] if second.resize else 0,
            "denoising": second.denoising,
            "hires_steps": second.steps,
            "hires_sampler": second.sampler,
            "hires_cfg_scale": second.cfg_scale or 0,
            "hires_prompt": second.prompt,
            "hires_negative": second.negative,
        }
    return {name: value for name, value in values.items() if value is not None}, said


def one_of(name: str, value: Any, known: Any) -> str:
    if value not in known:
        raise FieldError(f"{LABELS[name]}: {skip.shorten(str(value))} is not among {', '.join(known)}")
    return str(value)


def number(field: str, value: Any, low: float, high: float) -> float:
    """`value` as a number in these bounds. Raises `FieldError`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FieldError(f"{field}: nothing is given")
    if not low <= value <= high:
        raise FieldError(f"{field}: {value:g} is outside {low} to {high}")
    return float(value)


def whole(field: str, value: Any, low: int, high: int, multiple: int = 1) -> int:
    """`value` as an integer in these bounds. Raises `FieldError`."""
    given = number(field, value, low, high)
    if not given.is_integer():
        raise FieldError(f"{field}: {given:g} is not a whole number")
    if given % multiple:
        raise FieldError(f"{field}: {given:g} is not a multiple of {multiple}")
    return int(given)
