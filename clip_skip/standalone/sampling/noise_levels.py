"""The noise levels of a run: the WebUI's schedules, by its names for them.

sigma is the noise's standard deviation where the picture's is left as it is (Karras et al. 2022, k-diffusion), from the
model's largest down to its least, and then 0. Times are those of the model's training, 0 to 999, and may lie between.
All in float32, as in k-diffusion: a Brownian tree's noise depends on the last bit.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

__all__ = ["levels", "sigma_at", "sigma_at_half_alpha", "sigmas_and_times", "time_at", "training_sigmas", "vp_times"]

TIMES = 1000


def training_sigmas() -> Tensor:
    """The sigmas of all times, as SD1, SD2 and SDXL were trained with, (1000,)."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, TIMES, dtype=torch.float64) ** 2
    alphas = torch.cumprod(1 - betas, 0).float()
    return ((1 - alphas) / alphas) ** 0.5


def sigma_at(times: Tensor, sigmas: Tensor | None = None) -> Tensor:
    """The sigmas of `times`, between whole ones by their logarithm. `sigmas` are those of times 0, 1, 2, ..."""
    logs = (training_sigmas() if sigmas is None else sigmas).log()
    low = times.floor().long().clamp(0, len(logs) - 2)
    return torch.lerp(logs[low], logs[low + 1], times - low).exp()


def time_at(sigmas: Tensor) -> Tensor:
    """The times of `sigmas`; the reverse of `sigma_at`."""
    logs, targets = training_sigmas().log(), sigmas.log()
    low = (torch.searchsorted(logs, targets, right=True) - 1).clamp(0, TIMES - 2)
    return low + ((targets - logs[low]) / (logs[low + 1] - logs[low])).clamp(0, 1)


def levels(schedule: str, steps: int) -> Tensor:
    """The sigmas of `steps` steps, with the 0 at the end, (steps + 1,). KeyError if there is no such schedule."""
    least, most = training_sigmas()[0].item(), training_sigmas()[-1].item()
    sigmas = {
        "Uniform": lambda: sigma_at(torch.linspace(TIMES - 1, 0, steps)),
        "Karras": lambda: karras(steps, least, most),
        "Exponential": lambda: torch.linspace(math.log(most), math.log(least), steps).exp(),
        "SGM Uniform": lambda: sigma_at(torch.linspace(TIMES - 1, 0, steps + 1)[:-1]),
        "Beta": lambda: beta(steps, least, most),
    }[schedule]()
    return torch.cat([sigmas, torch.zeros(1)])


def sigmas_and_times(schedule: str, steps: int, left: int | None = None) -> tuple[Tensor, Tensor]:
    """The sigmas of the last `left` steps of a run, or of all, one more than its times, and the times."""
    sigmas = levels(schedule, steps)[-(left or steps) - 1 :]
    return sigmas, time_at(sigmas[:-1])


def vp_times(steps: int) -> Tensor:
    """The times that the WebUI's DDIM and UniPC go through in `steps` steps, the earliest first."""
    return (torch.arange(0, TIMES, TIMES // steps) + 1).clamp(max=TIMES - 1)


def sigma_at_half_alpha(times: Tensor) -> Tensor:
    """The sigmas of `times`, interpolated in log alpha between whole ones: UniPC's."""
    log_alphas = -0.5 * torch.log1p(training_sigmas() ** 2)
    low = times.floor().long().clamp(0, TIMES - 2)
    return torch.expm1(-2 * torch.lerp(log_alphas[low], log_alphas[low + 1], times - low)) ** 0.5


def karras(steps: int, least: float, most: float, rho: float = 7.0) -> Tensor:
    """Equation 5 of Karras et al. 2022."""
    first, last = most ** (1 / rho), least ** (1 / rho)
    sigmas: Tensor = (first + torch.linspace(0, 1, steps) * (last - first)) ** rho
    return sigmas


def beta(steps: int, least: float, most: float) -> Tensor:
    """The quantiles of a beta distribution with both parameters 0.6 (Lee et al. 2024)."""
    from scipy import stats  # slow to import

    quantiles = stats.beta.ppf(1 - np.linspace(0, 1, steps), 0.6, 0.6)
    return torch.from_numpy(least + quantiles * (most - least)).float()
