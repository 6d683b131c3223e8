"""The tables of gpu.py about one model: our engine against diffusers, and where its time goes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
from common import seconds
from gpu_family import Family, timed, unless_out_of_memory
from gpu_report import Report, Value
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile

from clip_skip.standalone.engine.engine import BatchOutput

BATCHES = (1, 4, 12, 36)
Row = dict[str, Value]


def sweep(report: Report, model: Family, pixels: int, peak: float) -> None:
    """Our engine at several batches, and at the automatic one, against diffusers cell by cell and the floor.

    peak: operations a second of a large matrix product
    """
    title = f"{model.name}, {pixels} px, {model.steps} steps"
    floor = model.operations(pixels) / peak
    if not report.affords(title, 8 * floor + 5):
        return
    warm = partial(model.make_with_diffusers, pixels, 2)
    theirs = unless_out_of_memory(
        lambda: timed(lambda: model.make_with_diffusers(pixels), model.device, warm), model.device
    )
    rows = [sweep_row("diffusers, cell by cell", 1, theirs, theirs, floor)]
    automatic = model.fitting(pixels)
    estimate = theirs[0] if theirs else 8 * floor
    best = float("inf")
    for cells in sorted({*BATCHES, automatic}):
        name = f"ours, {cells} per batch" + " (automatic)" * (cells == automatic)
        if not report.affords(f"{title}, {name}", estimate * cells * 1.3):
            continue
        make = partial(model.make, cells, pixels)
        took = unless_out_of_memory(lambda make=make: timed(make, model.device, partial(make, 2)), model.device)
        rows.append(sweep_row(name, cells, took, theirs, floor))
        if took:
            estimate = took[0] / cells
            best = min(best, estimate)
    rows.append(sweep_row("floor: the UNet's arithmetic at the matrix product's rate", 1, (floor, 0), theirs, floor))
    for row in rows[1:-1]:
        own = row["seconds per cell"]
        row["to our best"] = own / best if isinstance(own, float) else None
    report.add(title, rows)


def sweep_row(
    way: str, cells: int, took: tuple[float, float] | None, theirs: tuple[float, float] | None, floor: float
) -> Row:
    if took is None:
        return {"way": f"{way}: out of memory", "seconds per cell": None}
    each = took[0] / cells
    compared = {"ratio to diffusers": each / theirs[0] if theirs else None, "of the floor's rate": floor / each}
    return {"way": way, "seconds per cell": each, **compared, "peak GB": took[1]}


def where_time_goes(report: Report, model: Family, pixels: int, cells: int) -> None:
    """The operations that take most of the device's time in three steps of a batch."""
    title = f"{model.name}, {pixels} px, {cells} per batch: where the time goes (torch.profiler)"
    if not report.affords(title, 30):
        return
    model.make(cells, pixels, 3)
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (model.device == "cuda")
    with profile(activities=activities) as profiler:
        model.make(cells, pixels, 3)
    events = profiler.key_averages()
    kind = "device" if model.device == "cuda" else "cpu"

    def own(event: object) -> float:
        """`self_device_time_total` is called `self_cuda_time_total` before torch 2.4."""
        value = getattr(event, f"self_{kind}_time_total", None)
        return float(getattr(event, "self_cuda_time_total", 0.0) if value is None else value)

    whole = sum(map(own, events)) or 1.0
    top = sorted(events, key=own, reverse=True)[:10]
    report.add(title, [{"operation": e.key[:70], "calls": e.count, "share": own(e) / whole} for e in top])


def ways_of_the_unet(report: Report, model: Family, pixels: int, cells: int) -> None:
    """One call of the UNet: as it is, with each kernel of attention, and channels-last."""
    title = f"{model.name}, {pixels} px, {cells} cells: one call of the UNet"
    if not report.affords(title, 20):
        return
    unet, call = model.models.unet, model.unet_call(cells, pixels)
    measure = lambda: seconds(call, 5, model.device)
    base = measure()
    rows: list[Row] = [{"way": "as it is", "seconds": base, "ratio": 1.0}]

    def add(way: str, took: Callable[[], float]) -> None:
        try:
            rows.append({"way": way, "seconds": (measured := took()), "ratio": measured / base})
        except Exception as error:  # a kernel that this device or type does not have
            rows.append({"way": f"{way}: not here ({type(error).__name__})"})

    for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH):
        with sdpa_kernel(backend):
            add(f"attention by {backend.name} alone", measure)
    unet.to(memory_format=torch.channels_last)
    add("channels-last", measure)
    unet.to(memory_format=torch.contiguous_format)
    report.add(title, rows)


def decoding(report: Report, model: Family, pixels: int) -> None:
    """The VAE for one picture, and for several at once."""
    title = f"{model.name}, {pixels} px: decoding"
    if not report.affords(title, 20):
        return
    rows: list[Row] = []
    latents = model.make(1, pixels, 1).latents.to(model.device) / model.models.vae.config.scaling_factor
    for count in (1, 4, 12):
        several = latents.repeat(count, 1, 1, 1)
        work = torch.inference_mode()(partial(model.engine._decode, several))
        took = unless_out_of_memory(lambda work=work: timed(work, model.device), model.device)
        each = took[0] / count if took else None
        rows.append({"pictures at once": count, "seconds per picture": each, "peak GB": took[1] if took else None})
    rows.append({"pictures at once": f"ours: {model.engine._parts(latents.repeat(12, 1, 1, 1))[0].shape[0]}"})
    report.add(title, rows)


def saving(report: Report, model: Family, pixels: int, cells: int) -> None:
    """Batches that are saved before the next begins, as ours are, and while the next is made."""
    title = f"{model.name}, {pixels} px, {cells} per batch: saving"
    began = time.perf_counter()
    made = model.make(cells, pixels)
    once = time.perf_counter() - began
    if not report.affords(title, 9 * once):
        return
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(1) as pool:

        def save(batch: BatchOutput) -> None:
            for index, picture in enumerate(batch.pictures):
                picture.save(Path(name, f"{index}.png"))

        def after() -> None:
            for _ in range(3):
                save(model.make(cells, pixels))

        def meanwhile() -> None:
            waiting = [pool.submit(save, model.make(cells, pixels)) for _ in range(3)]
            for future in waiting:
                future.result()

        alone = seconds(lambda: save(made), 1, "cpu")
        one, other = (seconds(work, 1, model.device, lambda: None) for work in (after, meanwhile))
    rows: list[Row] = [
        {"way": "saving a batch alone", "seconds": alone},
        {"way": "three batches, each saved before the next", "seconds": one, "ratio": 1.0},
        {"way": "three batches, saved while the next is made", "seconds": other, "ratio": other / one},
    ]
    report.add(title, rows)


def compiled(report: Report, model: Family, pixels: int, cells: int) -> None:
    """One call of the UNet after `torch.compile`, which takes minutes itself."""
    title = f"{model.name}, {pixels} px, {cells} cells: torch.compile"
    if not report.affords(title, 100):
        return
    call = model.unet_call(cells, pixels)
    base = seconds(call, 5, model.device)
    began = time.perf_counter()
    model.models.unet.compile()
    call()
    compiling = time.perf_counter() - began
    took = seconds(call, 5, model.device)
    rows: list[Row] = [{"way": "as it is", "seconds": base, "ratio": 1.0}]
    rows.append({"way": "compiled", "seconds": took, "ratio": took / base, "seconds to compile": compiling})
    report.add(title, rows)
