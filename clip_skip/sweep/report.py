"""What a sweep shows, in numbers: does the picture change with clip skip, with CFG, and do the two interact?

The decomposition is that of a two-way layout with one observation per cell (Fisher, *Statistical Methods for Research
Workers*, 1925; Montgomery, *Design and Analysis of Experiments*, chapter 5), taken at every element (pixel and colour,
or latent) and summed over the elements. With x[r, c] the value at CFG scale r and clip skip c, of R and C, and means
written x[r, .], x[., c] and x[., .]:

    total       = sum over r, c of (x[r, c] - x[., .])^2
    clip skip   = R * sum over c of (x[., c] - x[., .])^2
    CFG         = C * sum over r of (x[r, .] - x[., .])^2
    interaction = sum over r, c of (x[r, c] - x[r, .] - x[., c] + x[., .])^2

The last three add up to the first; their shares of it are what is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
from skimage.metrics import structural_similarity

_BLOCK = 1 << 18


@dataclass(frozen=True)
class Shares:
    """Shares of the variation between the cells, from 0 to 1; all 0 where nothing varies."""

    clip_skip: float
    cfg: float
    interaction: float
    variation: float
    """Root mean square difference of an element from its mean over all cells, in its own units."""


@dataclass(frozen=True)
class Report:
    """The measures of a grid of R CFG scales and C clip skips; lists are by row."""

    clip_skips: list[float]
    cfg_scales: list[float]
    pixels: Shares
    latents: Shares | None
    change: list[list[float]]
    """R x (C - 1): root mean square difference between a cell and the next in its row, in levels of 0..255."""
    similarity: list[list[float]]
    """R x C: SSIM with the cell of its row in column `reference`; 1 is equal."""
    reference: int

    def as_dict(self) -> dict[str, object]:
        """The numbers, ready for JSON."""
        return asdict(self)


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
    clip_skip, cfg, interaction = map(float, shares)
    return Shares(clip_skip, cfg, interaction, float(np.sqrt(total / values.size)))


def measure(
    pictures: np.ndarray, clip_skips: Sequence[float], cfg_scales: Sequence[float], latents: np.ndarray | None = None
) -> Report:
    """The report of `pictures` (R, C, height, width, 3) in uint8, and of `latents` (R, C, ...) if they are at hand.

    The column to compare with is that of the lowest clip skip. Pictures are at least 11 pixels in each direction.
    """
    reference = min(range(len(clip_skips)), key=lambda column: clip_skips[column])
    change = [[_difference(one, other) for one, other in pairwise(row)] for row in pictures]
    similarity = [[_similarity(row[reference], picture) for picture in row] for row in pictures]
    return Report(
        clip_skips=list(clip_skips),
        cfg_scales=list(cfg_scales),
        pixels=decompose(pictures),
        latents=None if latents is None else decompose(latents),
        change=change,
        similarity=similarity,
        reference=reference,
    )


def conclusion(report: Report) -> str:
    """The answer in one sentence."""
    shares = report.latents or report.pixels
    if shares.variation == 0:
        return "Nothing changes: all pictures are equal."
    where = "latents" if report.latents else "pixels"
    return (
        f"Of what differs between the {where} of these pictures, {shares.clip_skip:.0%} goes with clip skip, "
        f"{shares.cfg:.0%} with CFG, and {shares.interaction:.0%} with the two together."
    )


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(np.square(one.astype(np.float64) - other).mean()))


def _similarity(one: np.ndarray, other: np.ndarray) -> float:
    """SSIM as published: a Gaussian window of 11 pixels (Wang et al., IEEE Transactions on Image Processing, 2004)."""
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(one, other, channel_axis=-1, data_range=255, **options))
