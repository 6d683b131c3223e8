"""The kinds of values that options have, and the problems with values that cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from clip_skip.messages.message import FIELD_PROBLEM, Message, MessageError, Template, Value
from clip_skip.messages.safe_text import well_formed
from clip_skip.skip import shorten

__all__ = ["NOT_A_TEXT", "OPTION_NOT_WHOLE", "Choice", "FieldError", "Number", "OptionKind", "Switch", "Text"]

NOTHING_GIVEN = Template("nothing is given")
OUTSIDE = Template("{value} is outside {low} to {high}")
OPTION_NOT_WHOLE = Template("{value} is not a whole number")
OPTION_NOT_A_NUMBER = Template("{value} is not a number")
NOT_A_TEXT = Template("{value} is not a text")
NOT_A_MULTIPLE = Template("{value} is not a multiple of {factor}")
NOT_ONE_OF = Template("{value} is not one of {choices}")
DID_YOU_MEAN = Template("{value} is not known; did you mean {suggestion}?")


class FieldError(MessageError):
    """A field, an option or an argument that cannot be used; the message names it."""

    @classmethod
    def of(cls, field: Value, problem: Message | str) -> FieldError:
        return cls(FIELD_PROBLEM(field=field, problem=problem))


@dataclass(frozen=True)
class Text:
    """lines: how high its box is on the page"""

    lines: int

    def check(self, value: Any, factor: int = 1) -> Any:
        """`value`, if it is a text. Raises `MessageError`."""
        if not isinstance(value, str):
            raise MessageError(NOT_A_TEXT(value=shorten(str(value))))
        return well_formed(value)


@dataclass(frozen=True)
class Number:
    """low, high: its bounds
    slider:   where its slider on the page begins and ends, and its step; () is a box, a step of 0 the VAE's factor
    whole:    whether it is an integer
    multiple: whether it is a multiple of the VAE's factor
    none:     the text on the page for "not given"
    """

    low: float
    high: float
    slider: tuple[float, ...] = ()
    whole: bool = False
    multiple: bool = False
    none: float | None = None

    def check(self, value: Any, factor: int = 1) -> Any:
        """`value`, if it is such a number; factor: the VAE's. Raises `MessageError`."""
        if value is None:
            raise MessageError(NOTHING_GIVEN)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise MessageError(OPTION_NOT_A_NUMBER(value=shorten(str(value))))
        if isinstance(value, int):
            value = min(max(value, -(10**300)), 10**300)  # larger ones don't fit a float, and are slow to format
        text = shorten_number(value)
        if not self.low <= value <= self.high:
            raise MessageError(OUTSIDE(value=text, low=shorten_number(self.low), high=shorten_number(self.high)))
        if not self.whole:
            return float(value)
        if value != int(value):
            raise MessageError(OPTION_NOT_WHOLE(value=text))
        if self.multiple and value % factor:
            raise MessageError(NOT_A_MULTIPLE(value=text, factor=factor))
        return int(value)


@dataclass(frozen=True)
class Choice:
    """none: the page's label of the empty choice, where there is one"""

    names: tuple[str, ...]
    none: Template | None = None

    def check(self, value: Any, factor: int = 1) -> str:
        """The name that is meant, whatever its case. Raises `MessageError`, which suggests one that looks like it."""
        names_by_key = {name.lower(): name for name in ([""] if self.none else []) + list(self.names)}
        key = str(value)[:100].lower()
        if key in names_by_key:
            return names_by_key[key]
        if close := get_close_matches(key, names_by_key, 1):
            raise MessageError(DID_YOU_MEAN(value=shorten(str(value)), suggestion=names_by_key[close[0]]))
        raise MessageError(NOT_ONE_OF(value=shorten(str(value)), choices=", ".join(self.names)))


@dataclass(frozen=True)
class Switch:
    """A switch for the options that follow it on the page."""

    def check(self, value: Any, factor: int = 1) -> bool:
        return bool(value)


OptionKind = Text | Number | Choice | Switch


def shorten_number(value: float) -> str:
    """`value` for a message: integers of up to twenty digits in full."""
    return str(value) if isinstance(value, int) and abs(value) < 10**20 else f"{value:.10g}"
