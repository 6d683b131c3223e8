"""The standalone page's work with a loaded model, without gradio: a picture, a sweep, the layers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from clip_skip.layers.figure import draw_layers
from clip_skip.messages.message import Message, MessageError, Template, Translate
from clip_skip.prompt import precedence
from clip_skip.prompt.override import warn_replaced
from clip_skip.prompt.parsed import Prompt, find_warnings, parse_negative, parse_prompt
from clip_skip.standalone.app.checkpoints import Checkpoint, Checkpoints
from clip_skip.standalone.engine.loading import AS_USUAL, Loading
from clip_skip.standalone.engine.makers import Maker
from clip_skip.standalone.engine.shots import Shot
from clip_skip.standalone.files import locked, save_picture
from clip_skip.standalone.layers import measure_loaded
from clip_skip.standalone.models.sizes import FAMILY_NATIVE
from clip_skip.standalone.option_kinds import FieldError, Number
from clip_skip.standalone.prompts import tokens
from clip_skip.standalone.prompts.networks import network_warnings
from clip_skip.standalone.settings import Settings
from clip_skip.standalone.sweep.job import SweepJob
from clip_skip.standalone.sweep.run import Interrupted, OnStep
from clip_skip.standalone.sweep.run import make_sweep as run_job
from clip_skip.sweep.axis import SweepError
from clip_skip.sweep.rows import CFG, HIRES_PASS_NEEDED, random_seeds
from clip_skip.sweep.settings import LABELS, SweepSettings

if TYPE_CHECKING:
    from clip_skip.standalone.engine.engine import Engine

CLIP_SKIP_FIELD = Template("Clip skip")
INTERRUPTED = Template("Interrupted.")
INTERRUPTED_SWEEP = Template("Interrupted. Run the same sweep again with its seed to finish the rest.")
NO_REPORT = Template("No report yet: some cells are missing.")
OUT_OF_MEMORY = Template("Out of memory: the sweep went on with {size} cells per batch.")


@dataclass(frozen=True)
class Picture:
    """A picture on disk, its infotext, and sentences for the user."""

    path: Path
    infotext: str
    notes: list[Message | str]


@dataclass(frozen=True)
class Sweep:
    """A sweep's folder and grid, its total number of cells, its report if there is one, the "run" of sweep.json, and
    sentences for the user."""

    folder: Path
    grid: Path
    cells: int
    report: Path | None
    figures: dict[str, Any]
    notes: list[Message | str]


@dataclass(eq=False)
class JobRequest:
    """A job that a window of the page has started: a picture, a sweep or the layers."""

    kind: str
    window: str
    stop: threading.Event = field(default_factory=threading.Event)


class Studio:
    """One model at a time; results are in `out`: pictures/, sweeps/, layers.png, made_for.png."""

    def __init__(
        self, path: Path, device: str, out: Path, loading: Loading = AS_USUAL, folder: Path | None = None
    ) -> None:
        """folder: of the checkpoints to choose from; None is the folder of `path`, which is loaded first.

        Raises `CheckpointError` if this one cannot be used, `EmbeddingError` if a file cannot.
        """
        self.checkpoints = Checkpoints(path, folder)
        self.first = self.checkpoints.first
        self.device, self.out, self.loading = device, out.resolve(), loading
        self.tokenizer = tokens.tokenizer()
        self._maker = Maker(partial(loading.engine, device=device))
        self._maker.engine(path)
        self._busy = threading.Lock()
        self._requests: list[JobRequest] = []
        self._announcements: list[JobRequest] = []
        self._is_closed = False

    def engine(self, checkpoint: Checkpoint, emphasis: str) -> Engine:
        """The engine of `checkpoint`, which replaces the one loaded before. Raises as `__init__`."""
        engine = self._maker.engine(checkpoint.path)
        engine.conditioner.mode = emphasis
        return engine

    def announce(self, kind: str, window: str) -> None:
        """`window` is about to start a job, which may be interrupted while it still waits in gradio's queue."""
        self._announcements = [
            request for request in self._announcements if (request.kind, request.window) != (kind, window)
        ]
        self._announcements.append(JobRequest(kind, window))

    def interrupt(self, kind: str, window: str = "") -> None:
        """Stop the job of this kind that `window` has started: after the current step, or before it begins."""
        for request in [*self._requests, *self._announcements]:
            if (request.kind, request.window) == (kind, window):
                request.stop.set()

    def close(self) -> None:
        """End everything, and return when nothing is being made any more."""
        self._is_closed = True
        for request in list(self._requests):
            request.stop.set()
        self._busy.acquire()

    @contextmanager
    def _alone(self, kind: str, window: str = "") -> Iterator[Callable[[], None]]:
        """While nothing else is made. Yields a function that raises `Interrupted` once that is requested."""
        waiting = [request for request in self._announcements if (request.kind, request.window) == (kind, window)]
        request = waiting[0] if waiting else JobRequest(kind, window)
        self._announcements = [other for other in self._announcements if other is not request]
        self._requests.append(request)

        def go_on() -> None:
            if self._is_closed or request.stop.is_set():
                raise Interrupted(INTERRUPTED)

        try:
            with self._busy:
                yield go_on
        finally:
            self._requests.remove(request)

    @property
    def sweeps(self) -> Path:
        return self.out / "sweeps"

    def picture(
        self,
        checkpoint: Checkpoint,
        settings: Settings,
        slider: float,
        on_step: Callable[[], None] = lambda: None,
        window: str = "",
    ) -> Picture:
        """One picture, in which a tag wins over `slider`. Raises `FieldError` or `Interrupted`."""
        shot = shot_of(checkpoint, settings, slider_value(slider, checkpoint))
        with self._alone("picture", window) as go_on:

            def step() -> None:
                go_on()
                on_step()

            go_on()
            batch = settings.batch((shot,))
            image = self.engine(checkpoint, settings.emphasis).make(batch, step).pictures[0]
            infotext = settings.infotext(shot)
            path = self._save(image, settings.seed, infotext)
        return Picture(path, infotext, [*warnings_on(settings), *too_deep(checkpoint, settings)])

    def sweep(
        self,
        checkpoint: Checkpoint,
        settings: Settings,
        axes: SweepSettings,
        on_step: OnStep = lambda step, total, what: None,
        window: str = "",
        language: str = "en",
        translate: Translate = str,
    ) -> Sweep:
        """A grid; of `axes` only the axes and the report count. Finished cells with the same settings are reused. Its
        pictures and its page are in `language`, which `translate` renders.

        Raises `FieldError`, `SweepError`, `LoraError`, or `Interrupted` if that was requested before it began.
        """
        axes = replace(axes, seeds=random_seeds(axes.seeds))
        plan = axes.plan({encoder.tower: encoder.layers for encoder in checkpoint.encoders})
        if plan.rows.kind.name == "hires" and settings.hires is None:
            raise SweepError.in_field(LABELS["rows"], HIRES_PASS_NEEDED)
        plan.rows.check(LABELS[axes.kind.field], settings.prompt, settings.negative)
        if plan.rows.kind == CFG:
            settings = replace(settings, cfg_scale=Settings.cfg_scale)
        report = axes.report
        common = plan, self.device, 0, self.sweeps, report, self.loading, language, translate
        job = SweepJob(checkpoint.path, settings, *common)
        folder = self.sweeps / job.name
        with self._alone("sweep", window) as go_on:

            def step(number: int, total: int, what: Message | str) -> None:
                go_on()
                on_step(number, total, what)

            go_on()
            with locked(folder):
                figures = run_job(replace(job, out=folder), self.engine(checkpoint, settings.emphasis), step)
        whole_grid = "interrupted" not in figures
        notes: list[Message | str] = [*warnings_on(settings), *warn_replaced(settings.prompt)]
        notes += [*too_deep(checkpoint, replace(settings, prompt="")), *_on_sweep(figures, report)]
        names = figures.get("pictures", {})
        grid, figure = (folder / names.get(name, name) for name in ("grid.png", "report.png"))
        return Sweep(folder, grid, len(plan.cells), figure if report and whole_grid else None, figures, notes)

    def layers(
        self, checkpoint: Checkpoint, prompt: str, dark: bool, translate: Translate = str, words: str = ""
    ) -> tuple[Path, list[Message | str]]:
        """How alike the layers are for the first chunk of `prompt`: a picture, and its findings in sentences.

        words: those whose curves are drawn, as `Layers.find_tokens` takes them. Raises LayersError.
        """
        with self._alone("layers"):
            engine = self._maker.engine(checkpoint.path)
            engine.placement.bring("texts")
            encoder, module = engine.conditioner.encoder, engine.models.text_encoder
            layers = measure_loaded(encoder, module, self.tokenizer, prompt, checkpoint.path.stem)
        tokens = layers.find_tokens(words)
        path = save_picture(draw_layers(layers, dark, translate, tokens), self.out / "layers.png")
        return path, list(layers.sentences())

    def _save(self, picture: Image.Image, seed: int, infotext: str) -> Path:
        """A new file in pictures/, numbered as the WebUI numbers; another page may count in the same folder."""
        place = self.out / "pictures"
        place.mkdir(parents=True, exist_ok=True)
        begins = [file.stem.partition("-")[0] for file in place.glob("*-*.png")]
        numbers = [int(number) for number in begins if number.isdecimal() and number.isascii()]
        for number in count(max(numbers, default=-1) + 1):
            path = place / f"{number:05}-{seed}.png"
            try:
                path.touch(exist_ok=False)
            except FileExistsError:
                continue
            break
        try:
            save_picture(picture, path, {"parameters": infotext})
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path


