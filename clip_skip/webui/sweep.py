"""The sweep in the WebUI: clip skip against CFG scale with one seed, many cells to a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from copy import copy
from pathlib import Path
from typing import Any

import torch
from modules import devices, images, processing, shared
from PIL import Image

from clip_skip import grid, sweep, viewer
from clip_skip.panel import FIELDS
from clip_skip.skip import format
from clip_skip.sweep import Cell, Plan
from clip_skip.sweep_settings import TITLE, SweepSettings
from clip_skip.webui import generation
from clip_skip.webui.language import translate

__all__ = ["run", "settings"]

ACROSS_THE_BATCH = {"DPM adaptive"}
"""Samplers whose step depends on the whole batch."""

Done = dict[Cell, tuple[Image.Image, str]]
"""Finished cells: picture and infotext."""


def settings(args: Sequence[Any]) -> SweepSettings:
    """The settings from the script's arguments. ValueError names the field that is wrong; an axis's is for the page."""
    try:
        return SweepSettings.from_args(args)
    except sweep.SweepError as error:
        raise sweep.SweepError(translate(str(error))) from None


def run(p: Any, settings: SweepSettings, remember: Callable[..., AbstractContextManager[None]]) -> Any:
    """Makes every cell and a grid for each seed; returns the host's Processed: grids, cells, reports.

    remember: keeps the encodings at the given clip skips while it is open.
    """
    plan = settings.plan()
    check_size(p, plan)
    processing.fix_seed(p)
    limit = batch_limit(p, len(plan.cells), settings.cells_per_batch)
    begin_progress(p, math.ceil(len(plan.cells) / limit) * p.n_iter)
    jobs = [job_for_seed(p, settings, number) for number in range(p.n_iter)]
    with remember(plan.clip_skips):
        finished = [make_cells(job, settings, plan, limit) for job in jobs if not stopped()]
    return collect(p, settings, plan, jobs, finished)


def check_size(p: Any, plan: Plan) -> None:
    """As the host's X/Y/Z plot checks it, in its words."""
    scale = getattr(p, "hr_scale", 1) if getattr(p, "enable_hr", False) else 1
    megapixels = round(len(plan.cells) * p.width * p.height * scale**2 / 1_000_000)
    most = shared.opts.img_max_size_mp
    if megapixels >= most:
        size = f"{megapixels} MPixels) (max configured size is {most} MPixels)"
        raise ValueError(f"Error: Resulting grid would be too large ({size}")
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
        return torch.cuda.mem_get_info(devices.device)[0] * 0.8
    import psutil

    return psutil.virtual_memory().available * 0.4


def begin_progress(p: Any, batches: int) -> None:
    """Tells the host how much there is to do, hires passes included."""
    hires = getattr(p, "enable_hr", False)
    steps = p.steps + ((p.hr_second_pass_steps or p.steps) if hires else 0)
    shared.state.job_count = batches * (2 if hires else 1)
    shared.state.processing_has_refined_job_count = True
    shared.total_tqdm.updateTotal(steps * batches)


def stopped() -> bool:
    return shared.state.interrupted or shared.state.stopping_generation


def job_for_seed(p: Any, settings: SweepSettings, number: int) -> Any:
    """A copy of `p` for grid `number`, whose seed the host would give to that picture of a batch."""
    job = copy(p)
    job.n_iter = 1
    job.seed = p.seed + (number if p.subseed_strength == 0 else 0)
    job.subseed = p.subseed + number
    job.do_not_save_grid = True
    job.do_not_save_samples = p.do_not_save_samples or not settings.save_cells
    return job


def make_cells(job: Any, settings: SweepSettings, plan: Plan, limit: int) -> Done:
    """All cells of one grid, or those that were finished when the user stopped it."""
    done: Done = {}

    def halved(size: int) -> None:
        devices.torch_gc()
        shared.state.job_count += 1
        job.comment(translate(f"Out of memory: the sweep went on with {size} cells per batch."))

    def make(cells: tuple[Cell, ...]) -> list[tuple[Image.Image, str]]:
        return make_batch(job, settings, cells)

    for cells, made in sweep.run(plan.cells, limit, make, is_out_of_memory, halved):
        done.update(zip(cells, made))
        if stopped():
            break
    return done


