"""What runs on a cluster's nodes: a maker, and the checkpoints that its node lacks."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clip_skip.standalone.engine.makers import Maker, Task
from clip_skip.standalone.files import replacing
from clip_skip.standalone.models import header

if TYPE_CHECKING:
    from clip_skip.standalone.engine.engine import Made

__all__ = ["RemoteMaker", "contents", "local_file"]


class RemoteMaker:
    """A maker in an actor. Checkpoints that its node lacks are written to the node's own folder of temporary files."""

    def __init__(self, new: Callable[[], Maker], cpus: int) -> None:
        os.environ["OMP_NUM_THREADS"] = str(cpus)  # torch, which comes with the first checkpoint, reads it
        self._maker = new()
        self._files: dict[str, Path] = {}

    def ready(self, task: Task, digest: str, files: dict[str, bytes] | None = None) -> int | None:
        """How many cells of this kind to make at once. None where the checkpoint is not on this node: send `files`."""
        file = local_file(task.model, digest, files)
        if file is None:
            return None
        self._files[digest] = file
        return self._maker.limit(replace(task, model=file))

    def make(self, task: Task, digest: str) -> Made | None:
        """The same as a maker, once it is ready for the checkpoint."""
        return self._maker.make(replace(task, model=self._files[digest]))


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


def contents(model: Path) -> dict[str, bytes]:
    """A checkpoint and the `.yaml` that is beside it, for a node that lacks them."""
    beside = model.with_suffix(".yaml")
    return {file.name: file.read_bytes() for file in (model, beside) if file.is_file()}
