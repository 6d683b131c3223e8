"""Code that runs on a cluster's nodes: a maker, and the checkpoints that are sent to its node."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clip_skip.standalone.cluster import node_files
from clip_skip.standalone.engine.makers import Maker, Task
from clip_skip.standalone.models import header

if TYPE_CHECKING:
    from clip_skip.standalone.engine.engine import BatchOutput

__all__ = ["RemoteMaker", "contents", "local_file"]


class RemoteMaker:
    """A maker in an actor. Checkpoints that are missing on its node are stored there."""

    def __init__(self, new: Callable[[], Maker], cpus: int) -> None:
        os.environ["OMP_NUM_THREADS"] = str(cpus)  # read by torch, which is imported with the first checkpoint
        self._maker = new()
        self._files: dict[str, Path] = {}

    def ready(
        self, task: Task, digest: str, full_digest: str = "", files: dict[str, bytes] | None = None
    ) -> int | None:
        """The number of cells of this kind to make at once. None where the checkpoint is not on this node.

        It is looked for at its path, by `header.digest`; with `full_digest` in this node's cache; else it is written
        from `files`.
        """
        file = local_file(task.model, digest, full_digest, files)
        if file is None:
            return None
        self._files[digest] = file
        return self._maker.limit(replace(task, model=file))

    def make(self, task: Task, digest: str) -> BatchOutput | None:
        """The same as a maker, once it is ready for the checkpoint."""
        return self._maker.make(replace(task, model=self._files[digest]))


def local_file(model: Path, digest: str, full_digest: str = "", files: dict[str, bytes] | None = None) -> Path | None:
    """The checkpoint on this machine, looked for as by `RemoteMaker.ready`."""
    if model.is_file() and header.digest(model) == digest:
        return model
    if full_digest and (file := node_files.find_cached(model.name, full_digest)):
        return file
    return node_files.keep(model.name, full_digest, files) if files else None


def contents(model: Path) -> dict[str, bytes]:
    """A checkpoint and the `.yaml` that is beside it, for a node where they are missing."""
    return {file.name: file.read_bytes() for file in node_files.beside(model)}
