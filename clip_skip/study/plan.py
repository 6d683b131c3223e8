"""The plan of a study: every combination is a cell. Pure: standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

__all__ = ["Cells", "StudyCell", "StudyPlan"]


@dataclass(frozen=True)
class StudyCell:
    """One picture: everything that differs between the pictures of a study."""

    model: str
    prompt: str
    seed: int
    cfg_scale: float
    clip_skip: float


@dataclass(frozen=True)
class StudyPlan:
    """skips:     the clip skips of each checkpoint, by its name; the published one is among them
    published: the clip skip at which each checkpoint was published
    """

    skips: Mapping[str, tuple[float, ...]]
    published: Mapping[str, float]
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    cfg_scales: tuple[float, ...]

    @property
    def cells(self) -> Cells:
        return Cells(self)


class Cells:
    """Every cell of a plan, by checkpoint, prompt, seed and CFG scale, so that cells that share a text are neighbours.

    They are generated one at a time: a study may have very many.
    """

    def __init__(self, plan: StudyPlan) -> None:
        self._plan = plan

    def __len__(self) -> int:
        plan = self._plan
        skips = sum(map(len, plan.skips.values()))
        return skips * len(plan.prompts) * len(plan.seeds) * len(plan.cfg_scales)

    def __iter__(self) -> Iterator[StudyCell]:
        plan = self._plan
        for model, skips in plan.skips.items():
            for prompt, seed, cfg_scale, clip_skip in product(plan.prompts, plan.seeds, plan.cfg_scales, skips):
                yield StudyCell(model, prompt, seed, cfg_scale, clip_skip)
