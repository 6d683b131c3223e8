"""A study to make: its settings, and the shot of each cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from clip_skip.standalone.engine.loading import AS_USUAL, Loading
from clip_skip.standalone.engine.makers import Task
from clip_skip.standalone.engine.shots import Shot
from clip_skip.standalone.identity import Identities
from clip_skip.standalone.models import header
from clip_skip.standalone.settings import CommonSettings, Settings
from clip_skip.study.plan import StudyCell, StudyPlan

__all__ = ["StudyJob"]


@dataclass(frozen=True)
class StudyJob:
    """models: the file of each checkpoint, by its name in the plan
    device:  where the pictures are made; on a cluster "cpu" or "cuda"
    loading: its emphasis is replaced by that of the settings
    """

    models: Mapping[str, Path]
    settings: CommonSettings
    plan: StudyPlan
    device: str
    out: Path
    loading: Loading = AS_USUAL

    def __post_init__(self) -> None:
        object.__setattr__(self, "loading", replace(self.loading, emphasis=self.settings.emphasis))

    def shot(self, cell: StudyCell) -> Shot:
        return Shot(cell.prompt, self.settings.negative, cell.clip_skip, cell.cfg_scale, cell.seed)

    def task(self, cells: tuple[StudyCell, ...]) -> Task:
        """The batch of `cells`, which have one checkpoint; each text is encoded at once for all clip skips."""
        model = cells[0].model
        texts = dict.fromkeys(cell.prompt for cell in cells)
        skips = self.plan.skips[model]
        prepare = (self.shot(StudyCell(model, text, 0, 1.0, clip_skip)) for text in texts for clip_skip in skips)
        return Task(self.models[model], self.settings.batch(tuple(map(self.shot, cells))), tuple(prepare))

    def infotext(self, cell: StudyCell) -> str:
        own = Settings(
            **{**asdict(self.settings), "hires": self.settings.hires},
            model=cell.model,
            prompt=cell.prompt,
            seed=cell.seed,
            family=self._families[cell.model],
        )
        return own.infotext(self.shot(cell))

    def identity(self, cell: StudyCell) -> str:
        """The identity of the picture of `cell`: a hash of everything that it is made from. Raises `LoraError`."""
        return self._identities.of(self.models[cell.model], self.settings.batch((self.shot(cell),)))

    @cached_property
    def made_with(self) -> dict[str, object]:
        """The part that all pictures of all studies in one folder share, besides checkpoints."""
        return {**asdict(self.settings), **self._identities.everywhere}

    @cached_property
    def digests(self) -> dict[str, str]:
        """The identities of the checkpoints, by their names."""
        return {name: header.digest(path) for name, path in self.models.items()}

    @cached_property
    def _families(self) -> dict[str, str]:
        """The family of each checkpoint, by its name."""
        return {name: header.inspect(path).family for name, path in self.models.items()}

    @cached_property
    def _identities(self) -> Identities:
        return Identities(self.loading, self.device)
