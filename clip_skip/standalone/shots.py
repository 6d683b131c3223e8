"""What pictures are made of: a shot for each, and a batch of those that are made together."""

from __future__ import annotations

from dataclasses import dataclass

from clip_skip.precedence import Texts, prompt_values, without_prompt_tag
from clip_skip.skip import Skip

__all__ = ["Batch", "Shot"]


@dataclass(frozen=True)
class Shot:
    """What one picture is made of. With `clip_skip` None the tags in the prompt say it, else it stands in for the
    prompt's tag; tags of other sub-prompts, in brackets and in the negative prompt stay.

    clip_skip_g: for SDXL's second encoder, where it is another one
    negative_clip_skip: where the negative prompt does not follow the prompt; its own tags win
    """

    prompt: str
    negative: str
    clip_skip: float | None
    cfg_scale: float
    seed: int
    clip_skip_g: float | None = None
    negative_clip_skip: float | None = None

    def texts(self) -> tuple[str, str]:
        """Prompt and negative prompt, with what each part of them asks for marked in it."""
        return self._texts().marked()

    def clip_skips(self) -> tuple[float, float]:
        """The values of prompt and negative prompt, each as a whole, for the first encoder."""
        if self.clip_skip is None:
            return prompt_values(self.prompt, self.negative, 1.0)
        texts = self._texts()
        return texts.unmarked(False).get("l", 1.0), texts.unmarked(True).get("l", 1.0)

    def _texts(self) -> Texts:
        given = Skip(self.clip_skip, g=self.clip_skip_g)
        negative = None if self.negative_clip_skip is None else Skip(self.negative_clip_skip)
        if self.clip_skip is None and self.clip_skip_g is None:
            return Texts(self.prompt, self.negative, panel_negative=negative)
        prompt = self.prompt if self.clip_skip is None else without_prompt_tag(self.prompt)
        return Texts(prompt, self.negative, given, negative)


@dataclass(frozen=True)
class Batch:
    """Pictures that are made together, and what they have in common. Width and height are in pixels."""

    shots: tuple[Shot, ...]
    steps: int
    width: int
    height: int
    sampler: str
