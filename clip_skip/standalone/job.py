"""A whole sweep: from settings to a folder with the grid, its cells, the numbers and the page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from clip_skip import grid, skip, sweep, viewer
from clip_skip.standalone import header
from clip_skip.standalone.folder import Folder
from clip_skip.standalone.infotext import Settings, clip_skips, infotext
from clip_skip.sweep import Cell, Plan

if TYPE_CHECKING:
    from clip_skip.standalone.engine import Engine

OnStep = Callable[[int, int, str], None]
"""Called after every step with the steps done, all steps, and what is being made. It may raise `Interrupted`."""


class Interrupted(Exception):
    """Ends a sweep. What is finished is kept."""


@dataclass(frozen=True)
class Job:
    """A sweep to be made. With `batch` 0 the number of cells per batch is chosen to fit the device."""

    model: Path
    settings: Settings
    plan: Plan
    device: str
    batch: int
    out: Path
    report: bool


def run(job: Job, engine: Engine | None = None, on_step: OnStep = lambda done, total, what: None) -> dict[str, object]:
    """Make the cells of `job` that its folder lacks, then grid.png, sweep.json and index.html.

    engine: one with the job's model on its device; with None it is loaded, when there is something to make.
    Returns what sweep.json holds under "run". Raises `CheckpointError` if the model cannot be used.
    """
    began = time.monotonic()
    dtype = "float16" if job.device.startswith("cuda") else "float32"
    made_with = {**asdict(job.settings), "model": header.digest(job.model), "device": job.device, "dtype": dtype}
    folder = Folder(job.out, made_with)
    done = folder.done(job.plan.cells)
    waiting = [cell for cell in job.plan.cells if cell not in done]
    figures: dict[str, object] = {"cells_made": 0, "cells_kept": len(done)}
    if waiting:
        figures.update(_make(job, engine or _engine(job, dtype), folder, waiting, on_step))
    record = {**_record(job, folder), "made_with": made_with}
    (job.out / "report.png").unlink(missing_ok=True)
    if job.report and figures["cells_made"] == len(waiting):
        record["report"] = _report(job.plan, folder)
    _present(job, folder)
    figures["seconds"] = round(time.monotonic() - began, 3)
    folder.write("sweep.json", json.dumps({**record, "run": figures}, indent=1, ensure_ascii=False))
    return figures


def _engine(job: Job, dtype: str) -> Engine:
    import torch  # this and what is built on it is slow to import, and not needed when nothing is missing

    from clip_skip.standalone.checkpoint import load
    from clip_skip.standalone.engine import Engine

    return Engine(load(job.model, job.device, getattr(torch, dtype)))


def _make(job: Job, engine: Engine, folder: Folder, waiting: Sequence[Cell], on_step: OnStep) -> dict[str, object]:
    """Make the cells of `waiting`; what that took, for sweep.json."""
    from clip_skip.standalone.engine import Batch, Made, Shot, fitting, is_out_of_memory

    settings = job.settings
    passes = engine.conditioner.passes
    values = [clip_skips(settings.prompt, settings.negative, value) for value in job.plan.clip_skips]
    engine.conditioner.prepare(settings.prompt, [value for value, _ in values])
    engine.conditioner.prepare(settings.negative, [value for _, value in values])
    limit = job.batch or fitting(engine, settings.width, settings.height)
    figures: dict[str, object] = {}
    made = 0
    with tqdm(total=len(waiting) * settings.steps, unit="step") as bar:

        def smaller(new: int) -> None:
            nonlocal limit
            limit = new
            figures["out_of_memory"] = True
            tqdm.write(f"Out of memory: going on with {limit} cells per batch. --batch {limit} avoids the wait.")

        def make(cells: tuple[Cell, ...]) -> Made:
            bar.n = made * settings.steps
            what = f"cell {made + 1} to {made + len(cells)} of {len(waiting)}"
            bar.set_description(what)
            shots = tuple(
                Shot(settings.prompt, settings.negative, cell.clip_skip, cell.cfg_scale, settings.seed)
                for cell in cells
            )
            batch = Batch(shots, settings.steps, settings.width, settings.height, settings.sampler)

            def step() -> None:
                bar.update(len(cells))
                on_step(int(bar.n), len(waiting) * settings.steps, what)

            return engine.make(batch, step)

        try:
            for cells, result in sweep.run(waiting, limit, make, is_out_of_memory, smaller):
                texts = [infotext(settings, cell) for cell in cells]
                folder.save(cells, result.pictures, result.latents.numpy(), texts)
                made += len(cells)
        except Interrupted:
            figures["interrupted"] = True
    passes = engine.conditioner.passes - passes
    return {**figures, "cells_made": made, "cells_per_batch": limit, "encoder_passes": passes}


def _record(job: Job, folder: Folder) -> dict[str, object]:
    """Every setting, for sweep.json."""
    return {
        "settings": asdict(job.settings),
        "clip_skips": list(job.plan.clip_skips),
        "cfg_scales": list(job.plan.cfg_scales),
        "versions": {name: version(name) for name in ("torch", "diffusers", "transformers")},
        "cells": [
            {
                "file": f"cells/{folder.name(cell)}",
                "clip_skip": cell.clip_skip,
                "negative_clip_skip": clip_skips(job.settings.prompt, job.settings.negative, cell.clip_skip)[1],
                "cfg_scale": cell.cfg_scale,
                "infotext": infotext(job.settings, cell),
            }
            for cell in job.plan.cells
        ],
    }


def _report(plan: Plan, folder: Folder) -> dict[str, object]:
    """Draw report.png; the numbers in it."""
    from clip_skip import report  # matplotlib and scikit-image are slow to import, and needed here alone

    pictures = np.stack([[np.asarray(picture) for picture in row if picture] for row in folder.rows(plan)])
    measured = report.measure(pictures, plan.clip_skips, plan.cfg_scales, folder.latents(plan))
    folder.write_picture("report.png", report.draw(measured))
    return {**measured.as_dict(), "conclusion": report.conclusion(measured)}


def _present(job: Job, folder: Folder) -> None:
    """Draw grid.png and write index.html."""
    plan, settings = job.plan, job.settings
    columns = [f"Clip skip {skip.format(value)}" for value in plan.clip_skips]
    rows = [f"CFG scale {value:g}" for value in plan.cfg_scales]
    size = (settings.width, settings.height)
    folder.write_picture("grid.png", grid.draw(folder.rows(plan), columns, rows, cell_size=size))
    embed = viewer.embed(len(plan.cells), size)
    pictures = (picture for row in folder.rows(plan) for picture in row)
    views = (
        viewer.View(cell.column, cell.row, embed(picture), infotext(settings, cell))
        for cell, picture in zip(plan.cells, pictures)
        if picture is not None
    )
    about = "\n".join(
        [
            settings.prompt,
            *([f"Negative prompt: {settings.negative}"] if settings.negative else []),
            f"{settings.model}, {settings.sampler}, {settings.steps} steps, seed {settings.seed}",
        ]
    )
    reference = plan.clip_skips.index(min(plan.clip_skips))
    folder.write("index.html", viewer.page("Clip skip sweep", about, columns, rows, views, settings.width, reference))
