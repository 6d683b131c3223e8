"""The plan of a study: every combination is a cell. Pure: standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["StudyCell", "StudyPlan"]


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
    def cells(self) -> tuple[StudyCell, ...]:
        """Every cell, by checkpoint, prompt, seed and CFG scale: what has a text in common is together."""
        return tuple(
            StudyCell(model, prompt, seed, cfg_scale, clip_skip)
            for model, skips in self.skips.items()
            for prompt in self.prompts
            for seed in self.seeds
            for cfg_scale in self.cfg_scales
            for clip_skip in skips
        )
