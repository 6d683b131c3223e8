"""An axis of a grid, and the syntax of its values. Pure: standard library only."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from clip_skip.messages.message import FIELD_PROBLEM, Message, MessageError, Template
from clip_skip.skip import shorten, shorten_skip

__all__ = ["COLUMN_TOO_DEEP", "MAX_VALUES", "OUTSIDE", "Axis", "SweepError", "check_length", "parse_axis"]

MAX_VALUES = 1_000
"""The most values one axis may have."""

MAX_TEXT = 20_000
"""The most characters the text of one axis may have."""

_NUMBER = r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))"
_VALUE = re.compile(_NUMBER)
_RANGE = re.compile(rf"{_NUMBER}\s*-\s*{_NUMBER}\s*(?:\(\s*{_NUMBER}\s*\)|\[\s*([0-9]+)\s*\])?")


OUTSIDE = Template("{value} is outside {low} to {high}")
COLUMN_TOO_DEEP = Template("{value} is too deep: the loaded model has {layers} layers")
COLUMN_TOO_DEEP_FOR = Template("{value} is too deep: {encoder} of the loaded model has {layers} layers")
TOO_LONG = Template("{count} characters are too many; the text starts with {text}")
TOO_MANY = Template("more than {count} values, reached at {text}")
NO_VALUE = Template("enter at least one value")
NO_NUMBER = Template("{text} is neither a number nor a range such as 1-12, 1-3 (+0.5) or 1-12 [4]")
ZERO_STEP = Template("the step in {text} is zero")
WRONG_WAY = Template("the step in {text} leads away from the end")
LONG_RANGE = Template("{text} has more than {count} values")
BAD_COUNT = Template("the number in brackets in {text} must be from 1 to {count}")


class SweepError(MessageError):
    """A sweep's setting that cannot be used; the message names the field and quotes the part at fault."""

    @classmethod
    def in_field(cls, field: str | Message, problem: Message | str) -> SweepError:
        return cls(FIELD_PROBLEM(field=field, problem=problem))


@dataclass(frozen=True)
class Axis:
    """The title of the columns or the rows of a grid, and their values."""

    title: str | Message
    labels: tuple[str, ...]


def check_length(text: str, field: str) -> None:
    """SweepError where `text` is longer than any axis needs."""
    if len(text) > MAX_TEXT:
        raise SweepError.in_field(field, TOO_LONG(count=f"{len(text):,}", text=shorten(text)))


def parse_axis(text: str, field: str, low: float, high: float, deepest_of: str | None = None) -> tuple[float, ...]:
    """The values that `text` names, in its order, each once.

    The syntax is that of the X/Y/Z plot, values and ranges between commas or on lines of their own:

    - `4, 7, 11`
    - `1-12`: every whole step, the end included; `12-1` counts down
    - `1-3 (+0.5)`, `10-1 (-3)`: another step; the end is included when a step falls on it
    - `1-12 [4]`: this number of values, evenly spread; both ends are included

    deepest_of: whose layers `high` counts, for the error: a text encoder of the loaded model, "" for the whole model;
    None where `high` is only a bound.

    Values of a range are rounded to four decimals. Values outside `low` to `high`, more than
    `MAX_VALUES` values and everything else raise `SweepError`, in a time that does not depend on the text.
    """
    check_length(text, field)
    values: dict[float, None] = {}
    for part in re.split(r"[,\n]", text):
        if part := part.strip():
            try:
                values.update(dict.fromkeys(_values(part, low, high, deepest_of)))
            except MessageError as error:
                raise SweepError.in_field(field, error.message) from None
            if len(values) > MAX_VALUES:
                raise SweepError.in_field(field, TOO_MANY(count=f"{MAX_VALUES:,}", text=shorten(part)))
    if not values:
        raise SweepError.in_field(field, NO_VALUE)
    return tuple(values)


def _values(part: str, low: float, high: float, deepest_of: str | None) -> list[float]:
    """The values of one part: a number or a range. MessageError names the problem."""
    if match := _VALUE.fullmatch(part):
        return [_bounded(match[1], part, low, high, deepest_of)]
    match = _RANGE.fullmatch(part)
    if match is None:
        raise MessageError(NO_NUMBER(text=shorten(part)))
    start, end = (_bounded(match[index], part, low, high, deepest_of) for index in (1, 2))
    if match[4] is not None:
        return _spread(start, end, float(match[4]), part)
    step = float(match[3]) if match[3] is not None else math.copysign(1.0, end - start)
    return _steps(start, end, step, part)


def _steps(start: float, end: float, step: float, part: str) -> list[float]:
    """`start`, `start + step` and so on, not beyond `end`."""
    if step == 0:
        raise MessageError(ZERO_STEP(text=shorten(part)))
    if (end - start) * step < 0:
        raise MessageError(WRONG_WAY(text=shorten(part)))
    steps = (end - start) / step + 1e-9
    if not steps < MAX_VALUES:
        raise MessageError(LONG_RANGE(text=shorten(part), count=f"{MAX_VALUES:,}"))
    return [round(start + index * step, 4) for index in range(int(steps) + 1)]


def _spread(start: float, end: float, count: float, part: str) -> list[float]:
    """`count` values from `start` to `end`, evenly spread."""
    if not 1 <= count <= MAX_VALUES:
        raise MessageError(BAD_COUNT(text=shorten(part), count=f"{MAX_VALUES:,}"))
    last = max(int(count) - 1, 1)
    return [round(start + (end - start) * index / last, 4) for index in range(int(count))]


def _bounded(number: str, part: str, low: float, high: float, deepest_of: str | None) -> float:
    value = float(number)
    if low <= value <= high and not math.isinf(value):
        return value
    if deepest_of is None or value < low:
        raise MessageError(OUTSIDE(value=shorten(part), low=f"{low:g}", high=f"{high:g}"))
    if deepest_of:
        raise MessageError(COLUMN_TOO_DEEP_FOR(value=shorten_skip(value), encoder=deepest_of, layers=f"{high:g}"))
    raise MessageError(COLUMN_TOO_DEEP(value=shorten_skip(value), layers=f"{high:g}"))
