"""The way of a sweep: a job's cells, those that its folder lacks, their pictures, the files.

job.py      what is to be made
folder.py   which cells are finished, and how a batch gets there
run.py      makes the others, in batches
results.py  what is drawn and written of all of them
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from clip_skip.standalone.sweep import results
from clip_skip.standalone.sweep.folder import Folder
from clip_skip.standalone.sweep.job import Job
from clip_skip.sweep import plan
from clip_skip.sweep.plan import Cell

if TYPE_CHECKING:
    from clip_skip.standalone.engine import Engine, Made

__all__ = ["Figures", "Interrupted", "OnStep", "run"]

OnStep = Callable[[int, int, str], None]
"""Called after every step with the steps done, all steps, and what is being made. It may raise `Interrupted`."""

Figures = dict[str, Any]
"""What was made, how, and how long it took: sweep.json's "run"."""


class Interrupted(Exception):
    """Ends a sweep. What is finished is kept."""


def run(job: Job, engine: Engine | None = None, on_step: OnStep = lambda done, total, what: None) -> Figures:
    """Make the cells of `job` that its folder lacks, then grid.png, sweep.json and index.html.

    engine: one with the job's model on its device; with None it is loaded, when there is something to make.
    Raises `CheckpointError` if the model cannot be used.
    """
    began = time.monotonic()
    made_with = job.made_with()
    folder = Folder(job.out, made_with, job.plan.rows)
    missing = folder.missing(job.plan.cells)
    figures: Figures = {"cells_made": 0, "cells_kept": len(job.plan.cells) - len(missing)}
    if missing:
        figures |= make(job, missing, engine or job.loading.engine(job.model, job.device), folder, on_step)
    complete = figures["cells_made"] == len(missing)
    record = results.write(job, folder, complete)
    figures["seconds"] = round(time.monotonic() - began, 3)
    folder.write_json("sweep.json", {**record, "made_with": made_with, "run": figures})
    return figures


def make(job: Job, missing: Sequence[Cell], engine: Engine, folder: Folder, on_step: OnStep) -> Figures:
    """Make the cells of `missing` and put them into `folder`, a batch at a time."""
    from clip_skip.standalone.engine import fitting, is_out_of_memory

    settings = job.settings
    passes = engine.conditioner.passes
    engine.prepare([job.shot(cell) for cell in missing], settings.steps, settings.sampler, settings.hires)
    limit = job.batch or fitting(engine, *job.size)
    figures: Figures = {"cells_made": 0, "cells_per_batch": limit}
    with tqdm(total=len(missing) * settings.all_steps, unit="step", disable=None) as bar:

        def smaller(new: int) -> None:
            figures.update(out_of_memory=True, cells_per_batch=new)
            tqdm.write(f"Out of memory: going on with {new} cells per batch. --batch {new} avoids the wait.")

        def make_batch(cells: tuple[Cell, ...]) -> Made:
            first = figures["cells_made"]
            what = f"cell {first + 1} to {first + len(cells)} of {len(missing)}"
            done = count(first * settings.all_steps + len(cells), len(cells))
            bar.n = first * settings.all_steps  # where a batch that was too large had come further
            bar.set_description(what)

            def step() -> None:
                bar.update(len(cells))
                on_step(next(done), len(missing) * settings.all_steps, what)

            return engine.make(settings.batch(tuple(job.shot(cell) for cell in cells)), step)

        try:
            for cells, made in plan.run(missing, limit, make_batch, is_out_of_memory, smaller):
                texts = [job.infotext(cell) for cell in cells]
                folder.save(cells, made.pictures, made.latents.numpy(), texts)
                figures["cells_made"] += len(cells)
        except (Interrupted, KeyboardInterrupt):
            figures["interrupted"] = True
    return {**figures, "encoder_passes": engine.conditioner.passes - passes}
