"""The samplers, by their names in the WebUI: diffusers' own where they are the same, at the WebUI's noise levels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["SAMPLERS", "SCHEDULES", "Sampler", "find", "scheduler"]

SCHEDULES = ("Uniform", "Karras", "Exponential", "SGM Uniform", "Beta")


@dataclass(frozen=True)
class Sampler:
    """make:     a scheduler, from the name of a schedule and what the UNet predicts
    schedule: the one that "Automatic" is; "" where the sampler has its own and takes no other
    calls:    of the UNet, for each step
    """

    make: Callable[[str, str], Any]
    schedule: str = ""
    calls: int = 1


def euler(ancestral: bool) -> Callable[[str, str], Any]:
    def make(schedule: str, prediction: str) -> Any:
        import diffusers  # slow to import, and the names below are of use without it

        kind = diffusers.EulerAncestralDiscreteScheduler if ancestral else diffusers.EulerDiscreteScheduler
        return at_levels(kind, schedule, lambda sigma: sigma)(**NOISE, prediction_type=prediction)

    return make


def dpmpp_2m(schedule: str, prediction: str) -> Any:
    import diffusers

    made = at_levels(diffusers.DPMSolverMultistepScheduler, schedule, lambda sigma: sigma / (sigma**2 + 1) ** 0.5)
    return made(**NOISE, prediction_type=prediction, final_sigmas_type="zero", lower_order_final=False)


def unipc(_schedule: str, prediction: str) -> Any:
    import diffusers

    made = at_levels(diffusers.UniPCMultistepScheduler, "UniPC", lambda sigma: 1.0)
    return made(**NOISE, prediction_type=prediction, solver_order=3, solver_type="bh1")


def ddim(_schedule: str, prediction: str) -> Any:
    import diffusers
    import torch

    class DDIM(diffusers.DDIMScheduler):  # type: ignore[misc]
        def set_timesteps(self, steps: int, device: Any = None) -> None:
            """As in the WebUI the run ends at time 1, and where 1000 is no multiple of `steps` it has one more."""
            super().set_timesteps(steps, device)
            self.timesteps = torch.arange(0, 1000, 1000 // steps).add(1).clamp(max=999).flip(0)[:-1].to(device)

    return DDIM(**NOISE, prediction_type=prediction, clip_sample=False)


def multistep_sde(order: int) -> Callable[[str, str], Any]:
    def make(schedule: str, prediction: str) -> Any:
        from clip_skip.standalone.sampling.stochastic import DPMppMultistepSDE

        return DPMppMultistepSDE(schedule, prediction, order)

    return make


def dpmpp_sde(schedule: str, prediction: str) -> Any:
    from clip_skip.standalone.sampling.stochastic import DPMppSDE

    return DPMppSDE(schedule, prediction)


def lcm(schedule: str, prediction: str) -> Any:
    from clip_skip.standalone.sampling.stochastic import LCM

    return LCM(schedule, prediction)


NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
"""The noise that Stable Diffusion was trained with."""

KNOWN = {
    "DPM++ 2M": Sampler(dpmpp_2m, "Karras"),
    "DPM++ SDE": Sampler(dpmpp_sde, "Karras", calls=2),
    "DPM++ 2M SDE": Sampler(multistep_sde(2), "Exponential"),
    "DPM++ 3M SDE": Sampler(multistep_sde(3), "Exponential"),
    "Euler a": Sampler(euler(ancestral=True), "Uniform"),
    "Euler": Sampler(euler(ancestral=False), "Uniform"),
    "LCM": Sampler(lcm),
    "DDIM": Sampler(ddim),
    "UniPC": Sampler(unipc),
}

SAMPLERS = tuple(
    dict.fromkeys(
        f"{name} {schedule}".rstrip()
        for name, sampler in KNOWN.items()
        for schedule in (sampler.schedule, "", *(SCHEDULES if sampler.schedule else ()))
    )
)
"""All names: a sampler alone has the schedule it was published with, and some take others: "DPM++ 2M Karras"."""


def find(name: str) -> tuple[Sampler, str]:
    """The sampler and the schedule that `name` means, one of `SAMPLERS`. KeyError for another."""
    if name in KNOWN:
        return KNOWN[name], KNOWN[name].schedule
    if name not in SAMPLERS:
        raise KeyError(name)
    schedule = next(schedule for schedule in ("SGM Uniform", *SCHEDULES) if name.endswith(f" {schedule}"))
    return KNOWN[name[: -len(schedule) - 1]], schedule


def scheduler(name: str, prediction: str = "epsilon") -> Any:
    """A new scheduler, which remembers the steps of one run. KeyError for a name that is not in `SAMPLERS`."""
    sampler, schedule = find(name)
    return sampler.make(schedule, prediction)


def at_levels(kind: Any, schedule: str, start: Callable[[float], float]) -> Any:
    """The scheduler class `kind` of diffusers, at the WebUI's noise levels instead of its own.

    start: by what noise is multiplied to be the latents at the first level
    """
    from clip_skip.standalone.sampling import noise_levels

    class AtLevels(kind):  # type: ignore[misc]
        def set_timesteps(self, steps: int, device: Any = None, **_other: Any) -> None:
            sigmas, times = noise_levels.run(schedule, steps)
            super().set_timesteps(len(times), device)
            self.sigmas, self.timesteps = sigmas, times.to(device)
            self.set_begin_index(0)
            self._start = start(sigmas[0].item())

        @property
        def init_noise_sigma(self) -> float:
            return float(self._start)

        @init_noise_sigma.setter
        def init_noise_sigma(self, value: float) -> None:
            self._start = value

    return AtLevels
