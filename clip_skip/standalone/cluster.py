"""Makers on a Ray cluster, one for each GPU, or for each CPU where there is no GPU. Ray places them and restarts them.

A batch whose maker's node died is handed to the next maker that is free. The pictures come back to this process, so no
shared file system is needed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from clip_skip.standalone.files import replacing
from clip_skip.standalone.makers import Maker, Supply, Task
from clip_skip.standalone.models import header

if TYPE_CHECKING:
    from clip_skip.standalone.engine import Made

__all__ = ["LOCAL", "Cluster", "ClusterError", "connected"]

LOCAL = "local"
"""The address that means a Ray of this machine's own, which ends with the command."""

AHEAD = 2
"""How many batches a maker has at a time, so that it need not wait for this process."""

C = TypeVar("C")


class ClusterError(ValueError):
    """The cluster cannot be used; the message says why."""


class RemoteMaker:
    """A maker in an actor. A checkpoint that its node lacks is written to the node's own folder of temporary files."""

    def __init__(self, make_maker: Callable[[], Any], cpus: int) -> None:
        import torch

        torch.set_num_threads(cpus)
        self._maker = make_maker()

    def ready(self, task: Task, digest: str) -> int | None:
        """How many cells of this kind to make at once; None where the checkpoint is not on this node."""
        model = local_file(task.model, digest)
        return None if model is None else int(self._maker.limit(replace(task, model=model)))

    def make(self, task: Task, digest: str, files: dict[str, bytes] | None = None) -> Made:
        model = local_file(task.model, digest, files)
        if model is None:
            raise FileNotFoundError(f"{task.model} is not on this node, and was not sent")
        made: Made = self._maker.make(replace(task, model=model))
        return made


def local_file(model: Path, digest: str, files: dict[str, bytes] | None = None) -> Path | None:
    """The checkpoint of this `digest` on this machine, made of `files` where it is not there; None without them."""
    if model.is_file() and header.digest(model) == digest:
        return model
    folder = Path(tempfile.gettempdir()) / "clip-skip-checkpoints" / digest[:16]
    copy = folder / model.name
    if files is not None and not copy.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for name in sorted(files, key=lambda name: name == model.name):  # the checkpoint says that all are there
            with replacing(folder / name) as unfinished:
                unfinished.write_bytes(files[name])
    return copy if copy.is_file() else None


def sent(model: Path) -> dict[str, bytes]:
    """A checkpoint and the `.yaml` that is beside it, for a node that lacks them."""
    beside = model.with_suffix(".yaml")
    return {file.name: file.read_bytes() for file in (model, beside) if file.is_file()}


@dataclass(frozen=True)
class Cluster:
    """A Ray that this process is connected to.

    device: what the makers use, "cuda" where the cluster has a GPU, else "cpu"
    actors: how many makers; 0 is one for each GPU, or for every `cpus` CPUs
    """

    device: str
    actors: int = 0
    cpus: int = 1

    def count(self) -> int:
        """How many makers there are room for, or as many as were asked for."""
        import ray

        there = ray.cluster_resources()
        room = int(there.get("GPU", 0)) if self.device == "cuda" else int(there.get("CPU", 0)) // self.cpus
        return self.actors or max(room, 1)

    def run(
        self,
        supply: Supply[C],
        make_maker: Callable[[], Maker],
        told: Callable[[int], None] = lambda makers: None,
    ) -> Iterator[tuple[tuple[C, ...], Made]]:
        """Make all of `supply`, in no order. `told` is called with how many makers are at work.

        Raises what a maker raises, other than that its node has died.
        """
        import ray

        wanted = {"num_gpus": 1} if self.device == "cuda" else {}
        remote = ray.remote(RemoteMaker).options(num_cpus=self.cpus, max_restarts=-1, max_task_retries=0, **wanted)
        makers = [remote.remote(make_maker, self.cpus) for _ in range(min(self.count(), 100_000))]
        try:
            yield from _Spread(supply, makers, told).run()
        finally:
            for maker in makers:
                ray.kill(maker)


