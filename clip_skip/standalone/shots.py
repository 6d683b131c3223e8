"""What pictures are made of: a shot for each, and a batch of those that are made together."""

from __future__ import annotations

from dataclasses import dataclass

from clip_skip.precedence import prompt_values
from clip_skip.tags import strip

__all__ = ["Batch", "Shot"]


@dataclass(frozen=True)
class Shot:
    """What one picture is made of. With `clip_skip` None the tags in the prompt say it, else it replaces them."""

    prompt: str
    negative: str
    clip_skip: float | None
    cfg_scale: float
    seed: int

    def clip_skips(self) -> tuple[float, float]:
        """The values of prompt and negative prompt.

        With `clip_skip` given it takes the place of the prompt's tag, and a negative prompt without a tag follows it.
        """
        if self.clip_skip is None:
            return prompt_values(self.prompt, self.negative, 1.0)
        return prompt_values(strip(self.prompt), self.negative, self.clip_skip)


@dataclass(frozen=True)
class Batch:
    """Pictures that are made together, and what they have in common. Width and height are in pixels."""

    shots: tuple[Shot, ...]
    steps: int
    width: int
    height: int
    sampler: str
