"""What makes pictures for a study or a sweep: one maker in this process, or many on a cluster, one interface."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from clip_skip.standalone.loading import Loading
from clip_skip.standalone.shots import Batch, Shot

if TYPE_CHECKING:
    from clip_skip.standalone.engine import Engine, Made

__all__ = ["Maker", "Supply", "Task", "local"]

C = TypeVar("C")


@dataclass(frozen=True)
class Task:
    """A batch, the checkpoint it is made with, and every shot whose texts are worth encoding with its own."""

    model: Path
    batch: Batch
    prepare: tuple[Shot, ...]


class Supply(Generic[C]):
    """Cells that wait to be made, handed out in order. What is handed out at once has one checkpoint."""

    def __init__(self, cells: Sequence[C], model: Callable[[C], Path], task: Callable[[tuple[C, ...]], Task]) -> None:
        self._waiting = deque(cells)
        self._model = model
        self.task = task

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def next(self) -> Task:
        """The task of the first cell that waits."""
        return self.task((self._waiting[0],))

    def take(self, limit: int) -> tuple[C, ...]:
        """The next cells, at most `limit`."""
        taken = [self._waiting.popleft()]
        while self._waiting and len(taken) < limit and self._model(self._waiting[0]) == self._model(taken[0]):
            taken.append(self._waiting.popleft())
        return tuple(taken)

    def put_back(self, cells: tuple[C, ...]) -> None:
        """Take `cells`, which could not be made, first again."""
        self._waiting.extendleft(reversed(cells))


class Maker:
    """Makes batches with one checkpoint after the other, on one device."""

    def __init__(self, loading: Loading, device: str, limit: int = 0) -> None:
        """limit: cells per batch; 0 is what fits the device."""
        self._loading, self._device, self._limit = loading, device, limit
        self._engine: Engine | None = None
        self._model: Path | None = None

    def engine(self, model: Path) -> Engine:
        """The engine of `model`, loaded once until another is asked for. CheckpointError if it cannot be."""
        if self._engine is None or self._model != model:
            self._engine = None  # frees its memory before the next is loaded
            self._engine, self._model = self._loading.engine(model, self._device), model
        return self._engine

    def limit(self, task: Task) -> int:
        """How many cells of the kind of `task` to make at once."""
        from clip_skip.standalone.engine import fitting

        return self._limit or fitting(self.engine(task.model), task.batch.width, task.batch.height)

    def make(self, task: Task, on_step: Callable[[], None] = lambda: None) -> Made:
        """The pictures of `task`; what is too large for the memory is halved, and stays smaller."""
        import torch

        from clip_skip.standalone.engine import Made, is_out_of_memory
        from clip_skip.sweep import plan

        engine, batch = self.engine(task.model), task.batch
        engine.prepare(task.prepare, batch.steps, batch.sampler)

        def smaller(limit: int) -> None:
            self._limit = limit

        make = lambda shots: engine.make(replace(batch, shots=shots), on_step)
        made = [one for _, one in plan.run(batch.shots, len(batch.shots), make, is_out_of_memory, smaller)]
        pictures = [picture for one in made for picture in one.pictures]
        return Made(pictures, torch.cat([one.latents for one in made]))


def local(supply: Supply[C], maker: Maker, on_step: Callable[[], None]) -> Iterator[tuple[tuple[C, ...], Made]]:
    """Make all of `supply` in this process."""
    while supply:
        cells = supply.take(maker.limit(supply.next))
        yield cells, maker.make(supply.task(cells), on_step)
