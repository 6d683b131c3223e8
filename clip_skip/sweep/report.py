"""The measures of a sweep: does the picture change with clip skip, with CFG, and do the two interact?

CFG means whatever the rows are. Rows of seeds are different: they are a sample of all seeds, so their own share
is of no interest, but how well the rest holds for other seeds is. The measures of a column then
get a mean and the 95 % interval of Student's t over the rows.

The decomposition is that of a two-way layout with one observation per cell (Fisher, *Statistical Methods for Research
Workers*, 1925; Montgomery, *Design and Analysis of Experiments*, chapter 5), taken at every element (pixel and colour,
or latent) and summed over the elements. With x[r, c] the value in row r and at clip skip c, of R and C, and means
written x[r, .], x[., c] and x[., .]:

    total       = sum over r, c of (x[r, c] - x[., .])^2
    clip skip   = R * sum over c of (x[., c] - x[., .])^2
    rows        = C * sum over r of (x[r, .] - x[., .])^2
    interaction = sum over r, c of (x[r, c] - x[r, .] - x[., c] + x[., .])^2

The last three add up to the first; their shares of it are reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
from scipy import stats
from skimage.metrics import structural_similarity

from clip_skip.messages.message import Message, Template
from clip_skip.sweep.plan import SweepPlan
from clip_skip.sweep.rows import ROW_KINDS

__all__ = [
    "NOTHING_CHANGES",
    "ONE_COLUMN",
    "Interval",
    "Report",
    "Shares",
    "conclude",
    "measure_grid",
    "percent",
    "picture_similarity",
    "split_variation",
    "t_intervals",
]

NOTHING_CHANGES = Template("Nothing changes: all pictures are the same.")
ONE_COLUMN = Template("All pictures have the same clip skip, so all differences come from {factor}.")
SHARES_OF_PIXELS = Template(
    "Clip skip explains {skip} of the pixel differences, {factor} {rows}, and their interaction {both}."
)
SHARES_OF_LATENTS = Template(
    "Clip skip explains {skip} of the differences between latents, {factor} {rows}, and their interaction {both}."
)
ONE_STEP = Template("The change from clip skip {one} to {other} is {change} on a scale of 255.")
BIGGEST_STEP = Template("The biggest change is from clip skip {one} to {other}: {change} on a scale of 255.")
ONE_STEP_OVER_SEEDS = Template("Over {count} seeds, the change from clip skip {one} to {other} is {change}.")
STEPS_OVER_SEEDS = Template(
    "Over {count} seeds, the biggest change is from clip skip {one} to {other}: {change}; "
    "the smallest is from clip skip {first} to {second}: {least}."
)
CHANGE = Template("{change} on a scale of 255 (95% interval {low} to {high})")

_BLOCK = 1 << 22
"""Numbers that are in float64 at once, of all pictures together: 32 MB, and as much again for their squares."""


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
    rows: list[str | Message]
    """The name of each row."""
    factor: Template
    """The name of the rows in the sentence."""
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
        return self.factor == ROW_KINDS["seed"].factor and len(self.rows) > 1

    @property
    def has_shares(self) -> bool:
        """Whether both clip skip and the rows vary, so that shares of the variation mean something."""
        return len(self.rows) > 1 and len(self.clip_skips) > 1 and not self.of_seeds

    def as_dict(self) -> dict[str, object]:
        """The numbers, ready for JSON."""
        more = {}
        if self.of_seeds:
            measures = {"change": self.change, "similarity": self.similarity}
            more = {f"{name}_over_seeds": [asdict(one) for one in t_intervals(each)] for name, each in measures.items()}
        return {**asdict(self), "rows": [*map(str, self.rows)], "factor": str(self.factor), **more}


@dataclass(frozen=True)
class Interval:
    """The mean over the rows, and the 95 % interval of Student's t around it."""

    mean: float
    low: float
    high: float


