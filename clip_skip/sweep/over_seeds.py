"""The measures of a grid made with several seeds: its report for each seed, and how well it holds for others.

The seeds are a sample. Each measure is taken within the grid of one seed; over the seeds it has a mean and the 95 %
interval of Student's t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clip_skip.messages.message import Message, Template
from clip_skip.sweep.plan import SweepPlan
from clip_skip.sweep.report import (
    NOTHING_CHANGES,
    ONE_COLUMN,
    Interval,
    Report,
    measure_grid,
    percent,
    t_intervals,
)
from clip_skip.sweep.rows import ROW_KINDS, Rows

__all__ = ["PARTS", "OverSeeds", "conclude_over_seeds", "measure_over_seeds", "seeds_as_rows"]

PARTS = ("clip_skip", "rows", "interaction")
"""The shares, in the order of the sentence."""

SHARES_OVER_SEEDS = Template(
    "Over {count} seeds, clip skip explains {skip} of the pixel differences, {factor} {rows}, "
    "and their interaction {both}."
)
SHARE = Template("{share} (95% interval {low} to {high})")


@dataclass(frozen=True)
class OverSeeds:
    """reports: of the same grid, one for each of two or more seeds"""

    reports: Sequence[Report]

    @property
    def first(self) -> Report:
        """For everything that the reports have in common."""
        return self.reports[0]

    @property
    def shares(self) -> list[Interval]:
        """The share of each of `PARTS` in the variation between the pixels."""
        return t_intervals([[getattr(one.pixels, part) for part in PARTS] for one in self.reports])

    @property
    def varies(self) -> bool:
        return any(one.pixels.variation for one in self.reports)

    def change(self) -> list[list[Interval]]:
        """As in `Report`: R x (C - 1)."""
        return [t_intervals(row) for row in np.array([one.change for one in self.reports]).swapaxes(0, 1)]

    def similarity(self) -> list[list[Interval]]:
        """As in `Report`: R x C."""
        return [t_intervals(row) for row in np.array([one.similarity for one in self.reports]).swapaxes(0, 1)]


def measure_over_seeds(grids: Sequence[np.ndarray], plan: SweepPlan) -> OverSeeds:
    """The measures of two or more `grids` of one plan, each of pictures (R, C, height, width, 3) in uint8."""
    return OverSeeds([measure_grid(grid, plan) for grid in grids])


def seeds_as_rows(grids: Sequence[np.ndarray], plan: SweepPlan, seeds: Sequence[int]) -> Report:
    """The report of grids of a single row each, taken as one grid whose rows are the seeds."""
    return measure_grid(
        np.concatenate(grids), SweepPlan(plan.clip_skips, Rows(tuple(seeds), ROW_KINDS["seed"]), plan.columns)
    )


def conclude_over_seeds(result: OverSeeds) -> Message:
    """The answer in one sentence."""
    if not result.varies:
        return NOTHING_CHANGES()
    factor = result.first.factor
    if len(result.first.clip_skips) == 1:
        return ONE_COLUMN(factor=factor)
    skip, rows, both = map(_share, result.shares)
    return SHARES_OVER_SEEDS(count=len(result.reports), skip=skip, factor=factor, rows=rows, both=both)


def _share(share: Interval) -> Message:
    return SHARE(share=percent(share.mean), low=percent(max(share.low, 0)), high=percent(min(share.high, 1)))
