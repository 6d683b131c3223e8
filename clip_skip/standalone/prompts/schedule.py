"""Prompt editing and alternation: which text a prompt is at which step.

[from:to:0.5]  [to:5]  [from::5]  [a|b]

The rules are those of AUTOMATIC1111 v1.10.1, seen by what it does: where a bracket belongs to nothing it is a letter,
and where a `|` belongs to nothing the whole prompt is taken as it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import LarkError

from clip_skip.prompt.sub_prompts import BRACKET

__all__ = ["schedule"]

GRAMMAR = r"""
start: (_node | stray)*
_node: text | round | square | edit | alternation
words: _node*
round: "(" words (":" words)? ")"
square: "[" words "]"
edit: "[" (words ":")? words ":" STEP "]"
alternation: "[" words ("|" words)+ "]"
!stray.-1: "(" | ")" | "[" | "]" | ":"
text: TEXT
TEXT: /(?:\\.|[^\\()\[\]:|])+/
STEP: /\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*/
"""

DEEPEST = 60
"""Brackets within brackets; deeper ones are letters."""

Leaf = Callable[[int], str]
"""What a part of a prompt is at a step."""


@lru_cache(maxsize=1)
def parser() -> Lark:
    return Lark(GRAMMAR, parser="earley", lexer="dynamic", maybe_placeholders=False)


@lru_cache(maxsize=256)
def schedule(prompt: str, steps: int, first_pass: int = 0) -> tuple[tuple[int, str], ...]:
    """The last step of each text that `prompt` becomes, and the text: ((10, "a cow"), (20, "a horse")).

    steps:      of the pass, counted as the calls of the UNet that its sampler makes
    first_pass: those of the pass before, in a hires pass, which whole numbers go on from
    """
    if "[" not in prompt or deepest(prompt) > DEEPEST:
        return ((steps, prompt),)
    try:
        tree = parser().parse(prompt)
    except LarkError:
        return ((steps, prompt),)
    ends: set[int] = {steps}
    text_at = joined(tree, lambda when: ends.add(when) if when >= 1 else None, steps, first_pass)
    if any(True for _ in tree.find_data("alternation")):
        ends.update(range(1, steps + 1))
    return tuple((end, text_at(end)) for end in sorted(ends))


def deepest(prompt: str) -> int:
    """How deep square and round brackets may stand in each other in `prompt`, at most."""
    depth = most = 0
    for match in BRACKET.finditer(prompt.replace("(", "[").replace(")", "]")):
        depth = max(depth + {"[": 1, "]": -1}.get(match[0], 0), 0)
        most = max(most, depth)
    return most


def joined(tree: Tree[Token], changes: Callable[[int], object], steps: int, first_pass: int) -> Leaf:
    """What the children of `tree` are at a step, one after the other."""
    leaves = [leaf(child, changes, steps, first_pass) for child in tree.children]
    return lambda step: "".join(one(step) for one in leaves)


def leaf(tree: Any, changes: Callable[[int], object], steps: int, first_pass: int) -> Leaf:
    if isinstance(tree, Token):
        return lambda step, text=str(tree): text  # type: ignore[misc]
    parts = [joined(child, changes, steps, first_pass) for child in tree.children if isinstance(child, Tree)]
    if tree.data == "round":
        return lambda step: f"({':'.join(part(step) for part in parts)})"
    if tree.data == "square":
        return lambda step: f"[{parts[0](step)}]"
    if tree.data == "alternation":
        return lambda step: parts[(step - 1) % len(parts)](step)
    if tree.data == "edit":
        when = change(str(tree.children[-1]), steps, first_pass)
        changes(when)
        before, after = parts if len(parts) == 2 else (lambda step: "", parts[0])
        return lambda step: before(step) if step <= when else after(step)
    return joined(tree, changes, steps, first_pass)


def change(written: str, steps: int, first_pass: int) -> int:
    """The last step before an edit: a number with a point is a share of the steps, one without counts them."""
    number = float(written)
    if "." in written:
        return int(min((number - (1 if first_pass else 0)) * steps, steps))
    return int(min(number - first_pass, steps))
