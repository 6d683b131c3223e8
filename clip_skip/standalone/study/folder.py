"""The folder of a study: which pictures are finished, their scores, and how a whole batch is saved or nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image

from clip_skip import skip
from clip_skip.messages.message import Message, Template
from clip_skip.standalone.files import (
    Batches,
    check_length,
    clear_unfinished,
    folder_name,
    png_texts,
    read_made_with,
    slug,
    write_text,
)
from clip_skip.standalone.study.job import StudyJob
from clip_skip.standalone.sweep.folder import IDENTITY
from clip_skip.study.plan import StudyCell

__all__ = ["StudyFolder", "find_another_study"]

OTHER_SETTINGS = Template("{folder} has a study with other settings in it: {before}, not {now}")
OTHER_VERSION = Template("{folder} has a study of another version of Clip Skip in it, whose pictures cannot be reused")
NOT_A_RECORD = Template("{file} is not the record of a study")
NO_RECORD = Template("{folder} is not empty, and has no study.json")

PIXELS = "clip_skip_pixels"
"""The key of a PNG's text that holds the hash of its pixels."""


def find_another_study(job: StudyJob) -> Message | None:
    """A message about files of another study, or unknown ones, in the job's folder; None if there are none."""
    record = job.out / "study.json"
    if not record.exists():
        return NO_RECORD(folder=str(job.out)) if any(job.out.glob("[!.]*")) else None
    old = read_made_with(record)
    if old is None:
        return NOT_A_RECORD(file=str(record))
    new = json.loads(json.dumps(job.made_with))
    if old.get("format") != new["format"]:
        return OTHER_VERSION(folder=str(job.out))
    differing = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    if not differing:
        return None
    was, is_now = (json.dumps({key: made_with.get(key) for key in differing}) for made_with in (old, new))
    return OTHER_SETTINGS(folder=str(job.out), before=was, now=is_now)


class StudyFolder:
    """`path`/pictures/CHECKPOINT/PROMPT holds a PNG for each cell, `path`/scores the scores, a line for each.

    The pictures come as `Batches`: after a kill at any moment the finished ones are there, whole.
    """

    def __init__(self, job: StudyJob) -> None:
        self.job, self.path = job, job.out
        check_length(self.path, self._longest())
        self.path.mkdir(parents=True, exist_ok=True)
        if not (self.path / "study.json").exists():
            self.write("study.json", json.dumps({"made_with": job.made_with}, indent=1))
        clear_unfinished(self.path)
        self._batches = Batches(self.path)

    def file(self, cell: StudyCell) -> str:
        """The path of a cell's picture in the folder. Raises `LoraError` if a text names a missing LoRA."""
        return place_of(cell, self.job.identity(cell)[:8])

    def _longest(self) -> Iterator[str]:
        """The place of a cell for each checkpoint and prompt, with the longest of the other values."""
        plan = self.job.plan
        seed, cfg_scale = max(plan.seeds), max(plan.cfg_scales, key=lambda scale: len(f"{scale:g}"))
        for model, skips in plan.skips.items():
            clip_skip = max(skips, key=lambda value: len(skip.format_skip(value)))
            for prompt in plan.prompts:
                yield place_of(StudyCell(model, prompt, seed, cfg_scale, clip_skip), "12345678")

    def missing(self, cells: Iterable[StudyCell]) -> list[StudyCell]:
        """The `cells` whose picture is missing or was made with other settings."""
        return [cell for cell in cells if not self.pixels(cell)]

    def pixels(self, cell: StudyCell) -> str:
        """The hash of the pixels of `cell`; empty where it is missing. Only the file's head is read."""
        path, identity = self.path / self.file(cell), self.job.identity(cell)
        try:
            with Image.open(path) as picture:
                return str(picture.info[PIXELS]) if picture.info.get(IDENTITY) == identity else ""
        except (OSError, SyntaxError, ValueError, KeyError):
            return ""

    def picture(self, cell: StudyCell) -> Image.Image:
        """The finished picture of `cell`. OSError where it cannot be read."""
        with Image.open(self.path / self.file(cell)) as picture:
            return picture.convert("RGB")

    def save(self, cells: Sequence[StudyCell], pictures: Sequence[Image.Image]) -> None:
        """Write a batch: after a kill in the middle all of it is there at the next start, or none."""
        with self._batches.batch() as folder:
            for cell, picture in zip(cells, pictures):
                path = folder / self.file(cell)
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = hashlib.sha256(picture.tobytes()).hexdigest()
                texts = {"parameters": self.job.infotext(cell), IDENTITY: self.job.identity(cell), PIXELS: pixels}
                picture.save(path, pnginfo=png_texts(texts))

    def scores(self, name: str) -> dict[str, dict[str, float]]:
        """The scores of the score `name`, by the pictures they are of."""
        path = self.path / "scores" / f"{name}.jsonl"
        return dict(_lines(path)) if path.exists() else {}

    def add_scores(self, name: str, scores: Mapping[str, Mapping[str, float]]) -> None:
        """Add to the scores of the score `name`. A line that a kill cut short is left out when they are read."""
        path = self.path / "scores" / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" + "\n".join(json.dumps([of, values]) for of, values in scores.items()) + "\n")

    def write(self, name: str, content: str) -> None:
        write_text(self.path / name, content)


def place_of(cell: StudyCell, identity: str) -> str:
    place = f"{slug(cell.prompt) or 'prompt'}-{hashlib.sha256(cell.prompt.encode()).hexdigest()[:8]}"
    values = f"seed-{cell.seed}_cfg-{cell.cfg_scale:g}_clip-skip-{skip.format_skip(cell.clip_skip)}"
    return f"pictures/{folder_name(cell.model)}/{place}/{values}_{identity}.png"


def _lines(path: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """The scores in the file at `path`. Lines that are none are left out."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                of, values = json.loads(line)
                scores = {name: float(value) for name, value in values.items()}
            except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
                continue
            yield str(of), scores
