"""The panel's settings: one description of its fields, the source of the widgets, the API's arguments and errors, and
the infotext keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clip_skip.messages.message import FIELD_PROBLEM, MessageError, Template, reason
from clip_skip.skip import Skip, check, format_skip, shorten, shorten_skip

__all__ = ["DEEPEST", "FIELDS", "TITLE", "Field", "Panel", "check_depth", "parse_field", "restored", "settled"]

TITLE = "Clip Skip"
DEEPEST = 32.0
"""The layers of the largest text encoder, OpenCLIP ViT-bigG/14."""

EXAMPLE = '{"enabled": true, "clip_skip": 2}'

UNKNOWN_FIELD = Template("{name} is not a field; the fields are {names}")
NOT_A_SWITCH = Template(
    "{value} is neither true nor false; expected are one object, {example}, or the values of {names} in this order"
)
OUT_OF_RANGE = Template("{value} is not from {low} to {high}")
PANEL_TOO_DEEP = Template("{value} is too deep: the loaded model has {layers} layers")


@dataclass(frozen=True)
class Field:
    """One slider. `info`, below its label, explains the value 0; a field without it does not accept 0.

    Values up to DEEPEST are accepted; `slider_end` is the slider's maximum for SD1 and SDXL.
    """

    name: str
    label: str
    infotext: str
    default: float
    slider_end: float
    info: str = ""

    @property
    def maximum(self) -> float:
        return DEEPEST

    @property
    def minimum(self) -> float:
        return 0.0 if self.info else 1.0


FIELDS = (
    Field("clip_skip", "Clip skip", "Clip skip panel", 1.0, 12.0),
    Field("negative", "Negative prompt", "Clip skip negative", 0.0, 12.0, "0 = same as prompt"),
    Field("hires", "Hires pass", "Clip skip hires", 0.0, 12.0, "0 = same as first pass"),
    Field("clip_g", "CLIP-G (SDXL)", "Clip skip G", 0.0, 32.0, "0 = same as CLIP-L"),
)


@dataclass(frozen=True)
class Panel:
    """The settings of the panel. 0 is "same as ..."; a fraction lies between two layers."""

    enabled: bool = False
    clip_skip: float = 1.0
    negative: float = 0.0
    hires: float = 0.0
    clip_g: float = 0.0

    @classmethod
    def from_args(cls, args: Sequence[Any]) -> Panel:
        """The panel from a script's arguments: one mapping, or the values in order.

        A missing value has its default. MessageError names the field
        that has a wrong name, type or range.
        """
        names = ["enabled", *(field.name for field in FIELDS)]
        values = dict(args[0]) if args and isinstance(args[0], Mapping) else dict(zip(names, args))
        for name in values:
            if name not in names:
                raise MessageError(UNKNOWN_FIELD(name=shorten(str(name)), names=", ".join(names)))
        if not isinstance(values.get("enabled", False), bool):
            value = shorten(str(values["enabled"]))
            problem = NOT_A_SWITCH(value=value, example=EXAMPLE, names=", ".join(names))
            raise MessageError(FIELD_PROBLEM(field="enabled", problem=problem))
        return cls(
            bool(values.get("enabled", False)),
            **{field.name: parse_field(field, values[field.name]) for field in FIELDS if field.name in values},
        )

    def check_depth(self, layers: int | None) -> None:
        """MessageError names the field that is deeper than `layers`; None is any depth."""
        for field in FIELDS:
            if field.name != "clip_g":
                check_depth(field.name, getattr(self, field.name), layers)

    def skips(self) -> tuple[Skip, Skip]:
        """The panel's values for the prompt and for the negative prompt."""
        prompt = Skip(self.clip_skip, g=self.clip_g or None, hires=self.hires or None)
        negative = Skip(self.negative or self.clip_skip, g=self.clip_g or None, hires=self.hires or None)
        return prompt, negative

    def infotext(self) -> dict[str, str]:
        """The infotext entries that restore the panel; none when it is off."""
        if not self.enabled:
            return {}
        values = {field.infotext: getattr(self, field.name) for field in FIELDS}
        return {key: format_skip(value) for key, value in values.items() if value}


def settled(args: Sequence[Any]) -> list[Any]:
    """The values of the page's sliders, in order; one between 0 and 1 becomes the slider's minimum."""
    enabled, *values = args or [False]
    pairs = zip(values, FIELDS)
    return [enabled, *(field.minimum if is_between(value) else value for value, field in pairs)]


def is_between(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1


def check_depth(field: str, value: float, layers: int | None) -> None:
    """MessageError if `value` of `field` is deeper than the `layers` of the loaded model; None is any depth."""
    if layers is not None and value > layers:
        raise MessageError(FIELD_PROBLEM(field=field, problem=PANEL_TOO_DEEP(value=shorten_skip(value), layers=layers)))


def parse_field(field: Field, value: Any) -> float:
    """`value` for `field`, checked. None is 0, "same as ..."."""
    if field.info and (value is None or (value == 0 and not isinstance(value, bool))):
        return 0.0
    try:
        number = check(value)
    except MessageError as error:
        raise MessageError(FIELD_PROBLEM(field=field.name, problem=reason(error))) from None
    if value < 0 or number > field.maximum:
        problem = OUT_OF_RANGE(
            value=shorten_skip(value), low=format_skip(field.minimum), high=format_skip(field.maximum)
        )
        raise MessageError(FIELD_PROBLEM(field=field.name, problem=problem))
    return number


def restored(field: Field, infotext: Mapping[str, str]) -> float | None:
    """The value of `field` that `infotext` restores, or None when it has no panel."""
    if FIELDS[0].infotext not in infotext:
        return None
    try:
        return parse_field(field, float(infotext.get(field.infotext, field.default)))
    except ValueError:
        return field.default
