"""The samplers of the WebUI's list that diffusers has none of: DPM-Solver++ with noise from a Brownian tree, and LCM.

DPM++ SDE, 2M SDE and 3M SDE are those of k-diffusion (Lu et al. 2022, and its author's third-order form), which itself
cannot be had beside numpy 2; what diffusers has of these names takes other noise and other steps: docs/parity.md.

Each is a scheduler as diffusers' are: `set_timesteps`, `timesteps`, `scale_model_input`, `step`. Latents (B, C, H, W)
are picture + sigma * noise, not scaled down.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from types import SimpleNamespace

import torch
from torch import Tensor

from clip_skip.standalone.sampling.noise_levels import known, levels, sigma_at, time_at

__all__ = ["LCM", "BrownianTree", "DPMppMultistepSDE", "DPMppSDE"]


class BrownianTree:
    """Noise that does not depend on how many steps there are: one path of Brownian motion over sigma for each seed."""

    def __init__(self, like: Tensor, sigmas: Tensor, seeds: Sequence[int]) -> None:
        import torchsde  # slow to import

        low, high = sigmas[sigmas > 0].min(), sigmas.max()
        start = torch.zeros(like.shape[1:])
        self.paths = [torchsde.BrownianTree(low, start, high, entropy=seed) for seed in seeds]

    def __call__(self, sigma: Tensor, lower: Tensor) -> Tensor:
        """The noise of going from one level to a lower one, of variance 1, (B, C, H, W) on the CPU."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that an end of the path is exceeded by the last bit
            walked = torch.stack([path(lower, sigma) for path in self.paths])
        return -walked / (sigma - lower).sqrt()


class Scheduler:
    """What these have in common. `step` takes what the UNet predicts and calls `advance` with the picture in it."""

    init_noise_sigma: float

    def __init__(self, schedule: str, prediction: str) -> None:
        self.schedule = schedule
        self.prediction = prediction
        self.sigmas = self.timesteps = torch.empty(0)
        self.index = 0

    def set_timesteps(self, steps: int, device: object = None) -> None:
        self.sigmas = self.called_at(steps)
        self.timesteps = self.times().to(device)  # type: ignore[call-overload]
        self.init_noise_sigma = self.sigmas[0].item()
        self.index = 0

    def called_at(self, steps: int) -> Tensor:
        """The sigmas that the UNet is called at, and 0."""
        return levels(self.schedule, steps)

    def times(self) -> Tensor:
        return time_at(self.sigmas[:-1])

    def scale_model_input(self, sample: Tensor, _time: Tensor) -> Tensor:
        scaled: Tensor = sample / (self.sigmas[self.index].item() ** 2 + 1) ** 0.5
        return scaled

    def step(
        self, output: Tensor, _time: Tensor, sample: Tensor, generator: Sequence[torch.Generator] = ()
    ) -> SimpleNamespace:
        """`prev_sample` is the sample with less noise. The generators' seeds are those of the noise."""
        sigma = self.sigmas[self.index].item()
        if self.prediction == "epsilon":
            picture = sample - sigma * output
        else:
            picture = sample / (sigma**2 + 1) - output * sigma / (sigma**2 + 1) ** 0.5
        following = self.advance(sample, picture, generator)
        self.index += 1
        return SimpleNamespace(prev_sample=following)

    def advance(self, sample: Tensor, picture: Tensor, generator: Sequence[torch.Generator]) -> Tensor:
        raise NotImplementedError


class Brownian(Scheduler):
    """A scheduler whose noise is that of a Brownian tree."""

    def noise(self, sample: Tensor, generator: Sequence[torch.Generator], sigma: Tensor, lower: Tensor) -> Tensor:
        if self.index < 2 or not hasattr(self, "tree"):
            self.tree = BrownianTree(sample, self.range(), [one.initial_seed() for one in generator])
        return self.tree(sigma, lower).to(sample)

    def range(self) -> Tensor:
        return self.sigmas


