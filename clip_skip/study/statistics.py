"""The results of a study about clip skip, in numbers.

Prompts are the sample. The difference between a clip skip and the published one is taken between pictures of the same
prompt, seed and CFG scale, and averaged within each prompt; the averages of the prompts are resampled. Pictures
that share a prompt are alike, so an interval over pictures would be too narrow.

- interval: 95 %, bootstrap of the mean (percentiles, 9,999 resamples; Efron and Tibshirani, *An Introduction to the
  Bootstrap*, 1993), by `scipy.stats.bootstrap`
- p: of a permutation test that swaps the two values of a prompt, `scipy.stats.permutation_test`
- corrected for the number of clip skips by Holm's method (*Scandinavian Journal of Statistics*, 1979), of statsmodels
- shares of the variance: sums of squares of an analysis of variance, of statsmodels
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy import stats

__all__ = ["Comparison", "Measure", "by_cfg", "compare", "shares", "telling_prompts"]

RESAMPLES = 9_999
ALIKE = ["prompt", "seed", "cfg_scale"]
"""The values that the pictures of a pair share, besides the checkpoint."""


@dataclass(frozen=True)
class Measure:
    """A column of scores. better: "higher", or "" where it is a difference, which is neither good nor bad."""

    name: str
    label: str
    better: str = "higher"


@dataclass(frozen=True)
class Comparison:
    """A clip skip of a checkpoint beside the published one. Without at least two prompts, the uncertainties are NaN.

    difference, low, high: of the score, with its interval
    p: corrected
    """

    model: str
    clip_skip: float
    published: float
    prompts: int
    pairs: int
    mean: float
    mean_low: float
    mean_high: float
    difference: float
    low: float
    high: float
    p: float

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    @property
    def sure(self) -> bool:
        return self.p < 0.05


def compare(cells: pd.DataFrame, measure: str, published_skips: Mapping[str, float]) -> list[Comparison]:
    """Every clip skip of every checkpoint in `cells` (a row for each picture), in their order.

    Only pictures that exist at every clip skip count: the same pictures are compared throughout.
    """
    comparisons: list[Comparison] = []
    for model, of_model in cells.groupby("model", sort=False):
        comparisons += _of_model(str(model), paired(of_model, measure), published_skips[str(model)])
    return comparisons


def paired(cells: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A row for each prompt, seed and CFG scale, a column for each clip skip; rows with gaps are left out."""
    table: pd.DataFrame = cells.pivot(index=ALIKE, columns="clip_skip", values=measure).dropna()
    return table


def _of_model(model: str, table: pd.DataFrame, published_skip: float) -> list[Comparison]:
    if table.empty or published_skip not in table:
        return []
    means = table.groupby(level="prompt", sort=False).mean()
    differences = means.sub(means[published_skip], axis=0)
    mean_low, mean_high = interval(means.to_numpy())
    low, high = interval(differences.to_numpy())
    chances = corrected(p_values(differences.to_numpy()), [skip == published_skip for skip in table.columns])
    columns = zip(table.columns, means.mean(), mean_low, mean_high, differences.mean(), low, high, chances)
    return [
        Comparison(model, float(skip), published_skip, len(means), len(table), *map(float, numbers))
        for skip, *numbers in columns
    ]


def interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of the mean of each column of `values` (prompts, columns); NaN for less than two prompts."""
    if len(values) < 2:
        unknown = np.full(values.shape[1], np.nan)
        return unknown, unknown
    random = np.random.default_rng(0)  # reproducible
    blocks = max(1, 10_000_000 // values.size)  # how many resamples are held in memory at once
    confidence = stats.bootstrap(
        (values,), np.mean, axis=0, method="percentile", n_resamples=RESAMPLES, batch=blocks, random_state=random
    ).confidence_interval
    return confidence.low, confidence.high


def p_values(differences: np.ndarray) -> np.ndarray:
    """The probability of differences (prompts, columns) this large or larger by chance."""
    if len(differences) < 2:
        return np.full(differences.shape[1], np.nan)
    chances: np.ndarray = stats.permutation_test(
        (differences, np.zeros_like(differences)),
        lambda one, other, axis: (one - other).mean(axis=axis),
        permutation_type="samples",
        n_resamples=RESAMPLES,
        batch=max(1, 10_000_000 // differences.size),
        axis=0,
        random_state=np.random.default_rng(0),
    ).pvalue
    return chances


def corrected(chances: np.ndarray, is_published: list[bool]) -> np.ndarray:
    """Holm's correction, over all but the published value."""
    from statsmodels.stats.multitest import multipletests  # slow to import

    result = np.where(is_published, 1.0, chances)
    others = ~np.array(is_published)
    if others.any() and np.isfinite(chances[others]).all():
        result[others] = multipletests(chances[others], method="holm")[1]
    return result


def shares(cells: pd.DataFrame, measure: str) -> dict[str, float]:
    """The share of each factor in the variance of one checkpoint's scores; empty where nothing varies.

    The rest is interactions: of prompt and clip skip, of prompt and seed, and so on.
    """
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    table = paired(cells, measure).stack().rename("score").reset_index()
    if len(table) < 2 or np.ptp(table["score"]) == 0:
        return {}
    names = {"clip_skip": "clip skip", "cfg_scale": "CFG", "prompt": "prompt", "seed": "seed"}
    varying_names = [name for name in names if table[name].nunique() > 1]
    terms = [f"C({name})" for name in varying_names]
    if {"clip_skip", "cfg_scale"} <= set(varying_names):
        terms.insert(2, "C(clip_skip):C(cfg_scale)")
    table["prompt"] = table["prompt"].astype("category").cat.codes
    squares = anova_lm(ols(f"score ~ {' + '.join(terms)}", data=table).fit(), test=None)["sum_sq"]
    labels = {f"C({name})": label for name, label in names.items()}
    labels |= {"C(clip_skip):C(cfg_scale)": "clip skip and CFG together", "Residual": "the rest"}
    total = squares.sum()
    return {labels[name]: float(value / total) for name, value in squares.items()}


def by_cfg(cells: pd.DataFrame, measure: str, published_skip: float) -> pd.DataFrame:
    """The mean difference from the published clip skip: a row for each CFG scale, a column for each clip skip."""
    table = paired(cells, measure)
    result: pd.DataFrame = table.sub(table[published_skip], axis=0).groupby(level="cfg_scale").mean()
    return result


def telling_prompts(cells: pd.DataFrame, measure: str, count: int = 6) -> list[str]:
    """The prompts whose mean score changes most with clip skip, the first the most."""
    means = paired(cells, measure).groupby(level="prompt", sort=False).mean()
    spread = means.max(axis=1) - means.min(axis=1)
    return [str(prompt) for prompt in spread.sort_values(ascending=False, kind="stable").index[:count]]
