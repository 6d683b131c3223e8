"""A study that is to be made: its settings, and what each cell is made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from clip_skip.standalone.engine.loading import AS_USUAL, Loading
from clip_skip.standalone.engine.makers import Task
from clip_skip.standalone.engine.shots import Batch, Shot
from clip_skip.standalone.models import header
from clip_skip.standalone.sweep.job import Settings
from clip_skip.study.plan import Cell, Plan

__all__ = ["Common", "Job"]


@dataclass(frozen=True)
class Common:
    """What all pictures of a study have in common, by the names that a sweep's `Settings` have for it."""

    negative: str
    steps: int
    width: int
    height: int
    sampler: str
    emphasis: str = "Original"


@dataclass(frozen=True)
class Job:
    """models: the file of each checkpoint, by its name in the plan
    device: where the pictures are made; on a cluster "cpu" or "cuda"
    """

    models: Mapping[str, Path]
    common: Common
    plan: Plan
    device: str
    out: Path
    loading: Loading = AS_USUAL

    def shot(self, cell: Cell) -> Shot:
        return Shot(cell.prompt, self.common.negative, cell.clip_skip, cell.cfg_scale, cell.seed)

    def task(self, cells: tuple[Cell, ...]) -> Task:
        """The batch of `cells`, which have one checkpoint; each text is encoded at once for all clip skips."""
        model = cells[0].model
        texts = dict.fromkeys(cell.prompt for cell in cells)
        skips = self.plan.skips[model]
        prepare = (self.shot(Cell(model, text, 0, 1.0, clip_skip)) for text in texts for clip_skip in skips)
        common = self.common
        batch = Batch(tuple(map(self.shot, cells)), common.steps, common.width, common.height, common.sampler)
        return Task(self.models[model], batch, tuple(prepare))

    def infotext(self, cell: Cell) -> str:
        own = Settings(
            model=cell.model,
            prompt=cell.prompt,
            seed=cell.seed,
            family=self._families[cell.model],
            **asdict(self.common),
        )
        return own.infotext(self.shot(cell))

    @cached_property
    def _families(self) -> dict[str, str]:
        """The family of each checkpoint, by its name."""
        return {name: header.inspect(path).family for name, path in self.models.items()}

    @cached_property
    def made_with(self) -> dict[str, object]:
        """Everything that all pixels depend on, besides checkpoints and what is in a cell."""
        dtype = self.loading.dtype_on(self.device)
        return {
            **asdict(self.common),
            "device": self.device.partition(":")[0],
            "dtype": dtype,
            **self.loading.made_with([*self.plan.prompts, self.common.negative]),
        }

    @cached_property
    def digests(self) -> dict[str, str]:
        """What tells the checkpoints apart, by their names."""
        return {name: header.digest(path) for name, path in self.models.items()}

    def digest(self, cell: Cell) -> str:
        """The hash of everything that the pixels of `cell` depend on."""
        known = {**self.made_with, **asdict(cell), "model": self.digests[cell.model]}
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
