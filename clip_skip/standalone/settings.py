"""The settings that pictures share, and the infotext that reproduces a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from clip_skip import skip
from clip_skip.messages.message import Template, Value
from clip_skip.pictures.infotext import write_infotext
from clip_skip.prompt import tags
from clip_skip.prompt.parsed import parse_negative, parse_prompt
from clip_skip.prompt.precedence import prompt_tag, without_prompt_tag
from clip_skip.skip import Skip
from clip_skip.standalone.engine.shots import Hires, SamplingOptions, Shot
from clip_skip.standalone.option_kinds import FieldError
from clip_skip.standalone.options import OPTIONS
from clip_skip.standalone.pictures import infotext
from clip_skip.standalone.sampling.samplers import in_two

__all__ = ["CommonSettings", "Settings", "build_settings"]

LARGEST = 8192
"""The longest side, in pixels, that a hires pass may enlarge a picture to."""

SIZE_TOO_LARGE = Template("{size} is more than {most}")

S = TypeVar("S", bound="CommonSettings")


@dataclass(frozen=True, kw_only=True)
class CommonSettings(SamplingOptions):
    """The settings of all pictures of a study."""

    negative: str = ""
    emphasis: str = "Original"


@dataclass(frozen=True, kw_only=True)
class Settings(CommonSettings):
    """The settings of all cells of a sweep, or of a single picture.

    model:     the name of the checkpoint
    cfg_scale: of all cells, unless the rows are CFG scales
    family:    that of the checkpoint: SD1, SD2 or SDXL
    """

    model: str
    prompt: str
    seed: int
    cfg_scale: float = 7.0
    family: str = "SD1"

    def infotext(self, shot: Shot) -> str:
        """The infotext that reproduces `shot` when pasted, in AUTOMATIC1111's format.

        `Clip skip` is only written for SD1 (on SD2 and SDXL it has no effect there) and if one integer holds for the
        whole picture (a WebUI without this extension reads nothing else); everything else is a tag.
        """
        prompt, whole = shot.prompt.lstrip(), None
        if shot.clip_skip is not None:
            shot_skip = Skip(shot.clip_skip, g=shot.clip_skip_g, hires=shot.hires_clip_skip)
            if shot.hires_clip_skip is None and (tag := prompt_tag(shot.prompt)):
                shot_skip = replace(shot_skip, hires=tag.hires)
            prompt = parse_prompt(without_prompt_tag(shot.prompt)).without_bad_tags.lstrip()
            if self.family == "SD1" and shot_skip == Skip(shot.clip_skip) and shot.clip_skip.is_integer():
                whole = shot_skip
            else:
                prompt = f"<clipskip:{shot_skip}>{prompt}"
        if shot.negative_clip_skip is not None:
            negative = f"<clipskip:{skip.format_skip(shot.negative_clip_skip)}>{tags.strip(shot.negative)}"
        else:
            negative = parse_negative(shot.negative).without_bad_tags.lstrip()
        sampler, schedule = in_two(self.sampler)
        values: dict[str, object] = {
            "Steps": self.steps,
            "Sampler": sampler,
            "Schedule type": schedule,
            "CFG scale": f"{shot.cfg_scale:g}",
            "Seed": shot.seed,
            "Size": f"{self.width}x{self.height}",
            "Model": self.model,
        }
        for option in OPTIONS:
            if option.left_out_by_default and getattr(self, option.name) != option.default:
                samplers = [self.sampler, self.hires.sampler or self.sampler] if self.hires else [self.sampler]
                values |= {option.key(sampler): getattr(self, option.name) for sampler in samplers}
        if whole:
            values["Clip skip"] = whole
        if self.hires:
            values |= infotext.of_hires(self.hires)
        values["RNG"] = "CPU" if self.noise == "CPU" else "NV"  # a GPU's noise, on any device
        return write_infotext(prompt, negative, infotext.parameters(values))


def build_settings(kind: type[S], values: Mapping[str, Any], hires_field: Value = "", **more: Any) -> S:
    """Settings of the class `kind` from the checked `values` of all options; more: its fields that are not options.

    Raises `FieldError`, in the field `hires_field`, if the hires pass makes the picture too large.
    """
    own = {one.name: values[one.name] for one in fields(kind) if one.name in values}
    settings = kind(**{**own, "hires": hires_of(values), **more})
    if settings.hires:
        width, height = settings.hires.size(settings.width, settings.height)
        if max(width, height) > LARGEST:
            problem = SIZE_TOO_LARGE(size=f"{width}x{height}", most=LARGEST)
            raise FieldError.of(hires_field or Template("Hires. fix"), problem)
    return settings


def hires_of(values: Mapping[str, Any]) -> Hires | None:
    """The hires pass of the values of all options, if there is one."""
    if not values["hires"]:
        return None
    size = values["resize_width"], values["resize_height"]
    own = {option.hires: values[option.name] for option in OPTIONS if option.hires}
    return Hires(**{**own, "resize": size if any(size) else None})
