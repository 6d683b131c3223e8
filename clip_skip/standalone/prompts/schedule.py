"""Prompt editing and alternation: which text a prompt is at which step.

[from:to:0.5]  [to:5]  [from::5]  [a|b]

The rules are those of AUTOMATIC1111 v1.10.1, compared with its results in `tests/prompts.json`: unmatched brackets are
letters, and if a `|` is outside brackets, or a backslash escapes nothing, the whole prompt is used verbatim.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from clip_skip.prompt.sub_prompts import BRACKET

__all__ = ["MOST_BRACKETS", "depth_of", "schedule"]

TOKEN = re.compile(r"(?:\\.|[^\\()\[\]:|])+|[()\[\]:|]")
"""A run of text, or one of the signs that have a meaning."""

STEP = re.compile(r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*")

OPENING = {")": "(", "]": "["}

MOST_BRACKETS = 60
"""The deepest nesting of brackets. A prompt with deeper nesting is used verbatim."""

Leaf = Callable[[int], str]
"""The text of a part of a prompt at a step; steps are counted from 1."""


@dataclass
class Bracket:
    """A bracket that has been opened: its sign, the parts between its separators so far, and these, `:` or `|`."""

    sign: str
    parts: list[list[str | Leaf]] = field(default_factory=lambda: [[]])
    separators: list[str] = field(default_factory=list)

    def as_letters(self) -> list[str | Leaf]:
        """The parts read so far, as plain text, if the bracket turns out to be unmatched."""
        letters: list[str | Leaf] = [self.sign, *self.parts[0]]
        for separator, part in zip(self.separators, self.parts[1:]):
            letters += [separator, *part]
        return letters


class Unreadable(Exception):
    """The whole prompt has to be used verbatim."""


@lru_cache(maxsize=256)
def schedule(prompt: str, steps: int, first_pass: int = 0) -> tuple[tuple[int, str], ...]:
    """The last step of each text that `prompt` becomes, and the text: ((10, "a cow"), (20, "a horse")).

    steps:      of the pass, counted as the calls of the UNet that its sampler makes
    first_pass: those of the pass before, in a hires pass, whose whole numbers count from there
    Takes time in proportion to the length of `prompt`, for each of the texts.
    """
    if "[" not in prompt or depth_of(prompt) > MOST_BRACKETS:
        return ((steps, prompt),)
    reader = Reader(steps, first_pass)
    try:
        text_at = reader.read(prompt)
    except Unreadable:
        return ((steps, prompt),)
    return tuple((end, text_at(end)) for end in sorted(reader.ends))


class Reader:
    """Reads a prompt from left to right, once. `ends` are the last steps of the texts that it becomes."""

    def __init__(self, steps: int, first_pass: int) -> None:
        self.steps, self.first_pass = steps, first_pass
        self.ends = {steps}
        self.whole: list[str | Leaf] = []
        """The parts outside brackets so far."""
        self.open_brackets: list[Bracket] = []

    def read(self, prompt: str) -> Leaf:
        """The text of `prompt` by step. Raises `Unreadable`."""
        at = 0
        while at < len(prompt):
            token = TOKEN.match(prompt, at)
            if token is None:
                raise Unreadable
            at = token.end()
            self.take(token[0])
        self.give_up_opened()
        return join_leaves(self.whole)

    def take(self, token: str) -> None:
        """The next run of text or sign."""
        if token in ("(", "["):
            self.open_brackets.append(Bracket(token))
        elif token in OPENING:
            leaf = self.closed(token)
            if leaf is None:
                self.give_up_opened()
                self.add(token)
            else:
                self.open_brackets.pop()
                self.add(leaf)
        elif token in (":", "|") and self.open_brackets:
            self.open_brackets[-1].separators.append(token)
            self.open_brackets[-1].parts.append([])
        else:
            self.add(token)

    def closed(self, sign: str) -> Leaf | None:
        """The contents of the last opened bracket, which `sign` closes; None if it does not match."""
        if not self.open_brackets or self.open_brackets[-1].sign != OPENING[sign]:
            return None
        parts, separators = self.open_brackets[-1].parts, self.open_brackets[-1].separators
        if not separators or (sign == ")" and separators == [":"]):
            return join_leaves([*self.open_brackets[-1].as_letters(), sign])
        if sign == ")":
            return None
        if "|" in separators:
            return None if ":" in separators else self.alternation([join_leaves(part) for part in parts])
        when = parts[-1]
        if len(parts) > 3 or len(when) != 1 or not isinstance(when[0], str) or not STEP.fullmatch(when[0]):
            return None
        return self.edit(join_leaves(parts[0] if len(parts) == 3 else []), join_leaves(parts[-2]), when[0])

    def alternation(self, parts: list[Leaf]) -> Leaf:
        """Another of `parts` at each step."""
        self.ends.update(range(1, self.steps + 1))
        return lambda step: parts[(step - 1) % len(parts)](step)

    def edit(self, before: Leaf, after: Leaf, when: str) -> Leaf:
        """`before` up to the step `when`, as written, then `after`."""
        last = last_step(when, self.steps, self.first_pass)
        if last >= 1:
            self.ends.add(last)
        return lambda step: before(step) if step <= last else after(step)

    def give_up_opened(self) -> None:
        """All brackets that are open now are letters."""
        for bracket in self.open_brackets:
            if "|" in bracket.separators:
                raise Unreadable
            self.whole += bracket.as_letters()
        self.open_brackets.clear()

    def add(self, part: str | Leaf) -> None:
        if self.open_brackets:
            self.open_brackets[-1].parts[-1].append(part)
        elif part == "|":
            raise Unreadable
        else:
            self.whole.append(part)


def join_leaves(parts: list[str | Leaf]) -> Leaf:
    """The texts of `parts` at a step, joined."""
    return lambda step: "".join(part if isinstance(part, str) else part(step) for part in parts)


def depth_of(prompt: str) -> int:
    """An upper bound of the nesting of square and round brackets in `prompt`."""
    depth = deepest = 0
    for match in BRACKET.finditer(prompt.replace("(", "[").replace(")", "]")):
        depth = max(depth + {"[": 1, "]": -1}.get(match[0], 0), 0)
        deepest = max(deepest, depth)
    return deepest


def last_step(when: str, steps: int, first_pass: int) -> int:
    """The last step before an edit, at least 0: with a decimal point a share of the steps, without one a step."""
    number = float(when.strip())  # control characters count as white space, too
    step = (number - (1 if first_pass else 0)) * steps if "." in when else number - first_pass
    return int(max(min(step, steps), 0))
