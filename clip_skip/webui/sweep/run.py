"""The sweep in the WebUI: clip skip against CFG scale, or another kind of row, many cells to a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from copy import copy
from pathlib import Path

from modules import devices, processing, shared
from PIL import Image

from clip_skip.messages.message import Template
from clip_skip.out_of_memory import is_out_of_memory
from clip_skip.panel import TITLE
from clip_skip.sweep.cell_store import CellStore
from clip_skip.sweep.plan import SweepCell, SweepPlan, run_batches
from clip_skip.sweep.rows import CFG
from clip_skip.sweep.settings import SweepSettings
from clip_skip.webui.errors import ClipSkip
from clip_skip.webui.host_language import translate
from clip_skip.webui.host_types import Processing
from clip_skip.webui.hosts import forge
from clip_skip.webui.state import RowTexts, State, SweepBatch, SweepGrid, state_of
from clip_skip.webui.sweep.batch import (
    cell_seed,
    group_for_batches,
    keep_on_this_machine,
    last_batch,
    merge_findings,
    sweep_job,
)
from clip_skip.webui.sweep.batch_size import batch_limit
from clip_skip.webui.sweep.checks import check_sweep
from clip_skip.webui.sweep.identity import cell_identities
from clip_skip.webui.sweep.results import CELLS_NOT_SAVED, cfg_text, collect, log_not_saved
from clip_skip.webui.sweep.reuse import (
    CellOutputs,
    distinct_cells,
    fill_twins,
    keep_batch,
    release_memory,
    take_finished,
)

__all__ = ["run_sweep"]

ROWS_ARE_SEEDS = Template("The rows are seeds, so the batch count made no more grids.")
NO_TEMPORARY_FOLDER = Template("The folder for temporary pictures could not be made: {error}")
SMALLER_BATCHES = Template("Out of memory: the sweep went on with {size} cells per batch.")


def run_sweep(
    p: Processing,
    args: Sequence[object],
    remember: Callable[..., AbstractContextManager[None]],
    store: CellStore | None = None,
) -> processing.Processed:
    """Makes every cell and a grid for each seed; returns the host's Processed: grids, report, cells.

    remember: keeps the encodings at the given clip skips while it is open.
    store: the finished cells of all sweeps; matching ones are reused, and new ones are added.
    ClipSkip names the field that is wrong, before anything is made; on a page that does not show errors its message
    is shown instead of pictures.
    """
    try:
        settings, plan = check_sweep(p, args)
        make_temporary_folder()
    except ClipSkip as error:
        if getattr(p, "is_api", False) or not forge.loses_errors():
            raise
        p.comment(f"{TITLE}: {error}")
        return processing.Processed(p, [])
    fix_seed(p, plan)
    store = store or CellStore(lambda: 0)
    jobs = [job_for_seed(p, settings, plan, number) for number in range(count_grids(p, plan))]
    for job in jobs:
        sweep_job(job).identities = cell_identities(job, plan.cells)
    outputs_by_job = [take_finished_cells(job, plan, store) for job in jobs]
    missing = [
        distinct_cells(job, [cell for cell in plan.cells if cell not in outputs])
        for job, outputs in zip(jobs, outputs_by_job)
    ]
    limit = batch_limit(p, max(map(len, missing)) or 1, settings.cells_per_batch)
    begin_progress(p, sum(count_batches(*one, limit) for one in zip(jobs, missing)), sum(map(len, missing)), limit)
    with remember(settings.values(plan)):
        for job, cells, outputs in zip(jobs, missing, outputs_by_job):
            if cells and not stopped():
                merge_findings(sweep_job(job), map(sweep_job, jobs))
                make_cells(job, cells, limit, outputs, store)
            fill_twins(job, plan.cells, outputs)
    return collect(p, settings, plan, jobs, outputs_by_job, store)


def make_temporary_folder() -> None:
    """Creates the folder into which the host puts pictures for the page, because Forge Neo expects it to exist."""
    folder = getattr(shared.opts, "temp_dir", "")
    try:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ClipSkip(NO_TEMPORARY_FOLDER(error=str(error))) from None


def take_finished_cells(job: Processing, plan: SweepPlan, store: CellStore) -> CellOutputs:
    """The cells of one grid that are finished already; a full disk is reported with the results."""
    try:
        return take_finished(job, plan.cells, store)
    except OSError as error:
        stop_saving(job, error)
        return take_finished(job, plan.cells, store)


def stop_saving(job: Processing, error: OSError) -> None:
    job.do_not_save_samples = True
    log_not_saved(error)
    sweep_job(job).save_problem = CELLS_NOT_SAVED(error=str(error))


def fix_seed(p: Processing, plan: SweepPlan) -> None:
    if plan.rows.kind.name == "seed":
        p.seed = int(plan.rows.values[0])
    processing.fix_seed(p)


def count_grids(p: Processing, plan: SweepPlan) -> int:
    """The number of grids: one for each seed of the batch count, unless the seeds are the rows."""
    if plan.rows.kind.name == "seed" and p.n_iter > 1:
        p.comment(translate(ROWS_ARE_SEEDS))
        return 1
    return int(p.n_iter)


def begin_progress(p: Processing, batches: int, pictures: int, limit: int) -> None:
    """Sets the host's progress to the work ahead, hires passes included, and prints it on the console."""
    hires = getattr(p, "enable_hr", False)
    steps = p.steps + ((p.hr_second_pass_steps or p.steps) if hires else 0)
    shared.state.job_count = batches * (2 if hires else 1)
    shared.state.processing_has_refined_job_count = True
    shared.total_tqdm.updateTotal(steps * batches)
    if batches:
        how = "in 1 batch" if batches == 1 else f"in {batches} batches of up to {limit}"
        print(f"Clip skip sweep: {pictures} picture{'s' if pictures > 1 else ''} {how}.")


