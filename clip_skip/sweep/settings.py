"""The fields of the sweep: one description for its widgets, API arguments and infotext."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from clip_skip.messages.message import Template
from clip_skip.panel import DEEPEST
from clip_skip.prompt.override import Override
from clip_skip.skip import LANGUAGE_MODELS, shorten
from clip_skip.sweep.axis import OUTSIDE, SweepError, parse_axis
from clip_skip.sweep.plan import SweepCell, SweepPlan
from clip_skip.sweep.rows import CFG, ROW_KINDS, RowKind, parse_rows

__all__ = [
    "APPLY_TO",
    "COLUMNS",
    "INFOTEXT",
    "LABELS",
    "PASTED_FIELDS",
    "PLACEHOLDERS",
    "REFERENCE",
    "SWEEP_TITLE",
    "SweepSettings",
]

SWEEP_TITLE = Template("Clip skip sweep")

APPLY_TO = {"both": "Prompt and negative prompt", "prompt": "Prompt", "negative": "Negative prompt"}

COLUMNS = {
    "clip_skip": "Clip skip",
    "clip_l": "Clip skip of CLIP-L alone (SDXL)",
    "t5": "Clip skip of T5 (Flux, Chroma, SD3, Wan)",
    "qwen": "Clip skip of Qwen (Z-Image, Qwen-Image, Anima)",
    "gemma": "Clip skip of Gemma (Lumina 2)",
    "ministral": "Clip skip of Ministral (Ernie-Image)",
}

LANGUAGE_MODEL_NAMES = {"t5": "T5", "qwen": "Qwen", "gemma": "Gemma", "ministral": "Ministral"}

LAYERS_OF_NAMED = {"t5": 24, "qwen": 36, "gemma": 26, "ministral": 26}
"""The layers of the largest text encoder of each name, where the loaded model is not known."""

ROW_LABELS = {kind.name: kind.label for kind in ROW_KINDS.values()}

ROW_VALUES = "row_values"
"""The API's name for the values of the rows, whatever their kind."""

LABELS = {
    "clip_skips": Template("Clip skips"),
    "cfg_scales": Template("CFG scales"),
    "apply_to": Template("Apply to"),
    "cells_per_batch": Template("Cells per batch (0 = automatic)"),
    "legend": Template("Draw legend"),
    "include_cells": Template("Include cell pictures"),
    "save_cells": Template("Save cell pictures and a page to view them"),
    "margin": Template("Margin in pixels"),
    "report": Template("Report"),
    "rows": Template("Rows"),
    "seeds": Template("Seeds"),
    "negative_skips": Template("Clip skips of the negative prompt"),
    "clip_g_skips": Template("Clip skips of CLIP-G"),
    "hires_skips": Template("Clip skips of the hires pass"),
    "replacements": Template("Search and replace: original, replacements"),
    "lora_weights": Template("LoRA weights"),
    "columns": Template("Columns"),
}

NOT_A_FIELD = Template("{name} is not a field; the fields are {names}")
NEEDS_SDXL = Template("needs an SDXL model (CLIP-L and CLIP-G)")
NEEDS_NAMED = Template("the loaded model has no {name}")
NOT_WITH_NAMED = Template("these rows are CLIP's; with columns of {name} they have no effect")
NEGATIVE_TWICE = Template("the rows set the clip skip of the negative prompt, so the columns cannot")
WRONG_TYPE = Template("{value} is not {type}")
NOT_A_CHOICE = Template("it must be one of {names}")

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
"""Examples of the texts."""

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
"""The rest of the reference sweep, by the host's names of the fields."""


TYPE_NAMES = {str: Template("a text"), int: Template("a whole number"), bool: Template("true or false")}

LARGEST_VALUE = 1000
"""The largest whole number that a field takes."""


