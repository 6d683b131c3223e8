"""The files of a sweep's results: the grid, the report, the page, and all settings."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from clip_skip.messages.catalogues import translate_for_picture
from clip_skip.page.own_column import OwnColumn, find_own_column
from clip_skip.standalone.models.header import inspect
from clip_skip.standalone.remembering import own_store
from clip_skip.standalone.sweep.folder import SweepFolder
from clip_skip.standalone.sweep.job import SweepJob
from clip_skip.sweep import viewer
from clip_skip.sweep.about import describe_pictures
from clip_skip.sweep.grid import draw_grid
from clip_skip.sweep.rows import CFG
from clip_skip.sweep.settings import SWEEP_TITLE

__all__ = ["write_sweep"]


def write_sweep(job: SweepJob, folder: SweepFolder, complete: bool) -> dict[str, Any]:
    """Write grid.png, index.html, and report.png if requested and possible; returns the record for sweep.json."""
    folder.remove("report.png")
    record = settings_in_numbers(job, folder)
    if job.report and complete:
        record["report"] = write_report(job, folder)
    columns, rows = job.plan.axes
    own = own_column(job)
    grid = draw_grid(
        folder.rows(job.plan),
        own.mark(columns.labels) if own else columns.labels,
        rows.labels,
        title=about(job),
        cell_size=job.size,
        column_title=translate_for_picture(columns.title, job.translate),
        row_title=translate_for_picture(rows.title, job.translate),
    )
    folder.write_picture("grid.png", grid)
    folder.write("index.html", page(job, folder))
    return record


def about(job: SweepJob) -> list[str]:
    """Lines about all the pictures."""
    settings = job.settings
    texts = settings.prompt, settings.negative, settings.model, settings.sampler
    scale, seeds = f"{settings.cfg_scale:g}", [settings.seed]
    lines = describe_pictures(job.plan.rows, *texts, settings.steps, scale, seeds, job.translate)
    own = own_column(job)
    return [*lines, *([translate_for_picture(own.sentence, job.translate)] if own else [])]


def own_column(job: SweepJob) -> OwnColumn | None:
    return find_own_column(job.plan, str(job.model), own_store(), inspect(job.model).family == "SD1")


def settings_in_numbers(job: SweepJob, folder: SweepFolder) -> dict[str, Any]:
    return {
        "settings": asdict(job.settings),
        "clip_skips": list(job.plan.clip_skips),
        **rows_in_numbers(job),
        "versions": {name: version(name) for name in ("torch", "diffusers", "transformers")},
        "cells": [
            {
                "file": f"cells/{folder.name(cell)}",
                "clip_skip": cell.clip_skip,
                "negative_clip_skip": job.shot(cell).clip_skips()[1],
                "cfg_scale": job.shot(cell).cfg_scale,
                "seed": job.shot(cell).seed,
                "infotext": job.infotext(cell),
            }
            for cell in job.plan.cells
        ],
    }


def rows_in_numbers(job: SweepJob) -> dict[str, object]:
    rows = job.plan.rows
    if rows.kind == CFG:
        return {"cfg_scales": list(rows.values)}
    return {"rows": rows.kind.name, "row_values": list(rows.values), "columns": job.plan.columns}


def write_report(job: SweepJob, folder: SweepFolder) -> dict[str, object]:
    """Writes report.png; returns the numbers in it."""
    from clip_skip.sweep import report  # matplotlib and scikit-image are slow to import
    from clip_skip.sweep.report_figure import draw_report

    plan, images = job.plan, list(folder.rows(job.plan))
    pictures = np.stack([[np.asarray(picture) for picture in row if picture] for row in images])
    numbers = report.measure_grid(pictures, plan, folder.latents(plan))
    row = [picture for picture in images[(len(images) - 1) // 2] if picture]
    folder.write_picture("report.png", draw_report(numbers, about(job), row, job.translate))
    return {**numbers.as_dict(), "conclusion": str(report.conclude(numbers))}


def page(job: SweepJob, folder: SweepFolder) -> str:
    """The viewer's page of all finished cells."""
    plan = job.plan
    embed = viewer.picture_embedder(len(plan.cells), job.size)
    pictures = (picture for row in folder.rows(plan) for picture in row)
    views = (
        viewer.ViewerCell(cell.column, cell.row, embed(picture), job.infotext(cell))
        for cell, picture in zip(plan.cells, pictures)
        if picture is not None
    )
    return viewer.viewer_page(
        SWEEP_TITLE,
        "\n".join(about(job)),
        *plan.axes,
        views,
        job.size[0],
        plan.reference,
        job.language,
        job.translate,
    )
