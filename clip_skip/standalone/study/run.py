"""The steps of a study: a job's cells, those missing in its folder, their pictures, their scores, the files.

job.py      the pictures to make
folder.py   which pictures are finished, and how a batch gets there
run.py      makes the others, in this process or on a cluster, then the scores
results.py  the files with the results
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from itertools import groupby

from tqdm import tqdm

from clip_skip.standalone.cluster.connection import Cluster
from clip_skip.standalone.engine.makers import Maker, Supply, local
from clip_skip.standalone.engine.progress import Figures, Progress
from clip_skip.standalone.study import results
from clip_skip.standalone.study.folder import StudyFolder
from clip_skip.standalone.study.job import StudyJob
from clip_skip.standalone.study.scores import Score
from clip_skip.study.plan import StudyCell

__all__ = ["run_study"]

SCORED_AT_ONCE = 64


def run_study(job: StudyJob, scores: Sequence[Score], cluster: Cluster | None = None, batch: int = 0) -> Figures:
    """Make the pictures of `job` that are missing in its folder, then their scores, and then the results' files.

    batch: cells per batch; 0 chooses as many as fit the device
    Raises `CheckpointError` if a checkpoint cannot be used, `ClusterError` if the cluster cannot.
    """
    began = time.monotonic()
    folder = StudyFolder(job)
    missing = folder.missing(job.plan.cells)
    figures: Figures = {"cells_made": 0, "cells_kept": len(job.plan.cells) - len(missing)}
    try:
        if missing:
            with Progress(figures, len(missing), job.settings.all_steps) as progress:
                make(job, folder, missing, cluster, batch, progress)
        figures["seconds_making"] = round(time.monotonic() - began, 3)
        for score in scores:
            add_scores(job, folder, score)
    except KeyboardInterrupt:
        figures["interrupted"] = True
    sentences = results.write_study(job, folder, scores)
    figures["seconds"] = round(time.monotonic() - began, 3)
    results.write_record(job, folder, sentences, figures)
    return {**figures, "sentences": sentences}


def make(
    job: StudyJob,
    folder: StudyFolder,
    missing: Sequence[StudyCell],
    cluster: Cluster | None,
    batch: int,
    progress: Progress,
) -> None:
    """Make the cells of `missing`, and put them into `folder` a batch at a time."""
    supply = Supply(missing, lambda cell: job.models[cell.model], job.task)
    new = partial(Maker, partial(job.loading.engine, device=job.device), batch)
    for cells, result in cluster.run(supply, new, progress) if cluster else local(supply, new(), progress):
        folder.save(cells, result.pictures)
        progress.finish(len(cells))


def add_scores(job: StudyJob, folder: StudyFolder, score: Score) -> None:
    """Score the finished pictures that have no score yet, many at a time."""
    old_scores = folder.scores(score.name)
    waiting: list[tuple[str, StudyCell, StudyCell]] = []
    groups = groupby(job.plan.cells, lambda cell: (cell.model, cell.prompt, cell.seed, cell.cfg_scale))
    for (model, *_), cells in groups:
        there = {cell.clip_skip: (cell, folder.pixels(cell)) for cell in cells}
        first, of_first = there[job.plan.published[model]]
        for cell, pixels in there.values():
            of = results.score_key(cell, pixels, of_first)
            if pixels and of_first and of not in old_scores:
                waiting.append((of, cell, first))
    with tqdm(total=len(waiting), unit="picture", smoothing=0, disable=None, desc=f"score {score.name}") as bar:
        for start in range(0, len(waiting), SCORED_AT_ONCE):
            part = waiting[start : start + SCORED_AT_ONCE]
            published_pictures = {
                first: folder.picture(first) for first in dict.fromkeys(first for _, _, first in part)
            }
            pictures = [folder.picture(cell) for _, cell, _ in part]
            prompts = [cell.prompt for _, cell, _ in part]
            values = score.score(pictures, prompts, [published_pictures[first] for _, _, first in part])
            folder.add_scores(score.name, dict(zip((of for of, _, _ in part), values)))
            bar.update(len(part))
