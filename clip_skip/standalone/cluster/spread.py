"""Distributes cells over the makers of a cluster until all are made.

The cells of a maker that died go to the next one that is free, and a new maker takes its place.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_skip.messages.message import Message, Template
from clip_skip.standalone.cluster.actor import contents
from clip_skip.standalone.cluster.errors import ClusterError
from clip_skip.standalone.cluster.node_files import full_digest
from clip_skip.standalone.engine.makers import Supply, Task
from clip_skip.standalone.engine.progress import Progress
from clip_skip.standalone.models import header

if TYPE_CHECKING:
    from clip_skip.standalone.engine.engine import BatchOutput

__all__ = ["Spread", "resources_in_words"]

AHEAD = 2
"""Batches in a maker's queue, so that it doesn't wait for this process."""

DEATHS = 3
"""Makers that may die in a row in the same place without finishing a batch; after one more, it stays empty."""

PATIENCE = 60
"""Seconds without a maker that is ready, after which that is reported."""

NONE_READY = Template("No actor is ready yet. Free on the cluster: {free}. Ctrl+C stops.")
ALL_DIED = Template("--ray: {count} actors have died one after the other without having made a picture: {error}")
SOME_DIED = Template(
    "{count} actors have died one after the other without having made a picture: {error}\n"
    "The other actors go on: {others}."
)
RESOURCES = Template("{cpus} CPU, {gpus} GPU")


@dataclass(eq=False)
class _Place:
    """A maker and its state. If it dies, a new one takes its place.

    deaths:  how many have died here since a batch came from here
    kind:    a task of the checkpoint that it is ready for, or will be
    limit:   how many cells it takes at once; 0 until it is ready
    awaits_answer: whether it was asked if it is ready, and has not answered
    stage:   0 if it was asked for the checkpoint at its path, 1 with its full digest, 2 with its content
    batches: how many it has
    """

    maker: Any
    deaths: int = 0
    kind: Task | None = None
    limit: int = 0
    awaits_answer: bool = False
    stage: int = 0
    batches: int = 0


class Spread:
    """Hands the cells of `supply` to the makers at `places`, and takes the pictures."""

    def __init__(self, supply: Supply[Any], new: Callable[[], Any], count: int, progress: Progress) -> None:
        self._supply, self._new, self._progress = supply, new, progress
        self._share = -(-len(supply) // count)  # so that one does not take all
        self.places = [_Place(new()) for _ in range(count)]
        self._running: dict[Any, tuple[_Place, tuple[Any, ...]]] = {}
        """A running task: its place and its cells; no cells for the check whether a maker is ready."""
        self._digests: dict[Path, str] = {}
        self._full_digests: dict[Path, str] = {}
        self._object_refs: dict[Path, Any] = {}
        """Checkpoints in Ray's object store."""

    def run(self) -> Iterator[tuple[tuple[Any, ...], BatchOutput]]:
        import ray
        from ray.exceptions import RayError, RayTaskError

        patience = time.monotonic() + PATIENCE
        self._hand_out()
        while self._supply or any(cells for _, cells in self._running.values()):
            for task in ray.wait(list(self._running), timeout=5)[0]:
                place, cells = self._running.pop(task)
                answer = None
                try:
                    answer = ray.get(task)
                except RayTaskError as error:
                    raise error.cause from None
                except RayError as error:
                    self._lost(place, cells, error)
                else:
                    self._batch(place, cells, answer) if cells else self._ready(place, answer)
                self._hand_out()
                if cells and answer is not None:
                    yield cells, answer
            if time.monotonic() > patience and not any(place.limit for place in self.places):
                patience = float("inf")
                self._progress.tell(NONE_READY(free=resources_in_words(ray.available_resources())))

    def _hand_out(self) -> None:
        for place in self.places:
            while self._supply and not place.awaits_answer and place.batches < AHEAD:
                if place.kind is None or place.kind.model != self._supply.model:
                    place.limit = 0
                    self._ask(place, self._supply.next)
                else:
                    cells = self._supply.take(min(place.limit, self._share))
                    task = self._supply.task(cells)
                    self._running[place.maker.make.remote(task, self._digest(task.model))] = place, cells
                    place.batches += 1

    def _ask(self, place: _Place, kind: Task, stage: int = 0) -> None:
        """Ask whether it is ready for the checkpoint of `kind`."""
        model = kind.model
        arguments = [self._digest(model)]
        if stage >= 1:
            arguments.append(self._full_digest(model))
        if stage == 2:
            arguments.append(self._send(model))
        self._running[place.maker.ready.remote(kind, *arguments)] = place, ()
        place.awaits_answer, place.kind, place.stage = True, kind, stage

    def _ready(self, place: _Place, limit: int | None) -> None:
        assert place.kind is not None
        if limit is None:
            self._ask(place, place.kind, place.stage + 1)
            return
        if limit < place.limit:
            self._progress.smaller(limit)
        place.awaits_answer, place.limit = False, limit
        self._progress.makers(sum(bool(other.limit) for other in self.places))

    def _batch(self, place: _Place, cells: tuple[Any, ...], result: BatchOutput | None) -> None:
        place.batches -= 1
        if result is not None:
            place.deaths = 0
            return
        self._supply.put_back(cells)  # too many for its memory, so ask again how many fit
        if place.kind and not place.awaits_answer:
            self._ask(place, place.kind)

    def _lost(self, place: _Place, cells: tuple[Any, ...], error: Exception) -> None:
        import ray

        self._supply.put_back(cells)
        if place not in self.places:
            return
        ray.kill(place.maker)  # Ray may have lost a maker that is still alive
        self.places.remove(place)
        if place.deaths < DEATHS:
            self.places.append(_Place(self._new(), place.deaths + 1))
        else:
            if not self.places:
                raise ClusterError(ALL_DIED(count=DEATHS + 1, error=str(error))) from error
            self._progress.tell(SOME_DIED(count=DEATHS + 1, error=str(error), others=len(self.places)))
        self._progress.makers(sum(bool(other.limit) for other in self.places))

    def _digest(self, model: Path) -> str:
        if model not in self._digests:
            self._digests[model] = header.digest(model)
        return self._digests[model]

    def _full_digest(self, model: Path) -> str:
        if model not in self._full_digests:
            self._full_digests[model] = full_digest(model)
        return self._full_digests[model]

    def _send(self, model: Path) -> Any:
        """A checkpoint in the object store, put there once."""
        import ray

        if model not in self._object_refs:
            self._object_refs[model] = ray.put(contents(model))
        return self._object_refs[model]


def resources_in_words(resources: Mapping[str, float]) -> Message:
    """Ray's resources."""
    return RESOURCES(cpus=f"{resources.get('CPU', 0):g}", gpus=f"{resources.get('GPU', 0):g}")