@dataclass(frozen=True)
class SweepSettings:
    """The settings of a sweep. The axes are texts in the syntax of `parse_axis` and `parse_rows`.

    Each kind of rows has a text of its own; `rows` selects the one in use.
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

        None is "not given". SweepError names the field that is wrong.
        """
        names = [field.name for field in fields(cls)]
        values = dict(args[0]) if args and isinstance(args[0], Mapping) else dict(zip(names, args))
        if values.get(ROW_VALUES) is not None:
            kind = ROW_KINDS[check_setting("rows", values.get("rows") or CFG.name)]
            values[kind.field] = check_setting(kind.field, values.pop(ROW_VALUES), ROW_VALUES)
        for name in values:
            if name not in (*names, ROW_VALUES):
                field_names = ", ".join((*names, ROW_VALUES))
                raise SweepError(NOT_A_FIELD(name=shorten(str(name)), names=field_names))
        values.pop(ROW_VALUES, None)
        return cls(**{name: check_setting(name, value) for name, value in values.items() if value is not None})

    @staticmethod
    def names(args: Sequence[Any]) -> dict[str, str]:
        """The API's names of the fields: their own, and the one that `args` use for the values of the rows."""
        names = {name: name for name in LABELS}
        if args and isinstance(args[0], Mapping) and ROW_VALUES in args[0]:
            names.update({kind.field: ROW_VALUES for kind in ROW_KINDS.values()})
        return names

    @property
    def kind(self) -> RowKind:
        return ROW_KINDS[self.rows]

    @property
    def towers_apart(self) -> bool:
        """Whether the columns are CLIP-L's alone."""
        return self.columns == "clip_l" or self.rows == "clip_g"

    @property
    def has_named_columns(self) -> bool:
        """Whether the columns are of a text encoder that only a tag with its name reaches."""
        return self.columns in LANGUAGE_MODELS

    @property
    def row_values(self) -> str:
        """The text of the rows' values."""
        return str(getattr(self, self.kind.field))

    def plan(self, towers: Mapping[str, int] | None = None, names: Mapping[str, str] = LABELS) -> SweepPlan:
        """The cells. SweepError names the field and the part that is wrong.

        towers: the number of layers of each text encoder of the loaded model, which is the deepest clip skip; None if
                it is not known, empty for a model on which clip skip has no effect.
        names:  the names of the fields, for errors.
        """
        if self.has_named_columns:
            towers = self._named_towers(towers, names)
        elif towers is not None:
            towers = {tower: layers for tower, layers in towers.items() if tower not in LANGUAGE_MODELS}
        of_l = self.towers_apart
        field = names["columns" if self.columns == "clip_l" else "rows"]
        if of_l and towers is not None and not {"l", "g"} <= towers.keys():
            raise SweepError.in_field(field, NEEDS_SDXL)
        if self.rows == "negative" and self.apply_to == "negative":
            raise SweepError.in_field(names["apply_to"], NEGATIVE_TWICE)
        deepest, deepest_of = max((towers or {}).values(), default=DEEPEST), "" if towers else None
        if towers and of_l:
            deepest, deepest_of = towers["l"], "CLIP-L"
        return SweepPlan(
            parse_axis(self.clip_skips, names["clip_skips"], 1, deepest, deepest_of),
            parse_rows(self.kind, self.row_values, names[self.kind.field], towers),
            self.columns,
        )

    def _named_towers(self, towers: Mapping[str, int] | None, names: Mapping[str, str]) -> dict[str, int]:
        """The layers of the columns' text encoder alone. SweepError where the model or the rows don't fit it."""
        if self.rows in ("hires", "clip_g"):
            raise SweepError.in_field(names["rows"], NOT_WITH_NAMED(name=LANGUAGE_MODEL_NAMES[self.columns]))
        if towers is not None and self.columns not in towers:
            raise SweepError.in_field(names["columns"], NEEDS_NAMED(name=LANGUAGE_MODEL_NAMES[self.columns]))
        return {self.columns: (towers or LAYERS_OF_NAMED)[self.columns]}

    def values(self, plan: SweepPlan) -> dict[str, set[float]]:
        """Every clip skip of `plan`, by the tower of its text encoder."""
        skips = set(plan.clip_skips)
        numbers = set(map(float, plan.rows.values)) if self.rows in ("negative", "hires", "clip_g") else set()
        if self.has_named_columns:
            return {self.columns: skips | numbers}
        of_l = skips if self.rows == "clip_g" else skips | numbers
        return {"l": of_l, "h": of_l, "g": numbers if self.towers_apart else of_l}

    def same_skips(self, plan: SweepPlan, published_skips: Mapping[str, float]) -> list[list[float]]:
        """Groups of columns with the same pictures, because a text encoder never stops above its published layer.

        published_skips: the clip skip of each text encoder as published, by tower
        """
        towers = {"l"} & published_skips.keys() if self.towers_apart else published_skips.keys() - set(LANGUAGE_MODELS)
        if self.has_named_columns:
            towers = {self.columns} & published_skips.keys()
        groups: dict[tuple[float, ...], list[float]] = {}
        for skip in plan.clip_skips if towers else ():
            groups.setdefault(tuple(max(skip, published_skips[tower]) for tower in towers), []).append(skip)
        return [group for group in groups.values() if len(group) > 1]

    def override(self, cell: SweepCell) -> Override:
        """The values that `cell` sets."""
        number = cell.value if isinstance(cell.value, (int, float)) else None
        only_prompt = self.apply_to == "prompt" or self.rows == "negative"
        negative = number if self.rows == "negative" else None if only_prompt else cell.clip_skip
        if self.has_named_columns:
            prompt = None if self.apply_to == "negative" else cell.clip_skip
            return Override(named_prompt=prompt, named_negative=negative, tower=self.columns)
        return Override(
            prompt=None if self.apply_to == "negative" else cell.clip_skip,
            negative=negative,
            hires=number if self.rows == "hires" else None,
            clip_g=number if self.rows == "clip_g" else None,
            keep_g=self.columns == "clip_l",
        )

    @classmethod
    def pasted(cls, infotext: Mapping[str, Any]) -> dict[str, str]:
        """The fields in `PASTED_FIELDS` that an infotext has; none if it is not a sweep's."""
        if INFOTEXT["clip_skips"] not in infotext:
            return {}
        entries = {name: infotext[key] for name, key in INFOTEXT.items() if key in infotext}
        kind = ROW_KINDS.get(infotext.get(INFOTEXT_ROWS[0], ""), CFG)
        if kind != CFG and INFOTEXT_ROWS[1] in infotext:
            entries[kind.field] = infotext[INFOTEXT_ROWS[1]]
        return {**entries, "rows": kind.name, "columns": infotext.get(INFOTEXT_COLUMNS, cls.columns)}

    def infotext(self) -> dict[str, str]:
        """The entries of the grid's infotext that restore the sweep."""
        entries = {key: str(getattr(self, name)) for name, key in INFOTEXT.items()}
        if self.kind != CFG:
            del entries[INFOTEXT["cfg_scales"]]
            entries.update(zip(INFOTEXT_ROWS, (self.rows, self.row_values)))
        return entries if self.columns == SweepSettings.columns else {**entries, INFOTEXT_COLUMNS: self.columns}


