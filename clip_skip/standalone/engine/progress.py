"""The progress of a sweep or a study: a bar on the screen, figures for its record, and callbacks for a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from clip_skip.messages.message import Message, Template
from clip_skip.messages.safe_text import printable

__all__ = ["Figures", "Interrupted", "OnStep", "Progress"]

OnStep = Callable[[int, int, Message | str], None]
"""Called after every step with the steps done, all steps, and the task. It may raise `Interrupted`."""

Figures = dict[str, Any]
"""The work done and the time it took: "run" in sweep.json and study.json."""

CELLS_OF = Template("cell {first} to {last} of {count}")
OUT_OF_MEMORY = Template("Out of memory: going on with {count} cells per batch. --batch {count} avoids the wait.")


class Interrupted(Exception):
    """Ends a sweep. What is finished is kept."""


class Progress:
    """Cells that are being made, in this process or on a cluster."""

    def __init__(
        self, figures: Figures, cells: int, steps: int, on_step: OnStep = lambda step, total, what: None
    ) -> None:
        """figures: where cells_made and cells_per_batch are written, and out_of_memory where that happened
        cells:   the number to make, each in `steps` steps
        """
        self._figures = figures
        figures["cells_made"] = 0
        self._cells, self._steps, self._on_step = cells, steps, on_step
        self._batch_size, self._finished_steps = 0, 0
        self._what: Message | str = ""
        self._bar = tqdm(total=cells * steps, unit="step", smoothing=0, disable=None)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def begin(self, cells: int) -> None:
        """This process begins a batch of this number of cells."""
        cells_made = self._figures["cells_made"]
        self._batch_size, self._finished_steps = cells, cells_made * self._steps
        self._what = CELLS_OF(first=cells_made + 1, last=cells_made + cells, count=self._cells)
        self._bar.n = self._finished_steps  # where a batch that was too large had come further
        self._bar.set_description(str(self._what))

    def step(self) -> None:
        """The batch that was begun has come a step further."""
        self._finished_steps += self._batch_size
        self._bar.update(self._batch_size)
        self._on_step(self._finished_steps, self._cells * self._steps, self._what)

    def finish(self, cells: int) -> None:
        """This number of cells is finished and in the folder."""
        self._figures.setdefault("cells_per_batch", cells)
        self._figures["cells_made"] += cells
        cells_made = self._figures["cells_made"]
        self._bar.set_description(f"{cells_made} of {self._cells} cells")
        self._bar.update(cells_made * self._steps - self._bar.n)

    def makers(self, count: int) -> None:
        """This number of actors is working."""
        self._bar.set_postfix(actors=count)

    def smaller(self, limit: int) -> None:
        """There was not enough memory for a batch; `limit` cells are made at once from now on."""
        self._figures.update(out_of_memory=True, cells_per_batch=limit)
        self.tell(OUT_OF_MEMORY(count=limit))

    def tell(self, message: Message | str) -> None:
        """A line of its own, above the bar."""
        tqdm.write(printable(message))
