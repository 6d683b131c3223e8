"""What the WebUI gets of a sweep's cells: the grids, the cells, the report, their infotexts and files."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Any

from modules import images, processing, shared
from PIL import Image

from clip_skip.messages.catalogues import translate_for_picture
from clip_skip.messages.message import Message
from clip_skip.page import live_viewer
from clip_skip.panel import FIELDS
from clip_skip.prompt.override import warn_replaced
from clip_skip.sweep import grid, viewer
from clip_skip.sweep.about import about as in_words
from clip_skip.sweep.plan import Cell, Plan
from clip_skip.sweep.settings import TITLE, SweepSettings
from clip_skip.webui import generation
from clip_skip.webui.host_language import language, translate
from clip_skip.webui.infotext import KEY
from clip_skip.webui.state import state_of
from clip_skip.webui.sweep.batch import sweep_of

__all__ = ["Done", "collect", "not_saved", "whole"]

log = logging.getLogger("clip_skip")

Done = dict[Cell, tuple[Image.Image, str]]
"""Finished cells: picture and infotext."""


def collect(p: Any, settings: SweepSettings, plan: Plan, jobs: list[Any], finished: list[Done]) -> Any:
    """The grids, the report and the cells, as the host wants them."""
    results = [(job, done, grid_infotext(job, settings, done)) for job, done in zip(jobs, finished) if done]
    if not results:
        return processing.Processed(p, [], p.seed, "")
    about_tag: list[Message] = warn_replaced(p.prompt) if settings.apply_to != "negative" else []
    unsaved = [sweep_of(job).save_problem for job in jobs if sweep_of(job).save_problem]
    messages: list[Message | str] = [*about_tag, *cut(jobs), *missing(p, settings, plan, finished), *unsaved]
    for message in messages:
        tell(p, results[0][0], message)
    grids = [(draw(job, settings, plan, done), text) for job, done, text in results]
    for (picture, text), (job, done, _) in zip(grids, results):
        if shared.opts.enable_pnginfo:
            picture.info["parameters"] = text
        if shared.opts.grid_save and not p.do_not_save_grid:
            try:
                save(p, job, settings, plan, done, picture, text)
            except OSError as error:
                tell(p, results[0][0], not_saved("The grid", error))
    figure = draw_report(p, plan, [(job, done) for job, done, _ in results]) if settings.report else None
    first = [*grids, *([(figure, results[0][2])] if figure else [])]
    cells = [done[cell] for _, done, _ in results for cell in plan.cells if cell in done]
    shown = [*first, *(cells if settings.include_cells else [])]
    last = sweep_of(results[0][0]).last
    state_of(last).cells = [] if getattr(p, "is_api", False) else for_viewer(results, settings, plan, len(first))
    processed = processing.Processed(
        p,
        [picture for picture, _ in shown],
        results[0][0].seed,
        info=shown[0][1],
        infotexts=[text for _, text in shown],
        index_of_first_image=len(first),
    )
    generation.end(last, processed)
    return processed


def tell(p: Any, job: Any, message: Message | str) -> None:
    """Under the picture, and in the API's answer, which leaves comments out."""
    generation.comment(p, translate(message))
    state_of(sweep_of(job).last).warnings.append(message)


def not_saved(what: str, error: OSError) -> str:
    log.warning("Clip skip: %s could not be saved", what, exc_info=error)
    return f"{what} could not be saved: {error}"


def for_viewer(results: list[tuple[Any, Done, str]], settings: SweepSettings, plan: Plan, first: int) -> list[Any]:
    """What the page needs to show the cells of each grid in the viewer; `first` is the first cell's picture."""
    grids: list[Any] = []
    for job, done, _ in results if settings.include_cells else ():
        made = [cell for cell in plan.cells if cell in done]
        places = {cell: first + place for place, cell in enumerate(made)}
        width = next(iter(done.values()))[0].width
        grids.append(live_viewer.described(plan, places, "\n".join(about(job)), width))
        first += len(made)
    return grids


def cut(jobs: list[Any]) -> Iterator[str]:
    if any(sweep_of(job).pieces_shared for job in jobs):
        yield "Another extension encodes pieces of the prompt by itself: cells of different clip skips share no batch."


def missing(p: Any, settings: SweepSettings, plan: Plan, finished: list[Done]) -> Iterator[str]:
    """How many cells there are of how many, where some are missing."""
    made, wanted = sum(map(len, finished)), len(plan.cells) * len(finished)
    if made < wanted:
        seeds = f"seeds {settings.seeds}" if settings.rows == "seed" else f"seed {p.seed}"
        rest = f"The same sweep, started again with {seeds}, makes the others."
        yield f"{made} of {wanted} cells are made. {rest}"


def whole(value: float) -> str:
    """A CFG scale as the host writes it into infotext when it was typed."""
    return str(int(value) if value == int(value) else value)