def make_batch(job: Any, settings: SweepSettings, cells: tuple[Cell, ...]) -> list[tuple[Image.Image, str]]:
    """The pictures of `cells`, made as one batch; none when it was interrupted or skipped."""
    p = copy(job)
    scales = [cell.cfg_scale for cell in cells]
    p.prompt, p.negative_prompt = [job.prompt] * len(cells), [job.negative_prompt] * len(cells)
    p.seed, p.subseed = [job.seed] * len(cells), [job.subseed] * len(cells)
    p.batch_size = len(cells)
    p.cfg_scale, p.clip_skip_cfg_scales = scales[0], None
    if len(set(scales)) > 1:  # 1 has a way of its own in the hosts, and 0 no multiple
        p.cfg_scale, p.clip_skip_cfg_scales = next((scale for scale in scales if scale not in (0, 1)), 2.0), scales
    p.clip_skip_overrides = [settings.override(cell.clip_skip) for cell in cells]
    p.extra_generation_params = {**job.extra_generation_params, "CFG scale": [whole(scale) for scale in scales]}
    processed = processing.process_images(p)
    job.last = p
    if shared.state.interrupted or shared.state.skipped:
        return []
    masked = getattr(p, "mask_for_overlay", None) is not None
    each = 1 + (masked and (shared.opts.return_mask + shared.opts.return_mask_composite))
    pictures = processed.images[processed.index_of_first_image :: each]
    return list(zip(pictures, processed.infotexts[processed.index_of_first_image :]))


def is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in str(error).lower()


def whole(value: float) -> str:
    """A CFG scale as the host writes it into infotext when it was typed."""
    return str(int(value) if value == int(value) else value)


def collect(p: Any, settings: SweepSettings, plan: Plan, jobs: list[Any], finished: list[Done]) -> Any:
    """The grids, the cells and the reports, as the host wants them."""
    results = [(job, done, grid_infotext(job, settings, done)) for job, done in zip(jobs, finished) if done]
    if not results:
        return processing.Processed(p, [], p.seed, "")
    grids = [(draw(settings, plan, done), text) for _, done, text in results]
    for (picture, text), (job, done, _) in zip(grids, results):
        if shared.opts.enable_pnginfo:
            picture.info["parameters"] = text
        if shared.opts.grid_save and not p.do_not_save_grid:
            saved = save_grid(job, picture, text)
            if settings.save_cells and saved:
                Path(saved).with_suffix(".html").write_text(page(plan, done, text), encoding="utf8")
    cells = [done[cell] for _, done, _ in results for cell in plan.cells if cell in done]
    shown = [*grids, *(cells if settings.include_cells else [])]
    if settings.report:
        shown += [(report, text) for _, done, text in results if (report := draw_report(p, plan, done))]
    processed = processing.Processed(
        p,
        [picture for picture, _ in shown],
        results[0][0].seed,
        info=shown[0][1],
        infotexts=[text for _, text in shown],
        index_of_first_image=len(grids),
    )
    generation.end(results[0][0].last, processed)
    return processed


def save_grid(job: Any, picture: Image.Image, text: str) -> str | None:
    """Saves the grid where the host saves grids, named by its patterns; the file's path."""
    return images.save_image(
        picture,
        job.outpath_grids,
        "clip_skip_sweep",
        info=text,
        extension=shared.opts.grid_format,
        prompt=job.last.all_prompts[0],
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
    reference = plan.clip_skips.index(min(plan.clip_skips))
    return viewer.page(TITLE, about, *heads(plan), views, size[0], reference)


def heads(plan: Plan) -> tuple[list[str], list[str]]:
    """What stands above the columns and beside the rows."""
    columns = [f"Clip skip: {format(value)}" for value in plan.clip_skips]
    return columns, [f"CFG scale: {whole(value)}" for value in plan.cfg_scales]


def grid_infotext(job: Any, settings: SweepSettings, done: Done) -> str:
    """The infotext that restores the sweep: the job's, without what differs between cells."""
    if not done:
        return ""
    p = copy(job.last)
    p.prompt, p.seed, p.cfg_scale = job.prompt, job.seed, job.cfg_scale
    cell_only = ("CFG scale", "Clip skip", *(field.infotext for field in FIELDS))
    params = {key: value for key, value in p.extra_generation_params.items() if key not in cell_only}
    p.extra_generation_params = {**params, "Script": TITLE, **settings.infotext()}
    return processing.create_infotext(p, [job.prompt], [job.seed], [job.subseed], index=0)


def draw(settings: SweepSettings, plan: Plan, done: Done) -> Image.Image:
    rows = [[done[cell][0] if cell in done else None for cell in row] for row in rows_of(plan)]
    columns, sides = heads(plan) if settings.legend else ([""] * len(plan.clip_skips), [""] * len(rows))
    return grid.draw(rows, columns, sides, settings.margin)


def rows_of(plan: Plan) -> list[tuple[Cell, ...]]:
    width = len(plan.clip_skips)
    return [plan.cells[start : start + width] for start in range(0, len(plan.cells), width)]


def draw_report(p: Any, plan: Plan, done: Done) -> Image.Image | None:
    """The report's figure; None, and a comment, when cells are missing."""
    if len(done) < len(plan.cells):
        p.comment(translate("The report needs every cell, so there is none."))
        return None
    import numpy as np

    from clip_skip import report

    pictures = np.stack([[np.asarray(done[cell][0].convert("RGB")) for cell in row] for row in rows_of(plan)])
    measured = report.measure(pictures, plan.clip_skips, plan.cfg_scales)
    p.comment(translate(report.conclusion(measured)))
    return report.draw(measured)
