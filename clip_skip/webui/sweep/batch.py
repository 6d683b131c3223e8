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

__all__ = ["apart", "here_only", "learn", "prepare", "seed_of", "together", "watch"]

TEXTS = ("all_prompts", "all_negative_prompts", "all_hr_prompts", "all_hr_negative_prompts")

TO_OTHER_MACHINES = {"Distribute"}
"""Titles of the scripts that give a part of a batch away: to papuSpartan/stable-diffusion-webui-distributed's workers,
which know nothing of what a sweep or an axis sets."""


def together(job: Any, cells: Sequence[Cell]) -> list[list[Cell]]:
    """`cells` in groups that may share a batch.

    A host takes LoRAs from the first prompt of a batch, and other extensions a piece that they encode themselves
    (`job.clip_skip_cut`), or all that they write (`job.clip_skip_written`).
    """
    settings, plan = job.clip_skip_sweep
    groups: dict[Any, list[Cell]] = {}
    for cell in cells:
        texts = plan.rows.texts(job.prompt, job.negative_prompt, cell.value)
        cut = (texts, settings.override(cell)) if job.clip_skip_cut else None
        written = (texts, seed_of(job, cell)) if job.clip_skip_written else None
        groups.setdefault((networks(texts[0]), cut, written), []).append(cell)
    return list(groups.values())


def seed_of(job: Any, cell: Cell) -> Any:
    _, plan = job.clip_skip_sweep
    return cell.value if plan.rows.kind.name == "seed" else job.seed


def apart(p: Any) -> bool:
    """Whether the pictures of a batch should not have shared it."""
    return bool(p.clip_skip_cut or p.clip_skip_written)


def learn(job: Any, others: Iterable[Any]) -> None:
    """What the batches of others have shown holds for those of `job`."""
    for name in ("clip_skip_cut", "clip_skip_written"):
        setattr(job, name, any(getattr(one, name) for one in (job, *others)))


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
    if not hasattr(p, "clip_skip_seeds"):
        return
    setup_prompts = p.setup_prompts

    def setup_and_remember() -> None:
        setup_prompts()
        p.clip_skip_given = texts(p)

    p.setup_prompts = setup_and_remember


def prepare(p: Any) -> None:
    """Prepares a generation; that of a sweep or an axis when the other scripts are done, in the host's next step.

    They may have written tags, which its values stand in for.
    """
    if not getattr(p, "clip_skip_overrides", None):
        generation.prepare(p)
        return
    init = p.init

    def settle_and_init(*_: Any) -> None:
        if hasattr(p, "clip_skip_seeds"):
            settle(p)
        generation.prepare(p)
        init(p.all_prompts, p.all_seeds, p.all_subseeds)

    p.init = settle_and_init


def settle(p: Any) -> None:
    count = len(p.clip_skip_seeds)
    if texts(p) != p.clip_skip_given:
        if not p.clip_skip_alike:
            p.clip_skip_written = p.do_not_save_samples = True
        for name in TEXTS:
            if getattr(p, name, None):
                setattr(p, name, getattr(p, name)[:1] * count)
    p.n_iter, p.all_seeds, p.all_subseeds = 1, list(p.clip_skip_seeds), [p.subseed] * count


def texts(p: Any) -> list[list[str]]:
    return [list(getattr(p, name, None) or []) for name in TEXTS]
