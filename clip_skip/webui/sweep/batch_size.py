"""The number of cells per batch."""

from __future__ import annotations

import torch
from modules import devices, shared

from clip_skip.messages.message import Template
from clip_skip.webui.host_language import translate
from clip_skip.webui.host_types import Processing

__all__ = ["batch_limit"]

ONE_AT_A_TIME = Template("The steps of {sampler} depend on the whole batch, so the cells were made one at a time.")

ACROSS_THE_BATCH = {"DPM adaptive"}
"""Samplers whose steps depend on the whole batch."""


def batch_limit(p: Processing, cells: int, cells_per_batch: int) -> int:
    """The number of cells per batch; 0 `cells_per_batch` means as many as fit into memory."""
    if p.sampler_name in ACROSS_THE_BATCH:
        if cells_per_batch != 1 and cells > 1:
            p.comment(translate(ONE_AT_A_TIME(sampler=p.sampler_name)))
        return 1
    if cells_per_batch:
        return min(cells_per_batch, cells)
    pixels = p.width * p.height * (getattr(p, "hr_scale", 1) ** 2 if getattr(p, "enable_hr", False) else 1)
    return max(1, min(cells, int(free_memory() / (pixels * bytes_per_pixel()))))


def bytes_per_pixel() -> float:
    """The memory of one picture while the UNet runs, a generous estimate: too large a batch is halved anyway."""
    wide = 2.0 if getattr(shared.sd_model, "is_sdxl", False) else 1.0
    return 2500.0 * wide * (1 if devices.dtype_unet == torch.float16 else 2)


def free_memory() -> float:
    """The bytes that a batch may take on the device that makes the pictures."""
    if devices.device.type == "cuda":
        return float(torch.cuda.mem_get_info(devices.device)[0]) * 0.8
    import psutil

    return float(psutil.virtual_memory().available) * 0.4
