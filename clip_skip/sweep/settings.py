"""The fields of the sweep: one description for its widgets, API arguments and infotext."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from clip_skip.override import Override
from clip_skip.panel import DEEPEST
from clip_skip.skip import shorten
from clip_skip.sweep.plan import Plan, parse_axis

__all__ = ["APPLY_TO", "INFOTEXT", "LABELS", "REFERENCE", "TITLE", "SweepSettings"]

TITLE = "Clip skip sweep"

APPLY_TO = {"both": "Prompt and negative prompt", "prompt": "Prompt", "negative": "Negative prompt"}

LABELS = {
    "clip_skips": "Clip skips",
    "cfg_scales": "CFG scales",
    "apply_to": "Apply to",
    "cells_per_batch": "Cells per batch (0 = automatic)",
    "legend": "Draw legend",
    "include_cells": "Include cell pictures",
    "save_cells": "Save cell pictures and a page to view them",
    "margin": "Margin in pixels",
    "report": "Report",
}

INFOTEXT = {
    "clip_skips": "Sweep clip skips",
    "cfg_scales": "Sweep CFG scales",
    "apply_to": "Sweep apply to",
}

REFERENCE = {
    "prompt": (
        "best quality,masterpiece,illustration,beautiful detailed glow,textile shading,absurdres,highres,"
        "dynamic lighting,intricate detailed,beautiful eyes,\nBREAK,\n[backlighting],face lighting,(pov:1.3),\n"
        "BREAK,\n(1 girl, solo:1.5),asymmetric bang,black hair,(smile),(jeans pants and shirts)"
    ),
    "seed": 2881122569,
    "steps": 30,
    "sampling": "DPM++ 2M",
    "scheduler": "Karras",
}
"""The rest of the sweep that made people curious, by what the host calls the fields."""


KINDS = {str: "a text", int: "a whole number", bool: "true or false"}


@dataclass(frozen=True)
class SweepSettings:
    """What the sweep is set to. The two axes are texts, as `sweep.parse_axis` reads them."""

    clip_skips: str = "1-12"
    cfg_scales: str = "4, 7, 11"
    apply_to: str = "both"
    cells_per_batch: int = 0
    legend: bool = True
    include_cells: bool = True
    save_cells: bool = False
    margin: int = 0
    report: bool = False

    @classmethod
    def from_args(cls, args: Sequence[Any]) -> SweepSettings:
        """The settings from a script's arguments: one mapping, or the values in order.

        None is "not given". ValueError names the field that is wrong.
        """
        names = [field.name for field in fields(cls)]
        given = dict(args[0]) if args and isinstance(args[0], Mapping) else dict(zip(names, args))
        for name in given:
            if name not in names:
                raise ValueError(f"{shorten(str(name))} is not a field; the fields are {', '.join(names)}")
        return cls(**{name: read(name, value) for name, value in given.items() if value is not None})

    def plan(self, layers: int | None = None, names: Mapping[str, str] = LABELS) -> Plan:
        """The cells. SweepError, a ValueError, names the axis and the part that is wrong.

        layers: those of the loaded model, deeper than which no clip skip may be; None is not known.
        names:  what to call the fields.
        """
        return Plan(
            parse_axis(self.clip_skips, names["clip_skips"], 1, layers or DEEPEST),
            parse_axis(self.cfg_scales, names["cfg_scales"], 0, 100),
        )

    def override(self, clip_skip: float) -> Override:
        """What a cell at `clip_skip` sets."""
        return Override(
            prompt=None if self.apply_to == "negative" else clip_skip,
            negative=None if self.apply_to == "prompt" else clip_skip,
        )

    def infotext(self) -> dict[str, str]:
        """The entries of the grid's infotext that restore the sweep."""
        return {key: str(getattr(self, name)) for name, key in INFOTEXT.items()}


def read(name: str, value: Any) -> Any:
    """`value` of the field `name`, checked; ValueError names the field."""
    kind = type(getattr(SweepSettings, name))
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not kind:
        raise ValueError(f"{name}: {shorten(str(value))} is not {KINDS[kind]}")
    if kind is int and not 0 <= value <= 1000:
        raise ValueError(f"{name}: {shorten(str(value))[1:-1]} is not from 0 to 1000")
    if name == "apply_to":
        value = next((short for short, label in APPLY_TO.items() if value in (short, label)), None)
        if value is None:
            raise ValueError(f"apply_to: it must be one of {', '.join(APPLY_TO)}")
    return value
