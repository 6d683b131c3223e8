"""The results for the WebUI: the grids, the cells and the report of a sweep, with their infotexts and files."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Any

from modules import images, processing, shared
from PIL import Image

from clip_skip.messages.catalogues import translate_for_picture
from clip_skip.messages.message import Message, Template
from clip_skip.page import live_viewer
from clip_skip.page.own_column import OwnColumn, find_own_column
from clip_skip.panel import FIELDS, Panel
from clip_skip.prompt.override import warn_replaced
from clip_skip.sweep import viewer
from clip_skip.sweep.about import describe_pictures
from clip_skip.sweep.cell_store import CellStore
from clip_skip.sweep.grid import draw_grid
from clip_skip.sweep.plan import SweepCell, SweepPlan
from clip_skip.sweep.settings import SWEEP_TITLE, SweepSettings
from clip_skip.webui import generation
from clip_skip.webui.host_language import language, translate
from clip_skip.webui.host_types import Processing
from clip_skip.webui.hosts.encoders import describe_model
from clip_skip.webui.infotext import KEY
from clip_skip.webui.own_store import own_store
from clip_skip.webui.state import state_of
from clip_skip.webui.sweep.batch import last_processing, sweep_job
from clip_skip.webui.sweep.reuse import CellOutputs

__all__ = ["CELLS_NOT_SAVED", "cfg_text", "collect", "log_not_saved"]

CELLS_NOT_SAVED = Template("The pictures could not be saved: {error}")
GRID_NOT_SAVED = Template("The grid could not be saved: {error}")
PIECES_SHARED = Template(
    "Another extension encodes pieces of the prompt by itself, so cells with different clip skips don't share a batch."
)
CELLS_DONE = Template("{made} of {wanted} cells are done.")
RUN_AGAIN = Template("{made} of {wanted} cells are done. Run the same sweep again with seed {seed} to finish the rest.")
RUN_AGAIN_WITH_SEEDS = Template(
    "{made} of {wanted} cells are done. Run the same sweep again with seeds {seeds} to finish the rest."
)
REUSED = Template("{count} of {wanted} cells were finished before and are used again.")
SAME_PICTURE = Template("Clip skips {values} give the same picture on this model, so it was made once.")
COMPARE = Template("Compare the pictures: {file}")
NO_REPORT = Template("No report yet: some cells are missing.")
REPORT_OF_SEEDS = Template("The report covers {made} of {wanted} seeds: the others are incomplete.")

log = logging.getLogger("clip_skip")


def collect(
    p: Processing,
    settings: SweepSettings,
    plan: SweepPlan,
    jobs: Sequence[Processing],
    outputs_by_job: list[CellOutputs],
    store: CellStore,
) -> processing.Processed:
    """The host's Processed: the grids, the report and the cells."""
    results = [
        (job, outputs, grid_infotext(job, settings, outputs)) for job, outputs in zip(jobs, outputs_by_job) if outputs
    ]
    if not results:
        return processing.Processed(p, [], p.seed, "")
    warnings: list[Message | str] = [
        *(warn_replaced(p.prompt) if settings.apply_to != "negative" else []),
        *shared_pieces(jobs),
        *missing_cells(p, settings, plan, jobs, outputs_by_job, store),
        *dict.fromkeys(problem for job in jobs if (problem := sweep_job(job).save_problem)),
    ]
    for message in warnings:
        warn_of_sweep(p, results[0][0], message)
    for message in (*reused_cells(plan, jobs), *same_columns(plan, jobs[0])):
        p.comment(translate(message))
    grids = [(draw_labelled_grid(job, settings, plan, outputs), text) for job, outputs, text in results]
    for (picture, text), (job, outputs, _) in zip(grids, results):
        if shared.opts.enable_pnginfo:
            picture.info["parameters"] = text
        if shared.opts.grid_save and not p.do_not_save_grid:
            try:
                save_results(p, job, settings, plan, outputs, picture, text)
            except OSError as error:
                log_not_saved(error)
                warn_of_sweep(p, results[0][0], GRID_NOT_SAVED(error=str(error)))
    figure = draw_figure(p, plan, [(job, outputs) for job, outputs, _ in results]) if settings.report else None
    first = [*grids, *([(figure, results[0][2])] if figure else [])]
    cells = [outputs[cell] for _, outputs, _ in results for cell in plan.cells if cell in outputs]
    entries = [*first, *(cells if settings.include_cells else [])]
    last = last_processing(results[0][0])
    state_of(last).cells = [] if getattr(p, "is_api", False) else for_viewer(results, settings, plan, len(first))
    processed = processing.Processed(
        p,
        [picture for picture, _ in entries],
        results[0][0].seed,
        info=entries[0][1],
        infotexts=[text for _, text in entries],
        index_of_first_image=len(first),
    )
    generation.end(last, processed)
    return processed


