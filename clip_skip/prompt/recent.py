"""Caches results for recent texts: hosts and pages pass the same texts again and again."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

__all__ = ["keep_recent"]

ParseResult = TypeVar("ParseResult")

LONGEST_TEXT = 4000
"""Characters; longer texts are not cached, so that requests cannot fill the memory."""


def keep_recent(function: Callable[[str], ParseResult]) -> Callable[[str], ParseResult]:
    """`function`, a pure function of a text, with a cache of the last 512 texts."""
    cached = lru_cache(maxsize=512)(function)

    @wraps(function)
    def from_cache(text: str) -> ParseResult:
        return cached(text) if len(text) <= LONGEST_TEXT else function(text)

    return from_cache
