"""The samplers, by their names in the WebUI, as schedulers of diffusers."""

from __future__ import annotations

from typing import Any

NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
"""The noise that Stable Diffusion 1 was trained with."""

SAMPLERS: dict[str, tuple[str, dict[str, object]]] = {
    "DPM++ 2M Karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {}),
    "Euler": ("EulerDiscreteScheduler", {}),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "DDIM": ("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False}),
}
"""The scheduler class and its options for each name."""


def scheduler(sampler: str) -> Any:
    """A new scheduler, which remembers the steps of one run. Raises KeyError for a name that is not in `SAMPLERS`."""
    import diffusers  # slow to import, and the names above are of use without it

    name, options = SAMPLERS[sampler]
    return getattr(diffusers, name)(**NOISE, **options)
