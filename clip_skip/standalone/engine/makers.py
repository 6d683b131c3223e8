"""Makers of pictures for a study or a sweep: one in this process, or many on a cluster, with one interface."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from clip_skip.out_of_memory import is_out_of_memory
from clip_skip.standalone.engine.progress import Progress
from clip_skip.standalone.engine.shots import Batch, Shot

if TYPE_CHECKING:
    from clip_skip.standalone.engine.engine import BatchOutput, Engine

__all__ = ["Maker", "Supply", "Task", "local"]

C = TypeVar("C")


@dataclass(frozen=True)
class Task:
    """A batch, the checkpoint it is made with, and every shot whose texts are worth encoding with its own."""

    model: Path
    batch: Batch
    prepare: tuple[Shot, ...]


class Supply(Generic[C]):
    """Cells that wait to be made, handed out in order. Each batch uses a single checkpoint."""

    def __init__(self, cells: Sequence[C], model: Callable[[C], Path], task: Callable[[tuple[C, ...]], Task]) -> None:
        self._waiting = deque(cells)
        self._model = model
        self.task = task

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def model(self) -> Path:
        """The checkpoint of the first cell that waits."""
        return self._model(self._waiting[0])

    @property
    def next(self) -> Task:
        """The task of the first cell that waits."""
        return self.task((self._waiting[0],))

    def take(self, limit: int) -> tuple[C, ...]:
        """The next cells, at most `limit`."""
        cells = [self._waiting.popleft()]
        while self._waiting and len(cells) < limit and self._model(self._waiting[0]) == self._model(cells[0]):
            cells.append(self._waiting.popleft())
        return tuple(cells)

    def put_back(self, cells: tuple[C, ...]) -> None:
        """Take `cells`, which could not be made, first again."""
        self._waiting.extendleft(reversed(cells))


class Maker:
    """Makes batches with one checkpoint after the other, on one device."""

    def __init__(self, load: Callable[[Path], Engine], limit: int = 0) -> None:
        """load: the engine of a checkpoint; limit: cells per batch, 0 is what fits the device"""
        self._load, self._limit = load, limit
        self._engine: Engine | None = None
        self._model: Path | None = None
        self._prepared_shots: tuple[Shot, ...] = ()
        self._passes = 0

    def engine(self, model: Path) -> Engine:
        """The engine of `model`, loaded once until another is asked for. CheckpointError if it cannot be."""
        if self._engine is None or self._model != model:
            self._engine = None  # frees its memory before the next is loaded
            self._engine, self._model, self._prepared_shots = self._load(model), model, ()
            self._passes = self._engine.conditioner.passes
        return self._engine

    @property
    def passes(self) -> int:
        """The number of text encoder passes of the last checkpoint for this maker."""
        return self._engine.conditioner.passes - self._passes if self._engine else 0

    def limit(self, task: Task) -> int:
        """The number of cells like those of `task` to make at once."""
        from clip_skip.standalone.engine.engine import fitting

        engine = self.engine(task.model)
        return self._limit or fitting(engine, *task.batch.final_size(engine.models.sizes.vae_factor))

    def make(self, task: Task, on_step: Callable[[], None] = lambda: None) -> BatchOutput | None:
        """The pictures of `task`. None if they did not fit into memory; `limit` is smaller from then on."""
        engine, batch = self.engine(task.model), task.batch
        if task.prepare != self._prepared_shots:
            engine.prepare(task.prepare, batch.steps, batch.sampler, batch.hires)
            self._prepared_shots = task.prepare
        try:
            return engine.make(batch, on_step)
        except Exception as error:
            if len(batch.shots) == 1 or not is_out_of_memory(error):
                raise
        self._limit = len(batch.shots) // 2
        return None


def local(supply: Supply[C], maker: Maker, progress: Progress) -> Iterator[tuple[tuple[C, ...], BatchOutput]]:
    """Make all of `supply` in this process."""
    while supply:
        cells = supply.take(maker.limit(supply.next))
        progress.begin(len(cells))
        output = maker.make(supply.task(cells), progress.step)
        if output is None:
            supply.put_back(cells)
            progress.smaller(maker.limit(supply.next))
        else:
            yield cells, output
