"""A sweep that is to be made: its settings, what each cell is made of, and the infotext that gives it again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from clip_skip import skip, tags
from clip_skip.precedence import without_prompt_tag
from clip_skip.skip import Skip
from clip_skip.standalone.loading import AS_USUAL, Loading
from clip_skip.standalone.models import header
from clip_skip.standalone.shots import Batch, Shot
from clip_skip.sweep.plan import Cell, Plan

__all__ = ["ROWS", "Job", "Settings"]

ROWS = ("cfg", "seed", "negative", "clip_g", "prompt")
"""The kinds of rows that can be made without a WebUI."""

SDXL_NATIVE = 2.0
"""The clip skip at which CLIP-G stops as published."""


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
    cfg_scale: float = 7.0
    """Where the rows are something else."""
    emphasis: str = "Original"

    def batch(self, shots: tuple[Shot, ...]) -> Batch:
        return Batch(shots, self.steps, self.width, self.height, self.sampler)

    def infotext(self, shot: Shot) -> str:
        """The infotext that gives `shot` again when pasted, in the words that AUTOMATIC1111 writes and reads.

        `Clip skip` is an integer, because a WebUI without this extension reads no other, and for the whole picture;
        everything else is a tag.
        """
        prompt, whole = shot.prompt.lstrip(), False
        if shot.clip_skip is not None:
            whole = shot.clip_skip.is_integer() and shot.clip_skip_g is None
            prompt = tags.without_bad(without_prompt_tag(shot.prompt)).lstrip()
            prompt = prompt if whole else f"<clipskip:{Skip(shot.clip_skip, g=shot.clip_skip_g)}>{prompt}"
        lines = [prompt]
        if shot.negative_clip_skip is not None:
            lines.append(
                f"Negative prompt: <clipskip:{skip.format(shot.negative_clip_skip)}>{tags.strip(shot.negative)}"
            )
        elif negative := tags.without_bad(shot.negative).lstrip():
            lines.append(f"Negative prompt: {negative}")
        values: dict[str, object] = {
            "Steps": self.steps,
            "Sampler": self.sampler,
            "CFG scale": f"{shot.cfg_scale:g}",
            "Seed": shot.seed,
            "Size": f"{self.width}x{self.height}",
            "Model": self.model,
        }
        if self.emphasis != "Original":
            values["Emphasis"] = self.emphasis
        if whole:
            values["Clip skip"] = skip.format(shot.clip_skip or 1)
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

    def shot(self, cell: Cell) -> Shot:
        """What the picture of `cell` is made of."""
        rows, settings = self.plan.rows, self.settings
        prompt, negative = rows.texts(settings.prompt, settings.negative, cell.value)
        number = {rows.kind.name: float(cell.value)} if isinstance(cell.value, (int, float)) else {}
        own_g = SDXL_NATIVE if self.plan.columns == "clip_l" else None
        return Shot(
            prompt,
            tags.strip(negative) if "negative" in number else negative,
            cell.clip_skip,
            number.get("cfg", settings.cfg_scale),
            int(number.get("seed", settings.seed)),
            number.get("clip_g", own_g),
            number.get("negative"),
        )

    def infotext(self, cell: Cell) -> str:
        return self.settings.infotext(self.shot(cell))

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
