"""The samplers with noise of their own: Euler a, DPM-Solver++ with noise from a Brownian tree, and LCM.

DPM++ SDE, 2M SDE and 3M SDE are those of k-diffusion (Lu et al. 2022, and its author's third-order form), which itself
doesn't support numpy 2; diffusers' samplers of these names use other noise and other steps: docs/parity.md.

Each is a scheduler as diffusers' are: `set_timesteps`, `timesteps`, `scale_model_input`, `step`, and as those of
deterministic.py are: `begin`. Latents (B, C, H, W) are picture + sigma * noise, not scaled down.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from types import SimpleNamespace

import torch
from torch import Tensor

from clip_skip.standalone.sampling import noise_levels
from clip_skip.standalone.sampling.noise import Noise, in_brownian_trees, stacked
from clip_skip.standalone.sampling.noise_levels import sigma_at, time_at, training_sigmas

__all__ = ["LCM", "BrownianTree", "DPMppMultistepSDE", "DPMppSDE", "EulerAncestral"]


class BrownianTree:
    """Noise that does not depend on the number of steps: one path of Brownian motion over sigma for each seed."""

    def __init__(self, like: Tensor, sigmas: Tensor, noises: Sequence[Noise]) -> None:
        import torchsde  # slow to import

        low, high = sigmas[sigmas > 0].min(), sigmas.max()
        start = torch.zeros(like.shape[1:])
        self.source = noises[0].source
        with in_brownian_trees(self.source):
            self.paths = [torchsde.BrownianTree(low, start, high, entropy=noise.seed) for noise in noises]

    def __call__(self, sigma: Tensor, lower: Tensor) -> Tensor:
        """The noise for a step from one level to a lower one, of variance 1, (B, C, H, W) on the CPU."""
        with warnings.catch_warnings(), in_brownian_trees(self.source):
            warnings.simplefilter("ignore")  # that an end of the path is exceeded by the last bit
            increments = torch.stack([path(lower, sigma) for path in self.paths])
        return -increments / (sigma - lower).sqrt()


class Scheduler:
    """The common part of these. `step` takes the UNet's prediction and calls `advance` with the denoised picture."""

    takes_noises = True
    eta = 1.0
    """The share of noise that each step adds. Not for LCM, as in the WebUI."""

    def __init__(self, schedule: str, prediction: str) -> None:
        self.schedule = schedule
        self.prediction = prediction
        self.sigmas = self.timesteps = torch.empty(0)
        self.index = 0

    def set_timesteps(self, steps: int, device: object = None, left: int | None = None) -> None:
        """left: how many of the steps are made, the last ones; all with None"""
        self.levels = self.of_all(steps)
        self.sigmas = self.called_at(self.levels[-(left or steps) - 1 :])
        self.timesteps = self.times().to(device)  # type: ignore[call-overload]
        self.index = 0

    def of_all(self, steps: int) -> Tensor:
        """The sigmas between which all steps are, (steps + 1,)."""
        return noise_levels.levels(self.schedule, steps)

    def called_at(self, levels: Tensor) -> Tensor:
        """The sigmas that the UNet is called at in going through `levels`, and 0."""
        return levels

    def times(self) -> Tensor:
        return time_at(self.sigmas[:-1])

    def begin(self, noise: Tensor, picture: Tensor | None = None) -> Tensor:
        """The first latents: noise, in a hires pass added to the latents `picture`."""
        latents = noise * self.sigmas[0].item()
        return latents if picture is None else latents + picture

    def scale_model_input(self, sample: Tensor, _time: Tensor) -> Tensor:
        scaled: Tensor = sample / (self.sigmas[self.index].item() ** 2 + 1) ** 0.5
        return scaled

    def step(self, output: Tensor, _time: Tensor, sample: Tensor, noises: Sequence[Noise] = ()) -> SimpleNamespace:
        """`prev_sample` is the sample with less noise; the added noise is the next of `noises`, or of their seeds."""
        sigma = self.sigmas[self.index].item()
        if self.prediction == "epsilon":
            picture = sample - sigma * output
        else:
            picture = sample / (sigma**2 + 1) - output * sigma / (sigma**2 + 1) ** 0.5
        following = self.advance(sample, picture, noises)
        self.index += 1
        return SimpleNamespace(prev_sample=following)

    def advance(self, sample: Tensor, picture: Tensor, noises: Sequence[Noise]) -> Tensor:
        raise NotImplementedError


def ancestral(sigma: Tensor, lower: Tensor, eta: float) -> tuple[float, float]:
    """The level that a step from `sigma` to `lower` goes down to, and the noise that it adds afterwards."""
    up = torch.minimum(lower, eta * (lower**2 * (sigma**2 - lower**2) / sigma**2) ** 0.5)
    return ((lower**2 - up**2) ** 0.5).item(), up.item()


