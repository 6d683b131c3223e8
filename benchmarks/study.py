"""A study through Ray against the same study in this process, and what many makers get done that only wait.

    python benchmarks/study.py [--prompts 4] [--seeds 2] [--steps 8] [--waiting 1 4 16 64] [--seconds 0.5]

The bundled demo model, clip skip 1 to 12, one thread for each maker; batches of 12, and the pictures are compared.
Rates are taken from when each maker has handed in a batch, so without the start of Ray and the load of the model, which
are told apart. Makers that wait take no processor, so they show what Ray and the handing out cost by themselves.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import torch
from common import machine
from tables import print_table

from clip_skip.standalone.cluster.connection import LOCAL, connected
from clip_skip.standalone.demo.captions import DEMO
from clip_skip.standalone.demo.model import CHECKPOINT
from clip_skip.standalone.engine.loading import AS_USUAL
from clip_skip.standalone.engine.makers import Maker, Supply, local
from clip_skip.standalone.engine.progress import Progress
from clip_skip.standalone.settings import CommonSettings
from clip_skip.standalone.study.job import StudyJob
from clip_skip.study.plan import StudyPlan

BATCH = 12
FASTEST = 3
"""Batches for each maker that waits, at most so many at a time in all."""


class Waiting:
    """A maker that makes nothing, and takes `seconds` for it. Ready when all of `makers` are, told by `folder`."""

    def __init__(self, seconds: float, makers: int, folder: str) -> None:
        self._seconds, self._makers, self._folder = seconds, makers, Path(folder)

    def limit(self, _task: object) -> int:
        (self._folder / str(os.getpid())).touch()
        while len(list(self._folder.iterdir())) < self._makers:
            time.sleep(0.05)
        return 1

    def make(self, _task: object) -> SimpleNamespace:
        time.sleep(self._seconds)
        return SimpleNamespace(pictures=[None])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--prompts", type=int, default=4, help="the first so many of the demo's captions")
    arguments.add_argument("--seeds", type=int, default=2)
    arguments.add_argument("--steps", type=int, default=8)
    arguments.add_argument("--actors", type=int, nargs="*", default=[1, 2])
    arguments.add_argument("--waiting", type=int, nargs="*", default=[1, 4, 16, 64])
    arguments.add_argument("--seconds", type=float, default=0.5, help="what a batch takes a maker that waits")
    arguments = arguments.parse_args()
    torch.set_num_threads(1)
    print(machine("cpu"))
    if arguments.actors:
        making(job(arguments.prompts, arguments.seeds, arguments.steps), arguments.actors)
    if arguments.waiting:
        waiting(arguments.waiting, arguments.seconds)


def job(prompts: int, seeds: int, steps: int, device: str = "cpu") -> StudyJob:
    skips = {CHECKPOINT.stem: tuple(map(float, range(1, 13)))}
    plan = StudyPlan(skips, {CHECKPOINT.stem: 1.0}, DEMO[:prompts], tuple(range(1, seeds + 1)), (7.0,))
    common = CommonSettings(steps, 128, 128)
    return StudyJob({CHECKPOINT.stem: CHECKPOINT}, common, plan, device, Path())


def supply(asked: StudyJob) -> Supply[Any]:
    return Supply(list(asked.plan.cells), lambda cell: asked.models[cell.model], asked.task)


def progress() -> Progress:
    return Progress({}, 1, 1)


def making(asked: StudyJob, actors: list[int]) -> None:
    rows = measure(asked, actors)
    print(f"\n{len(asked.plan.cells)} pictures, {asked.settings.steps} steps, {BATCH} per batch\n")
    print_table(list(rows[0]), [list(row.values()) for row in rows])


def measure(asked: StudyJob, actors: list[int]) -> list[dict[str, str]]:
    """The same pictures in this process, and with so many actors; a row of the table for each."""
    new = partial(Maker, partial(AS_USUAL.engine, device=asked.device), BATCH)
    alone = timed(lambda: local(supply(asked), new(), progress()), 1)
    rows = [row("in this process", alone, alone)]
    for count in actors:
        with connected(LOCAL, count, limit_cpus=count) as cluster:
            took = timed(partial(cluster.run, supply(asked), new, progress()), count)
            rows.append(row(f"Ray, {count} of one core", took, alone))
    return rows


def row(way: str, took: Timed, base: Timed) -> dict[str, str]:
    made, rate, busy, start = took
    return {
        "way": way,
        "s to the first batches": f"{start:.1f}",
        "pictures/s after": f"{rate:.3f}",
        "ratio": f"{rate / base[1]:.2f}",
        "processor s/picture": f"{busy:.3f}",
        "its ratio": f"{busy / base[2]:.2f}",
        "equal pictures": f"{sum(made[cell] == base[0][cell] for cell in made)} of {len(made)}",
    }


Timed = tuple[dict[Any, str], float, float, float]


def timed(work: Any, makers: int) -> Timed:
    """The hash of each picture; from when each of `makers` can have made a batch, pictures a second, and seconds of the
    processor for each; seconds until then."""
    began, came, made = time.perf_counter(), [], {}
    for cells, batch in work():
        came.append((time.perf_counter(), processor(), len(cells)))
        made.update(zip(cells, (hashlib.sha256(picture.tobytes()).hexdigest() for picture in batch.pictures)))
    (first, busy, _), (last, busy_at_last, _) = came[makers - 1], came[-1]
    count = sum(count for _, _, count in came[makers:])
    return made, count / (last - first), (busy_at_last - busy) / count, first - began


def processor() -> float:
    """Seconds of the processor that this process and all that it has started have used."""
    this = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (this, *this.children(recursive=True)))


def waiting(counts: list[int], seconds: float) -> None:
    """Batches a second with so many makers that wait, beside what there would be if Ray took no time."""
    rows = []
    for count in counts:
        batches = 2 * count + FASTEST * max(count, 8)
        asked = job(batches, 1, 1)
        cells = (list(asked.plan.cells) * batches)[:batches]
        of_cells = Supply(cells, lambda _: CHECKPOINT, asked.task)
        with connected(LOCAL, count, limit_cpus=count) as cluster, tempfile.TemporaryDirectory() as folder:
            came = list(arrivals(cluster.run(of_cells, partial(Waiting, seconds, count, folder), progress())))
        rate = (len(came) - 2 * count) / (came[-1] - came[2 * count - 1])
        rows.append((str(count), f"{rate:.1f}", f"{count / seconds:.1f}", f"{rate * seconds / count:.2f}"))
    print(f"\nMakers that wait {seconds:g} s for each batch\n")
    print_table(("makers", "batches/s", "at most", "ratio"), rows)


def arrivals(made: Iterator[Any]) -> Iterator[float]:
    for _ in made:
        yield time.perf_counter()


if __name__ == "__main__":
    main()
