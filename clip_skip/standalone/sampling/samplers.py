"""The samplers, by their names in the WebUI: diffusers' own where they are the same, at the WebUI's noise levels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["SAMPLERS", "SCHEDULES", "Sampler", "find_sampler", "in_two", "sampler_name", "scheduler"]

SCHEDULES = ("Uniform", "Karras", "Exponential", "SGM Uniform", "Beta")


@dataclass(frozen=True)
class Sampler:
    """make:     creates a scheduler from the name of a schedule and the UNet's prediction type
    schedule: the meaning of "Automatic"; "" where the sampler has its own and takes no other
    calls:    of the UNet, for each step
    """

    make: Callable[[str, str], Any]
    schedule: str = ""
    calls: int = 1


def deterministic(name: str) -> Callable[[str, str], Any]:
    """A function of sampling/deterministic.py, which is slow to import, and not needed for the names below."""

    def make(schedule: str, prediction: str) -> Any:
        from clip_skip.standalone.sampling import deterministic

        return getattr(deterministic, name)(schedule, prediction)

    return make


def stochastic(name: str, **options: int) -> Callable[[str, str], Any]:
    """A class of sampling/stochastic.py, in the same way."""

    def make(schedule: str, prediction: str) -> Any:
        from clip_skip.standalone.sampling import stochastic

        return getattr(stochastic, name)(schedule, prediction, **options)

    return make


BASE_SAMPLERS = {
    "DPM++ 2M": Sampler(deterministic("dpmpp_2m"), "Karras"),
    "DPM++ SDE": Sampler(stochastic("DPMppSDE"), "Karras", calls=2),
    "DPM++ 2M SDE": Sampler(stochastic("DPMppMultistepSDE", order=2), "Exponential"),
    "DPM++ 3M SDE": Sampler(stochastic("DPMppMultistepSDE", order=3), "Exponential"),
    "Euler a": Sampler(stochastic("EulerAncestral"), "Uniform"),
    "Euler": Sampler(deterministic("euler"), "Uniform"),
    "LCM": Sampler(stochastic("LCM")),
    "DDIM": Sampler(deterministic("ddim")),
    "UniPC": Sampler(deterministic("unipc")),
}

SAMPLERS = tuple(
    dict.fromkeys(
        f"{name} {schedule}".rstrip()
        for name, sampler in BASE_SAMPLERS.items()
        for schedule in (sampler.schedule, "", *(SCHEDULES if sampler.schedule else ()))
    )
)
"""All names: a sampler alone has the schedule it was published with, and some take others: "DPM++ 2M Karras"."""


def find_sampler(name: str) -> tuple[Sampler, str]:
    """The sampler and the schedule that `name` means, one of `SAMPLERS`. KeyError for another."""
    if name in BASE_SAMPLERS:
        return BASE_SAMPLERS[name], BASE_SAMPLERS[name].schedule
    if name not in SAMPLERS:
        raise KeyError(name)
    schedule = next(schedule for schedule in ("SGM Uniform", *SCHEDULES) if name.endswith(f" {schedule}"))
    return BASE_SAMPLERS[name[: -len(schedule) - 1]], schedule


def sampler_name(sampler: str, schedule: str) -> str:
    """The WebUI's sampler and its schedule type as one of `SAMPLERS`; KeyError if it is not one."""
    schedule = "" if schedule in ("", "Automatic") or sampler in ("DDIM", "UniPC") else schedule
    name = f"{sampler} {schedule}".rstrip()
    find_sampler(name)
    return name


def in_two(name: str) -> tuple[str, str]:
    """The WebUI's name of the sampler `name`, one of `SAMPLERS`, and of its schedule type."""
    base = next(base_name for base_name in sorted(BASE_SAMPLERS, key=len, reverse=True) if name.startswith(base_name))
    return base, name[len(base) + 1 :] or "Automatic"


def scheduler(name: str, prediction: str = "epsilon", eta: float | None = None) -> Any:
    """A new scheduler, which remembers the steps of one run. KeyError for a name that is not in `SAMPLERS`.

    eta: the share of noise that the steps of a stochastic sampler add; None is the sampler's own
    """
    sampler, schedule = find_sampler(name)
    result = sampler.make(schedule, prediction)
    if eta is not None:
        result.eta = eta
    return result
