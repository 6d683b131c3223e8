"""The rows of a sweep: CFG scales, or any other setting that may differ between the pictures of a batch.

Pure: standard library only.
"""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO

from clip_skip.messages.message import Message, Template
from clip_skip.panel import DEEPEST
from clip_skip.prompt.tags import find_networks
from clip_skip.skip import format_skip, shorten
from clip_skip.sweep.axis import Axis, SweepError, check_length, parse_axis

__all__ = [
    "CFG",
    "HIRES_PASS_NEEDED",
    "LAST_SEED",
    "ROW_KINDS",
    "RowKind",
    "Rows",
    "Value",
    "network_tags",
    "parse_rows",
    "random_seeds",
]

Value = float | int | str
"""The value of a row: a number, or the text that replaces another."""

LAST_SEED = 2**32 - 1

LORA_TITLE = Template("LoRA weight: {name}")
EMPTY_LABEL = "(nothing)"
ROW_NOT_WHOLE = Template("{text} is not a whole number")
NOT_A_LIST = Template("{text} is not a list of values separated by commas ({reason})")
NOTHING_TO_SEARCH = Template("the first value is the text to search for, and it is empty")
NOT_IN_PROMPTS = Template("{text} is neither in the prompt nor in the negative prompt")
NOT_IN_PROMPT = Template("{text} is not in the prompt")
WHICH_LORA = Template("the prompt has more than one LoRA: name the one to use, as in {example}")
NAMED_WEIGHTS = Template("the LoRA has named weights, such as te=; use Prompt S/R for it")
HIRES_PASS_NEEDED = Template("turn on Hires. fix to use these rows")

_LORA = re.compile(r"<lora:([^:>]*)([^>]*)>")


@dataclass(frozen=True)
class RowKind:
    """A kind of rows.

    name:   in the API and on the command line
    label:  on the page and in a grid
    factor: in the report's sentence
    short:  a row with its {value}, where there is little room; None if the value is a text that a person typed
    field:  the field of `SweepSettings` that has the values
    """

    name: str
    label: str
    factor: Template
    short: Template | None
    field: str


def _kind(name: str, label: str, factor: str, short: str | None, field: str) -> RowKind:
    return RowKind(name, label, Template(factor), Template(short) if short else None, field)


CFG = _kind("cfg", "CFG scale", "CFG", "CFG {value}", "cfg_scales")

ROW_KINDS = {
    kind.name: kind
    for kind in (
        CFG,
        _kind("seed", "Seed", "the seed", "seed {value}", "seeds"),
        _kind(
            "negative",
            "Clip skip of the negative prompt",
            "the negative prompt's clip skip",
            "negative {value}",
            "negative_skips",
        ),
        _kind("clip_g", "Clip skip of CLIP-G (SDXL)", "CLIP-G's clip skip", "CLIP-G {value}", "clip_g_skips"),
        _kind("hires", "Clip skip of the hires pass", "the hires pass's clip skip", "hires {value}", "hires_skips"),
        _kind("prompt", "Prompt S/R", "the prompt", None, "replacements"),
        _kind("lora", "LoRA weight", "the LoRA's weight", "LoRA {value}", "lora_weights"),
    )
}
"""Kinds of rows by name, in the order of the list."""


