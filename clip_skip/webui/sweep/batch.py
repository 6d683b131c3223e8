"""Groups a sweep's cells into batches, and sets their seeds and texts, beside extensions that change or split prompts.

The host gets one text and one seed for all the cells, because other extensions read them from `p`. They change the
first picture's prompts as they would for that picture alone, and treat the other pictures of a batch as those of the
next seeds. So cells with one text and one seed all get the prompts of the first, and other cells do not share a batch
if an extension has changed the prompts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy

from clip_skip.sweep.plan import SweepCell
from clip_skip.sweep.rows import network_tags
from clip_skip.webui import generation
from clip_skip.webui.host_types import Processing, Runner
from clip_skip.webui.state import SweepBatch, SweepGrid, state_of

__all__ = [
    "cell_seed",
    "group_for_batches",
    "keep_on_this_machine",
    "last_batch",
    "last_processing",
    "merge_findings",
    "prepare_generation",
    "remember_host_texts",
    "sweep_job",
]

TEXT_ATTRIBUTES = ("all_prompts", "all_negative_prompts", "all_hr_prompts", "all_hr_negative_prompts")

TO_OTHER_MACHINES = {"Distribute"}
"""Titles of scripts that send a part of a batch to other machines, where a sweep's or an axis's values are unknown:
papuSpartan/stable-diffusion-webui-distributed."""


def group_for_batches(job: Processing, cells: Sequence[SweepCell]) -> list[list[SweepCell]]:
    """`cells` in groups that may share a batch.

    The first prompt of a batch decides its LoRAs, the pieces that other extensions encode (`pieces_shared`), and the
    prompts that they change (`texts_rewritten`).
    """
    sweep = sweep_job(job)
    groups: dict[tuple[object, ...], list[SweepCell]] = {}
    for cell in cells:
        texts = sweep.plan.rows.texts(job.prompt, job.negative_prompt, cell.value)
        clip_skip = (texts, sweep.settings.override(cell)) if sweep.pieces_shared else None
        seed = (texts, cell_seed(job, cell)) if sweep.texts_rewritten else None
        groups.setdefault((network_tags(texts[0]), clip_skip, seed), []).append(cell)
    return list(groups.values())


def cell_seed(job: Processing, cell: SweepCell) -> int:
    return int(cell.value) if sweep_job(job).plan.rows.kind.name == "seed" else job.seed


def sweep_job(job: Processing) -> SweepGrid:
    """The sweep's part of the state of `job`."""
    sweep = state_of(job).job
    assert sweep is not None
    return sweep


def last_processing(job: Processing) -> Processing:
    """The host's processing object of the last batch, which must exist."""
    last = sweep_job(job).last
    assert last is not None
    return last


def last_batch(job: Processing) -> list[SweepBatch]:
    """The batch of `job` that was made last, if there is one."""
    batch = state_of(sweep_job(job).last).batch
    return [batch] if batch else []


def merge_findings(sweep: SweepGrid, others: Iterable[SweepGrid | SweepBatch]) -> None:
    """Merges the findings of `others` about other extensions into `sweep`."""
    everything = [sweep, *others]
    sweep.pieces_shared = any(one.pieces_shared for one in everything)
    sweep.texts_rewritten = any(one.texts_rewritten for one in everything)


def keep_on_this_machine(p: Processing) -> None:
    """Removes the scripts that send pictures to other machines from `p`."""
    runner: Runner | None = getattr(p, "scripts", None)
    if runner is None:
        return
    scripts = getattr(runner, "alwayson_scripts", [])
    stay = [script for script in scripts if script.title() not in TO_OTHER_MACHINES]
    if len(stay) < len(scripts):
        p.scripts = copy(runner)
        p.scripts.alwayson_scripts, p.scripts.callback_map = stay, {}


def remember_host_texts(p: Processing) -> None:
    """Before a generation: a batch of a sweep remembers the host's texts, before other extensions change them."""
    batch = state_of(p).batch
    if batch is None:
        return
    setup_prompts = p.setup_prompts

    def setup_and_remember() -> None:
        setup_prompts()
        batch.host_texts = all_texts(p)

    p.setup_prompts = setup_and_remember


def prepare_generation(p: Processing) -> None:
    """Prepares a generation; for a sweep or an axis after all other scripts, in the host's next step, because they may
    have added tags, which the sweep's values replace.
    """
    state = state_of(p)
    if not state.overrides:
        generation.apply_sweep_values(p)
        return
    init = p.init

    def restore_and_init(*_: object, **_by_name: object) -> None:
        if state.batch:
            restore_texts(p, state.batch)
        generation.apply_sweep_values(p)
        init(p.all_prompts, p.all_seeds, p.all_subseeds)

    p.init = restore_and_init


def restore_texts(p: Processing, batch: SweepBatch) -> None:
    """Puts the sweep's seeds back, and texts that other extensions have changed for single pictures."""
    count = len(batch.seeds)
    if all_texts(p) != batch.host_texts:
        batch.texts_changed = True
        if not batch.same_input:
            batch.texts_rewritten = p.do_not_save_samples = True
        for name in TEXT_ATTRIBUTES:
            if getattr(p, name, None):
                setattr(p, name, getattr(p, name)[:1] * count)
    p.n_iter, p.all_seeds, p.all_subseeds = 1, list(batch.seeds), [p.subseed] * count


def all_texts(p: Processing) -> list[list[str]]:
    return [list(getattr(p, name, None) or []) for name in TEXT_ATTRIBUTES]
