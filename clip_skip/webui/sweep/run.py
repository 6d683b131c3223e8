"""The sweep in the WebUI: clip skip against CFG scale, or another kind of row, many cells to a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import replace
from typing import Any

import torch
from modules import devices, processing, shared
from PIL import Image

from clip_skip.panel import TITLE
from clip_skip.sweep import plan as sweep
from clip_skip.sweep.plan import Cell, Plan
from clip_skip.sweep.rows import CFG, random_seeds
from clip_skip.sweep.settings import LABELS, SweepSettings
from clip_skip.webui.errors import ClipSkip
from clip_skip.webui.host_language import translate
from clip_skip.webui.hosts import forge
from clip_skip.webui.hosts.encoders import describe_model, selected
from clip_skip.webui.state import RowTexts, State, SweepBatch, SweepJob, state_of
from clip_skip.webui.sweep.batch import here_only, last_batch, learn, seed_of, sweep_of, together
from clip_skip.webui.sweep.results import Done, collect, not_saved, whole
from clip_skip.webui.sweep.unfinished import Unfinished

__all__ = ["given", "run"]

ACROSS_THE_BATCH = {"DPM adaptive"}
"""Samplers whose step depends on the whole batch."""


def run(
    p: Any,
    args: Sequence[Any],
    remember: Callable[..., AbstractContextManager[None]],
    unfinished: Unfinished | None = None,
) -> Any:
    """Makes every cell and a grid for each seed; returns the host's Processed: grids, report, cells.

    remember: keeps the encodings at the given clip skips while it is open.
    unfinished: holds the cells of a sweep that was ended before its end, or failed; the same again makes the rest.
    ClipSkip names the field that is wrong, before anything is made; on a page that would not say it, there are its
    words instead of pictures.
    """
    try:
        settings, plan = checked(p, args)
    except ClipSkip as error:
        if getattr(p, "is_api", False) or not forge.loses_errors():
            raise
        p.comment(f"{TITLE}: {error}")
        return processing.Processed(p, [])
    fix_seed(p, plan)
    unfinished = unfinished or Unfinished()
    jobs = [job_for_seed(p, settings, plan, number) for number in range(grids(p, plan))]
    finished = unfinished.take(p, settings, jobs)
    missing = [[cell for cell in plan.cells if cell not in done] for done in finished]
    limit = batch_limit(p, len(plan.cells), settings.cells_per_batch)
    begin_progress(p, sum(batches(*one, limit) for one in zip(jobs, missing)), sum(map(len, missing)), limit)
    try:
        with remember(settings.values(plan)):
            for job, cells, done in zip(jobs, missing, finished):
                if cells and not stopped():
                    learn(sweep_of(job), map(sweep_of, jobs))
                    make_cells(job, cells, limit, done)
    finally:
        unfinished.keep(jobs, finished, len(plan.cells))
    return collect(p, settings, plan, jobs, finished)


def given(script: Any, p: Any, args: Sequence[Any]) -> Sequence[Any]:
    """Those of `args` that are the sweep's: where the API is given fewer, the host fills up with the next script's."""
    inputs = getattr(getattr(p, "scripts", None), "inputs", None)
    missing = len(inputs) - len(p.script_args) if inputs else 0
    return args[: script.args_to - script.args_from - missing] if missing > 0 else args


def checked(p: Any, args: Sequence[Any]) -> tuple[SweepSettings, Plan]:
    """The settings from the script's arguments, and their plan for the loaded model. The API calls fields by name."""
    model = selected(p)
    try:
        settings = SweepSettings.from_args(args)
        settings = replace(settings, seeds=random_seeds(settings.seeds))
        names = settings.names(args) if getattr(p, "is_api", False) else LABELS
        plan = settings.plan(None if model is None else describe_model(model).towers, names)
        rows = names[settings.kind.field]
        plan.rows.check(rows, p.prompt, p.negative_prompt)
        if settings.rows == "hires" and not getattr(p, "enable_hr", False):
            raise ValueError(f"{names['rows']}: there is no hires pass, so its clip skip cannot be the rows")
        check_size(p, plan, f"{names['clip_skips']}, {rows}")
    except ValueError as error:
        raise ClipSkip(translate(str(error))) from None
    if model is None:  # known when the first cell is begun
        p.clip_skip_state = State(check_model=lambda model: settings.plan(describe_model(model).towers, names))
    return settings, plan


def check_size(p: Any, plan: Plan, fields: str) -> None:
    """As the host's X/Y/Z plot checks it."""
    scale = getattr(p, "hr_scale", 1) if getattr(p, "enable_hr", False) else 1
    megapixels = round(len(plan.cells) * p.width * p.height * scale**2 / 1_000_000)
    most = shared.opts.img_max_size_mp
    if megapixels >= most:
        raise ValueError(f"{fields}: the grid would be too large ({megapixels} megapixels; the settings allow {most})")
    Image.MAX_IMAGE_PIXELS = None


def batch_limit(p: Any, cells: int, wanted: int) -> int:
    """How many cells to make at once; `wanted` 0 leaves it to the free memory."""
    if p.sampler_name in ACROSS_THE_BATCH:
        if wanted != 1 and cells > 1:
            p.comment(translate(f"{p.sampler_name} looks across the batch, so the cells were made one at a time."))
        return 1
    if wanted:
        return min(wanted, cells)
    pixels = p.width * p.height * (getattr(p, "hr_scale", 1) ** 2 if getattr(p, "enable_hr", False) else 1)
    return max(1, min(cells, int(free_memory() / (pixels * bytes_per_pixel()))))


