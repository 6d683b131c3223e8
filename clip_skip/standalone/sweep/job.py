"""A sweep to make: its settings, and the shot of each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from clip_skip.messages.message import Translate
from clip_skip.prompt import tags
from clip_skip.standalone.engine.loading import AS_USUAL, Loading
from clip_skip.standalone.engine.makers import Task
from clip_skip.standalone.engine.shots import Shot
from clip_skip.standalone.identity import Identities, hash_of
from clip_skip.standalone.models import header
from clip_skip.standalone.models.sizes import FAMILY_NATIVE
from clip_skip.standalone.settings import Settings
from clip_skip.sweep.plan import SweepCell, SweepPlan

__all__ = ["ROWS", "SweepJob"]

ROWS = ("cfg", "seed", "negative", "clip_g", "hires", "prompt", "lora")
"""The kinds of rows that can be made without a WebUI."""


@dataclass(frozen=True)
class SweepJob:
    """A sweep to be made. With `batch` 0 the number of cells per batch is chosen to fit the device.

    loading: its emphasis is replaced by that of the settings
    """

    model: Path
    settings: Settings
    plan: SweepPlan
    device: str
    batch: int
    out: Path
    report: bool
    loading: Loading = AS_USUAL
    language: str = "en"
    translate: Translate = str
    """Renders the texts in its pictures and on its page in `language`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "loading", replace(self.loading, emphasis=self.settings.emphasis))

    def shot(self, cell: SweepCell) -> Shot:
        """The shot of `cell`."""
        rows, settings = self.plan.rows, self.settings
        prompt, negative = rows.texts(settings.prompt, settings.negative, cell.value)
        number = {rows.kind.name: float(cell.value)} if isinstance(cell.value, (int, float)) else {}
        own_g = float(FAMILY_NATIVE["SDXL"]) if self.plan.columns == "clip_l" else None
        return Shot(
            prompt,
            tags.strip(negative) if "negative" in number else negative,
            cell.clip_skip,
            number.get("cfg", settings.cfg_scale),
            int(number.get("seed", settings.seed)),
            number.get("clip_g", own_g),
            number.get("negative"),
            number.get("hires"),
        )

    def task(self, missing: tuple[Shot, ...], cells: Sequence[SweepCell]) -> Task:
        """The batch of `cells`; the texts of `missing`, all the cells to be made, are encoded at once."""
        return Task(self.model, self.settings.batch(tuple(map(self.shot, cells))), missing)

    def infotext(self, cell: SweepCell) -> str:
        return self.settings.infotext(self.shot(cell))

    def identity(self, cell: SweepCell) -> str:
        """The identity of the picture of `cell`: a hash of everything that it is made from. Raises `LoraError`."""
        return self._identities.of(self.model, self.settings.batch((self.shot(cell),)))

    @property
    def name(self) -> str:
        """The name of its folder: the same for the same model and settings, whatever the axes."""
        return hash_of(self.made_with)[:12]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures, in pixels."""
        settings = self.settings
        if settings.hires is None:
            return settings.width, settings.height
        return settings.hires.final(settings.width, settings.height, header.inspect(self.model).vae_factor)

    @cached_property
    def made_with(self) -> dict[str, object]:
        """The part that all sweeps in one folder share, which sweep.json records."""
        return {**asdict(self.settings), **self._identities.common(self.model)}

    @cached_property
    def _identities(self) -> Identities:
        return Identities(self.loading, self.device)
