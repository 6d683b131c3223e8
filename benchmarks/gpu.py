"""A GPU's figures with one command: no arguments, no network, ten minutes on one card at most.

    python benchmarks/gpu.py

Models of SD1's and SDXL's sizes and random weights, in fp16, are made on the device; our engine at several cells per
batch is measured against diffusers cell by cell and against the floor, what the UNet's arithmetic alone would take at
the rate of a large matrix product; and where the time goes. gpu.json and gpu.md are written into `gpu-benchmark`. On a
CPU the same runs at toy sizes, which tells nothing of a GPU but that it will run there.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import gpu_tables
import imports
import torch
from common import machine, matmul_peak
from gpu_family import Family, family
from gpu_report import Report, Value

STEPS, PIXELS, CELLS = 20, (512, 1024), {"SD1": 12, "SDXL": 4}
TOY_STEPS, TOY_PIXELS, TOY_CELLS = 2, (32, 64), {"SD1": 4, "SDXL": 4}
BEST = {"SD1": 0, "SDXL": 1}
"""Which of the sizes in pixels a model is made for: there its time is looked into."""

UNTIL = {"SD1": 0.35, "SDXL": 0.7, "study": 0.8, "starts": 0.85, "compile": 1.0}
"""The parts, in their order, and the share of the time after which nothing of each begins."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("gpu-benchmark"), help="default: %(default)s")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=600, help="in all; default: %(default)s")
    parser.add_argument("--parts", choices=UNTIL, nargs="+", default=list(UNTIL), help="default: all")
    arguments = parser.parse_args()
    device = arguments.device
    peak = matmul_peak(device, torch.float16 if device == "cuda" else torch.float32)
    about: dict[str, Value] = {"machine": machine(device), "matrix product": f"{peak / 1e12:.3g} TFLOP/s"}
    if device == "cpu":
        about["sizes"] = "TOY SIZES ON A CPU: these figures say nothing of a GPU"
    report = Report(arguments.folder, arguments.seconds, about)
    works: dict[str, Callable[[], None]] = {
        **{name: partial(look_at_family, report, name, device, peak) for name in BEST},
        "study": partial(look_at_study, report, device),
        "starts": partial(look_at_starts, report),
        "compile": partial(look_at_compiled, report, device),
    }
    for name in UNTIL:
        if name in arguments.parts:
            report.until = UNTIL[name]
            attempt(report, name, works[name])
        else:
            report.left_out.append(f"{name}: not asked for")
    report.write()
    print(report.markdown())


def attempt(report: Report, what: str, work: Callable[[], None]) -> None:
    """What fails is reported, and the rest is measured all the same: the card may be lent."""
    try:
        work()
    except Exception as error:
        traceback.print_exc()
        report.failed.append(f"{what}: {type(error).__name__}: {error}")


def look_at_family(report: Report, name: str, device: str, peak: float) -> None:
    if not report.affords(f"{name}, to make its weights", 20):
        return
    with model_of(name, device) as (model, sizes, pixels, cells):
        for work in (
            *(partial(gpu_tables.sweep, pixels=size, peak=peak) for size in sizes),
            partial(gpu_tables.where_time_goes, pixels=pixels, cells=cells),
            partial(gpu_tables.decoding, pixels=pixels),
            partial(gpu_tables.saving, pixels=pixels, cells=cells),
            partial(gpu_tables.ways_of_the_unet, pixels=pixels, cells=cells),
        ):
            attempt(report, f"{name}, {work.func.__name__}", partial(work, report, model))


@contextmanager
def model_of(name: str, device: str) -> Iterator[tuple[Family, tuple[int, ...], int, int]]:
    """The model, its pictures' sizes in pixels, that which it is made for, and cells per batch to look into it with."""
    toy = device == "cpu"
    sizes, cells = (TOY_PIXELS, TOY_CELLS) if toy else (PIXELS, CELLS)
    with family(name, toy, TOY_STEPS if toy else STEPS, device) as model:
        yield model, sizes, sizes[BEST[name]], cells[name]


def look_at_compiled(report: Report, device: str) -> None:
    for name in BEST:
        if report.affords(f"{name}, compiled", 120):
            with model_of(name, device) as (model, _, pixels, cells):
                attempt(report, f"{name}, compiled", partial(gpu_tables.compiled, report, model, pixels, cells))


def look_at_study(report: Report, device: str) -> None:
    """The bundled demo model: one that is small, where Ray's own share is largest."""
    if not report.affords("study", 60):
        return
    import study  # needs psutil, without which all else can be measured

    job = study.job(prompts=2, seeds=1 if device == "cpu" else 8, steps=2 if device == "cpu" else 20, device=device)
    actors = [1]
    try:
        import ray  # noqa: F401
    except ModuleNotFoundError:
        actors = []
        report.left_out.append("a study with Ray: Ray is not installed")
    report.add("A study of the demo model, with Ray and without", [*study.measure(job, actors)])


def look_at_starts(report: Report) -> None:
    """Commands as processes of their own, and what `import torch` takes."""
    if not report.affords("starts", 60):
        return
    rows: list[dict[str, Value]] = []
    with tempfile.TemporaryDirectory() as folder:
        starts = imports.ways(Path(folder))
        for name in (imports.TORCH, "inspect", "layers"):
            try:
                took, busy = min(imports.run(starts[name]) for _ in range(2))
            except subprocess.CalledProcessError as error:
                report.failed.append(f"{name}: exit status {error.returncode}")
                continue
            rows.append({"start": name, "seconds": took, "seconds of the processor": busy})
    report.add("Starts", rows)


if __name__ == "__main__":
    main()
