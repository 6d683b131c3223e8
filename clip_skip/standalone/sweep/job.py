"""A sweep that is to be made: its settings, what each cell is made of, and the infotext that gives it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from clip_skip import skip
from clip_skip.messages.message import Translate
from clip_skip.prompt import tags
from clip_skip.prompt.parsed import parse, parse_negative
from clip_skip.prompt.precedence import prompt_tag, without_prompt_tag
from clip_skip.skip import Skip
from clip_skip.standalone.engine.loading import AS_USUAL, Loading
from clip_skip.standalone.engine.makers import Task
from clip_skip.standalone.engine.shots import Batch, Hires, Shot
from clip_skip.standalone.models import header
from clip_skip.standalone.models.sizes import NATIVE
from clip_skip.standalone.pictures import infotext
from clip_skip.standalone.sampling.samplers import in_two
from clip_skip.sweep.plan import Cell, Plan

__all__ = ["ROWS", "Job", "Settings"]

ROWS = ("cfg", "seed", "negative", "clip_g", "hires", "prompt", "lora")
"""The kinds of rows that can be made without a WebUI."""


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
    hires: Hires | None = None
    noise: str = "CPU"
    family: str = "SD1"

    def batch(self, shots: tuple[Shot, ...]) -> Batch:
        return Batch(shots, self.steps, self.width, self.height, self.sampler, self.hires, self.noise)

    @property
    def all_steps(self) -> int:
        """Those of both passes."""
        return self.steps + (self.hires.of(self.sampler, self.steps)[1] if self.hires else 0)

    def infotext(self, shot: Shot) -> str:
        """The infotext that gives `shot` again when pasted, in the words that AUTOMATIC1111 writes and reads.

        `Clip skip` is an integer, because a WebUI without this extension reads no other, for the whole picture, and of
        SD1, because on SD2 and SDXL its value does nothing there; everything else is a tag.
        """
        prompt, whole = shot.prompt.lstrip(), None
        if shot.clip_skip is not None:
            said = Skip(shot.clip_skip, g=shot.clip_skip_g, hires=shot.hires_clip_skip)
            if shot.hires_clip_skip is None and (tag := prompt_tag(shot.prompt)):
                said = replace(said, hires=tag.hires)
            prompt = parse(without_prompt_tag(shot.prompt)).without_bad_tags.lstrip()
            if self.family == "SD1" and said == Skip(shot.clip_skip) and shot.clip_skip.is_integer():
                whole = said
            else:
                prompt = f"<clipskip:{said}>{prompt}"
        lines = [prompt]
        if shot.negative_clip_skip is not None:
            lines.append(
                f"Negative prompt: <clipskip:{skip.format(shot.negative_clip_skip)}>{tags.strip(shot.negative)}"
            )
        elif negative := parse_negative(shot.negative).without_bad_tags.lstrip():
            lines.append(f"Negative prompt: {negative}")
        sampler, schedule = in_two(self.sampler)
        values: dict[str, object] = {
            "Steps": self.steps,
            "Sampler": sampler,
            "Schedule type": schedule,
            "CFG scale": f"{shot.cfg_scale:g}",
            "Seed": shot.seed,
            "Size": f"{self.width}x{self.height}",
            "Model": self.model,
        }
        if self.emphasis != "Original":
            values["Emphasis"] = self.emphasis
        if whole:
            values["Clip skip"] = whole
        if self.hires:
            values |= infotext.of_hires(self.hires)
        values["RNG"] = "CPU" if self.noise == "CPU" else "NV"  # a GPU's noise, drawn anywhere
        return "\n".join([*lines, infotext.parameters(values)])


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
    language: str = "en"
    translate: Translate = str
    """The words of its pictures and of its page, into `language`."""

    def shot(self, cell: Cell) -> Shot:
        """What the picture of `cell` is made of."""
        rows, settings = self.plan.rows, self.settings
        prompt, negative = rows.texts(settings.prompt, settings.negative, cell.value)
        number = {rows.kind.name: float(cell.value)} if isinstance(cell.value, (int, float)) else {}
        own_g = float(NATIVE["SDXL"]) if self.plan.columns == "clip_l" else None
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

    def task(self, missing: tuple[Shot, ...], cells: Sequence[Cell]) -> Task:
        """The batch of `cells`; the texts of `missing`, which are all that are to be made, are encoded at once."""
        return Task(self.model, self.settings.batch(tuple(map(self.shot, cells))), missing)

    def infotext(self, cell: Cell) -> str:
        return self.settings.infotext(self.shot(cell))

    @property
    def name(self) -> str:
        """What tells this sweep's folder from others': the same for the same model and settings, whatever the axes."""
        known = json.dumps([asdict(self.settings), header.digest(self.model), *self._loaded().items()], sort_keys=True)
        return hashlib.sha256(known.encode()).hexdigest()[:12]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures, in pixels."""
        settings = self.settings
        if settings.hires is None:
            return settings.width, settings.height
        return settings.hires.final(settings.width, settings.height, header.inspect(self.model).vae_factor)

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
