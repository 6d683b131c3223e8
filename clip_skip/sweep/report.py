"""What a sweep shows, in numbers: does the picture change with clip skip, with CFG, and do the two interact?

CFG stands for whatever the rows are. Rows of seeds are another matter: they are a sample of all seeds, so nobody asks
what goes with them; what counts is how surely the rest holds for seeds that were not tried. For these the measures of
a column get a mean and the 95 % interval of Student's t over the rows.

The decomposition is that of a two-way layout with one observation per cell (Fisher, *Statistical Methods for Research
Workers*, 1925; Montgomery, *Design and Analysis of Experiments*, chapter 5), taken at every element (pixel and colour,
or latent) and summed over the elements. With x[r, c] the value in row r and at clip skip c, of R and C, and means
written x[r, .], x[., c] and x[., .]:

    total       = sum over r, c of (x[r, c] - x[., .])^2
    clip skip   = R * sum over c of (x[., c] - x[., .])^2
    rows        = C * sum over r of (x[r, .] - x[., .])^2
    interaction = sum over r, c of (x[r, c] - x[r, .] - x[., c] + x[., .])^2

The last three add up to the first; their shares of it are what is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
from scipy import stats
from skimage.metrics import structural_similarity

from clip_skip.sweep.plan import Plan
from clip_skip.sweep.rows import KINDS

_BLOCK = 1 << 18


@dataclass(frozen=True)
class Shares:
    """Shares of the variation between the cells, from 0 to 1; all 0 where nothing varies."""

    clip_skip: float
    rows: float
    interaction: float
    variation: float
    """Root mean square difference of an element from its mean over all cells, in its own units."""


@dataclass(frozen=True)
class Report:
    """The measures of a grid of R rows and C clip skips; lists are by row."""

    clip_skips: list[float]
    rows: list[str]
    """What each row is, in words."""
    factor: str
    """What the rows are, in the words of the sentence."""
    pixels: Shares
    latents: Shares | None
    change: list[list[float]]
    """R x (C - 1): root mean square difference between a cell and the next in its row, in levels of 0..255."""
    similarity: list[list[float]]
    """R x C: SSIM with the cell of its row in column `reference`; 1 is equal."""
    reference: int

    @property
    def of_seeds(self) -> bool:
        """Whether the rows are a sample, and enough of them for an interval."""
        return self.factor == KINDS["seed"].factor and len(self.rows) > 1

    def as_dict(self) -> dict[str, object]:
        """The numbers, ready for JSON."""
        more = {}
        if self.of_seeds:
            named = {"change": self.change, "similarity": self.similarity}
            more = {f"{name}_over_seeds": [asdict(one) for one in intervals(values)] for name, values in named.items()}
        return {**asdict(self), **more}


@dataclass(frozen=True)
class Interval:
    """The mean over the rows, and the 95 % interval of Student's t around it."""

    mean: float
    low: float
    high: float


def intervals(values: Sequence[Sequence[float]]) -> list[Interval]:
    """For each column of `values` (R, C), R of 2 or more."""
    array = np.asarray(values, dtype=np.float64)
    reach = stats.t.ppf(0.975, len(array) - 1) * stats.sem(array, axis=0)
    return [Interval(float(mean), float(mean - half), float(mean + half)) for mean, half in zip(array.mean(0), reach)]


def decompose(values: np.ndarray) -> Shares:
    """The shares of `values` (R, C, ...), computed in float64 and a block of elements at a time."""
    rows, columns = values.shape[:2]
    elements = values.reshape(rows, columns, -1)
    sums = np.zeros(3)
    for start in range(0, elements.shape[2], _BLOCK):
        block = elements[:, :, start : start + _BLOCK].astype(np.float64)
        block -= block.mean((0, 1))
        by_row = block.mean(1, keepdims=True)
        by_column = block.mean(0, keepdims=True)
        block -= by_row
        block -= by_column
        sums += rows * np.square(by_column).sum(), columns * np.square(by_row).sum(), np.square(block).sum()
    total = sums.sum()
    shares = sums / total if total > 0 else sums
    clip_skip, by_rows, interaction = map(float, shares)
    return Shares(clip_skip, by_rows, interaction, float(np.sqrt(total / values.size)))


def measure(pictures: np.ndarray, plan: Plan, latents: np.ndarray | None = None) -> Report:
    """The report of `pictures` (R, C, height, width, 3) in uint8, and of `latents` (R, C, ...) if they are at hand.

    Pictures are at least 11 pixels in each direction.
    """
    change = [[difference(one, other) for one, other in pairwise(row)] for row in pictures]
    likeness = [[similarity(row[plan.reference], picture) for picture in row] for row in pictures]
    return Report(
        clip_skips=list(plan.clip_skips),
        rows=[f"{plan.rows.kind.short}{label}" for label in plan.rows.axis.labels],
        factor=plan.rows.kind.factor,
        pixels=decompose(pictures),
        latents=None if latents is None else decompose(latents),
        change=change,
        similarity=likeness,
        reference=plan.reference,
    )


def conclusion(report: Report) -> str:
    """The answer in one sentence."""
    shares = report.latents or report.pixels
    if shares.variation == 0:
        return "Nothing changes: all pictures are equal."
    if report.of_seeds and len(report.clip_skips) > 1:
        return over_seeds(report)
    where = "latents" if report.latents else "pixels"
    return (
        f"Of what differs between the {where} of these pictures, {shares.clip_skip:.0%} goes with clip skip, "
        f"{shares.rows:.0%} with {report.factor}, and {shares.interaction:.0%} with the two together."
    )


def over_seeds(report: Report) -> str:
    """The steps between clip skips that change a picture the most and the least."""
    changes = intervals(report.change)
    steps = list(pairwise(f"{value:g}" for value in report.clip_skips))
    told = [
        f"from clip skip {one} to {other}, by {by.mean:.1f} of 255 (95% interval {max(by.low, 0):.1f} to {by.high:.1f})"
        for (one, other), by in zip(steps, changes)
    ]
    order = sorted(range(len(told)), key=lambda index: changes[index].mean)
    if len(told) == 1:
        return f"Over {len(report.rows)} seeds the picture changes {told[0]}."
    return f"Over {len(report.rows)} seeds the picture changes most {told[order[-1]]}; least {told[order[0]]}."


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(np.square(one.astype(np.float64) - other).mean()))


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """SSIM as published: a Gaussian window of 11 pixels (Wang et al., IEEE Transactions on Image Processing, 2004)."""
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(one, other, channel_axis=-1, data_range=255, **options))
