"""A model of random weights for gpu.py: our engine and diffusers with it, and what both need to be compared fairly."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from common import NEGATIVE, PROMPT, random_models, seconds, word_tokenizer
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from torch.utils.flop_counter import FlopCounterMode

from clip_skip.out_of_memory import is_out_of_memory
from clip_skip.standalone.engine.engine import BatchOutput, Engine, fitting
from clip_skip.standalone.engine.shots import Batch, Shot
from clip_skip.standalone.models.sizes import Sizes
from clip_skip.standalone.sampling.samplers import scheduler
from tests.random_model import PUBLISHED_SIZES, SMALL, SMALL_SDXL

SAMPLER = "DPM++ 2M Karras"
SIZES = {"SD1": PUBLISHED_SIZES["SD1"], "SDXL": PUBLISHED_SIZES["SDXL"]}
TOY_SIZES = {"SD1": SMALL, "SDXL": SMALL_SDXL}
SHOTS = [
    Shot(PROMPT, NEGATIVE, float(skip), scale, seed)
    for seed in (1, 2)
    for scale in (4.0, 7.0, 11.0)
    for skip in range(1, 13)
]


class Family:
    """The model in memory. steps: of every picture; device: "cuda" or "cpu" """

    def __init__(self, name: str, sizes: Sizes, steps: int, device: str) -> None:
        self.name, self.steps, self.device = name, steps, device
        self.dtype = torch.float16 if device == "cuda" else torch.float32
        self.models = random_models(sizes, device, self.dtype)
        bare, self._wrapped = word_tokenizer()
        self.engine = Engine(self.models, bare)
        self.engine.prepare(SHOTS, steps, SAMPLER)

    def make(self, cells: int, pixels: int, steps: int = 0) -> BatchOutput:
        """One batch of ours."""
        return self.engine.make(Batch(tuple(SHOTS[:cells]), steps or self.steps, pixels, pixels, SAMPLER))

    def fitting(self, pixels: int) -> int:
        """The automatic batch."""
        return min(fitting(self.engine, pixels, pixels), len(SHOTS))

    @cached_property
    def _pipeline(self) -> Any:
        parts: dict[str, Any] = {"vae": self.models.vae, "unet": self.models.unet, "tokenizer": self._wrapped}
        parts |= {"text_encoder": self.models.text_encoder, "scheduler": scheduler(SAMPLER)}
        if self.name == "SDXL":
            # diffusers would decode in float32, which random weights do not need: ours would gain too much by that
            self.models.vae.register_to_config(force_upcast=False)
            second = {"text_encoder_2": self.models.text_encoders[1], "tokenizer_2": self._wrapped}
            pipeline = StableDiffusionXLPipeline(**parts, **second, add_watermarker=False)
        else:
            unused = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
            pipeline = StableDiffusionPipeline(**parts, **unused)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def make_with_diffusers(self, pixels: int, steps: int = 0) -> object:
        """One cell by diffusers' own pipeline."""
        return self._pipeline(
            PROMPT,
            negative_prompt=NEGATIVE,
            clip_skip=1,
            guidance_scale=7.0,
            num_inference_steps=steps or self.steps,
            width=pixels,
            height=pixels,
        ).images

    def unet_call(self, cells: int, pixels: int) -> Callable[[], object]:
        """The first call of the UNet that a batch makes, to be made again."""
        unet, calls = self.models.unet, []

        def keep(_unet: object, args: Any, kwargs: Any) -> None:
            calls.append((args, kwargs))

        hook = unet.register_forward_pre_hook(keep, with_kwargs=True)
        try:
            self.make(cells, pixels, 2)
        finally:
            hook.remove()
        args, kwargs = calls[0]

        @torch.inference_mode()
        def call() -> object:
            return unet(*args, **kwargs)

        return call

    def operations(self, pixels: int) -> int:
        """Floating point operations of the UNet for one cell: all steps, at two rows, prompt and negative prompt."""
        call = self.unet_call(1, pixels)
        with FlopCounterMode(display=False) as counter:
            call()
        return int(counter.get_total_flops() * self.steps)


@contextmanager
def family(name: str, toy: bool, steps: int, device: str) -> Iterator[Family]:
    """The model, whose memory is free again afterwards."""
    made = Family(name, (TOY_SIZES if toy else SIZES)[name], steps, device)
    try:
        yield made
    finally:
        vars(made).clear()
        release(device)


def release(device: str) -> None:
    if device == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def timed(work: Callable[[], object], device: str, warm_up: Callable[[], object] | None = None) -> tuple[float, float]:
    """Seconds, and the most memory that was allocated meanwhile, in GB (0 on a CPU); `warm_up` comes first."""
    release(device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    took = seconds(work, 1, device, warm_up)
    return took, torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else 0.0


def unless_out_of_memory(work: Callable[[], tuple[float, float]], device: str) -> tuple[float, float] | None:
    try:
        return work()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    release(device)
    return None