class DPMppMultistepSDE(Brownian):
    """DPM++ 2M SDE and 3M SDE, with all the noise that the equation has (eta 1)."""

    def __init__(self, schedule: str, prediction: str, order: int) -> None:
        super().__init__(schedule, prediction)
        self.order = order
        self.past: list[tuple[Tensor, float]] = []

    def called_at(self, steps: int) -> Tensor:
        self.past = []  # the pictures before, and how long the steps from them were
        if self.order == 2:
            return super().called_at(steps)
        one_more = super().called_at(steps + 1)
        return torch.cat([one_more[:-2], one_more[-1:]])

    def advance(self, sample: Tensor, picture: Tensor, generator: Sequence[torch.Generator]) -> Tensor:
        sigma, lower = self.sigmas[self.index], self.sigmas[self.index + 1]
        if lower == 0:
            return picture
        length = (sigma.log() - lower.log()).item()
        change = -math.expm1(-2 * length)
        following: Tensor = (1 - change) * sample + change * picture
        second = change / 2 if self.order == 2 else 1 - change / (2 * length)
        if self.past:
            slope = (picture - self.past[0][0]) * (length / self.past[0][1])
            if self.order == 3 and len(self.past) == 2:
                (middle, near), (oldest, far) = self.past
                before = (middle - oldest) * (length / far)
                near, far = near / length, far / length
                bend = (slope - before) / (near + far)
                following = following - (second / (2 * length) - 0.5) * bend
                slope = slope + bend * near
            following = following + second * slope
        self.past = [(picture, length), *self.past[: self.order - 2]]
        noise = self.noise(sample, generator, sigma, lower)
        return following + noise * (lower.item() * math.sqrt(change))


class DPMppSDE(Brownian):
    """DPM++ SDE: two calls of the UNet for each step, the second one halfway, by the logarithm of sigma."""

    def called_at(self, steps: int) -> Tensor:
        self.ends = levels(self.schedule, steps)
        halfway = ((self.ends[:-2].log() + self.ends[1:-1].log()) / 2).exp()
        pairs = torch.stack([self.ends[:-2], halfway], dim=1).flatten()
        return torch.cat([pairs, self.ends[-2:]])

    def range(self) -> Tensor:
        return self.ends

    def advance(self, sample: Tensor, picture: Tensor, generator: Sequence[torch.Generator]) -> Tensor:
        first = self.index - self.index % 2
        if self.sigmas[first + 1] == 0:
            return picture
        sigma = self.sigmas[first]
        if first == self.index:
            self.sample, lower = sample, self.sigmas[first + 1]
        else:
            lower = self.sigmas[first + 2]
        up = (lower**2 * (sigma**2 - lower**2) / sigma**2) ** 0.5
        left = ((lower**2 - up**2) ** 0.5 / sigma).item()
        noise = self.noise(sample, generator, sigma, lower) * up.item()
        return left * self.sample + (1 - left) * picture + noise


class LCM(Scheduler):
    """Latent consistency (Luo et al. 2023): each step goes to the picture, and back up with new noise."""

    SKIPPED = 20
    """Every so many times one that the model was distilled at."""

    def called_at(self, steps: int) -> Tensor:
        learnt = known()[self.SKIPPED - 1 :: self.SKIPPED]
        return torch.cat([sigma_at(torch.linspace(len(learnt) - 1, 0, steps), learnt), torch.zeros(1)])

    def times(self) -> Tensor:
        learnt = known()[self.SKIPPED - 1 :: self.SKIPPED].log()
        nearest = (self.sigmas[:-1].log()[:, None] - learnt).abs().argmin(1)
        return nearest * float(self.SKIPPED) + self.SKIPPED - 1

    def advance(self, sample: Tensor, picture: Tensor, generator: Sequence[torch.Generator]) -> Tensor:
        scaled = self.timesteps[self.index].item() * 10
        kept = 0.25 / (scaled**2 + 0.25)
        following: Tensor = picture * (scaled / (scaled**2 + 0.25) ** 0.5) + sample * kept
        lower = self.sigmas[self.index + 1].item()
        if lower:
            noise = torch.stack([torch.randn(sample.shape[1:], generator=one) for one in generator])
            following = following + lower * noise.to(sample)
        return following
