"""The column of a sweep that is the checkpoint's own clip skip: remembered for it, or recommended by its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clip_skip.made_for.metadata import find_recommendation
from clip_skip.made_for.reading import Problem
from clip_skip.made_for.remembered import Store, value_of
from clip_skip.messages.message import Message, Template
from clip_skip.sweep.plan import SweepPlan

__all__ = ["RECOMMENDED", "REMEMBERED", "OwnColumn", "find_own_column"]

REMEMBERED = Template("Clip skip {value} is remembered for this checkpoint.")
RECOMMENDED = Template("Clip skip {value} is recommended for this checkpoint, in {file}.")


@dataclass(frozen=True)
class OwnColumn:
    """value: its clip skip; sentence: why it is marked"""

    value: int
    sentence: Message

    def mark(self, labels: Sequence[str]) -> list[str]:
        """The labels of the columns, with this one in brackets."""
        return [f"[{label}]" if label == str(self.value) else label for label in labels]


def find_own_column(plan: SweepPlan, path: str | None, store: Store, is_sd1: bool) -> OwnColumn | None:
    """The column of the checkpoint at `path`, if the sweep has it; recommendations in files are for SD1 alone."""
    if path is None or plan.columns != "clip_skip":
        return None
    remembered_value = value_of(path, store)
    if remembered_value:
        own = OwnColumn(remembered_value, REMEMBERED(value=remembered_value))
    else:
        try:
            recommendation = find_recommendation(path) if is_sd1 else None
        except Problem:
            recommendation = None
        if recommendation is None or recommendation.model not in (None, "SD1"):
            return None
        own = OwnColumn(recommendation.value, RECOMMENDED(value=recommendation.value, file=recommendation.file))
    return own if own.value in plan.clip_skips else None
