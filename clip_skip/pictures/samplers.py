"""Samplers and schedules by the WebUI's names, whatever the tool calls them."""

from __future__ import annotations

import re

__all__ = ["webui_names"]

BASES = {
    "euler": "Euler",
    "euler_ancestral": "Euler a",
    "euler_a": "Euler a",
    "heun": "Heun",
    "lms": "LMS",
    "dpm_2": "DPM2",
    "dpm2": "DPM2",
    "kdpm_2": "DPM2",
    "dpm_2_ancestral": "DPM2 a",
    "dpm2_a": "DPM2 a",
    "kdpm_2_a": "DPM2 a",
    "dpm_fast": "DPM fast",
    "dpm_adaptive": "DPM adaptive",
    "dpmpp_2s_ancestral": "DPM++ 2S a",
    "dpmpp_2s_a": "DPM++ 2S a",
    "dpmpp_2s": "DPM++ 2S a",
    "dpmpp_sde": "DPM++ SDE",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_3m_sde": "DPM++ 3M SDE",
    "lcm": "LCM",
    "ddim": "DDIM",
    "plms": "PLMS",
    "uni_pc": "UniPC",
    "unipc": "UniPC",
    "uni_pc_bh2": "UniPC",
    "eulerdiscretescheduler": "Euler",
    "eulerancestraldiscretescheduler": "Euler a",
    "dpmsolvermultistepscheduler": "DPM++ 2M",
    "dpmsolversdescheduler": "DPM++ SDE",
    "ddimscheduler": "DDIM",
    "lcmscheduler": "LCM",
    "unipcmultistepscheduler": "UniPC",
}
"""ComfyUI's, InvokeAI's, NovelAI's and diffusers' names, and the WebUI's own in small letters with underscores."""

SCHEDULES = {
    "sgm_uniform": "SGM Uniform",
    "ddim_uniform": "DDIM",
    "karras": "Karras",
    "k": "Karras",
    "exponential": "Exponential",
    "polyexponential": "Polyexponential",
    "uniform": "Uniform",
    "normal": "Uniform",
    "simple": "Simple",
    "beta": "Beta",
    "native": "Automatic",
    "automatic": "Automatic",
}
"""ComfyUI's "normal" is the WebUI's "Uniform"; InvokeAI writes `_k` for Karras. The longest come first."""


def webui_names(sampler: str, schedule: str = "") -> tuple[str, str]:
    """The WebUI's names of a sampler and a schedule, which may be in one name; unknown ones stay as they are."""
    sampler, schedule = sampler.strip(), schedule.strip()
    schedule_name = SCHEDULES.get(compact(schedule), schedule)
    name = compact(sampler).removeprefix("sample_")
    name = name.removeprefix("k_") if name not in BASES else name
    for ending, label in SCHEDULES.items():
        if name.endswith(f"_{ending}") and name not in BASES:
            name = name[: -len(ending) - 1]
            schedule_name = schedule_name if schedule_name not in ("", "Automatic") else label
            break
    base = BASES.get(name.removesuffix("_gpu"))
    return (sampler, schedule_name) if base is None else (base, schedule_name)


def compact(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name[:60].lower().replace("++", "pp"))
