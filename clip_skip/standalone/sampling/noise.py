"""Noise: a sequence of normal numbers for each seed, as torch generates them on a CPU or on an NVIDIA GPU."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

__all__ = ["Noise", "in_brownian_trees", "stacked"]


class Noise:
    """source: "CPU", or "GPU" for the numbers of `torch.randn` on an NVIDIA GPU, on any device."""

    def __init__(self, seed: int, source: str = "CPU") -> None:
        self.seed, self.source = seed, source
        self._generator = torch.Generator("cpu").manual_seed(seed)
        self._draw_count = 0

    def draw(self, shape: Sequence[int]) -> Tensor:
        """The next tensor of the sequence, float32, on the CPU."""
        if self.source == "CPU":
            return torch.randn(tuple(shape), generator=self._generator)
        self._draw_count += 1
        return torch.from_numpy(philox(self.seed, self._draw_count - 1, math.prod(shape)).reshape(tuple(shape)))


def stacked(noises: Sequence[Noise], shape: Sequence[int]) -> Tensor:
    """One tensor of each, (B, *shape)."""
    return torch.stack([noise.draw(shape) for noise in noises])


def philox(seed: int, call: int, numbers: int) -> np.ndarray:
    """The result of the `call`-th `torch.randn` (from 0) after `torch.cuda.manual_seed(seed)`, float32.

    Philox 4x32-10 (Salmon et al. 2011), a counter for each number, and the sine of cuRAND's Box-Muller transform. It
    holds for tensors no larger than the GPU has threads, as latents are.
    """
    counter = [np.full(numbers, call, np.uint64), *np.zeros((3, numbers), np.uint64)]
    counter[2] = np.arange(numbers, dtype=np.uint64)
    low, bits = np.uint64(0xFFFFFFFF), np.uint64(32)
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        first, third = counter[0] * np.uint64(0xD2511F53), counter[2] * np.uint64(0xCD9E8D57)
        keys = np.uint64(key[0]), np.uint64(key[1])
        counter = [
            *((third >> bits) ^ counter[1] ^ keys[0], third & low),
            *((first >> bits) ^ counter[3] ^ keys[1], first & low),
        ]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    size, angle = ((one.astype(np.float32) + np.float32(0.5)) * np.float32(2**-32) for one in counter[:2])
    normals: np.ndarray = np.sqrt(-2 * np.log(size)) * np.sin(angle * np.float32(2 * math.pi))
    return normals


@contextmanager
def in_brownian_trees(source: str) -> Iterator[None]:
    """While open, torchsde takes its noise from `source`."""
    from torchsde._brownian import brownian_interval  # slow to import

    before = brownian_interval._randn

    def draw_normals(size: Sequence[int], dtype: torch.dtype, device: torch.device, seed: int) -> Tensor:
        return Noise(int(seed), source).draw(size).to(device, dtype)

    if source != "CPU":
        brownian_interval._randn = draw_normals
    try:
        yield
    finally:
        brownian_interval._randn = before