PASTED_FIELDS = (*INFOTEXT, "rows", "columns", *(kind.field for kind in ROW_KINDS.values() if kind != CFG))
"""The fields that an infotext restores."""

CHOICES = {"apply_to": APPLY_TO, "rows": ROW_LABELS, "columns": COLUMNS}
"""The fields that are a choice: the API's name of each value, and its label."""


def check_setting(name: str, value: Any, shown_name: str = "") -> Any:
    """`value` of the field `name`, checked. SweepError names the field, or `shown_name` instead."""
    shown_name = shown_name or name
    expected_type = type(getattr(SweepSettings, name))
    if expected_type is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not expected_type and not (expected_type is str and isinstance(value, str)):
        raise SweepError.in_field(shown_name, WRONG_TYPE(value=shorten(str(value)), type=TYPE_NAMES[expected_type]))
    if expected_type is int and not 0 <= value <= LARGEST_VALUE:
        raise SweepError.in_field(shown_name, OUTSIDE(value=shorten(str(value)), low=0, high=LARGEST_VALUE))
    if name in CHOICES:
        choice = next((short for short, label in CHOICES[name].items() if value in (short, label)), None)
        if choice is None:
            raise SweepError.in_field(shown_name, NOT_A_CHOICE(names=", ".join(CHOICES[name])))
        return choice
    return value
