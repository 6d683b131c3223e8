"""Reuses finished cells: takes them from the store, saves them if the user wants that, and stores new ones."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from copy import copy

import torch
from modules import images, shared
from PIL import Image

from clip_skip.sweep.cell_store import CellStore, FinishedCell
from clip_skip.sweep.plan import SweepCell
from clip_skip.webui import generation
from clip_skip.webui.host_types import Processing
from clip_skip.webui.state import State, state_of
from clip_skip.webui.sweep.batch import last_processing, sweep_job

__all__ = ["CellOutputs", "distinct_cells", "fill_twins", "keep_batch", "release_memory", "take_finished"]

CellOutputs = dict[SweepCell, tuple[Image.Image, str]]
"""Finished cells: picture and infotext."""

LISTS = (
    "all_prompts",
    "all_negative_prompts",
    "all_seeds",
    "all_subseeds",
    "all_hr_prompts",
    "all_hr_negative_prompts",
)
"""Attributes of a batch that have an entry for each picture."""

NOT_NEEDED = ("c", "uc", "hr_c", "hr_uc", "sampler", "rng")
"""Attributes of a finished batch that take memory, besides tensors and pictures."""


def take_finished(job: Processing, cells: Sequence[SweepCell], store: CellStore) -> CellOutputs:
    """The `cells` that are in `store`; they are saved like new ones, unless their files still exist."""
    sweep, outputs = sweep_job(job), CellOutputs()
    for cell in cells:
        stored_cell = store.get(sweep.identities.get(cell))
        if stored_cell is None:
            continue
        if sweep.last is None:
            sweep.last = batch_of_one(job, stored_cell)
        save_again(job, stored_cell)
        outputs[cell] = stored_cell.picture, stored_cell.infotext
    sweep.reused_count = len(outputs)
    return outputs


def batch_of_one(job: Processing, cell: FinishedCell) -> Processing:
    """The batch of `cell`, with this picture alone; its warnings are shown again."""
    p: Processing = copy(cell.batch)
    for name in LISTS:
        values = getattr(p, name, None)
        if values:
            setattr(p, name, [values[cell.index]])
    p.extra_generation_params = {
        key: value[cell.index] if isinstance(value, list) else value for key, value in p.extra_generation_params.items()
    }
    p.comments = getattr(job, "comments", {})
    p.clip_skip_state = State(panels=state_of(cell.batch).panels)
    generation.warn(p, state_of(cell.batch).warnings, whole=True)
    return p


def save_again(job: Processing, cell: FinishedCell) -> None:
    """Saves the picture as the host saves those of a batch."""
    if job.do_not_save_samples or not getattr(shared.opts, "samples_save", True):
        return
    file = getattr(cell.picture, "already_saved_as", None)
    folder = os.path.join(os.path.abspath(job.outpath_samples), "")
    if file and os.path.isfile(file) and os.path.abspath(file).startswith(folder):
        return
    images.save_image(
        cell.picture,
        job.outpath_samples,
        "",
        seed=cell.batch.all_seeds[cell.index],
        prompt=cell.batch.all_prompts[cell.index],
        extension=shared.opts.samples_format,
        info=cell.infotext,
        p=cell.batch,
    )


def keep_batch(job: Processing, cells: Mapping[SweepCell, tuple[Image.Image, str]], store: CellStore) -> None:
    """Puts the cells of the last batch into `store`.

    A cell whose texts another extension has changed is not kept, because that extension's own files, such as wildcards,
    are not in the cell's identity.
    """
    sweep, last = sweep_job(job), last_processing(job)
    batch = state_of(last).batch
    if batch is None or batch.texts_changed:
        return
    batch_copy = copy(last)
    batch_copy.clip_skip_state = copy(state_of(last))
    batch_copy.clip_skip_state.warnings = list(batch_copy.clip_skip_state.warnings)
    for index, (cell, (picture, infotext)) in enumerate(cells.items()):
        store.put(sweep.identities.get(cell), FinishedCell(picture, infotext, batch_copy, index))


def distinct_cells(job: Processing, cells: Iterable[SweepCell]) -> list[SweepCell]:
    """`cells` without those that are the same picture as one before them."""
    first: dict[str, SweepCell] = {}
    identities = sweep_job(job).identities
    return [cell for cell in cells if (key := identities.get(cell)) is None or first.setdefault(key, cell) == cell]


def fill_twins(job: Processing, cells: Iterable[SweepCell], outputs: CellOutputs) -> None:
    """Gives those of `cells` that are the same picture as a finished one that picture."""
    identities = sweep_job(job).identities
    outputs_by_identity = {identities[cell]: outputs[cell] for cell in outputs if identities.get(cell) is not None}
    for cell in cells:
        if cell not in outputs and identities.get(cell) in outputs_by_identity:
            outputs[cell] = outputs_by_identity[identities[cell]]


def release_memory(p: Processing) -> None:
    """Removes everything large from a finished batch that no infotext needs."""
    for name, value in list(vars(p).items()):
        if name in NOT_NEEDED or is_large(value):
            setattr(p, name, None)


def is_large(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(is_large, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(is_large, value))
    return isinstance(value, (torch.Tensor, Image.Image)) or hasattr(value, "__array__")
