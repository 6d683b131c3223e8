"""The steps of a sweep: a job's cells, those missing in its folder, their pictures, the files.

job.py      the cells to make
folder.py   which cells are finished, and how a batch is saved
run.py      makes the others in batches, in this process or on a cluster
results.py  the files with the results
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from clip_skip.standalone.cluster.connection import Cluster
from clip_skip.standalone.engine.makers import Maker, Supply, local
from clip_skip.standalone.engine.progress import Figures, Interrupted, OnStep, Progress
from clip_skip.standalone.sweep import results
from clip_skip.standalone.sweep.folder import SweepFolder
from clip_skip.standalone.sweep.job import SweepJob

if TYPE_CHECKING:
    from clip_skip.standalone.engine.engine import Engine

__all__ = ["Figures", "Interrupted", "OnStep", "make_sweep"]


def make_sweep(
    job: SweepJob,
    engine: Engine | None = None,
    on_step: OnStep = lambda step, total, what: None,
    cluster: Cluster | None = None,
) -> Figures:
    """Make the cells of `job` that are missing in its folder, then grid.png, sweep.json and index.html.

    engine: one with the job's model on its device; None loads it if there is something to make.
    on_step: for what is made in this process
    Raises `CheckpointError` if the model cannot be used, `ClusterError` if the cluster cannot.
    """
    began = time.monotonic()
    folder = SweepFolder(job)
    missing = folder.missing(job.plan.cells)
    figures: Figures = {"cells_made": 0, "cells_kept": len(job.plan.cells) - len(missing)}
    if missing:
        load = (lambda _: engine) if engine else partial(job.loading.engine, device=job.device)
        new = partial(Maker, load, job.batch)
        maker = new()
        supply = Supply(missing, lambda _: job.model, partial(job.task, tuple(map(job.shot, missing))))
        with Progress(figures, len(missing), job.settings.all_steps, on_step) as progress:
            try:
                for cells, result in cluster.run(supply, new, progress) if cluster else local(supply, maker, progress):
                    texts = [job.infotext(cell) for cell in cells]
                    folder.save(cells, result.pictures, result.latents.numpy(), texts)
                    progress.finish(len(cells))
            except (Interrupted, KeyboardInterrupt):
                figures["interrupted"] = True
        if not cluster:
            figures["encoder_passes"] = maker.passes
    complete = figures["cells_made"] == len(missing)
    record = results.write_sweep(job, folder, complete)
    if others := {name: own for name, own in folder.pictures.items() if own != name}:
        figures["pictures"] = others
    figures["seconds"] = round(time.monotonic() - began, 3)
    folder.write_json("sweep.json", {**record, "made_with": job.made_with, "run": figures})
    return figures
