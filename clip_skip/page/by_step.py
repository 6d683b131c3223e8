"""The clip skips of a prompt that is being written, from step to step, in time in proportion to its length."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from clip_skip.prompt.markers import LETTERS
from clip_skip.prompt.parsed import Values, read_marked
from clip_skip.prompt.precedence import Texts

__all__ = ["Parts", "TooMuchPromptEditing", "outline", "step_counts", "values_by_step"]

Parts = list[list[Values]]
"""For each sub-prompt its values by tower, from step to step; towers without a tag are omitted."""

DEFAULT_STEPS = 20
"""The number of steps if the page does not send it."""

MOST_STEPS = 1000
MOST_CHANGES = 12

LONGEST_OUTLINE = 4000
MOST_WORK = 200_000
"""Characters of the outlines of all sub-prompts, times steps."""

WORDS = re.compile(rf"(?:\\[^\n{LETTERS}]|[^\\()\[\]:|{LETTERS}])+")
"""Text between the signs of prompt editing and the characters of markers."""

OTHERS = re.compile(f"[^{LETTERS}]+")

NUMBER = re.compile(r"[\s\d.eE+-]+")

Schedules = Iterable[Iterable[tuple[int, str]]]
"""For each sub-prompt the last step of each of its texts, and the text."""


class TooMuchPromptEditing(Exception):
    """The prompt has too many brackets, for so many steps, to be read at each key."""


def step_counts(request: Mapping[str, Any], hires: bool) -> tuple[int, int | None]:
    """The "steps" of the first pass in `request`, and the "hires_steps" if the `hires` pass is meant."""
    steps = step_count(request.get("steps")) or DEFAULT_STEPS
    return steps, (step_count(request.get("hires_steps")) or steps) if hires else None


def step_count(value: Any) -> int:
    """`value` as a number of steps; 0 if it is not one."""
    valid = isinstance(value, (int, float)) and 1 <= value <= MOST_STEPS
    return int(value) if valid else 0


def values_by_step(
    texts: Texts,
    negative: bool,
    steps: int,
    cut: Callable[[str], Sequence[str]],
    schedules: Callable[[list[str]], Schedules],
) -> Parts:
    """The values of the prompt or the `negative` prompt; consecutive equal ones count once.

    cut:       the sub-prompts of a marked prompt
    schedules: those of the sub-prompts' outlines, by the parser that the picture is made with
    Raises `TooMuchPromptEditing`.
    """
    marked = texts.marked()[negative]
    outlines = [outline(part) for part in ([marked] if negative else cut(marked))]
    length = sum(map(len, outlines))
    if length > LONGEST_OUTLINE or length * steps > MOST_WORK:
        raise TooMuchPromptEditing
    values = [[read_marked(text).values or {} for _, text in schedule] for schedule in schedules(outlines)]
    return [[value for value, _ in groupby(changes)][:MOST_CHANGES] for changes in values]


def outline(marked: str) -> str:
    """`marked` with one letter for the words between its signs; it has the same values at each step.

    Numbers stay, since one at the end of square brackets is a step. Without square brackets only the markers are left.
    """
    markers = OTHERS.sub("", marked)
    if not markers or "[" not in marked:
        return markers
    return WORDS.sub(lambda words: words[0] if NUMBER.fullmatch(words[0]) else "a", marked)
