"""The samplers without noise of their own: diffusers' schedulers, at the WebUI's noise levels and times.

Besides the methods of diffusers' schedulers each has `begin`, and its `set_timesteps` supports hires passes, as in
stochastic.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    UniPCMultistepScheduler,
)
from torch import Tensor

from clip_skip.standalone.sampling import noise_levels
from clip_skip.standalone.sampling.noise import Noise, stacked
from clip_skip.standalone.sampling.noise_levels import training_sigmas, vp_times

__all__ = ["ddim", "dpmpp_2m", "euler", "unipc"]

NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
"""The noise that Stable Diffusion was trained with."""


class AtLevels:
    """A scheduler at the noise levels of one of the WebUI's schedules."""

    schedule = ""
    takes_noises = False
    """Whether `step` takes the noise to add, as in stochastic.py."""
    preserving = True
    """Whether latents are scaled down to keep their variance at 1."""

    def set_timesteps(self, steps: int, device: Any = None, left: int | None = None, **_other: Any) -> None:
        """left: how many of the steps are made, the last ones; all with None"""
        sigmas, times = self.levels(steps, left)
        super().set_timesteps(len(times), device)  # type: ignore[misc]
        self.sigmas, self.timesteps = sigmas, times.to(device)
        self.set_begin_index(0)  # type: ignore[attr-defined]

    def levels(self, steps: int, left: int | None) -> tuple[Tensor, Tensor]:
        return noise_levels.sigmas_and_times(self.schedule, steps, left)

    def begin(self, noise: Tensor, picture: Tensor | None = None) -> Tensor:
        """The first latents: noise, in a hires pass added to the latents `picture`."""
        latents = noise * self.init_noise_sigma
        return latents if picture is None else latents + picture * self._latent_scale

    @property
    def init_noise_sigma(self) -> float:
        """The factor that scales noise to the latents at the first level, as diffusers' pipelines expect it."""
        return self.sigmas[0].item() * self._latent_scale

    @init_noise_sigma.setter
    def init_noise_sigma(self, _theirs: float) -> None:
        pass

    @property
    def _latent_scale(self) -> float:
        return (self.sigmas[0].item() ** 2 + 1) ** -0.5 if self.preserving else 1.0


class Euler(AtLevels, EulerDiscreteScheduler):  # type: ignore[misc]
    preserving = False


class DPMpp2M(AtLevels, DPMSolverMultistepScheduler):  # type: ignore[misc]
    pass


def euler(schedule: str, prediction: str) -> Any:
    return at(schedule, Euler(**NOISE, prediction_type=prediction))


def dpmpp_2m(schedule: str, prediction: str) -> Any:
    scheduler = DPMpp2M(**NOISE, prediction_type=prediction, final_sigmas_type="zero", lower_order_final=False)
    return at(schedule, scheduler)


def at(schedule: str, scheduler: Any) -> Any:
    scheduler.schedule = schedule
    return scheduler


class OverTimes:
    """The common part of DDIM and UniPC, which the WebUI runs over training times, not over noise levels."""

    init_noise_sigma = 1.0
    takes_noises = False

    def begin(self, noise: Tensor, picture: Tensor | None = None) -> Tensor:
        """The first latents: noise, in a hires pass added to the latents `picture`."""
        if picture is None:
            return noise
        alpha = 1 / (training_sigmas()[self.begins_at].item() ** 2 + 1)
        latents: Tensor = picture * alpha**0.5 + noise * (1 - alpha) ** 0.5
        return latents

    def times(self, steps: int, left: int | None) -> Tensor:
        """The times of the steps, the earliest first."""
        times = vp_times(steps)
        if left is None:
            return times
        self.begins_at = int(times[left - 1])
        return times[: max(left - 1, 1)]


class UniPC(OverTimes, AtLevels, UniPCMultistepScheduler):  # type: ignore[misc]
    def levels(self, steps: int, left: int | None) -> tuple[Tensor, Tensor]:
        gone = self.times(steps, left)
        first = noise_levels.TIMES - 1 if left is None else int(gone[-1])
        times = torch.linspace(first, 0, len(gone) + 1)
        return noise_levels.sigma_at_half_alpha(times), times[:-1]


class DDIM(OverTimes, DDIMScheduler):  # type: ignore[misc]
    takes_noises = True
    eta = 0.0
    """The share of noise that each step adds."""

    def step(self, output: Tensor, time: Tensor, sample: Tensor, noises: Sequence[Noise] = (), **options: Any) -> Any:
        noise = stacked(noises, sample.shape[1:]).to(sample) if self.eta else None
        return super().step(output, time, sample, eta=self.eta, variance_noise=noise, **options)

    def set_timesteps(self, steps: int, device: Any = None, left: int | None = None) -> None:
        """As in the WebUI the run ends at time 1, and has one more step if 1000 is not a multiple of `steps`."""
        super().set_timesteps(steps, device)
        self.timesteps = self.times(steps, left).flip(0)[:-1].to(device)


def unipc(_schedule: str, prediction: str) -> Any:
    return UniPC(**NOISE, prediction_type=prediction, solver_order=3, solver_type="bh1")


def ddim(_schedule: str, prediction: str) -> Any:
    return DDIM(**NOISE, prediction_type=prediction, clip_sample=False)