def warn_of_sweep(p: Processing, job: Processing, message: Message | str) -> None:
    """Shows `message` below the picture, and puts it into the API's answer, which has no comments."""
    generation.comment(p, translate(message))
    state_of(last_processing(job)).warnings.append(message)


def log_not_saved(error: OSError) -> None:
    log.warning("Clip skip: a file of the sweep could not be saved", exc_info=error)


def for_viewer(
    results: list[tuple[Processing, CellOutputs, str]], settings: SweepSettings, plan: SweepPlan, first: int
) -> list[Any]:
    """The descriptions of the grids for the page's viewer; `first` is the index of the first cell's picture."""
    grids: list[Any] = []
    for job, outputs, _ in results if settings.include_cells else ():
        cells_in_order = [cell for cell in plan.cells if cell in outputs]
        places = {cell: first + place for place, cell in enumerate(cells_in_order)}
        width = next(iter(outputs.values()))[0].width
        header = header_values(job, settings, plan)
        grids.append(live_viewer.describe_grid(plan, places, "\n".join(about(job)), width, translate, header))
        first += len(cells_in_order)
    return grids


def header_values(job: Processing, settings: SweepSettings, plan: SweepPlan) -> list[int | None]:
    """For each column, the host's own value that gives the same cells without tags or panel; None if there is none."""
    model, panels = describe_model(shared.sd_model), state_of(last_processing(job)).panels
    of_all = settings.apply_to == "both" and settings.columns == "clip_skip"
    of_all = of_all and settings.rows not in ("negative", "clip_g", "hires")
    plain = of_all and all(panel == Panel(True, panel.clip_skip) for panel in panels)
    return [model.header_value(skip) if plain else None for skip in plan.clip_skips]


def shared_pieces(jobs: Sequence[Processing]) -> Iterator[Message]:
    if any(sweep_job(job).pieces_shared for job in jobs):
        yield PIECES_SHARED()


def missing_cells(
    p: Processing,
    settings: SweepSettings,
    plan: SweepPlan,
    jobs: Sequence[Processing],
    outputs_by_job: list[CellOutputs],
    store: CellStore,
) -> Iterator[Message]:
    """If cells are missing: the number of finished ones, and how to make the rest if those can be reused."""
    counts = {"made": sum(map(len, outputs_by_job)), "wanted": len(plan.cells) * len(outputs_by_job)}
    if counts["made"] == counts["wanted"]:
        return
    if not all(
        sweep_job(job).identities[cell] in store for job, outputs in zip(jobs, outputs_by_job) for cell in outputs
    ):
        yield CELLS_DONE(**counts)
    elif settings.rows == "seed":
        yield RUN_AGAIN_WITH_SEEDS(**counts, seeds=settings.seeds)
    else:
        yield RUN_AGAIN(**counts, seed=str(p.seed))


def reused_cells(plan: SweepPlan, jobs: Sequence[Processing]) -> Iterator[Message]:
    count = sum(sweep_job(job).reused_count for job in jobs)
    if count:
        yield REUSED(count=count, wanted=len(plan.cells) * len(jobs))


def same_columns(plan: SweepPlan, job: Processing) -> Iterator[Message]:
    """The clip skips whose pictures are the same in every row."""
    identities = sweep_job(job).identities
    columns: dict[tuple[str | None, ...], list[str]] = {}
    for column, label in enumerate(plan.axes[0].labels):
        columns.setdefault(tuple(identities[row[column]] for row in rows_of(plan)), []).append(label)
    for column_identities, labels in columns.items():
        if len(labels) > 1 and None not in column_identities:
            yield SAME_PICTURE(values=", ".join(labels))


def cfg_text(value: float) -> str:
    """A CFG scale as the host writes it into infotext."""
    return str(int(value) if value == int(value) else value)


def save_results(
    p: Processing,
    job: Processing,
    settings: SweepSettings,
    plan: SweepPlan,
    outputs: CellOutputs,
    picture: Image.Image,
    text: str,
) -> None:
    """Saves the grid and, where the cells are saved too, the page beside it."""
    grid_file = save_grid(job, picture, text)
    if settings.save_cells and grid_file:
        file = Path(grid_file).with_suffix(".html")
        file.write_text(saved_viewer(plan, outputs, text), encoding="utf8")
        p.comment(translate(COMPARE(file=file.as_posix())))


def save_grid(job: Processing, picture: Image.Image, text: str) -> str | None:
    """Saves the grid in the host's folder, named by its patterns; returns the file's path."""
    return images.save_image(
        picture,
        job.outpath_grids,
        "clip_skip_sweep",
        info=text,
        extension=shared.opts.grid_format,
        prompt=last_processing(job).all_prompts[0],
        seed=job.seed,
        short_filename=not shared.opts.grid_extended_filename,
        grid=True,
        p=job,
    )[0]


