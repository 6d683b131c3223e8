"""A grid that was made with several seeds, in numbers: its report for each seed, and how surely it holds for others.

The seeds are a sample. Each measure is taken within the grid of one seed; over the seeds it has a mean and the 95 %
interval of Student's t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clip_skip.sweep.plan import Plan
from clip_skip.sweep.report import Interval, Report, intervals, measure
from clip_skip.sweep.rows import KINDS, Rows

__all__ = ["PARTS", "OverSeeds", "conclusion", "one_row", "over_seeds"]

PARTS = ("clip_skip", "rows", "interaction")
"""The shares, in the order in which they are told."""


@dataclass(frozen=True)
class OverSeeds:
    """reports: of the same grid, one for each of two or more seeds"""

    reports: Sequence[Report]

    @property
    def first(self) -> Report:
        """For what all have in common."""
        return self.reports[0]

    @property
    def shares(self) -> list[Interval]:
        """What of the variation between the pixels goes with each of `PARTS`."""
        return intervals([[getattr(one.pixels, part) for part in PARTS] for one in self.reports])

    @property
    def varies(self) -> bool:
        return any(one.pixels.variation for one in self.reports)

    def change(self) -> list[list[Interval]]:
        """As in `Report`: R x (C - 1)."""
        return [intervals(row) for row in np.array([one.change for one in self.reports]).swapaxes(0, 1)]

    def similarity(self) -> list[list[Interval]]:
        """As in `Report`: R x C."""
        return [intervals(row) for row in np.array([one.similarity for one in self.reports]).swapaxes(0, 1)]


def over_seeds(grids: Sequence[np.ndarray], plan: Plan) -> OverSeeds:
    """The measures of two or more `grids` of one plan, each of pictures (R, C, height, width, 3) in uint8."""
    return OverSeeds([measure(grid, plan) for grid in grids])


def one_row(grids: Sequence[np.ndarray], plan: Plan, seeds: Sequence[int]) -> Report:
    """The report of grids of a single row: they are one grid, whose rows are the seeds."""
    return measure(np.concatenate(grids), Plan(plan.clip_skips, Rows(tuple(seeds), KINDS["seed"]), plan.columns))


def conclusion(found: OverSeeds) -> str:
    """The answer in one sentence."""
    if not found.varies:
        return "Nothing changes: all pictures are equal."
    (skip, rows, both), factor = (told(share) for share in found.shares), found.first.factor
    return (
        f"Over {len(found.reports)} seeds, of what differs between pictures of one seed, {skip} goes with clip skip, "
        f"{rows} with {factor}, and {both} with the two together."
    )


def told(share: Interval) -> str:
    return f"{share.mean:.0%} (95% interval {max(share.low, 0):.0%} to {min(share.high, 1):.0%})"
