"""The plan of a sweep: cells in order, batches, and running them. Pure: standard library only."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from clip_skip.messages.message import Template
from clip_skip.skip import format_skip
from clip_skip.sweep.axis import Axis
from clip_skip.sweep.rows import Rows, Value

CLIP_SKIP, CLIP_SKIP_OF_L = Template("Clip skip"), Template("Clip skip of CLIP-L")
CLIP_SKIP_OF_NAMED = {
    "t5": Template("Clip skip of T5"),
    "qwen": Template("Clip skip of Qwen"),
    "gemma": Template("Clip skip of Gemma"),
    "ministral": Template("Clip skip of Ministral"),
}

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class SweepCell:
    """One picture of the grid: its place, the clip skip of its column, and the value of its row."""

    column: int
    row: int
    clip_skip: float
    value: Value


@dataclass(frozen=True)
class SweepPlan:
    """A grid with a column per clip skip and a row per value of `rows`.

    columns: whose clip skip it is: "clip_skip", "clip_l" for CLIP-L's alone, or the name of a text encoder that is
             not CLIP
    """

    clip_skips: tuple[float, ...]
    rows: Rows
    columns: str = "clip_skip"

    @cached_property
    def cells(self) -> tuple[SweepCell, ...]:
        """Every cell, row by row."""
        return tuple(
            SweepCell(column, row, clip_skip, value)
            for row, value in enumerate(self.rows.values)
            for column, clip_skip in enumerate(self.clip_skips)
        )

    @property
    def axes(self) -> tuple[Axis, Axis]:
        """The columns and the rows."""
        of_l = self.columns == "clip_l" or self.rows.kind.name == "clip_g"
        title = CLIP_SKIP_OF_NAMED.get(self.columns) or (CLIP_SKIP_OF_L if of_l else CLIP_SKIP)
        return Axis(title, tuple(map(format_skip, self.clip_skips))), self.rows.axis

    @property
    def reference(self) -> int:
        """The column that the others are compared with."""
        return self.clip_skips.index(min(self.clip_skips))

    def batches(self, limit: int, finished_cells: Container[SweepCell] = ()) -> Iterator[tuple[SweepCell, ...]]:
        """The cells that are not in `finished_cells`, in order, at most `limit` at a time."""
        _check_limit(limit)
        waiting = [cell for cell in self.cells if cell not in finished_cells]
        for start in range(0, len(waiting), limit):
            yield tuple(waiting[start : start + limit])


def run_batches(
    cells: Sequence[Item],
    limit: int,
    make: Callable[[tuple[Item, ...]], Result],
    is_out_of_memory: Callable[[Exception], bool],
    on_limit: Callable[[int], None] | None = None,
) -> Iterator[tuple[tuple[Item, ...], Result]]:
    """Make all `cells` in order, at most `limit` at a time, and yield each batch with what `make` returned for it.

    When a batch runs out of memory it is halved and tried again, and later batches keep the smaller limit;
    `on_limit` is called with it. A batch of one that runs out of memory, and every other error, is raised unchanged.
    """
    _check_limit(limit)
    start = 0
    while start < len(cells):
        batch = tuple(cells[start : start + limit])
        try:
            result = make(batch)
        except Exception as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                raise
            limit = len(batch) // 2
            if on_limit is not None:
                on_limit(limit)
            continue
        start += len(batch)
        yield batch, result


def _check_limit(limit: int) -> None:
    if limit < 1:
        raise ValueError(f"at least one cell must fit into a batch, not {limit}")