def save(p: Any, job: Any, settings: SweepSettings, plan: Plan, done: Done, picture: Image.Image, text: str) -> None:
    """Saves the grid and, where the cells are saved too, the page beside it."""
    saved = save_grid(job, picture, text)
    if settings.save_cells and saved:
        file = Path(saved).with_suffix(".html")
        file.write_text(page(plan, done, text), encoding="utf8")
        p.comment(translate(f"Compare the pictures: {file.as_posix()}"))


def save_grid(job: Any, picture: Image.Image, text: str) -> str | None:
    """Saves the grid where the host saves grids, named by its patterns; the file's path."""
    return images.save_image(
        picture,
        job.outpath_grids,
        "clip_skip_sweep",
        info=text,
        extension=shared.opts.grid_format,
        prompt=sweep_of(job).last.all_prompts[0],
        seed=job.seed,
        short_filename=not shared.opts.grid_extended_filename,
        grid=True,
        p=job,
    )[0]


def page(plan: Plan, done: Done, about: str) -> str:
    """The viewer's page of one grid."""
    size = next(iter(done.values()))[0].size
    embed = viewer.embed(len(done), size)
    views = [viewer.View(cell.column, cell.row, embed(image), text) for cell, (image, text) in done.items()]
    return viewer.page(TITLE, about, *plan.axes, views, size[0], plan.reference, language(), translate)


def grid_infotext(job: Any, settings: SweepSettings, done: Done) -> str:
    """The infotext that restores the sweep: the job's, without what differs between cells."""
    if not done:
        return ""
    p = copy(sweep_of(job).last)
    p.prompt, p.seed, p.cfg_scale = job.prompt, job.seed, job.cfg_scale
    if settings.rows == "prompt":
        p.all_negative_prompts = [job.negative_prompt]
    cell_only = ("CFG scale", KEY, *(field.infotext for field in FIELDS))
    params = {key: value for key, value in p.extra_generation_params.items() if key not in cell_only}
    p.extra_generation_params = {**params, "Script": TITLE, **settings.infotext()}
    return processing.create_infotext(p, [job.prompt], [job.seed], [job.subseed], index=0)


def draw(job: Any, settings: SweepSettings, plan: Plan, done: Done) -> Image.Image:
    rows = [[done[cell][0] if cell in done else None for cell in row] for row in rows_of(plan)]
    if not settings.legend:
        return grid.draw(rows, [""] * len(plan.clip_skips), [""] * len(rows), settings.margin)
    columns, sides = plan.axes
    return grid.draw(
        rows,
        columns.labels,
        sides.labels,
        settings.margin,
        title=about(job),
        column_title=say(columns.title),
        row_title=say(sides.title),
    )


def about(job: Any, seeds: Sequence[int] = ()) -> list[str]:
    """What all the pictures were made of, a line each; `seeds`, where they are of more than the job's."""
    name = getattr(getattr(shared.sd_model, "sd_checkpoint_info", None), "model_name", "")
    kind = sweep_of(job).plan.rows.kind.name
    scale = whole(job.cfg_scale) if kind != "cfg" else None
    one = [] if kind == "seed" else [job.seed]
    many = seeds if len(seeds) > 1 else one
    return in_words(job.prompt, job.negative_prompt, name, job.sampler_name, job.steps, scale, many, translate)


def say(text: str) -> str:
    """A word of a picture in the host's language."""
    return translate_for_picture(text, translate)


def rows_of(plan: Plan) -> list[tuple[Cell, ...]]:
    width = len(plan.clip_skips)
    return [plan.cells[start : start + width] for start in range(0, len(plan.cells), width)]


def draw_report(p: Any, plan: Plan, grids: list[tuple[Any, Done]]) -> Image.Image | None:
    """The report's figure, over all seeds; None, and a comment, when no grid is complete."""
    complete = [(job, done) for job, done in grids if len(done) == len(plan.cells)]
    if not complete:
        p.comment(translate("The report needs every cell, so there is none."))
        return None
    if len(complete) < len(grids):
        p.comment(translate(f"The report is of {len(complete)} of {len(grids)} seeds: the others lack cells."))
    import numpy as np

    from clip_skip.sweep import over_seeds, over_seeds_figure, report, report_figure

    rows = [[[done[cell][0].convert("RGB") for cell in row] for row in rows_of(plan)] for _, done in complete]
    pictures = [np.stack([[np.asarray(picture) for picture in row] for row in grid]) for grid in rows]
    lines = about(complete[0][0], [job.seed for job, _ in complete])
    middle = rows[0][(len(rows[0]) - 1) // 2]
    if len(complete) > 1 and len(plan.rows) > 1:
        over = over_seeds.over_seeds(pictures, plan)
        p.comment(translate(over_seeds.conclusion(over)))
        return over_seeds_figure.draw(over, lines, middle, translate)
    if len(complete) > 1:
        measured = over_seeds.one_row(pictures, plan, [job.seed for job, _ in complete])
        middle = rows[(len(rows) - 1) // 2][0]
    else:
        measured = report.measure(pictures[0], plan)
    p.comment(translate(report.conclusion(measured)))
    return report_figure.draw(measured, lines, middle, translate)
