"""Caches results for recent texts: hosts and pages pass the same texts again and again."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

__all__ = ["keep_recent"]

ParseResult = TypeVar("ParseResult")

SHORT, LONG = 4000, 20_000
"""Characters. Of texts longer than `SHORT` only a few are cached, of those longer than `LONG` none, so that requests
cannot fill the memory."""


def keep_recent(function: Callable[[str], ParseResult]) -> Callable[[str], ParseResult]:
    """`function`, a pure function of a text, with a cache of the last 512 short texts and of the last 8 long ones."""
    short, long = lru_cache(maxsize=512)(function), lru_cache(maxsize=8)(function)

    @wraps(function)
    def from_cache(text: str) -> ParseResult:
        if len(text) <= SHORT:
            return short(text)
        return long(text) if len(text) <= LONG else function(text)

    return from_cache
