"""A sweep that is to be made: its settings, what each cell is made of, and the infotext that gives it again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from clip_skip import skip, tags
from clip_skip.precedence import without_prompt_tag
from clip_skip.standalone.loading import AS_USUAL, Loading
from clip_skip.standalone.models import header
from clip_skip.standalone.shots import Batch, Shot
from clip_skip.sweep.plan import Cell, Plan

__all__ = ["Job", "Settings"]


@dataclass(frozen=True)
class Settings:
    """What all cells of a sweep have in common."""

    model: str
    prompt: str
    negative: str
    seed: int
    steps: int
    width: int
    height: int
    sampler: str
    emphasis: str = "Original"

    def shot(self, cell: Cell) -> Shot:
        """What the picture of `cell` is made of."""
        return Shot(self.prompt, self.negative, cell.clip_skip, float(cell.value), self.seed)

    def batch(self, shots: tuple[Shot, ...]) -> Batch:
        return Batch(shots, self.steps, self.width, self.height, self.sampler)

    def infotext(self, cell: Cell, tagged: str | None = None) -> str:
        """The infotext that gives `cell` again when pasted, in the words that AUTOMATIC1111 writes and reads.

        `Clip skip` is an integer, because a WebUI without this extension reads no other; a fraction is a tag in the
        prompt. tagged: a prompt that says it itself.
        """
        prompt = tags.without_bad(without_prompt_tag(self.prompt)).lstrip()
        whole = tagged is None and cell.clip_skip.is_integer()
        lines = [tagged or (prompt if whole else f"<clipskip:{skip.format(cell.clip_skip)}>{prompt}")]
        if negative := tags.without_bad(self.negative).lstrip():
            lines.append(f"Negative prompt: {negative}")
        values: dict[str, object] = {
            "Steps": self.steps,
            "Sampler": self.sampler,
            "CFG scale": f"{cell.value:g}",
            "Seed": self.seed,
            "Size": f"{self.width}x{self.height}",
            "Model": self.model,
        }
        if self.emphasis != "Original":
            values["Emphasis"] = self.emphasis
        if whole:
            values["Clip skip"] = skip.format(cell.clip_skip)
        return "\n".join([*lines, ", ".join(f"{key}: {value}" for key, value in values.items())])


@dataclass(frozen=True)
class Job:
    """A sweep to be made. With `batch` 0 the number of cells per batch is chosen to fit the device."""

    model: Path
    settings: Settings
    plan: Plan
    device: str
    batch: int
    out: Path
    report: bool
    loading: Loading = AS_USUAL

    @property
    def name(self) -> str:
        """What tells this sweep's folder from others': the same for the same model and settings, whatever the axes."""
        known = json.dumps([asdict(self.settings), header.digest(self.model), *self._loaded().items()], sort_keys=True)
        return hashlib.sha256(known.encode()).hexdigest()[:12]

    @property
    def dtype(self) -> str:
        """The name of the torch dtype that the model runs in."""
        return self.loading.dtype_on(self.device)

    def made_with(self) -> dict[str, object]:
        """Everything, besides a cell's own values, that its pixels depend on."""
        return {
            **asdict(self.settings),
            "model": header.digest(self.model),
            "device": self.device,
            "dtype": self.dtype,
            **self._loaded(),
        }

    def _loaded(self) -> dict[str, object]:
        return self.loading.made_with([self.settings.prompt, self.settings.negative])
