"""The folder of a sweep on disk: which cells are finished, and how a batch gets there whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from clip_skip import skip
from clip_skip.standalone.files import Batches, clear_unfinished, png_texts, replacing, save_picture
from clip_skip.sweep.plan import SweepCell, SweepPlan
from clip_skip.sweep.rows import CFG, Rows, Value

DIGEST = "clip_skip_settings"
"""The key of a cell's PNG text that holds the hash of everything the cell was made with."""


OUTPUTS = ("grid.png", "index.html", "report.png")
"""What a sweep puts beside its cells, and sweep.json."""


def left_by_another(path: Path, made_with: Mapping[str, object]) -> str:
    """What is in the folder `path` that a sweep made with other settings, or somebody else, has left there."""
    record = path / "sweep.json"
    if record.exists():
        try:
            left = json.loads(record.read_text(encoding="utf-8"))["made_with"]
        except (OSError, ValueError, KeyError, TypeError):
            return f"{record} is not a sweep's"
        if left == json.loads(json.dumps(made_with)):
            return ""
        prompt, seed = (left.get(key) for key in ("prompt", "seed"))
        return f"{path} has another sweep in it, of {skip.shorten(str(prompt))} with seed {seed}"
    strangers = [name for name in OUTPUTS if (path / name).exists()]
    if strangers or any((path / "cells").glob("*")):
        return f"{path} has {strangers[0] if strangers else 'cells'} in it, and no sweep.json that says of what"
    return ""


def clear(path: Path) -> None:
    """Takes away what sweeps have left in the folder `path`, and nothing else."""
    shutil.rmtree(path / "cells", ignore_errors=True)
    for name in (*OUTPUTS, "sweep.json"):
        (path / name).unlink(missing_ok=True)


class Folder:
    """`path`/cells holds a picture (.png) and latents (.npy, float16) per cell, named by the cell's values.

    They come as `Batches`: after a kill at any moment the finished batches are there, whole, and the next run goes on
    with the batches that an undisturbed one would have made.
    """

    def __init__(self, path: Path, made_with: dict[str, object], rows: Rows) -> None:
        """`made_with` is everything, besides a cell's own values, that its pixels depend on."""
        self.path = path
        self._row = rows
        self.cells = path / "cells"
        self._made_with = made_with
        path.mkdir(parents=True, exist_ok=True)
        if not (path / "sweep.json").exists():
            self.write_json("sweep.json", {"made_with": made_with})  # says whose the folder is, from the first on
        self.cells.mkdir(exist_ok=True)
        clear_unfinished(path)
        self._batches = Batches(self.cells)

    def name(self, cell: SweepCell) -> str:
        """The file name of a cell's picture."""
        text = isinstance(cell.value, str)
        value = hashlib.sha256(f"{self._row.values[0]}\n{cell.value}".encode()).hexdigest()[:8] if text else cell.value
        shown = value if isinstance(value, (str, int)) else f"{value:g}"
        return f"clip-skip-{skip.format(cell.clip_skip)}_{self._row.kind.name.replace('_', '-')}-{shown}.png"

    def digest(self, cell: SweepCell) -> str:
        """The hash of everything that the pixels of `cell` depend on."""
        row = {"cfg_scale": cell.value} if self._row.kind == CFG else {self._row.kind.name: [*self.search, cell.value]}
        made_with = {**self._made_with, "clip_skip": cell.clip_skip, **row}
        return hashlib.sha256(json.dumps(made_with, sort_keys=True).encode()).hexdigest()

    @property
    def search(self) -> tuple[Value, ...]:
        """What the rows take the place of, where that is a text."""
        return self._row.values[:1] if self._row.kind.name == "prompt" else ()

    def missing(self, cells: Iterable[SweepCell]) -> list[SweepCell]:
        """Those of `cells` whose picture is not there, complete, and made with these settings."""
        return [cell for cell in cells if self.read(cell) is None]

    def read(self, cell: SweepCell) -> Image.Image | None:
        """The finished picture of `cell`, or None."""
        try:
            with Image.open(self.cells / self.name(cell)) as picture:
                picture.load()
                return picture if picture.info.get(DIGEST) == self.digest(cell) else None
        except (OSError, SyntaxError, ValueError):
            return None

    def rows(self, plan: SweepPlan) -> Iterator[list[Image.Image | None]]:
        """The pictures of the grid, a row at a time."""
        columns = len(plan.clip_skips)
        for start in range(0, len(plan.cells), columns):
            yield [self.read(cell) for cell in plan.cells[start : start + columns]]

    def latents(self, plan: SweepPlan) -> np.ndarray | None:
        """The latents of all cells, (rows, columns, channels, height, width) in float16; None if some are missing."""
        try:
            loaded = [np.load((self.cells / self.name(cell)).with_suffix(".npy")) for cell in plan.cells]
        except (OSError, ValueError):
            return None
        return np.stack(loaded).reshape(len(plan.rows), len(plan.clip_skips), *loaded[0].shape)

    def save(
        self, cells: Sequence[SweepCell], pictures: Sequence[Image.Image], latents: np.ndarray, infotexts: Sequence[str]
    ) -> None:
        """Write a batch: after a kill in the middle all of it is there at the next start, or none."""
        with self._batches.batch() as folder:
            for cell, picture, latent, text in zip(cells, pictures, latents, infotexts):
                path = folder / self.name(cell)
                picture.save(path, pnginfo=png_texts({"parameters": text, DIGEST: self.digest(cell)}))
                np.save(path.with_suffix(".npy"), latent.astype(np.float16))

    def write(self, name: str, content: str) -> None:
        """Put a text file beside the cells."""
        with replacing(self.path / name) as unfinished:
            unfinished.write_text(content, encoding="utf-8")

    def write_json(self, name: str, content: Mapping[str, object]) -> None:
        self.write(name, json.dumps(content, indent=1, ensure_ascii=False))

    def remove(self, name: str) -> None:
        """Take away what stands beside the cells, if it is there."""
        (self.path / name).unlink(missing_ok=True)

    def write_picture(self, name: str, picture: Image.Image) -> None:
        """Put a PNG beside the cells."""
        save_picture(picture, self.path / name)
