"""What the rows of a sweep are: CFG scales, or anything else that may differ between the pictures of a batch.

Pure: standard library only.
"""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO

from clip_skip.panel import DEEPEST
from clip_skip.prompt.tags import find_networks
from clip_skip.skip import format, shorten
from clip_skip.sweep.axis import Axis, SweepError, check_length, parse_axis

__all__ = ["CFG", "KINDS", "LAST_SEED", "Kind", "Rows", "Value", "networks", "random_seeds", "read"]

Value = float | int | str
"""What a row stands for: a number, or the text that takes the place of another."""

LAST_SEED = 2**32 - 1

_LORA = re.compile(r"<lora:([^:>]*)([^>]*)>")


@dataclass(frozen=True)
class Kind:
    """What rows may be.

    name:   what the API and the command line call it
    label:  what the page and a grid call it
    factor: what it is called in the report's sentence
    short:  what stands before a value where there is little room
    field:  that of `SweepSettings` which has the values
    """

    name: str
    label: str
    factor: str
    short: str
    field: str


CFG = Kind("cfg", "CFG scale", "CFG", "CFG ", "cfg_scales")

KINDS = {
    kind.name: kind
    for kind in (
        CFG,
        Kind("seed", "Seed", "seed", "seed ", "seeds"),
        Kind("negative", "Clip skip of the negative prompt", "the negative prompt's", "negative ", "negative_skips"),
        Kind("clip_g", "Clip skip of CLIP-G (SDXL)", "CLIP-G's", "CLIP-G ", "clip_g_skips"),
        Kind("hires", "Clip skip of the hires pass", "the hires pass's", "hires ", "hires_skips"),
        Kind("prompt", "Prompt S/R", "the prompt", "", "replacements"),
        Kind("lora", "LoRA weight", "the LoRA's weight", "LoRA ", "lora_weights"),
    )
}
"""By name, in the order of the list."""


@dataclass(frozen=True)
class Rows:
    """The rows of a grid.

    lora: whose weight is set, for rows of those; empty is the prompt's only one
    """

    values: tuple[Value, ...]
    kind: Kind = field(default=CFG)
    lora: str = ""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def axis(self) -> Axis:
        title = f"{self.kind.label}: {self.lora}" if self.lora else self.kind.label
        return Axis(title, tuple(label(value) for value in self.values))

    def texts(self, prompt: str, negative: str, value: Value) -> tuple[str, str]:
        """Prompt and negative prompt of the row of `value`."""
        if self.kind.name == "prompt":
            search, instead = str(self.values[0]), str(value)
            return prompt.replace(search, instead), negative.replace(search, instead)
        if self.kind.name == "lora":
            return _LORA.sub(lambda tag: self._weighed(tag, float(value)), prompt), negative
        return prompt, negative

    def check(self, name: str, prompt: str, negative: str) -> None:
        """SweepError, which calls the field `name`, where the rows find nothing in the prompt to change."""
        search = str(self.values[0])
        if self.kind.name == "prompt" and search not in prompt and search not in negative:
            raise SweepError(f"{name}: {shorten(search)} is neither in the prompt nor in the negative prompt")
        if self.kind.name != "lora":
            return
        named = list(dict.fromkeys(tag[1] for tag in _LORA.finditer(prompt)))
        if not named or (self.lora and self.lora not in named):
            raise SweepError(f"{name}: {shorten(self.lora or '<lora:...>')} is not in the prompt")
        if len(named) > 1 and not self.lora:
            example = shorten(f"{named[0]}: 0, 0.5, 1")
            raise SweepError(f"{name}: the prompt has more than one LoRA, so it must be said which, as in {example}")
        if any("=" in tag[2] and tag[1] == (self.lora or named[0]) for tag in _LORA.finditer(prompt)):
            raise SweepError(f"{name}: the LoRA has weights with names, such as te=; use Prompt S/R for it")

    def _weighed(self, tag: re.Match[str], weight: float) -> str:
        return f"<lora:{tag[1]}:{weight:g}>" if tag[1] == (self.lora or tag[1]) else tag[0]


def read(kind: Kind, text: str, name: str, towers: Mapping[str, int] | None = None) -> Rows:
    """The rows of `kind` that `text` names, in the syntax of `parse_axis`, Prompt S/R in that of the X/Y/Z plot.

    towers: the layers of each text encoder, deeper than which no clip skip may be; None is not known
    SweepError calls the field `name` and quotes the part that is wrong.
    """
    deepest = max((towers or {}).values(), default=DEEPEST)
    if kind.name == "cfg":
        return Rows(parse_axis(text, name, 0, 100), kind)
    if kind.name == "seed":
        return Rows(_seeds(text, name), kind)
    if kind.name == "clip_g":
        return Rows(parse_axis(text, name, 1, (towers or {}).get("g", DEEPEST)), kind)
    if kind.name == "prompt":
        return Rows(_replacements(text, name), kind)
    if kind.name == "lora":
        lora, colon, weights = text.rpartition(":")
        return Rows(parse_axis(weights, name, -10, 10), kind, lora.strip() if colon else "")
    return Rows(parse_axis(text, name, 1, deepest), kind)


def label(value: Value) -> str:
    """A value in words."""
    if isinstance(value, str):
        return value or "(nothing)"
    return str(value) if isinstance(value, int) else format(value)


def random_seeds(text: str) -> str:
    """`text` with a random seed for each -1 in it."""
    return re.sub(r"(^|[,\n])(\s*)-1(?=\s*(?:[,\n]|$))", lambda m: f"{m[1]}{m[2]}{random.randrange(LAST_SEED)}", text)


def networks(prompt: str) -> tuple[str, ...]:
    """The prompt's tags of LoRAs and the like, which the WebUIs take from the first prompt of a batch alone."""
    return tuple(tag[0] for tag in find_networks(prompt) if tag[1] != "clipskip")


def _seeds(text: str, name: str) -> tuple[int, ...]:
    values = parse_axis(text, name, 0, LAST_SEED)
    for value in values:
        if not value.is_integer():
            raise SweepError(f"{name}: {shorten(format(value))} is not a whole number")
    return tuple(map(int, values))


def _replacements(text: str, name: str) -> tuple[str, ...]:
    """What is searched for, and what takes its place, in the syntax of the X/Y/Z plot's Prompt S/R: CSV."""
    check_length(text, name)
    try:
        lines = list(csv.reader(StringIO(text), skipinitialspace=True))
    except csv.Error as error:
        raise SweepError(f"{name}: {shorten(text)} is no list between commas ({error})") from None
    values = [value.strip() for line in lines for value in line]
    if not values or not values[0]:
        raise SweepError(f"{name}: the first value is what is searched for, and it is empty")
    return tuple(values)
