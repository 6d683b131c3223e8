"""The folder of a sweep on disk: which cells are finished, and how a whole batch is saved or nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from clip_skip import skip
from clip_skip.messages.message import Message, Template
from clip_skip.standalone.files import (
    Batches,
    check_length,
    clear_unfinished,
    png_texts,
    read_made_with,
    save_picture,
    slug,
    write_text,
)
from clip_skip.standalone.identity import FORMAT
from clip_skip.standalone.sweep.job import SweepJob
from clip_skip.sweep.plan import SweepCell, SweepPlan

__all__ = ["IDENTITY", "SweepFolder", "clear", "find_another_sweep"]

IDENTITY = "clip_skip_settings"
"""The key of a cell's PNG text that holds the hash of everything the cell was made of."""

LONGEST_CELL = 80
"""The most letters in a cell's file name, see `SweepFolder.name`."""

OUTPUTS = ("grid.png", "index.html", "report.png")
"""The files that a sweep writes beside its cells, and sweep.json."""

ANOTHER_SWEEP = Template("{folder} has another sweep in it, of {prompt} with seed {seed}")
OTHER_VERSION = Template("{folder} has a sweep of another version of Clip Skip in it, whose pictures cannot be reused")
NOT_A_RECORD = Template("{file} is not the record of a sweep")
NO_RECORD = Template("{folder} contains {found} but no sweep.json that describes it")


def find_another_sweep(job: SweepJob) -> Message | None:
    """A message about files of another sweep, or unknown ones, in the job's folder; None if there are none."""
    path = job.out
    record = path / "sweep.json"
    if record.exists():
        made_with = read_made_with(record)
        if made_with is None:
            return NOT_A_RECORD(file=str(record))
        if made_with == json.loads(json.dumps(job.made_with)):
            return None
        if made_with.get("format") != FORMAT:
            return OTHER_VERSION(folder=str(path))
        prompt, seed = (str(made_with.get(key)) for key in ("prompt", "seed"))
        return ANOTHER_SWEEP(folder=str(path), prompt=skip.shorten(prompt), seed=skip.shorten(seed)[1:-1])
    strangers = [name for name in OUTPUTS if (path / name).exists()]
    if strangers or any((path / "cells").glob("*")):
        return NO_RECORD(folder=str(path), found=strangers[0] if strangers else "cells")
    return None


def clear(path: Path) -> None:
    """Removes the files of sweeps from the folder `path`, and nothing else."""
    shutil.rmtree(path / "cells", ignore_errors=True)
    for name in (*OUTPUTS, "sweep.json"):
        (path / name).unlink(missing_ok=True)


class SweepFolder:
    """`path`/cells holds a picture (.png) and latents (.npy, float16) per cell, named by its values and its identity.

    They are saved as `Batches`: after a kill at any moment the finished batches are complete, and the next run
    continues with the batches that an undisturbed one would have made.
    """

    def __init__(self, job: SweepJob) -> None:
        self.job, self.path, self.cells = job, job.out, job.out / "cells"
        check_length(self.cells, ["x" * LONGEST_CELL])
        self.path.mkdir(parents=True, exist_ok=True)
        if not (self.path / "sweep.json").exists():
            self.write_json("sweep.json", {"made_with": job.made_with})  # marks whose folder it is from the start
        self.cells.mkdir(exist_ok=True)
        clear_unfinished(self.path)
        self._batches = Batches(self.cells)
        self.pictures: dict[str, str] = {}
        """The actual names of the pictures beside the cells, by their usual names."""

    def name(self, cell: SweepCell) -> str:
        """The file name of a cell's picture. Raises `LoraError` where a text names a LoRA that is not there."""
        value = cell.value
        label = slug(value, 24) if isinstance(value, str) else str(value) if isinstance(value, int) else f"{value:g}"
        kind = self.job.plan.rows.kind.name.replace("_", "-")
        return f"clip-skip-{skip.format_skip(cell.clip_skip)}_{kind}-{label}_{self.job.identity(cell)[:8]}.png"

    def missing(self, cells: Iterable[SweepCell]) -> list[SweepCell]:
        """The `cells` whose picture, or, for a report, whose latents, are missing or incomplete."""
        return [
            cell for cell in cells if self.picture(cell) is None or (self.job.report and self._latent(cell) is None)
        ]

    def picture(self, cell: SweepCell) -> Image.Image | None:
        """The finished picture of `cell`, or None."""
        path, identity = self.cells / self.name(cell), self.job.identity(cell)
        try:
            with Image.open(path) as picture:
                picture.load()
                return picture if picture.info.get(IDENTITY) == identity else None
        except (OSError, SyntaxError, ValueError):
            return None

    def rows(self, plan: SweepPlan) -> Iterator[list[Image.Image | None]]:
        """The pictures of the grid, a row at a time."""
        columns = len(plan.clip_skips)
        for start in range(0, len(plan.cells), columns):
            yield [self.picture(cell) for cell in plan.cells[start : start + columns]]

    def latents(self, plan: SweepPlan) -> np.ndarray | None:
        """The latents of all cells, (rows, columns, channels, height, width) in float16; None if some are missing."""
        latents = [latent for cell in plan.cells if (latent := self._latent(cell)) is not None]
        if len(latents) < len(plan.cells):
            return None
        return np.stack(latents).reshape(len(plan.rows), len(plan.clip_skips), *latents[0].shape)

    def _latent(self, cell: SweepCell) -> np.ndarray | None:
        try:
            latent: np.ndarray = np.load((self.cells / self.name(cell)).with_suffix(".npy"))
        except (OSError, ValueError, EOFError):
            return None
        return latent

    def save(
        self, cells: Sequence[SweepCell], pictures: Sequence[Image.Image], latents: np.ndarray, infotexts: Sequence[str]
    ) -> None:
        """Write a batch: after a kill in the middle all of it is there at the next start, or none."""
        with self._batches.batch() as folder:
            for cell, picture, latent, text in zip(cells, pictures, latents, infotexts):
                path = folder / self.name(cell)
                picture.save(path, pnginfo=png_texts({"parameters": text, IDENTITY: self.job.identity(cell)}))
                np.save(path.with_suffix(".npy"), latent.astype(np.float16))

    def write(self, name: str, content: str) -> None:
        """Put a text file beside the cells."""
        write_text(self.path / name, content)

    def write_json(self, name: str, content: Mapping[str, object]) -> None:
        self.write(name, json.dumps(content, indent=1, ensure_ascii=False))

    def remove(self, name: str) -> None:
        """Remove a file beside the cells, if it exists."""
        with suppress(PermissionError):  # on Windows, a file that is being read cannot be removed
            (self.path / name).unlink(missing_ok=True)

    def write_picture(self, name: str, picture: Image.Image) -> None:
        """Put a PNG beside the cells, under another name if somebody on Windows has the existing one open."""
        self.pictures[name] = save_picture(picture, self.path / name).name
