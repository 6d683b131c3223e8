"""The files of a study's results: a row for each picture, the table of clip skips, the page, and all settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from clip_skip.messages.safe_text import table_cell
from clip_skip.standalone.files import replacing
from clip_skip.standalone.study.folder import StudyFolder
from clip_skip.standalone.study.job import StudyJob
from clip_skip.standalone.study.scores import Score
from clip_skip.study import page, statistics
from clip_skip.study.plan import StudyCell
from clip_skip.study.sentence import sentence
from clip_skip.sweep import viewer
from clip_skip.sweep.axis import Axis

__all__ = ["cells_frame", "score_key", "write_record", "write_study"]


def score_key(cell: StudyCell, pixels: str, published_pixels: str) -> str:
    """The identity of a picture's score: its pixels, the published picture's, and its prompt."""
    return hashlib.sha256(f"{pixels}\n{published_pixels}\n{cell.prompt}".encode()).hexdigest()[:24]


def cells_frame(job: StudyJob, folder: StudyFolder, scores: Sequence[Score]) -> pd.DataFrame:
    """A row for each finished picture, in the plan's order, with its values, its settings and its scores.

    pixels: the SHA-256 of the picture's bytes (RGB, row by row)
    """
    scores_by_name = {score.name: folder.scores(score.name) for score in scores}
    there = {cell: folder.pixels(cell) for cell in job.plan.cells}
    rows = []
    for cell, pixels in there.items():
        if not pixels:
            continue
        published_pixels = there[
            StudyCell(cell.model, cell.prompt, cell.seed, cell.cfg_scale, job.plan.published[cell.model])
        ]
        of = score_key(cell, pixels, published_pixels)
        row: dict[str, object] = {**asdict(cell), **asdict(job.settings), "file": folder.file(cell), "pixels": pixels}
        for score in scores:
            values = scores_by_name[score.name].get(of, {})
            row.update({measure.name: values.get(measure.name, float("nan")) for measure in score.measures})
        rows.append(row)
    return pd.DataFrame(rows)


def write_study(job: StudyJob, folder: StudyFolder, scores: Sequence[Score]) -> list[str]:
    """Write cells.parquet, table.csv and index.html; the sentences, one for each checkpoint."""
    cells = cells_frame(job, folder, scores)
    sentences: list[str] = []
    if len(cells):
        _write(folder.path / "cells.parquet", lambda path: cells.to_parquet(path, index=False))
        measures = [measure for score in scores for measure in score.measures]
        comparisons = {measure: statistics.compare(cells, measure.name, job.plan.published) for measure in measures}
        rows = [
            {name: table_cell(value) for name, value in {"measure": measure.name, **one.as_dict()}.items()}
            for measure, some in comparisons.items()
            for one in some
        ]
        _write(folder.path / "table.csv", lambda path: pd.DataFrame(rows).to_csv(path, index=False))
        if measures:
            for model, of_model in cells.groupby("model", sort=False):
                some = [one for one in comparisons[measures[0]] if one.model == model]
                sentences.append(str(sentence(some, measures[0], len(of_model))))
        settings = {
            **{name: value for name, value in asdict(job.settings).items() if value is not None},
            "cells": f"{len(cells)} of {len(job.plan.cells)}",
        }
        size = min(job.settings.width, job.settings.height)
        empty = viewer.viewer_page("", "", Axis("", ()), Axis("", ()), [], size)
        folder.write("index.html", page.study_page(cells, comparisons, job.plan, sentences, settings, empty))
    return sentences


def write_record(job: StudyJob, folder: StudyFolder, sentences: Sequence[str], figures: Mapping[str, object]) -> None:
    """Write study.json. figures: how the study was made"""
    names = ("torch", "diffusers", "transformers")
    record = {
        "made_with": job.made_with,
        "checkpoints": job.digests,
        "plan": asdict(job.plan),
        "sentences": list(sentences),
        "versions": {name: version(name) for name in names},
        "run": dict(figures),
    }
    folder.write("study.json", json.dumps(record, indent=1, ensure_ascii=False))


def _write(path: Path, to: Any) -> None:
    with replacing(path) as unfinished_path:
        to(unfinished_path)