class EulerAncestral(Scheduler):
    def advance(self, sample: Tensor, picture: Tensor, noises: Sequence[Noise]) -> Tensor:
        sigma = self.sigmas[self.index]
        down, up = ancestral(sigma, self.sigmas[self.index + 1], self.eta)
        following = sample + (sample - picture) / sigma.item() * (down - sigma.item())
        return following + stacked(noises, sample.shape[1:]).to(sample) * up if up else following


class Brownian(Scheduler):
    """A scheduler whose noise is that of a Brownian tree."""

    def noise(self, sample: Tensor, noises: Sequence[Noise], sigma: Tensor, lower: Tensor) -> Tensor:
        if self.index < 2 or not hasattr(self, "tree"):
            self.tree = BrownianTree(sample, self.levels, noises)
        return self.tree(sigma, lower).to(sample)


class DPMppMultistepSDE(Brownian):
    """DPM++ 2M SDE and 3M SDE."""

    def __init__(self, schedule: str, prediction: str, order: int) -> None:
        super().__init__(schedule, prediction)
        self.order = order
        self.past: list[tuple[Tensor, float]] = []

    def of_all(self, steps: int) -> Tensor:
        self.past = []  # the pictures before, and how long the steps from them were
        if self.order == 2:
            return super().of_all(steps)
        one_more = super().of_all(steps + 1)
        return torch.cat([one_more[:-2], one_more[-1:]])

    def advance(self, sample: Tensor, picture: Tensor, noises: Sequence[Noise]) -> Tensor:
        sigma, lower = self.sigmas[self.index], self.sigmas[self.index + 1]
        if lower == 0:
            return picture
        length = (sigma.log() - lower.log()).item()
        whole = (1 + self.eta) * length
        change = -math.expm1(-whole)
        following: Tensor = (1 - change) * sample + change * picture
        second = change / 2 if self.order == 2 else 1 - change / whole
        if self.past:
            slope = (picture - self.past[0][0]) * (length / self.past[0][1])
            if self.order == 3 and len(self.past) == 2:
                (middle, near), (oldest, far) = self.past
                before = (middle - oldest) * (length / far)
                near, far = near / length, far / length
                bend = (slope - before) / (near + far)
                following = following - (second / whole - 0.5) * bend
                slope = slope + bend * near
            following = following + second * slope
        self.past = [(picture, length), *self.past[: self.order - 2]]
        if not self.eta:
            return following
        up = lower.item() * math.sqrt(-math.expm1(-2 * self.eta * length))
        return following + self.noise(sample, noises, sigma, lower) * up


class DPMppSDE(Brownian):
    """DPM++ SDE: two calls of the UNet for each step, the second one halfway, by the logarithm of sigma."""

    def called_at(self, levels: Tensor) -> Tensor:
        halfway = ((levels[:-2].log() + levels[1:-1].log()) / 2).exp()
        pairs = torch.stack([levels[:-2], halfway], dim=1).flatten()
        return torch.cat([pairs, levels[-2:]])

    def advance(self, sample: Tensor, picture: Tensor, noises: Sequence[Noise]) -> Tensor:
        first = self.index - self.index % 2
        if self.sigmas[first + 1] == 0:
            return picture
        sigma = self.sigmas[first]
        if first == self.index:
            self.sample, lower = sample, self.sigmas[first + 1]
        else:
            lower = self.sigmas[first + 2]
        down, up = ancestral(sigma, lower, self.eta)
        ratio = down / sigma.item()
        return ratio * self.sample + (1 - ratio) * picture + self.noise(sample, noises, sigma, lower) * up


class LCM(Scheduler):
    """Latent consistency (Luo et al. 2023): each step goes to the picture, and back up with new noise."""

    STRIDE = 20
    """The distance between the times that the model was distilled at."""

    def of_all(self, steps: int) -> Tensor:
        learnt = training_sigmas()[self.STRIDE - 1 :: self.STRIDE]
        return torch.cat([sigma_at(torch.linspace(len(learnt) - 1, 0, steps), learnt), torch.zeros(1)])

    def times(self) -> Tensor:
        learnt = training_sigmas()[self.STRIDE - 1 :: self.STRIDE].log()
        nearest = (self.sigmas[:-1].log()[:, None] - learnt).abs().argmin(1)
        return nearest * float(self.STRIDE) + self.STRIDE - 1

    def advance(self, sample: Tensor, picture: Tensor, noises: Sequence[Noise]) -> Tensor:
        scaled_time = self.timesteps[self.index].item() * 10
        c_skip = 0.25 / (scaled_time**2 + 0.25)
        following: Tensor = picture * (scaled_time / (scaled_time**2 + 0.25) ** 0.5) + sample * c_skip
        lower = self.sigmas[self.index + 1].item()
        if lower:
            following = following + lower * stacked(noises, sample.shape[1:]).to(sample)
        return following