def bytes_per_pixel() -> float:
    """What one picture takes while the UNet runs, a generous estimate; a batch too large is halved anyway."""
    wide = 2.0 if getattr(shared.sd_model, "is_sdxl", False) else 1.0
    return 2500.0 * wide * (1 if devices.dtype_unet == torch.float16 else 2)


def free_memory() -> float:
    """Bytes free for a batch, where the pictures are made."""
    if devices.device.type == "cuda":
        return float(torch.cuda.mem_get_info(devices.device)[0]) * 0.8
    import psutil

    return float(psutil.virtual_memory().available) * 0.4


def fix_seed(p: Any, plan: Plan) -> None:
    if plan.rows.kind.name == "seed":
        p.seed = plan.rows.values[0]
    processing.fix_seed(p)


def grids(p: Any, plan: Plan) -> int:
    """How many to make: one for each seed of the batch count, unless the seeds are the rows."""
    if plan.rows.kind.name == "seed" and p.n_iter > 1:
        p.comment(translate("The rows are seeds, so the batch count made no more grids."))
        return 1
    return int(p.n_iter)


def begin_progress(p: Any, batches: int, pictures: int, limit: int) -> None:
    """Tells the host how much there is to do, hires passes included, and says so on the console."""
    hires = getattr(p, "enable_hr", False)
    steps = p.steps + ((p.hr_second_pass_steps or p.steps) if hires else 0)
    shared.state.job_count = batches * (2 if hires else 1)
    shared.state.processing_has_refined_job_count = True
    shared.total_tqdm.updateTotal(steps * batches)
    print(f"Clip skip sweep: {pictures} pictures in {batches} batches of up to {limit}.")


def stopped() -> bool:
    return shared.state.interrupted or shared.state.stopping_generation


def job_for_seed(p: Any, settings: SweepSettings, plan: Plan, number: int) -> Any:
    """A copy of `p` for grid `number`, whose seed the host would give to that picture of a batch."""
    job = copy(p)
    job.clip_skip_state = State(check_model=state_of(p).check_model, job=SweepJob(settings, plan))
    job.n_iter = 1
    job.seed = p.seed + (number if p.subseed_strength == 0 else 0)
    job.subseed = p.subseed + number
    here_only(job)
    job.do_not_save_grid = True
    job.do_not_save_samples = p.do_not_save_samples or not settings.save_cells
    return job


def make_cells(job: Any, cells: Sequence[Cell], limit: int, done: Done) -> None:
    """Makes the `cells` of one grid and puts them into `done`, until the user stops it.

    Where it turns out that some must not share a batch, what is left is made apart.
    Where they cannot be saved (a full disk), they are made without.
    """

    def halved(size: int) -> None:
        nonlocal limit
        limit = size
        devices.torch_gc()
        more_batches(job, 1)
        job.comment(translate(f"Out of memory: the sweep went on with {size} cells per batch."))

    def make(batch: tuple[Cell, ...]) -> list[tuple[Image.Image, str]]:
        try:
            return make_batch(job, batch)
        except OSError as error:
            if job.do_not_save_samples:
                raise
            job.do_not_save_samples = True
            sweep_of(job).save_problem = not_saved("The pictures", error)
            more_batches(job, 1)
            return make_batch(job, batch)

    for group in together(job, cells):
        for batch, made in sweep.run(group, limit, make, is_out_of_memory, halved):
            if any(batch.must_be_split for batch in last_batch(job)):
                break
            done.update(zip(batch, made))
            if stopped():
                return
        if any(batch.must_be_split for batch in last_batch(job)):
            missing = [cell for cell in cells if cell not in done]
            planned = batches(job, missing, limit)
            learn(sweep_of(job), last_batch(job))
            more_batches(job, 1 + batches(job, missing, limit) - planned)
            if not stopped():
                make_cells(job, missing, limit, done)
            return


def batches(job: Any, cells: Sequence[Cell], limit: int) -> int:
    """How many batches `cells` take."""
    return sum(math.ceil(len(group) / limit) for group in together(job, cells))


def more_batches(job: Any, count: int) -> None:
    """Tells the host that there is more to do than was begun with."""
    shared.state.job_count += count * (2 if getattr(job, "enable_hr", False) else 1)


def make_batch(job: Any, cells: tuple[Cell, ...]) -> list[tuple[Image.Image, str]]:
    """The pictures of `cells`, made as one batch; none when it was interrupted or skipped."""
    sweep = sweep_of(job)
    plan = sweep.plan
    p = copy(job)
    values = [cell.value for cell in cells]
    seeds = [seed_of(job, cell) for cell in cells]
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
        if len(set(scales)) > 1:  # 1 has a way of its own in the hosts, and 0 no multiple
            p.cfg_scale = next((scale for scale in scales if scale not in (0, 1)), 2.0)
            batch.cfg_scales = scales
        p.extra_generation_params = {**job.extra_generation_params, "CFG scale": [whole(scale) for scale in scales]}
    overrides = [sweep.settings.override(cell) for cell in cells]
    p.clip_skip_state = State(overrides, state_of(job).check_model, batch)
    processed = processing.process_images(p)
    for name in ("c", "uc", "hr_c", "hr_uc", "sampler"):  # what takes memory, and is not needed any more
        setattr(p, name, None)
    sweep.last = p
    if shared.state.interrupted or shared.state.skipped:
        return []
    masked = getattr(p, "mask_for_overlay", None) is not None
    each = 1 + (masked and (shared.opts.return_mask + shared.opts.return_mask_composite))
    pictures = processed.images[processed.index_of_first_image :: each]
    return list(zip(pictures, processed.infotexts[processed.index_of_first_image :]))


def is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in str(error).lower()
