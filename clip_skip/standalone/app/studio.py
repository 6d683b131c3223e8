"""What the standalone page does with one loaded model: a picture, a sweep, the layers. Without gradio."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from clip_skip import precedence, skip, tags
from clip_skip.layers import figure as layers_figure
from clip_skip.override import replaced
from clip_skip.standalone.files import save_picture
from clip_skip.standalone.layers import measure_loaded
from clip_skip.standalone.loading import AS_USUAL, Loading
from clip_skip.standalone.prompts import tokens
from clip_skip.standalone.samplers import SAMPLERS
from clip_skip.standalone.shots import Shot
from clip_skip.standalone.sweep.job import Job, Settings
from clip_skip.standalone.sweep.run import Interrupted, OnStep
from clip_skip.standalone.sweep.run import run as run_job
from clip_skip.sweep.rows import CFG, random_seeds
from clip_skip.sweep.settings import LABELS, SweepSettings

SEEDS = 2**32
SEED_LIMIT = SEEDS - 1


class FieldError(ValueError):
    """A field that cannot be used; the message names it."""


@dataclass(frozen=True)
class Picture:
    """A picture on disk, its infotext, and sentences for the user."""

    path: Path
    infotext: str
    notes: list[str]


@dataclass(frozen=True)
class Sweep:
    """A sweep's folder, how many cells it has when it is whole, its report if there is one, what sweep.json holds
    under "run", and sentences for the user."""

    folder: Path
    cells: int
    report: Path | None
    figures: dict[str, Any]
    notes: list[str]


@dataclass(eq=False)
class Asked:
    """Something that a window of the page has started: a picture, a sweep or the layers."""

    kind: str
    window: str
    stop: threading.Event = field(default_factory=threading.Event)


class Studio:
    """One model, and what it made in `out`: pictures/, sweeps/, layers.png, made_for.png. One thing at a time."""

    def __init__(self, path: Path, device: str, out: Path, loading: Loading = AS_USUAL) -> None:
        """Raises `CheckpointError` if the model at `path` cannot be used, `EmbeddingError` if a file cannot."""
        self.path, self.device, self.out, self.loading = path, device, out.resolve(), loading
        self.tokenizer = tokens.tokenizer()
        self.engine = loading.engine(path, device)
        self.encoder = self.engine.conditioner.encoder
        self.encoders = [tower.described for tower in self.engine.conditioner.towers]
        self.family = self.engine.models.sizes.family
        self._busy = threading.Lock()
        self._asked: list[Asked] = []
        self._announced: list[Asked] = []
        self._closed = False

    def announce(self, kind: str, window: str) -> None:
        """`window` is about to start something, which may wait elsewhere before it comes here, and be interrupted."""
        self._announced = [asked for asked in self._announced if (asked.kind, asked.window) != (kind, window)]
        self._announced.append(Asked(kind, window))

    def interrupt(self, kind: str, window: str = "") -> None:
        """End what `window` has started of this kind: after its step if it is being made, else before it is."""
        for asked in [*self._asked, *self._announced]:
            if (asked.kind, asked.window) == (kind, window):
                asked.stop.set()

    def close(self) -> None:
        """End everything, and return when nothing is being made any more."""
        self._closed = True
        for asked in list(self._asked):
            asked.stop.set()
        self._busy.acquire()

    @contextmanager
    def _alone(self, kind: str, window: str = "") -> Iterator[Callable[[], None]]:
        """While nothing else is made. What it gives raises `Interrupted` when that was asked for."""
        announced = [asked for asked in self._announced if (asked.kind, asked.window) == (kind, window)]
        asked = announced[0] if announced else Asked(kind, window)
        self._announced = [other for other in self._announced if other is not asked]
        self._asked.append(asked)

        def go_on() -> None:
            if self._closed or asked.stop.is_set():
                raise Interrupted("Interrupted.")

        try:
            with self._busy:
                yield go_on
        finally:
            self._asked.remove(asked)

    @property
    def sweeps(self) -> Path:
        return self.out / "sweeps"

    def settings(
        self,
        prompt: str,
        negative: str,
        seed: float,
        steps: float,
        width: float,
        height: float,
        sampler: str,
        cfg_scale: float = Settings.cfg_scale,
    ) -> Settings:
        """The fields, checked. Seed -1 is a random one. Raises `FieldError`."""
        factor = self.engine.models.sizes.vae_factor
        numbers = {
            "seed": whole("Seed", seed, -1, SEED_LIMIT),
            "steps": whole("Steps", steps, 1, 1000),
            "width": whole("Width", width, 64, 4096, factor),
            "height": whole("Height", height, 64, 4096, factor),
        }
        if sampler not in SAMPLERS:
            raise FieldError(f"Sampler: {skip.shorten(str(sampler))} is not one of {', '.join(SAMPLERS)}")
        number("CFG scale", cfg_scale, 0, 100)
        if numbers["seed"] == -1:
            numbers["seed"] = secrets.randbelow(SEEDS)
        return Settings(
            model=self.path.stem,
            prompt=prompt,
            negative=negative,
            sampler=sampler,
            emphasis=self.loading.emphasis,
            cfg_scale=float(cfg_scale),
            family=self.family,
            seed=numbers["seed"],
            steps=numbers["steps"],
            width=numbers["width"],
            height=numbers["height"],
        )

    def picture(
        self,
        settings: Settings,
        slider: float,
        on_step: Callable[[], None] = lambda: None,
        window: str = "",
    ) -> Picture:
        """One picture, in which a tag wins over `slider`. Raises `FieldError` or `Interrupted`."""
        whole("Clip skip", slider, 1, self.encoder.layers)
        asked = precedence.prompt_values(settings.prompt, settings.negative, float(slider))
        positive, negative = map(self.encoder.clamp, asked)
        text = f"<clipskip:{skip.format(negative)}>{tags.strip(settings.negative)}"
        shot = Shot(settings.prompt, text, positive, settings.cfg_scale, settings.seed)
        tag = precedence.prompt_tag(settings.prompt)
        if tag and (tag.l, tag.g) != (None, None):  # each encoder its own: only a tag says it
            both = replace(tag, value=float(slider) if tag.value is None else tag.value)
            own = f"<clipskip:{both}>{precedence.without_prompt_tag(settings.prompt)}"
            shot = replace(shot, prompt=own, negative=settings.negative, clip_skip=None)
        with self._alone("picture", window) as go_on:

            def step() -> None:
                go_on()
                on_step()

            go_on()
            batch = settings.batch((shot,))
            made = self.engine.make(batch, step).pictures[0]
            path = self._next("pictures", settings.seed)
            said = settings.infotext(replace(shot, negative=settings.negative))
            save_picture(made, path, {"parameters": said})
        notes = [*tags.warnings([settings.prompt, settings.negative]), *self.encoder.too_deep(max(asked))]
        return Picture(path, said, notes)

    def sweep(
        self,
        settings: Settings,
        axes: SweepSettings,
        on_step: OnStep = lambda done, total, what: None,
        window: str = "",
        language: str = "en",
        translate: Callable[[str], str] = str,
    ) -> Sweep:
        """A grid, of whose settings only the axes and the report count here. Cells that the same settings have made
        before are kept. Its pictures and its page are in `language`, into which `translate` takes their words.

        Raises `SweepError`, or `Interrupted` if that was asked for before it began.
        """
        axes = replace(axes, seeds=random_seeds(axes.seeds))
        plan = axes.plan({encoder.tower: encoder.layers for encoder in self.encoders})
        plan.rows.check(LABELS[axes.kind.field], settings.prompt, settings.negative)
        if plan.rows.kind == CFG:
            settings = replace(settings, cfg_scale=Settings.cfg_scale)
        report = axes.report
        wanted = Job(self.path, settings, plan, self.device, 0, self.sweeps, report, self.loading, language, translate)
        folder = self.sweeps / wanted.name
        with self._alone("sweep", window) as go_on:

            def step(done: int, total: int, what: str) -> None:
                go_on()
                on_step(done, total, what)

            go_on()
            figures = run_job(replace(wanted, out=folder), self.engine, step)
        whole_grid = "interrupted" not in figures
        notes = [*tags.warnings([settings.prompt, settings.negative]), *self._on_tags(settings)]
        notes += _on_sweep(figures, report)
        return Sweep(folder, len(plan.cells), folder / "report.png" if report and whole_grid else None, figures, notes)

    def layers(self, prompt: str, dark: bool, translate: Callable[[str], str] = str) -> tuple[Path, list[str]]:
        """How alike the layers are for the first chunk of `prompt`: a picture, and what it shows in sentences."""
        module = self.engine.models.text_encoder
        with self._alone("layers"):
            measured = measure_loaded(self.encoder, module, self.tokenizer, prompt, self.path.stem)
        path = self.out / "layers.png"
        save_picture(layers_figure.draw(measured, dark, translate), path)
        return path, list(measured.sentences())

    def _on_tags(self, settings: Settings) -> Iterator[str]:
        """What a sweep makes of the tags: its values replace the prompt's, and the negative prompt keeps its own."""
        yield from replaced(settings.prompt)
        yield from self.encoder.too_deep(precedence.prompt_values("", settings.negative, 1.0)[1])

    def _next(self, folder: str, seed: int) -> Path:
        """A new file's path, numbered as the WebUI numbers."""
        place = self.out / folder
        begins = [file.stem.partition("-")[0] for file in place.glob("*-*.png")]
        numbers = [int(number) for number in begins if number.isdecimal() and number.isascii()]
        return place / f"{max(numbers, default=-1) + 1:05}-{seed}.png"


def _on_sweep(figures: dict[str, Any], report: bool) -> Iterator[str]:
    if "out_of_memory" in figures:
        yield f"Out of memory: the sweep went on with {figures['cells_per_batch']} cells per batch."
    if "interrupted" in figures:
        yield "Interrupted: the same sweep, started again with its seed, makes only the cells that are missing."
        if report:
            yield "The report needs every cell, so there is none."


def number(field: str, value: Any, low: int, high: int) -> float:
    """`value` as a number in these bounds. Raises `FieldError`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FieldError(f"{field}: nothing is given")
    if not low <= value <= high:
        raise FieldError(f"{field}: {value:g} is outside {low} to {high}")
    return float(value)


def whole(field: str, value: Any, low: int, high: int, multiple: int = 1) -> int:
    """`value` as an integer in these bounds. Raises `FieldError`."""
    given = number(field, value, low, high)
    if not given.is_integer():
        raise FieldError(f"{field}: {given:g} is not a whole number")
    if given % multiple:
        raise FieldError(f"{field}: {given:g} is not a multiple of {multiple}")
    return int(given)
