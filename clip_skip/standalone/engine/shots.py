"""Descriptions of pictures: a shot for each, and a batch of shots that are made together."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from clip_skip.prompt.comments import strip_comments
from clip_skip.prompt.precedence import Texts, prompt_tag, without_prompt_tag
from clip_skip.prompt.tags import strip
from clip_skip.skip import Skip
from clip_skip.standalone.prompts import networks

__all__ = ["NOISES", "UPSCALERS", "Batch", "Hires", "SamplingOptions", "Shot"]

UPSCALERS: dict[str, dict[str, Any]] = {
    "Latent": {"mode": "bilinear"},
    "Latent (antialiased)": {"mode": "bilinear", "antialias": True},
    "Latent (bicubic)": {"mode": "bicubic"},
    "Latent (bicubic antialiased)": {"mode": "bicubic", "antialias": True},
    "Latent (nearest)": {"mode": "nearest"},
    "Latent (nearest-exact)": {"mode": "nearest-exact"},
}
"""The WebUI's upscalers of latents, and what torch calls them."""

NOISES = ("CPU", "GPU")
"""The source of noise: torch on the CPU, or torch's different noise on an NVIDIA GPU."""


@dataclass(frozen=True)
class Hires:
    """The hires pass: the latents of the first pass made larger, noised, and sampled again.

    scale:     how much larger the picture becomes
    resize:    its width and height in the place of that, pixels; a 0 follows from the other one
    denoising: the denoising strength, above 0 to 1
    steps:     0 is as many as in the first pass
    sampler:   empty is that of the first pass
    cfg_scale: None is that of the first pass
    prompt, negative: empty ones are those of the first pass
    """

    scale: float = 2.0
    resize: tuple[int, int] | None = None
    upscaler: str = "Latent"
    denoising: float = 0.7
    steps: int = 0
    sampler: str = ""
    cfg_scale: float | None = None
    prompt: str = ""
    negative: str = ""

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height that latents of this size, in pixels, are enlarged to."""
        if self.resize is None:
            return int(width * self.scale), int(height * self.scale)
        wide, high = self.resize
        if high == 0 or (wide and width * high < wide * height):
            return wide, wide * height // width
        return high * width // height, high

    def final(self, width: int, height: int, factor: int) -> tuple[int, int]:
        """Width and height of the picture; `factor` is how much smaller latents are."""
        (large, high), (x, y) = self.size(width, height), self.cut(width, height)
        return (large // factor - x // factor) * factor, (high // factor - y // factor) * factor

    def of(self, sampler: str, steps: int) -> tuple[str, int]:
        """The sampler and the steps of this pass after a first one with these."""
        return self.sampler or sampler, self.steps or steps

    def cut(self, width: int, height: int) -> tuple[int, int]:
        """The excess that is cropped then, of both."""
        (large, high), (target_width, target_height) = self.size(width, height), self.resize or (0, 0)
        return large - target_width if target_width else 0, high - target_height if target_height else 0


@dataclass(frozen=True)
class SamplingOptions:
    """Sampling settings of pictures that are made together. Width and height are those of the first pass, in pixels.

    noise: one of `NOISES`
    eta:   the share of noise that the steps add; None is the sampler's own
    """

    steps: int = 20
    width: int = 512
    height: int = 512
    sampler: str = "DPM++ 2M Karras"
    hires: Hires | None = None
    noise: str = "CPU"
    eta: float | None = None

    def batch(self, shots: tuple[Shot, ...]) -> Batch:
        """The batch of `shots` that is sampled like this."""
        return Batch(shots, **{one.name: getattr(self, one.name) for one in fields(SamplingOptions)})

    def final_size(self, factor: int) -> tuple[int, int]:
        """Width and height of the pictures; `factor` is how much smaller latents are."""
        size = self.width, self.height
        return self.hires.final(*size, factor) if self.hires else size

    @property
    def all_steps(self) -> int:
        """The steps of both passes together."""
        return self.steps + (self.hires.of(self.sampler, self.steps)[1] if self.hires else 0)


@dataclass(frozen=True)
class Shot:
    """What one picture is made of. If `clip_skip` is None, the prompt's tags apply; otherwise it replaces the prompt's
    tag, except for its hires value. Tags of other sub-prompts, in brackets and in the negative prompt are kept.

    clip_skip_g: for SDXL's second encoder, where it is another one
    negative_clip_skip: where the negative prompt does not follow the prompt; its own tags win
    hires_clip_skip: beside `clip_skip`, where the hires pass has another one
    """

    prompt: str
    negative: str
    clip_skip: float | None
    cfg_scale: float
    seed: int
    clip_skip_g: float | None = None
    negative_clip_skip: float | None = None
    hires_clip_skip: float | None = None

    def texts(self, hires: Hires | None = None) -> tuple[str, str]:
        """Prompt and negative prompt of the first pass, or of `hires`, with what each part of them asks for marked."""
        texts = self._texts()
        if hires:
            prompt, negative = (strip_comments(text) for text in (hires.prompt, hires.negative))
            own = replace(texts, prompt=prompt or texts.prompt, negative=negative or texts.negative)
            texts = replace(own, hires=True, first_pass=texts.prompt)
        prompt, negative = texts.marked()
        return networks.read_networks(prompt)[0], negative

    def loras(self, hires: Hires | None = None) -> tuple[networks.Lora, ...]:
        """The LoRAs that the prompt of the first pass, or of `hires`, names. Raises `networks.LoraError`."""
        prompt = hires.prompt if hires and hires.prompt else self.prompt
        return networks.read_networks(strip(strip_comments(prompt)))[1]

    def clip_skips(self) -> tuple[float, float]:
        """The values of prompt and negative prompt, each as a whole, for the first encoder."""
        texts = self._texts()
        return texts.unmarked(False).get("l", 1.0), texts.unmarked(True).get("l", 1.0)

    def _texts(self) -> Texts:
        prompt, text = map(strip_comments, (self.prompt, self.negative))
        hires = self.hires_clip_skip
        if self.clip_skip is not None:
            tag = prompt_tag(prompt)
            hires = tag.hires if hires is None and tag else hires
            prompt = without_prompt_tag(prompt)
        skip = Skip(self.clip_skip, g=self.clip_skip_g, hires=hires)
        negative = None if self.negative_clip_skip is None else Skip(self.negative_clip_skip, hires=hires)
        return Texts(prompt, text, skip, negative)


@dataclass(frozen=True)
class _Shots:
    shots: tuple[Shot, ...]


@dataclass(frozen=True)
class Batch(SamplingOptions, _Shots):
    """Shots that are made together, then how they are sampled."""