def stopped() -> bool:
    return shared.state.interrupted or shared.state.stopping_generation


def job_for_seed(p: Processing, settings: SweepSettings, plan: SweepPlan, number: int) -> Processing:
    """A copy of `p` for grid `number`, with the seed that the host would give to picture `number` of a batch."""
    job = copy(p)
    job.clip_skip_state = State(check_model=state_of(p).check_model, job=SweepGrid(settings, plan))
    job.n_iter = 1
    job.seed = p.seed + (number if p.subseed_strength == 0 else 0)
    job.subseed = p.subseed + number
    keep_on_this_machine(job)
    job.do_not_save_grid = True
    job.do_not_save_samples = p.do_not_save_samples or not settings.save_cells
    return job


def make_cells(job: Processing, cells: Sequence[SweepCell], limit: int, outputs: CellOutputs, store: CellStore) -> None:
    """Makes the `cells` of one grid and puts them into `outputs` and `store`, until the user stops it.

    If it turns out that some must not share a batch, the remaining ones are made in separate batches.
    If they cannot be saved (a full disk), they are made without being saved.
    """

    def halved(size: int) -> None:
        nonlocal limit
        limit = size
        devices.torch_gc()
        more_batches(job, 1)
        job.comment(translate(SMALLER_BATCHES(size=size)))

    def make(batch: tuple[SweepCell, ...]) -> list[tuple[Image.Image, str]]:
        try:
            return make_batch(job, batch)
        except OSError as error:
            if job.do_not_save_samples:
                raise
            stop_saving(job, error)
            more_batches(job, 1)
            return make_batch(job, batch)

    for group in group_for_batches(job, cells):
        for batch, pictures in run_batches(group, limit, make, is_out_of_memory, halved):
            if any(batch.must_be_split for batch in last_batch(job)):
                break
            new_cells = dict(zip(batch, pictures))
            keep_batch(job, new_cells, store)
            outputs.update(new_cells)
            if stopped():
                return
        if any(batch.must_be_split for batch in last_batch(job)):
            missing = [cell for cell in cells if cell not in outputs]
            count = count_batches(job, missing, limit)
            merge_findings(sweep_job(job), last_batch(job))
            more_batches(job, 1 + count_batches(job, missing, limit) - count)
            if not stopped():
                make_cells(job, missing, limit, outputs, store)
            return


def count_batches(job: Processing, cells: Sequence[SweepCell], limit: int) -> int:
    """The number of batches for `cells`."""
    return sum(math.ceil(len(group) / limit) for group in group_for_batches(job, cells))


def more_batches(job: Processing, count: int) -> None:
    """Adds `count` batches to the number that `begin_progress` gave the host."""
    shared.state.job_count += count * (2 if getattr(job, "enable_hr", False) else 1)


def make_batch(job: Processing, cells: tuple[SweepCell, ...]) -> list[tuple[Image.Image, str]]:
    """The pictures of `cells`, made as one batch; none when it was interrupted or skipped."""
    sweep = sweep_job(job)
    plan = sweep.plan
    p = copy(job)
    values = [cell.value for cell in cells]
    seeds = [cell_seed(job, cell) for cell in cells]
    first, *others = dict.fromkeys(plan.rows.texts(job.prompt, job.negative_prompt, value) for value in values)
    batch = SweepBatch(seeds, same_input=not others and len(set(seeds)) == 1)
    if others:
        batch.row_texts = RowTexts(plan.rows, values, job.prompt, job.negative_prompt)
    else:
        p.prompt, p.negative_prompt = first
    p.seed, p.batch_size = seeds[0], len(cells)
    if plan.rows.kind == CFG:
        scales = [float(cell.value) for cell in cells]
        p.cfg_scale = scales[0]
        if len(set(scales)) > 1:  # hosts treat 1 specially, and 0 can't be scaled
            p.cfg_scale = next((scale for scale in scales if scale not in (0, 1)), 2.0)
            batch.cfg_scales = scales
        p.extra_generation_params = {**job.extra_generation_params, "CFG scale": [cfg_text(scale) for scale in scales]}
    overrides = [sweep.settings.override(cell) for cell in cells]
    p.clip_skip_state = State(overrides, state_of(job).check_model, batch)
    processed = processing.process_images(p)
    has_mask = getattr(p, "mask_for_overlay", None) is not None
    release_memory(p)
    sweep.last = p
    if shared.state.interrupted or shared.state.skipped:
        return []
    each = 1 + (has_mask and (shared.opts.return_mask + shared.opts.return_mask_composite))
    pictures = processed.images[processed.index_of_first_image :: each]
    return list(zip(pictures, processed.infotexts[processed.index_of_first_image :]))
