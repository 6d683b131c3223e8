"""Finished cells, kept in memory for later sweeps with the same pictures."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image

__all__ = ["CellStore", "FinishedCell"]


@dataclass(frozen=True)
class FinishedCell:
    """A picture with its infotext, and the host's processing object of its batch, where it has the number `index`."""

    picture: Image.Image
    infotext: str
    batch: Any = None
    index: int = 0

    @property
    def size(self) -> int:
        """Bytes of the picture."""
        return self.picture.width * self.picture.height * len(self.picture.getbands())


class CellStore:
    """Cells by their identity, up to `limit()` bytes of pictures: the least recently used go first.

    limit: called at every use, because the user may change it; 0 keeps nothing.
    """

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._cells: OrderedDict[str, FinishedCell] = OrderedDict()

    def __contains__(self, identity: str | None) -> bool:
        return identity in self._cells

    @property
    def size(self) -> int:
        """Bytes of all pictures."""
        return sum(cell.size for cell in self._cells.values())

    def get(self, identity: str | None) -> FinishedCell | None:
        """The cell with this identity, which is then the most recently used; None never has one."""
        self._shrink()
        if identity is None or identity not in self._cells:
            return None
        self._cells.move_to_end(identity)
        return self._cells[identity]

    def put(self, identity: str | None, cell: FinishedCell) -> None:
        """Keeps `cell`; a cell without an identity is not kept."""
        if identity is not None:
            self._cells[identity] = cell
            self._cells.move_to_end(identity)
        self._shrink()

    def _shrink(self) -> None:
        size, limit = self.size, self._limit()
        while self._cells and size > limit:
            _, cell = self._cells.popitem(last=False)
            size -= cell.size
