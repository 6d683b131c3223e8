"""The panel's settings: one description of its fields, from which the widgets,
the API's arguments and errors, and the infotext keys are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clip_skip.skip import Skip, brief, check, format, shorten

__all__ = ["DEEPEST", "FIELDS", "TITLE", "Field", "Panel", "check_depth", "read", "restored", "settled"]

TITLE = "Clip Skip"
DEEPEST = 32.0
"""The layers of the largest text encoder, OpenCLIP ViT-bigG/14."""

EXAMPLE = '{"enabled": true, "clip_skip": 2}'


@dataclass(frozen=True)
class Field:
    """One slider. `same` names what 0 stands for; a field without it has no 0.

    Values up to DEEPEST are taken; `shown` is where the slider ends for SD1 and SDXL.
    """

    name: str
    label: str
    infotext: str
    default: float
    shown: float
    same: str = ""

    @property
    def maximum(self) -> float:
        return DEEPEST

    @property
    def minimum(self) -> float:
        return 0.0 if self.same else 1.0

    @property
    def info(self) -> str | None:
        """What stands below the label."""
        return f"0 = {self.same}" if self.same else None


FIELDS = (
    Field("clip_skip", "Clip skip", "Clip skip panel", 1.0, 12.0),
    Field("negative", "Negative prompt", "Clip skip negative", 0.0, 12.0, "same as prompt"),
    Field("hires", "Hires pass", "Clip skip hires", 0.0, 12.0, "same as first pass"),
    Field("clip_g", "CLIP-G (SDXL)", "Clip skip G", 0.0, 32.0, "same as CLIP-L"),
)


@dataclass(frozen=True)
class Panel:
    """What the panel is set to. 0 is "same as ..."; a fraction lies between two layers."""

    enabled: bool = False
    clip_skip: float = 1.0
    negative: float = 0.0
    hires: float = 0.0
    clip_g: float = 0.0

    @classmethod
    def from_args(cls, args: Sequence[Any]) -> Panel:
        """The panel from a script's arguments: one mapping, or the values in order.

        A value that is not given has its default. ValueError names the field
        that has a wrong name, type or range.
        """
        names = ["enabled", *(field.name for field in FIELDS)]
        given = dict(args[0]) if args and isinstance(args[0], Mapping) else dict(zip(names, args))
        for name in given:
            if name not in names:
                raise ValueError(f"{shorten(str(name))} is not a field; the fields are {', '.join(names)}")
        if not isinstance(given.get("enabled", False), bool):
            expected = f"expected are one object, {EXAMPLE}, or the values of {', '.join(names)} in this order"
            raise ValueError(f"enabled: {shorten(str(given['enabled']))} is neither true nor false; {expected}")
        return cls(
            bool(given.get("enabled", False)),
            **{field.name: read(field, given[field.name]) for field in FIELDS if field.name in given},
        )

    def check_depth(self, layers: int | None) -> None:
        """ValueError names the field that is deeper than `layers`; None is any depth."""
        for field in FIELDS:
            if field.name != "clip_g":
                check_depth(field.name, getattr(self, field.name), layers, field.minimum)

    def skips(self) -> tuple[Skip, Skip]:
        """What the panel asks for in the prompt and in the negative prompt."""
        prompt = Skip(self.clip_skip, g=self.clip_g or None, hires=self.hires or None)
        negative = Skip(self.negative or self.clip_skip, g=self.clip_g or None, hires=self.hires or None)
        return prompt, negative

    def infotext(self) -> dict[str, str]:
        """The infotext entries that restore the panel; none when it is off."""
        if not self.enabled:
            return {}
        values = {field.infotext: getattr(self, field.name) for field in FIELDS}
        return {key: format(value) for key, value in values.items() if value}


def settled(args: Sequence[Any]) -> list[Any]:
    """The values of the page's sliders, in order: between 0 and 1 there is nothing, so it is 0, or 1 without a 0."""
    enabled, *values = args or [False]
    pairs = zip(values, FIELDS)
    return [enabled, *(field.minimum if is_between(value) else value for value, field in pairs)]


def is_between(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1


def check_depth(field: str, value: float, layers: int | None, least: float = 1.0) -> None:
    """ValueError if `value` of `field` is deeper than the `layers` of the loaded model; None is any depth."""
    if layers is not None and value > layers:
        raise ValueError(
            f"{field}: {brief(value)} is not from {format(least)} to {layers}, the layers of the loaded model"
        )


def read(field: Field, value: Any) -> float:
    """`value` for `field`, checked. None is 0, "same as ..."."""
    if field.same and (value is None or (value == 0 and not isinstance(value, bool))):
        return 0.0
    try:
        number = check(value)
    except ValueError as error:
        raise ValueError(f"{field.name}: {error}") from None
    if value < 0 or number > field.maximum:
        raise ValueError(f"{field.name}: {brief(value)} is not from {format(field.minimum)} to {format(field.maximum)}")
    return number


def restored(field: Field, infotext: Mapping[str, str]) -> float | None:
    """The value of `field` that `infotext` restores, or None when it has no panel."""
    if FIELDS[0].infotext not in infotext:
        return None
    try:
        return read(field, float(infotext.get(field.infotext, field.default)))
    except ValueError:
        return field.default
