"""The folder of a study: which pictures are finished, their scores, and how a batch gets there whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image

from clip_skip import skip
from clip_skip.standalone.files import Batches, clear_unfinished, png_texts, replacing
from clip_skip.standalone.study.job import Job
from clip_skip.standalone.sweep.folder import DIGEST
from clip_skip.study.plan import Cell

__all__ = ["Folder", "left_by_another"]

PIXELS = "clip_skip_pixels"
"""The key of a PNG's text that holds the hash of its pixels."""


def left_by_another(job: Job) -> str:
    """What is in the job's folder that a study of other settings, or somebody else, has left there."""
    record = job.out / "study.json"
    if not record.exists():
        return f"{job.out} is not empty, and has no study.json" if any(job.out.glob("[!.]*")) else ""
    try:
        left = json.loads(record.read_text(encoding="utf-8"))["made_with"]
    except (OSError, ValueError, KeyError, TypeError):
        return f"{record} is not a study's"
    made_with = json.loads(json.dumps(job.made_with))
    differing = sorted(key for key in {*left, *made_with} if left.get(key) != made_with.get(key))
    if not differing:
        return ""
    was, is_now = ({key: known.get(key) for key in differing} for known in (left, made_with))
    return f"{job.out} has a study with other settings in it: {json.dumps(was)}, not {json.dumps(is_now)}"


class Folder:
    """`path`/pictures/CHECKPOINT/PROMPT holds a PNG for each cell, `path`/scores the scores, a line for each.

    The pictures come as `Batches`: after a kill at any moment the finished ones are there, whole.
    """

    def __init__(self, job: Job) -> None:
        self.job, self.path = job, job.out
        self.path.mkdir(parents=True, exist_ok=True)
        if not (self.path / "study.json").exists():
            self.write("study.json", json.dumps({"made_with": job.made_with}, indent=1))
        clear_unfinished(self.path)
        self._batches = Batches(self.path)

    def file(self, cell: Cell) -> str:
        """Where a cell's picture is, below the folder."""
        prompt = re.sub(r"[^a-z0-9]+", "-", cell.prompt.lower())[:40].strip("-") or "prompt"
        place = f"{prompt}-{hashlib.sha256(cell.prompt.encode()).hexdigest()[:8]}"
        name = f"seed-{cell.seed}_cfg-{cell.cfg_scale:g}_clip-skip-{skip.format(cell.clip_skip)}.png"
        return f"pictures/{cell.model}/{place}/{name}"

    def missing(self, cells: Iterable[Cell]) -> list[Cell]:
        """Those of `cells` whose picture is not there, or was made with other settings."""
        return [cell for cell in cells if not self.pixels(cell)]

    def pixels(self, cell: Cell) -> str:
        """The hash of the pixels of `cell`; empty where it is missing. Only the file's head is read."""
        try:
            with Image.open(self.path / self.file(cell)) as picture:
                return str(picture.info[PIXELS]) if picture.info.get(DIGEST) == self.job.digest(cell) else ""
        except (OSError, SyntaxError, ValueError, KeyError):
            return ""

    def picture(self, cell: Cell) -> Image.Image:
        """The finished picture of `cell`. OSError where it cannot be read."""
        with Image.open(self.path / self.file(cell)) as picture:
            return picture.convert("RGB")

    def save(self, cells: Sequence[Cell], pictures: Sequence[Image.Image]) -> None:
        """Write a batch: after a kill in the middle all of it is there at the next start, or none."""
        with self._batches.batch() as folder:
            for cell, picture in zip(cells, pictures):
                path = folder / self.file(cell)
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = hashlib.sha256(picture.tobytes()).hexdigest()
                texts = {"parameters": self.job.infotext(cell), DIGEST: self.job.digest(cell), PIXELS: pixels}
                picture.save(path, pnginfo=png_texts(texts))

    def scores(self, name: str) -> dict[str, dict[str, float]]:
        """The scores of the score `name`, by what they are of."""
        path = self.path / "scores" / f"{name}.jsonl"
        return dict(_lines(path)) if path.exists() else {}

    def add_scores(self, name: str, scores: Mapping[str, Mapping[str, float]]) -> None:
        """Add to the scores of the score `name`. A line that a kill cut short is left out when they are read."""
        path = self.path / "scores" / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" + "\n".join(json.dumps([of, values]) for of, values in scores.items()) + "\n")

    def write(self, name: str, content: str) -> None:
        with replacing(self.path / name) as unfinished:
            unfinished.write_text(content, encoding="utf-8")


def _lines(path: Path) -> Iterator[tuple[str, dict[str, float]]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                of, values = json.loads(line)
            except ValueError:
                continue
            yield of, values