def t_intervals(values: Sequence[Sequence[float]]) -> list[Interval]:
    """For each column of `values` (R, C), R of 2 or more."""
    array = np.asarray(values, dtype=np.float64)
    reach = stats.t.ppf(0.975, len(array) - 1) * stats.sem(array, axis=0)
    return [Interval(float(mean), float(mean - half), float(mean + half)) for mean, half in zip(array.mean(0), reach)]


def split_variation(values: np.ndarray) -> Shares:
    """The shares of `values` (R, C, ...), computed in float64 and a block of elements at a time."""
    rows, columns = values.shape[:2]
    elements = values.reshape(rows, columns, -1)
    sums = np.zeros(3)
    step = max(1, _BLOCK // (rows * columns))
    for start in range(0, elements.shape[2], step):
        block = elements[:, :, start : start + step].astype(np.float64)
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


def measure_grid(pictures: np.ndarray, plan: SweepPlan, latents: np.ndarray | None = None) -> Report:
    """The report of `pictures` (R, C, height, width, 3) in uint8, and of `latents` (R, C, ...) if given.

    Pictures are at least 11 pixels in each direction.
    """
    change = [[root_mean_square(one, other) for one, other in pairwise(row)] for row in pictures]
    similarity = [[picture_similarity(row[plan.reference], picture) for picture in row] for row in pictures]
    return Report(
        clip_skips=list(plan.clip_skips),
        rows=plan.rows.names,
        factor=plan.rows.kind.factor,
        pixels=split_variation(pictures),
        latents=None if latents is None else split_variation(latents),
        change=change,
        similarity=similarity,
        reference=plan.reference,
    )


def conclude(report: Report) -> Message:
    """The answer in one sentence."""
    shares = report.latents or report.pixels
    if shares.variation == 0:
        return NOTHING_CHANGES()
    if len(report.clip_skips) == 1:
        return ONE_COLUMN(factor=report.factor)
    if not report.has_shares:
        return _steps_over_seeds(report) if report.of_seeds else _biggest_step(report)
    skip, rows, both = map(percent, (shares.clip_skip, shares.rows, shares.interaction))
    sentence = SHARES_OF_LATENTS if report.latents else SHARES_OF_PIXELS
    return sentence(skip=skip, factor=report.factor, rows=rows, both=both)


def percent(share: float) -> str:
    return f"{share:.0%}"


def _steps(report: Report) -> list[dict[str, str]]:
    return [{"one": one, "other": other} for one, other in pairwise(f"{value:g}" for value in report.clip_skips)]


def _biggest_step(report: Report) -> Message:
    """Of the only row, the two neighbouring clip skips whose pictures differ the most."""
    (changes,) = report.change
    biggest = int(np.argmax(changes))
    sentence = BIGGEST_STEP if len(changes) > 1 else ONE_STEP
    return sentence(**_steps(report)[biggest], change=f"{changes[biggest]:.1f}")


def _steps_over_seeds(report: Report) -> Message:
    """The neighbouring clip skips whose pictures differ the most and the least."""
    steps, changes, count = _steps(report), t_intervals(report.change), len(report.rows)
    sentences = [
        CHANGE(change=f"{change.mean:.1f}", low=f"{max(change.low, 0):.1f}", high=f"{change.high:.1f}")
        for change in changes
    ]
    means = [change.mean for change in changes]
    most, least = int(np.argmax(means)), int(np.argmin(means))
    if len(steps) == 1:
        return ONE_STEP_OVER_SEEDS(count=count, **steps[0], change=sentences[0])
    first, second = steps[least].values()
    return STEPS_OVER_SEEDS(
        count=count, **steps[most], change=sentences[most], first=first, second=second, least=sentences[least]
    )


def root_mean_square(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(np.square(one.astype(np.float64) - other).mean()))


def picture_similarity(one: np.ndarray, other: np.ndarray) -> float:
    """SSIM as published: a Gaussian window of 11 pixels (Wang et al., IEEE Transactions on Image Processing, 2004)."""
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(one, other, channel_axis=-1, data_range=255, **options))
