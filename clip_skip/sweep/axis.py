"""An axis of a grid: the syntax in which its values are written. Pure: standard library only."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from clip_skip.skip import shorten

__all__ = ["MAX_VALUES", "Axis", "SweepError", "check_length", "parse_axis"]

MAX_VALUES = 1_000
"""The most values one axis may have."""

MAX_TEXT = 20_000
"""The most characters the text of one axis may have."""

_NUMBER = r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))"
_VALUE = re.compile(_NUMBER)
_RANGE = re.compile(rf"{_NUMBER}\s*-\s*{_NUMBER}\s*(?:\(\s*{_NUMBER}\s*\)|\[\s*([0-9]+)\s*\])?")


class SweepError(ValueError):
    """The text of an axis cannot be used; the message names the field and quotes the part at fault."""


@dataclass(frozen=True)
class Axis:
    """What the columns or the rows of a grid are, and the value of each, in words."""

    title: str
    labels: tuple[str, ...]


def check_length(text: str, field: str) -> None:
    """SweepError where `text` is longer than any axis needs."""
    if len(text) > MAX_TEXT:
        raise SweepError(f"{field}: {len(text):,} characters are too many, starting with {shorten(text)}")


def parse_axis(text: str, field: str, low: float, high: float) -> tuple[float, ...]:
    """The values that `text` names, in its order, each once.

    The syntax is that of the X/Y/Z plot, values and ranges between commas or on lines of their own:

    - `4, 7, 11`
    - `1-12`: every whole step, the end included; `12-1` counts down
    - `1-3 (+0.5)`, `10-1 (-3)`: another step; the end is included when a step falls on it
    - `1-12 [4]`: so many values, evenly spread; both ends are included

    Values that come out of a range are rounded to four decimals. Values outside `low` to `high`, more than
    `MAX_VALUES` values and everything else raise `SweepError`, in a time that does not depend on what was typed.
    """
    check_length(text, field)
    values: dict[float, None] = {}
    for part in re.split(r"[,\n]", text):
        if part := part.strip():
            values.update(dict.fromkeys(_values(part, field, low, high)))
            if len(values) > MAX_VALUES:
                raise SweepError(f"{field}: more than {MAX_VALUES:,} values, reached at {shorten(part)}")
    if not values:
        raise SweepError(f"{field}: {shorten(text)} names no value")
    return tuple(values)


def _values(part: str, field: str, low: float, high: float) -> list[float]:
    """The values of one part: a number or a range."""
    if match := _VALUE.fullmatch(part):
        return [_bounded(match[1], part, field, low, high)]
    match = _RANGE.fullmatch(part)
    if match is None:
        raise SweepError(
            f"{field}: {shorten(part)} is neither a number nor a range such as 1-12, 1-3 (+0.5) or 1-12 [4]"
        )
    start = _bounded(match[1], part, field, low, high)
    end = _bounded(match[2], part, field, low, high)
    if match[4] is not None:
        return _spread(start, end, float(match[4]), part, field)
    step = float(match[3]) if match[3] is not None else math.copysign(1.0, end - start)
    return _steps(start, end, step, part, field)


def _steps(start: float, end: float, step: float, part: str, field: str) -> list[float]:
    """`start`, `start + step` and so on, not beyond `end`."""
    if step == 0:
        raise SweepError(f"{field}: the step in {shorten(part)} is zero")
    if (end - start) * step < 0:
        raise SweepError(f"{field}: the step in {shorten(part)} leads away from the end")
    steps = (end - start) / step + 1e-9
    if not steps < MAX_VALUES:
        raise SweepError(f"{field}: {shorten(part)} names more than {MAX_VALUES:,} values")
    return [round(start + index * step, 4) for index in range(int(steps) + 1)]


def _spread(start: float, end: float, count: float, part: str, field: str) -> list[float]:
    """`count` values from `start` to `end`, evenly spread."""
    if not 1 <= count <= MAX_VALUES:
        raise SweepError(f"{field}: {shorten(part)} must name between 1 and {MAX_VALUES:,} values")
    last = max(int(count) - 1, 1)
    return [round(start + (end - start) * index / last, 4) for index in range(int(count))]


def _bounded(number: str, part: str, field: str, low: float, high: float) -> float:
    value = float(number)
    if not low <= value <= high or math.isinf(value):
        raise SweepError(f"{field}: {shorten(part)} is outside {low:g} to {high:g}")
    return value
