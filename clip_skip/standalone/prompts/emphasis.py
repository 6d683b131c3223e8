"""Emphasis: `(a)`, `(a:1.2)`, `[a]`, escapes and BREAK in one text, and how weights change its conditioning."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from torch import Tensor

from clip_skip.standalone.prompts.schedule import MOST_BRACKETS

__all__ = ["BREAK", "Piece", "apply_emphasis", "pieces"]

TOKEN = re.compile(
    r"""(?P<ESCAPE>\\[\\()\[\]]?)
    | (?P<OPEN>[(\[])
    | (?P<WEIGHT>:\s*[-+]?[.\d]+\s*\))
    | (?P<CLOSE>[)\]])
    | (?P<TEXT>[^\\()\[\]:]+|:)""",
    re.VERBOSE,
)

BREAK = ("BREAK", -1.0)
"""The piece that ends a chunk. In round brackets it has another weight, and is a plain word."""

FACTOR = 1.1
_BREAK = re.compile(r"\bBREAK\b")

Piece = tuple[str, float]
"""A part of a text and its weight."""


def pieces(text: str, mode: str = "Original") -> list[Piece]:
    """`text` as parts of one weight each, in order. Brackets that are never closed count to the end.

    Brackets inside `DEEPEST` others have no weight, so that the time taken is in proportion to the length of `text`.
    """
    if mode == "None":
        return [(text, 1.0)]
    parts: list[Piece] = []
    open_brackets: dict[str, list[int | None]] = {"(": [], "[": []}
    """The start of the contents of each open bracket; None for one without a weight."""
    depth = 0

    def close(bracket: str, factor: float) -> None:
        nonlocal depth
        start = open_brackets[bracket].pop()
        if start is not None:
            depth -= 1
            parts[start:] = [(part, weight * factor) for part, weight in parts[start:]]

    for kind, token in tokens(text):
        closes = {")": "(", "]": "["}.get(token[-1])
        if kind == "ESCAPE":
            parts.append((token[1:], 1.0))
        elif kind == "OPEN":
            open_brackets[token].append(len(parts) if depth < MOST_BRACKETS else None)
            depth += depth < MOST_BRACKETS
        elif closes and open_brackets[closes]:
            close(closes, factor_of(kind, token))
        else:
            parts += split_at_break(token)
    for bracket, factor in (("(", FACTOR), ("[", 1 / FACTOR)):
        while open_brackets[bracket]:
            close(bracket, factor)
    return list(merged(parts))


def tokens(text: str) -> Iterator[tuple[str, str]]:
    """The kind and the text of each token. A `WEIGHT` that is not a number, `:1.2.3)`, is text and a bracket."""
    for match in TOKEN.finditer(text):
        kind, token = str(match.lastgroup), match[0]
        if kind == "WEIGHT" and not math.isfinite(factor_of(kind, token)):
            yield "TEXT", token[:-1]
            yield "CLOSE", ")"
        else:
            yield kind, token


def factor_of(kind: str, token: str) -> float:
    """The factor of a closing bracket; not a number if none is written before it."""
    if kind != "WEIGHT":
        return FACTOR if token == ")" else 1 / FACTOR
    try:
        return float(token[1:-1].strip())
    except ValueError:
        return math.nan


def split_at_break(text: str) -> Iterator[Piece]:
    """`text` with a `BREAK` for each word BREAK, from around which spaces are removed."""
    parts = _BREAK.split(text)
    for index, part in enumerate(parts):
        if index:
            yield BREAK
            part = part.lstrip()
        yield (part if index == len(parts) - 1 else part.rstrip()), 1.0


def merged(parts: list[Piece]) -> Iterator[Piece]:
    """Neighbours of one weight as one piece; at least one piece."""
    last, weight = parts[0] if parts else ("", 1.0)
    for part, its in parts[1:]:
        if its == weight:
            last += part
        else:
            yield last, weight
            last, weight = part, its
    yield last, weight


def apply_emphasis(states: Tensor, weights: Tensor, mode: str = "Original") -> Tensor:
    """`states` (B, 77, D) of one chunk of B texts with the tokens' `weights` (B, 77).

    "Original" keeps the mean of all of `states`, so the versions of a prompt affect each other.
    """
    if mode in ("Ignore", "None") or bool((weights == 1).all()):
        return states
    weighted = states * weights.to(states).unsqueeze(-1)
    return weighted * (states.mean() / weighted.mean()) if mode == "Original" else weighted