def saved_viewer(plan: SweepPlan, outputs: CellOutputs, about: str) -> str:
    """The viewer's page of one grid."""
    size = next(iter(outputs.values()))[0].size
    embed = viewer.picture_embedder(len(outputs), size)
    views = [viewer.ViewerCell(cell.column, cell.row, embed(image), text) for cell, (image, text) in outputs.items()]
    return viewer.viewer_page(SWEEP_TITLE, about, *plan.axes, views, size[0], plan.reference, language(), translate)


def grid_infotext(job: Processing, settings: SweepSettings, outputs: CellOutputs) -> str:
    """The infotext that restores the sweep: the job's, without what differs between cells."""
    if not outputs:
        return ""
    p = copy(last_processing(job))
    p.prompt, p.seed, p.cfg_scale = job.prompt, job.seed, job.cfg_scale
    if settings.rows == "prompt":
        p.all_negative_prompts = [job.negative_prompt]
    cell_only = ("CFG scale", KEY, *(field.infotext for field in FIELDS))
    params = {key: value for key, value in p.extra_generation_params.items() if key not in cell_only}
    p.extra_generation_params = {**params, "Script": str(SWEEP_TITLE), **settings.infotext()}
    return processing.create_infotext(p, [job.prompt], [job.seed], [job.subseed], index=0)


def draw_labelled_grid(job: Processing, settings: SweepSettings, plan: SweepPlan, outputs: CellOutputs) -> Image.Image:
    rows = [[outputs[cell][0] if cell in outputs else None for cell in row] for row in rows_of(plan)]
    if not settings.legend:
        return draw_grid(rows, [""] * len(plan.clip_skips), [""] * len(rows), settings.margin)
    columns, sides = plan.axes
    own = own_column(plan)
    return draw_grid(
        rows,
        own.mark(columns.labels) if own else columns.labels,
        sides.labels,
        settings.margin,
        title=about(job),
        column_title=translate_for_picture(columns.title, translate),
        row_title=translate_for_picture(sides.title, translate),
    )


def about(job: Processing, seeds: Sequence[int] = ()) -> list[str]:
    """Lines about all the pictures of `job`, or of several `seeds`."""
    name = getattr(getattr(shared.sd_model, "sd_checkpoint_info", None), "model_name", "")
    texts = job.prompt, job.negative_prompt, name, job.sampler_name
    plan, seeds = sweep_job(job).plan, seeds or [job.seed]
    own = own_column(plan)
    lines = describe_pictures(plan.rows, *texts, job.steps, cfg_text(job.cfg_scale), seeds, translate)
    return [*lines, *([translate_for_picture(own.sentence, translate)] if own else [])]


def own_column(plan: SweepPlan) -> OwnColumn | None:
    path = getattr(getattr(shared.sd_model, "sd_checkpoint_info", None), "filename", None)
    return find_own_column(plan, path, own_store(), describe_model(shared.sd_model).kind == "SD1")


def rows_of(plan: SweepPlan) -> list[tuple[SweepCell, ...]]:
    width = len(plan.clip_skips)
    return [plan.cells[start : start + width] for start in range(0, len(plan.cells), width)]


def draw_figure(p: Processing, plan: SweepPlan, grids: list[tuple[Processing, CellOutputs]]) -> Image.Image | None:
    """The report's figure, over all seeds; None, and a comment, if no grid is complete."""
    complete = [(job, outputs) for job, outputs in grids if len(outputs) == len(plan.cells)]
    if not complete:
        p.comment(translate(NO_REPORT))
        return None
    if len(complete) < len(grids):
        p.comment(translate(REPORT_OF_SEEDS(made=len(complete), wanted=len(grids))))
    import numpy as np

    from clip_skip.sweep import over_seeds, over_seeds_figure, report, report_figure

    rows = [[[outputs[cell][0].convert("RGB") for cell in row] for row in rows_of(plan)] for _, outputs in complete]
    pictures = [np.stack([[np.asarray(picture) for picture in row] for row in grid]) for grid in rows]
    lines = about(complete[0][0], [job.seed for job, _ in complete])
    middle = rows[0][(len(rows[0]) - 1) // 2]
    if len(complete) > 1 and len(plan.rows) > 1:
        over = over_seeds.measure_over_seeds(pictures, plan)
        p.comment(translate(over_seeds.conclude_over_seeds(over)))
        return over_seeds_figure.draw_over_seeds(over, lines, middle, translate)
    if len(complete) > 1:
        result = over_seeds.seeds_as_rows(pictures, plan, [job.seed for job, _ in complete])
        middle = rows[(len(rows) - 1) // 2][0]
    else:
        result = report.measure_grid(pictures[0], plan)
    p.comment(translate(report.conclude(result)))
    return report_figure.draw_report(result, lines, middle, translate)