def slider_value(value: Any, checkpoint: Checkpoint) -> int:
    """The header's clip skip, checked. Raises `FieldError`."""
    try:
        return int(Number(1, checkpoint.deepest, whole=True).check(value))
    except MessageError as error:
        raise FieldError.of(CLIP_SKIP_FIELD, error.message) from None


def shot_of(checkpoint: Checkpoint, settings: Settings, slider: float) -> Shot:
    """The shot of a picture: `slider` is the value unless a tag sets another."""
    prompt, tag = settings.prompt, precedence.prompt_tag(settings.prompt)
    value = float(slider) if tag is None or tag.value is None else tag.value
    common = settings.cfg_scale, settings.seed
    if tag and (tag.l, tag.g) != (None, None):  # a value for each encoder needs a tag
        own = f"<clipskip:{replace(tag, value=value)}>{precedence.without_prompt_tag(prompt)}"
        return Shot(own, settings.negative, None, *common)
    clip_skip = min(max(value, FAMILY_NATIVE[checkpoint.family]), checkpoint.deepest)
    return Shot(prompt, settings.negative, float(clip_skip), *common)


def prompts_of(settings: Settings) -> list[Prompt]:
    hires = [parse_prompt(settings.hires.prompt), parse_negative(settings.hires.negative)] if settings.hires else []
    return [parse_prompt(settings.prompt), parse_negative(settings.negative), *hires]


def warnings_on(settings: Settings) -> list[Message]:
    """Messages about the tags and networks of the texts."""
    prompts = prompts_of(settings)
    return [*find_warnings(prompts), *network_warnings(prompt.clean for prompt in prompts[::2])]


def too_deep(checkpoint: Checkpoint, settings: Settings) -> Iterator[Message]:
    """A message for each encoder that has fewer layers than a value of one of the texts."""
    for encoder in checkpoint.encoders:
        values = precedence.prompt_values(settings.prompt, settings.negative, 1.0, encoder.tower)
        yield from encoder.too_deep(max(values))


def _on_sweep(figures: dict[str, Any], report: bool) -> Iterator[Message | str]:
    if "out_of_memory" in figures:
        yield OUT_OF_MEMORY(size=figures["cells_per_batch"])
    if "interrupted" in figures:
        yield INTERRUPTED_SWEEP
        if report:
            yield NO_REPORT