@dataclass(frozen=True)
class Rows:
    """The rows of a grid.

    lora: the LoRA whose weight the rows set; empty is the prompt's only one
    """

    values: tuple[Value, ...]
    kind: RowKind = field(default=CFG)
    lora: str = ""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def axis(self) -> Axis:
        title = LORA_TITLE(name=self.lora) if self.lora else self.kind.label
        return Axis(title, tuple(value_label(value) for value in self.values))

    @property
    def names(self) -> list[str | Message]:
        """Each row, where there is little room; a text that a person typed stays as it is."""
        short = self.kind.short
        return [short(value=label) if short else label for label in self.axis.labels]

    def texts(self, prompt: str, negative: str, value: Value) -> tuple[str, str]:
        """Prompt and negative prompt of the row of `value`."""
        if self.kind.name == "prompt":
            search, instead = str(self.values[0]), str(value)
            return prompt.replace(search, instead), negative.replace(search, instead)
        if self.kind.name == "lora":
            return _LORA.sub(lambda tag: self._weighed(tag, float(value)), prompt), negative
        return prompt, negative

    def check(self, name: str, prompt: str, negative: str) -> None:
        """SweepError in the field `name` if the prompt contains nothing that the rows change."""
        search = str(self.values[0])
        if self.kind.name == "prompt" and search not in prompt and search not in negative:
            raise SweepError.in_field(name, NOT_IN_PROMPTS(text=shorten(search)))
        if self.kind.name != "lora":
            return
        loras = list(dict.fromkeys(tag[1] for tag in _LORA.finditer(prompt)))
        if not loras or (self.lora and self.lora not in loras):
            raise SweepError.in_field(name, NOT_IN_PROMPT(text=shorten(self.lora or "<lora:...>")))
        if len(loras) > 1 and not self.lora:
            example = shorten(f"{loras[0]}: 0, 0.5, 1")
            raise SweepError.in_field(name, WHICH_LORA(example=example))
        if any("=" in tag[2] and tag[1] == (self.lora or loras[0]) for tag in _LORA.finditer(prompt)):
            raise SweepError.in_field(name, NAMED_WEIGHTS)

    def _weighed(self, tag: re.Match[str], weight: float) -> str:
        return f"<lora:{tag[1]}:{weight:g}>" if tag[1] == (self.lora or tag[1]) else tag[0]


def parse_rows(kind: RowKind, text: str, name: str, towers: Mapping[str, int] | None = None) -> Rows:
    """The rows of `kind` that `text` names, in the syntax of `parse_axis`, Prompt S/R in that of the X/Y/Z plot.

    towers: the number of layers of each text encoder, which is the deepest clip skip; None if it is not known
    SweepError names the field, `name`, and quotes the part that is wrong.
    """
    deepest = max((towers or {}).values(), default=DEEPEST)
    is_loaded = bool(towers)
    if kind.name == "cfg":
        return Rows(parse_axis(text, name, 0, 100), kind)
    if kind.name == "seed":
        return Rows(_seeds(text, name), kind)
    if kind.name == "clip_g":
        of_g = (towers or {}).get("g", DEEPEST)
        return Rows(parse_axis(text, name, 1, of_g, "CLIP-G" if is_loaded else None), kind)
    if kind.name == "prompt":
        return Rows(_replacements(text, name), kind)
    if kind.name == "lora":
        lora, colon, weights = text.rpartition(":")
        return Rows(parse_axis(weights, name, -10, 10), kind, lora.strip() if colon else "")
    return Rows(parse_axis(text, name, 1, deepest, "" if is_loaded else None), kind)


def value_label(value: Value) -> str:
    """A value as a grid shows it."""
    if isinstance(value, str):
        return value or EMPTY_LABEL
    return str(value) if isinstance(value, int) else format_skip(value)


def random_seeds(text: str) -> str:
    """`text` with a random seed for each -1 in it."""
    parts = re.split(r"([,\n])", text)
    return "".join(
        part.replace("-1", str(random.randrange(LAST_SEED))) if part.strip() == "-1" else part for part in parts
    )


def network_tags(prompt: str) -> tuple[str, ...]:
    """The prompt's tags of LoRAs and other networks, which the WebUIs read from the first prompt of a batch alone."""
    return tuple(tag[0] for tag in find_networks(prompt) if tag[1] != "clipskip")


def _seeds(text: str, name: str) -> tuple[int, ...]:
    values = parse_axis(text, name, 0, LAST_SEED)
    for value in values:
        if not value.is_integer():
            raise SweepError.in_field(name, ROW_NOT_WHOLE(text=shorten(format_skip(value))))
    return tuple(map(int, values))


def _replacements(text: str, name: str) -> tuple[str, ...]:
    """The text to search for and its replacements, in the syntax of the X/Y/Z plot's Prompt S/R: CSV."""
    check_length(text, name)
    try:
        lines = list(csv.reader(StringIO(text), skipinitialspace=True))
    except csv.Error as error:
        raise SweepError.in_field(name, NOT_A_LIST(text=shorten(text), reason=str(error))) from None
    values = [value.strip() for line in lines for value in line]
    if not values or not values[0]:
        raise SweepError.in_field(name, NOTHING_TO_SEARCH)
    return tuple(values)
