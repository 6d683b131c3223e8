"""The fields of the sweep: one description for its widgets, API arguments and infotext."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from clip_skip.panel import DEEPEST
from clip_skip.prompt.override import Override
from clip_skip.skip import shorten
from clip_skip.sweep import rows
from clip_skip.sweep.axis import SweepError, parse_axis
from clip_skip.sweep.plan import Cell, Plan
from clip_skip.sweep.rows import CFG, KINDS, Kind

__all__ = ["APPLY_TO", "COLUMNS", "INFOTEXT", "LABELS", "PASTED", "PLACEHOLDERS", "REFERENCE", "TITLE", "SweepSettings"]

TITLE = "Clip skip sweep"

APPLY_TO = {"both": "Prompt and negative prompt", "prompt": "Prompt", "negative": "Negative prompt"}

COLUMNS = {"clip_skip": "Clip skip", "clip_l": "Clip skip of CLIP-L alone (SDXL)"}

ROWS = {kind.name: kind.label for kind in KINDS.values()}

ROW_VALUES = "row_values"
"""What the API may call the values of the rows, whatever their kind."""

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
    "rows": "Rows",
    "seeds": "Seeds",
    "negative_skips": "Clip skips of the negative prompt",
    "clip_g_skips": "Clip skips of CLIP-G",
    "hires_skips": "Clip skips of the hires pass",
    "replacements": "Text to replace, and what takes its place",
    "lora_weights": "LoRA weights",
    "columns": "Columns",
}

PLACEHOLDERS = {
    "clip_skips": "1-12, 1-3 (+0.5), 1-12 [4]",
    "cfg_scales": "4, 7, 11",
    "seeds": "1-8, -1 (-1 = random)",
    "negative_skips": "1-12",
    "clip_g_skips": "1-32 [8]",
    "hires_skips": "1-12",
    "replacements": "cow, horse, red hen",
    "lora_weights": "0-1 (+0.25), name: 0, 0.5, 1",
}
"""Examples of what the texts may be."""

INFOTEXT = {
    "clip_skips": "Sweep clip skips",
    "cfg_scales": "Sweep CFG scales",
    "apply_to": "Sweep apply to",
}

INFOTEXT_ROWS = ("Sweep rows", "Sweep row values")
"""The kind of the rows and their values, where they are not CFG scales."""

INFOTEXT_COLUMNS = "Sweep columns"

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


KINDS_OF_VALUES = {str: "a text", int: "a whole number", bool: "true or false"}


@dataclass(frozen=True)
class SweepSettings:
    """What the sweep is set to. The axes are texts, as `parse_axis` and `rows.read` take them.

    Each kind of rows has a text of its own; `rows` says which one counts.
    """

    clip_skips: str = "1-12"
    cfg_scales: str = "4, 7, 11"
    apply_to: str = "both"
    cells_per_batch: int = 0
    legend: bool = True
    include_cells: bool = True
    save_cells: bool = False
    margin: int = 0
    report: bool = False
    rows: str = CFG.name
    seeds: str = "1-4"
    negative_skips: str = "1-12"
    clip_g_skips: str = "1, 2, 4, 8, 16, 32"
    hires_skips: str = "1-12"
    replacements: str = ""
    lora_weights: str = "0-1 (+0.25)"
    columns: str = "clip_skip"

    @classmethod
    def from_args(cls, args: Sequence[Any]) -> SweepSettings:
        """The settings from a script's arguments: one mapping, or the values in order.

        None is "not given". ValueError names the field that is wrong.
        """
        names = [field.name for field in fields(cls)]
        given = dict(args[0]) if args and isinstance(args[0], Mapping) else dict(zip(names, args))
        if given.get(ROW_VALUES) is not None:
            kind = KINDS[read("rows", given.get("rows") or CFG.name)]
            given[kind.field] = read(kind.field, given.pop(ROW_VALUES), ROW_VALUES)
        for name in given:
            if name not in (*names, ROW_VALUES):
                listed = ", ".join((*names, ROW_VALUES))
                raise ValueError(f"{shorten(str(name))} is not a field; the fields are {listed}")
        given.pop(ROW_VALUES, None)
        return cls(**{name: read(name, value) for name, value in given.items() if value is not None})

    @staticmethod
    def names(args: Sequence[Any]) -> dict[str, str]:
        """What the API calls the fields where `args` are given: by their names, and rows' values as they are there."""
        names = dict(zip(LABELS, LABELS))
        if args and isinstance(args[0], Mapping) and ROW_VALUES in args[0]:
            names.update({kind.field: ROW_VALUES for kind in KINDS.values()})
        return names

    @property
    def kind(self) -> Kind:
        return KINDS[self.rows]

    @property
    def towers_apart(self) -> bool:
        """Whether the columns are CLIP-L's alone."""
        return self.columns == "clip_l" or self.rows == "clip_g"

    @property
    def row_values(self) -> str:
        """The text of the rows' values."""
        return str(getattr(self, self.kind.field))

    def plan(self, towers: Mapping[str, int] | None = None, names: Mapping[str, str] = LABELS) -> Plan:
        """The cells. SweepError, a ValueError, names the axis and the part that is wrong.

        towers: the layers of each text encoder of the loaded model, deeper than which no clip skip may be; None is
                not known, none is a model on which clip skip has no effect.
        names:  what to call the fields.
        """
        of_l = self.towers_apart
        field = names["columns" if self.columns == "clip_l" else "rows"]
        if of_l and towers is not None and not {"l", "g"} <= towers.keys():
            raise SweepError(f"{field}: the loaded model has not both CLIP-L and CLIP-G, as SDXL has")
        if self.rows == "negative" and self.apply_to == "negative":
            raise SweepError(f"{names['apply_to']}: the rows are the negative prompt's, so the columns cannot be")
        deepest = max((towers or {}).values(), default=DEEPEST)
        return Plan(
            parse_axis(self.clip_skips, names["clip_skips"], 1, (towers or {}).get("l", deepest) if of_l else deepest),
            rows.read(self.kind, self.row_values, names[self.kind.field], towers),
            self.columns,
        )

    def values(self, plan: Plan) -> dict[str, set[float]]:
        """Every clip skip of `plan`, by the tower of the text encoder that it is for."""
        skips = set(plan.clip_skips)
        numbers = set(map(float, plan.rows.values)) if self.rows in ("negative", "hires", "clip_g") else set()
        of_l = skips if self.rows == "clip_g" else skips | numbers
        return {"l": of_l, "h": of_l, "g": numbers if self.towers_apart else of_l}

    def override(self, cell: Cell) -> Override:
        """What `cell` sets."""
        number = cell.value if isinstance(cell.value, (int, float)) else None
        only_prompt = self.apply_to == "prompt" or self.rows == "negative"
        negative = number if self.rows == "negative" else None if only_prompt else cell.clip_skip
        return Override(
            prompt=None if self.apply_to == "negative" else cell.clip_skip,
            negative=negative,
            hires=number if self.rows == "hires" else None,
            clip_g=number if self.rows == "clip_g" else None,
            keep_g=self.columns == "clip_l",
        )

    @classmethod
    def pasted(cls, infotext: Mapping[str, Any]) -> dict[str, str]:
        """What an infotext says of the fields in `PASTED`; nothing where it is no sweep's."""
        if INFOTEXT["clip_skips"] not in infotext:
            return {}
        said = {name: infotext[key] for name, key in INFOTEXT.items() if key in infotext}
        kind = KINDS.get(infotext.get(INFOTEXT_ROWS[0], ""), CFG)
        if kind != CFG and INFOTEXT_ROWS[1] in infotext:
            said[kind.field] = infotext[INFOTEXT_ROWS[1]]
        return {**said, "rows": kind.name, "columns": infotext.get(INFOTEXT_COLUMNS, cls.columns)}

    def infotext(self) -> dict[str, str]:
        """The entries of the grid's infotext that restore the sweep."""
        said = {key: str(getattr(self, name)) for name, key in INFOTEXT.items()}
        if self.kind != CFG:
            del said[INFOTEXT["cfg_scales"]]
            said.update(zip(INFOTEXT_ROWS, (self.rows, self.row_values)))
        return said if self.columns == SweepSettings.columns else {**said, INFOTEXT_COLUMNS: self.columns}


PASTED = (*INFOTEXT, "rows", "columns", *(kind.field for kind in KINDS.values() if kind != CFG))
"""The fields that an infotext restores."""

CHOICES = {"apply_to": APPLY_TO, "rows": ROWS, "columns": COLUMNS}
"""The fields that are one of several: each by its name in the API, and what the page calls it."""


def read(name: str, value: Any, called: str = "") -> Any:
    """`value` of the field `name`, checked; ValueError names the field, or what it was `called`."""
    called = called or name
    kind = type(getattr(SweepSettings, name))
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not kind:
        raise ValueError(f"{called}: {shorten(str(value))} is not {KINDS_OF_VALUES[kind]}")
    if kind is int and not 0 <= value <= 1000:
        raise ValueError(f"{called}: {shorten(str(value))[1:-1]} is not from 0 to 1000")
    if name in CHOICES:
        chosen = next((short for short, label in CHOICES[name].items() if value in (short, label)), None)
        if chosen is None:
            raise ValueError(f"{called}: it must be one of {', '.join(CHOICES[name])}")
        return chosen
    return value