class _Spread:
    """Which maker has which cells, until all are made."""

    def __init__(self, supply: Supply[Any], makers: Sequence[Any], told: Callable[[int], None]) -> None:
        self._supply, self._told = supply, told
        self._running: dict[Any, tuple[Any, tuple[Any, ...]]] = {}
        """What is under way: its maker, and its cells; none for the question whether it is ready."""
        self._limits: dict[Any, int] = {}
        """How many cells a maker takes at once, for those that are at work."""
        self._digests: dict[Path, str] = {}
        self._sent: dict[Path, Any] = {}
        for maker in makers:
            self._ask(maker)

    def run(self) -> Iterator[tuple[tuple[Any, ...], Made]]:
        import ray
        from ray.exceptions import RayActorError

        while self._supply or any(cells for _, cells in self._running.values()):
            for done in ray.wait(list(self._running), timeout=5)[0]:
                maker, cells = self._running.pop(done)
                try:
                    result = ray.get(done)
                except RayActorError:
                    self._lost(maker, cells)
                    continue
                if cells:
                    self._fill(maker)
                    yield cells, result
                else:
                    self._limits[maker] = self._size(maker, result)
                    self._told(len(self._limits))
                    self._fill(maker)

    def _ask(self, maker: Any) -> None:
        """Ask whether `maker` is ready. Ray answers when it has placed it, again where its node has died."""
        if self._supply:
            task = self._supply.next
            options = maker.ready.options(max_task_retries=-1)
            self._running[options.remote(task, self._digest(task.model))] = maker, ()

    def _size(self, maker: Any, answered: int | None) -> int:
        """What is taken at first by a maker whose node lacks the checkpoint: it can tell when it has it."""
        if answered is None and self._supply:
            self._send(self._supply.next.model)
        return answered or 1

    def _fill(self, maker: Any) -> None:
        while self._supply and maker in self._limits and self._busy(maker) < AHEAD:
            cells = self._supply.take(self._limits[maker])
            task = self._supply.task(cells)
            reference = maker.make.remote(task, self._digest(task.model), self._sent.get(task.model))
            self._running[reference] = maker, cells

    def _busy(self, maker: Any) -> int:
        return sum(one == maker for one, _ in self._running.values())

    def _lost(self, maker: Any, cells: tuple[Any, ...]) -> None:
        if cells:
            self._supply.put_back(cells)
        if self._limits.pop(maker, None) is not None or not cells:
            self._told(len(self._limits))
            self._ask(maker)
        for other in list(self._limits):
            self._fill(other)

    def _digest(self, model: Path) -> str:
        if model not in self._digests:
            self._digests[model] = header.digest(model)
        return self._digests[model]

    def _send(self, model: Path) -> None:
        """Put a checkpoint into the object store, once."""
        import ray

        if model not in self._sent:
            self._sent[model] = ray.put(sent(model))


@contextmanager
def connected(address: str, actors: int = 0, cpus: int = 1, limit_cpus: int | None = None) -> Iterator[Cluster]:
    """A cluster while the block runs: that at `address`, or for `LOCAL` one of this machine's own.

    limit_cpus: how many CPUs a local one may use
    ClusterError where Ray is not installed or not there. Nodes need what `clip-skip[standalone]` needs; this package is
    sent to them.
    """
    try:
        import ray
    except ImportError as error:
        raise ClusterError("--ray needs Ray: pip install clip-skip[ray]") from error
    import clip_skip

    quiet = {"log_to_driver": False, "include_dashboard": False, "logging_level": "ERROR"}
    mine = not ray.is_initialized()
    try:
        if not mine:
            pass
        elif address == LOCAL:
            ray.init(address="local", num_cpus=limit_cpus, **quiet)
        else:
            del quiet["include_dashboard"]
            package = str(Path(clip_skip.__file__).parent)
            ray.init(address=address, runtime_env={"py_modules": [package]}, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(f"--ray: {address} cannot be reached: {str(error).splitlines()[0]}") from error
    try:
        device = "cuda" if ray.cluster_resources().get("GPU", 0) >= 1 else "cpu"
        yield Cluster(device, actors, cpus)
    finally:
        if mine:
            ray.shutdown()
