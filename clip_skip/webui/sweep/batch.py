"""Which cells of a sweep share a batch, and its seeds and texts, beside extensions that write or cut prompts.

The host is given one text and one seed for all the cells, as for any pictures: others read them from there. What they
write into the first picture's prompts is what they would write into those of that picture alone; the other pictures
of a batch are to them those of the next seeds. So cells of one text and one seed all get what the first has, and
others share no batch where something was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any

from clip_skip.sweep.plan import Cell
from clip_skip.sweep.rows import networks
from clip_skip.webui import generation
from clip_skip.webui.state import SweepBatch, SweepJob, state_of

__all__ = ["here_only", "last_batch", "learn", "prepare", "seed_of", "sweep_of", "together", "watch"]

TEXTS = ("all_prompts", "all_negative_prompts", "all_hr_prompts", "all_hr_negative_prompts")

TO_OTHER_MACHINES = {"Distribute"}
"""Titles of the scripts that give a part of a batch away: to papuSpartan/stable-diffusion-webui-distributed's workers,
which know nothing of what a sweep or an axis sets."""


def together(job: Any, cells: Sequence[Cell]) -> list[list[Cell]]:
    """`cells` in groups that may share a batch.

    A host takes LoRAs from the first prompt of a batch, and other extensions a piece that they encode themselves
    (`pieces_shared`), or all that they write (`texts_rewritten`).
    """
    sweep = sweep_of(job)
    groups: dict[Any, list[Cell]] = {}
    for cell in cells:
        texts = sweep.plan.rows.texts(job.prompt, job.negative_prompt, cell.value)
        clip_skip = (texts, sweep.settings.override(cell)) if sweep.pieces_shared else None
        seed = (texts, seed_of(job, cell)) if sweep.texts_rewritten else None
        groups.setdefault((networks(texts[0]), clip_skip, seed), []).append(cell)
    return list(groups.values())


def seed_of(job: Any, cell: Cell) -> Any:
    return cell.value if sweep_of(job).plan.rows.kind.name == "seed" else job.seed


def sweep_of(job: Any) -> SweepJob:
    """The sweep's part of the state of `job`."""
    sweep = state_of(job).job
    assert sweep is not None
    return sweep


def last_batch(job: Any) -> list[SweepBatch]:
    """The batch of `job` that was made last, if there is one."""
    batch = state_of(sweep_of(job).last).batch
    return [batch] if batch else []


def learn(sweep: SweepJob, others: Iterable[SweepJob | SweepBatch]) -> None:
    """What the batches of others have shown holds for those of `sweep`."""
    everything = [sweep, *others]
    sweep.pieces_shared = any(one.pieces_shared for one in everything)
    sweep.texts_rewritten = any(one.texts_rewritten for one in everything)


def here_only(p: Any) -> None:
    """All pictures of `p` are made on this machine."""
    runner = getattr(p, "scripts", None)
    scripts = getattr(runner, "alwayson_scripts", [])
    stay = [script for script in scripts if script.title() not in TO_OTHER_MACHINES]
    if len(stay) < len(scripts):
        p.scripts = copy(runner)
        p.scripts.alwayson_scripts, p.scripts.callback_map = stay, {}


def watch(p: Any) -> None:
    """Before a generation: in a batch of a sweep, remembers the texts that the host makes, before others write."""
    batch = state_of(p).batch
    if batch is None:
        return
    setup_prompts = p.setup_prompts

    def setup_and_remember() -> None:
        setup_prompts()
        batch.host_texts = texts(p)

    p.setup_prompts = setup_and_remember


def prepare(p: Any) -> None:
    """Prepares a generation; that of a sweep or an axis when the other scripts are done, in the host's next step.

    They may have written tags, which its values stand in for.
    """
    state = state_of(p)
    if not state.overrides:
        generation.prepare(p)
        return
    init = p.init

    def settle_and_init(*_: Any) -> None:
        if state.batch:
            settle(p, state.batch)
        generation.prepare(p)
        init(p.all_prompts, p.all_seeds, p.all_subseeds)

    p.init = settle_and_init


def settle(p: Any, batch: SweepBatch) -> None:
    count = len(batch.seeds)
    if texts(p) != batch.host_texts:
        if not batch.same_input:
            batch.texts_rewritten = p.do_not_save_samples = True
        for name in TEXTS:
            if getattr(p, name, None):
                setattr(p, name, getattr(p, name)[:1] * count)
    p.n_iter, p.all_seeds, p.all_subseeds = 1, list(batch.seeds), [p.subseed] * count


def texts(p: Any) -> list[list[str]]:
    return [list(getattr(p, name, None) or []) for name in TEXTS]
