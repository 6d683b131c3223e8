"""Classifier-free guidance of a batch of pictures by their texts, at every call of the UNet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clip_skip.standalone.prompts.conditioning import Look, SubPrompt, Timeline

__all__ = ["Guidance"]

Predict = Callable[[Tensor, Tensor, Tensor, "dict[str, Tensor] | None"], Tensor]
"""The UNet: latents, a time, texts, and SDXL's additional inputs."""


@dataclass(frozen=True)
class Group:
    """Rows of texts of equal length, which go through the UNet in one call.

    rows:     the index of each of them among all rows
    pictures: the index of each one's picture
    """

    rows: Tensor
    pictures: Tensor
    texts: Tensor
    added_conditions: dict[str, Tensor] | None


class Guidance:
    """positive:  the sub-prompts of each picture
    negative:  the negative prompt of each
    scales:    the CFG scale of each
    size:      height and width in pixels, an input of SDXL
    """

    def __init__(
        self,
        positive: Sequence[Sequence[SubPrompt]],
        negative: Sequence[Timeline],
        scales: Sequence[float],
        size: tuple[int, int],
    ) -> None:
        self._size = size
        self._timelines = [part.timeline for parts in positive for part in parts] + list(negative)
        self._pictures = [i for i, parts in enumerate(positive) for _ in parts] + list(range(len(positive)))
        self._pulls = [part.weight * scale for parts, scale in zip(positive, scales) for part in parts]
        self._sizes = [len(parts) for parts in positive]
        self._now: tuple[int, ...] = ()
        self._groups: list[Group] = []

    def __call__(self, predict: Predict, latents: Tensor, time: Tensor, call: int) -> Tensor:
        """The prediction for each picture: the unconditional one, plus a step towards each of its sub-prompts."""
        self._set(call, latents.device)
        predictions: Tensor | None = None
        for group in self._groups:
            prediction = predict(latents[group.pictures], time, group.texts, group.added_conditions)
            if predictions is None:
                predictions = prediction.new_empty(len(self._timelines), *prediction.shape[1:])
            predictions[group.rows] = prediction
        assert predictions is not None
        pulls = torch.tensor(self._pulls, device=latents.device).view(-1, 1, 1, 1)
        without = predictions[len(self._pulls) :]
        guided = without.clone()
        for row, picture in enumerate(self._pictures[: len(self._pulls)]):
            guided[picture] += pulls[row] * (predictions[row] - without[picture])
        return guided

    def _set(self, call: int, device: torch.device) -> None:
        """Gather the texts of this call, if they differ from the last one's."""
        now = tuple(next((i for i, (end, _) in enumerate(t) if call <= end), 0) for t in self._timelines)
        if now != self._now:
            self._now = now
            looks = list(self._padded([timeline[i][1] for timeline, i in zip(self._timelines, now)]))
            self._groups = list(self._grouped(looks, device))

    def _padded(self, looks: Sequence[Look]) -> Iterator[Look]:
        """The sub-prompts of a picture made equally long by their last vectors, as the WebUI does."""
        start = 0
        for size in self._sizes:
            longest = max(look.texts.shape[1] for look in looks[start : start + size])
            for look in looks[start : start + size]:
                lacking = longest - look.texts.shape[1]
                yield Look(torch.cat([look.texts, look.texts[:, -1:].expand(-1, lacking, -1)], dim=1), look.pooled)
            start += size
        yield from looks[start:]

    def _grouped(self, looks: Sequence[Look], device: torch.device) -> Iterator[Group]:
        """The rows in groups of one length."""
        lengths = [look.texts.shape[1] for look in looks]
        for length in dict.fromkeys(lengths):
            rows = [row for row, its in enumerate(lengths) if its == length]
            pictures = [self._pictures[row] for row in rows]
            texts = torch.cat([looks[row].texts for row in rows]).to(device)
            added_conditions = None
            pooled = [look.pooled for look in (looks[row] for row in rows) if look.pooled is not None]
            if pooled:
                height, width = self._size
                times = torch.tensor([[height, width, 0, 0, height, width]], device=device).repeat(len(rows), 1)
                added_conditions = {"text_embeds": torch.cat(pooled).to(device), "time_ids": times}
            yield Group(
                torch.tensor(rows, device=device), torch.tensor(pictures, device=device), texts, added_conditions
            )
