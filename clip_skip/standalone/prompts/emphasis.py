"""Emphasis: `(a)`, `(a:1.2)`, `[a]`, escapes and BREAK in one text, and what the weights do to its conditioning."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import lru_cache

from lark import Lark, Token
from torch import Tensor

__all__ = ["BREAK", "MODES", "Piece", "apply", "pieces"]

GRAMMAR = r"""
start: (ESCAPE | OPEN | WEIGHT | CLOSE | TEXT | COLON)*
ESCAPE: /\\[\\()\[\]]?/
OPEN: /[(\[]/
WEIGHT.1: /:\s*[-+]?[.\d]+\s*\)/
CLOSE: /[)\]]/
TEXT: /[^\\()\[\]:]+/
COLON: ":"
"""

MODES = ("Original", "No norm", "Ignore", "None")
"""As in the WebUI's settings: the mean is kept, it is not, weights do nothing, brackets are letters."""

BREAK = ("BREAK", -1.0)
"""The piece that ends a chunk. In round brackets its weight is another, and it is a word."""

FACTOR = 1.1
_SPLIT = re.compile(r"\s*\bBREAK\b\s*")

Piece = tuple[str, float]
"""A part of a text and its weight."""


@lru_cache(maxsize=1)
def lexer() -> Lark:
    return Lark(GRAMMAR, parser="lalr", lexer="basic")


def pieces(text: str, mode: str = "Original") -> list[Piece]:
    """`text` as parts of one weight each, in order. Brackets that are never closed count to the end."""
    if mode == "None":
        return [(text, 1.0)]
    found: list[tuple[str, float]] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def weigh(start: int, factor: float) -> None:
        found[start:] = [(part, weight * factor) for part, weight in found[start:]]

    for token in tokens(text):
        closes = {")": "(", "]": "["}.get(token[-1])
        if token.type == "ESCAPE":
            found.append((token[1:], 1.0))
        elif token.type == "OPEN":
            opened[str(token)].append(len(found))
        elif closes and opened[closes]:
            weigh(opened[closes].pop(), factor_of(token))
        else:
            for index, part in enumerate(_SPLIT.split(token)):
                found += [BREAK] * bool(index) + [(part, 1.0)]
    for bracket, factor in (("(", FACTOR), ("[", 1 / FACTOR)):
        for start in opened[bracket]:
            weigh(start, factor)
    return list(merged(found))


def tokens(text: str) -> Iterator[Token]:
    """A `WEIGHT` that is no number, `:1.2.3)`, is text and a bracket."""
    for token in lexer().lex(text):
        if token.type == "WEIGHT" and not math.isfinite(factor_of(token)):
            yield Token("TEXT", token[:-1])
            yield Token("CLOSE", ")")
        else:
            yield token


def factor_of(token: Token) -> float:
    """By what a closing bracket multiplies; not a number if it does not say one."""
    if token.type != "WEIGHT":
        return FACTOR if token == ")" else 1 / FACTOR
    try:
        return float(token[1:-1])
    except ValueError:
        return math.nan


def merged(found: list[Piece]) -> Iterator[Piece]:
    """Neighbours of one weight as one piece; at least one piece."""
    last, weight = found[0] if found else ("", 1.0)
    for part, its in found[1:]:
        if its == weight:
            last += part
        else:
            yield last, weight
            last, weight = part, its
    yield last, weight


def apply(states: Tensor, weights: Tensor, mode: str = "Original") -> Tensor:
    """`states` (B, 77, D) of one chunk of B texts with the tokens' `weights` (B, 77).

    "Original" keeps the mean of all of `states`: texts that take turns in one prompt change each other.
    """
    if mode in ("Ignore", "None") or bool((weights == 1).all()):
        return states
    weighed = states * weights.to(states).unsqueeze(-1)
    return weighed * (states.mean() / weighed.mean()) if mode == "Original" else weighed
