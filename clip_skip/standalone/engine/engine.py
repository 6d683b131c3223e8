"""Pictures from a self-contained batch: each with its own texts, clip skip, CFG scale and seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TypeVar

import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor

from clip_skip.out_of_memory import is_out_of_memory
from clip_skip.standalone.engine.placement import Part, Placement, peak_bytes, sampling_bytes
from clip_skip.standalone.engine.shots import UPSCALERS, Batch, Hires, Shot
from clip_skip.standalone.models.checkpoint import Models
from clip_skip.standalone.models.loras import Loras
from clip_skip.standalone.models.towers import towers_of
from clip_skip.standalone.prompts.conditioning import Conditioner
from clip_skip.standalone.prompts.embeddings import Embeddings
from clip_skip.standalone.prompts.guidance import Guidance
from clip_skip.standalone.prompts.networks import Lora
from clip_skip.standalone.prompts.tokens import tokenizer as clip_tokenizer
from clip_skip.standalone.sampling.noise import Noise, stacked
from clip_skip.standalone.sampling.samplers import find_sampler
from clip_skip.standalone.sampling.samplers import scheduler as new_scheduler

R = TypeVar("R")


@dataclass(frozen=True)
class BatchOutput:
    """The pictures of a batch, and their latents (B, channels, height / 8, width / 8) as the VAE took them, float32."""

    pictures: list[Image.Image]
    latents: Tensor


class Engine:
    """Makes batches with one model. Encodings are kept between batches."""

    def __init__(
        self,
        models: Models,
        tokenizer: Tokenizer | None = None,
        emphasis: str = "Original",
        embeddings: Embeddings | None = None,
        loras: Path | None = None,
        placement: Placement | None = None,
    ) -> None:
        """With `tokenizer` None it is CLIP's own, for which open_clip must be installed. loras: the folder of LoRAs.

        placement: None where all of `models` is on the device that it runs on
        """
        self.models = models
        self.placement = placement or Placement(models)
        bring = partial(self.placement.bring, "texts")
        towers = towers_of(models.sizes.family, models.text_encoders, tokenizer or clip_tokenizer(), bring)
        self.conditioner = Conditioner(tuple(towers), emphasis, embeddings)
        self.loras = Loras(models, loras)

    def prepare(
        self, shots: Sequence[Shot], steps: int = 20, sampler: str = "Euler", hires: Hires | None = None
    ) -> None:
        """Encode the texts of `shots`, each once for all the values that it has in them, and for each set of LoRAs.

        steps, sampler, hires: those of the batches to come, by which prompt editing is read
        """
        texts_by_loras: dict[tuple[Lora, ...], list[tuple[tuple[str, str], int, int]]] = {}
        for shot in shots:
            for calls, before, second in passes(steps, sampler, hires):
                texts = texts_by_loras.setdefault(shot.loras(second), [])
                texts.append((shot.texts(second), calls, before))
        for loras, texts in texts_by_loras.items():
            self._apply(loras)
            self.conditioner.prepare(texts)

    def _apply(self, loras: tuple[Lora, ...]) -> None:
        if loras != self.loras.active_loras:
            self.placement.clear()
        self.loras.apply(loras)
        self.conditioner.state = tuple((lora.name, lora.text) for lora in loras)

    @torch.inference_mode()
    def make(self, batch: Batch, on_step: Callable[[], None] = lambda: None) -> BatchOutput:
        """The pictures of `batch`; `on_step` is called after every step.

        One picture per batch gives the picture that is made alone, bit for bit; in larger batches the arithmetic of
        the device rounds differently, and nothing else differs: noise is drawn per picture. Pictures with other LoRAs
        are made one set after the other. Raises `LoraError`.
        """
        sizes, placement = self.models.sizes, self.placement
        if not placement.low_memory and placement.room() < peak_bytes(sizes, *batch.final_size(sizes.vae_factor)):
            self._lower()
        loras = [(shot.loras(), shot.loras(batch.hires)) for shot in batch.shots]
        sets = list(dict.fromkeys(loras))
        pictures: dict[int, Image.Image] = {}
        latents: dict[int, Tensor] = {}
        steps = count(1)
        step = lambda: on_step() if next(steps) % len(sets) == 0 else None
        for one in sets:
            places = [place for place, its in enumerate(loras) if its == one]
            output = self._make_with_loras(
                replace(batch, shots=tuple(batch.shots[place] for place in places)), one, step
            )
            pictures.update(zip(places, output.pictures))
            latents.update(zip(places, output.latents))
        return BatchOutput(
            [pictures[place] for place in sorted(pictures)], torch.stack([latents[i] for i in sorted(latents)])
        )

    def _make_with_loras(
        self, batch: Batch, loras: Sequence[tuple[Lora, ...]], on_step: Callable[[], object]
    ) -> BatchOutput:
        """The pictures of a batch in whose prompts, of each pass, are the same LoRAs."""
        latents: Tensor | None = None
        for (calls, before, hires), named in zip(passes(batch.steps, batch.sampler, batch.hires), loras):
            self._apply(named)
            latents = self._sample_pass(batch, hires, self._guidance(batch, calls, before, hires), latents, on_step)
        assert latents is not None
        latents = latents / self.models.vae.config.scaling_factor
        parts = self._parts(latents)
        pictures_by_part = [self._on("vae", partial(self._decode, part)) for part in parts]
        return BatchOutput([picture for pictures in pictures_by_part for picture in pictures], latents.float().cpu())

    def _sample_pass(
        self,
        batch: Batch,
        hires: Hires | None,
        guidance: Guidance,
        before: Tensor | None,
        on_step: Callable[[], object],
    ) -> Tensor:
        """The latents that a pass makes, (B, channels, height, width), float32. `before` are those of the first one."""
        device = self.placement.device
        sampler, steps = hires.of(batch.sampler, batch.steps) if hires else (batch.sampler, batch.steps)
        scheduler = new_scheduler(sampler, self.models.sizes.prediction, batch.eta)
        picture: Tensor | None = None
        if hires and before is not None:
            all_steps = int(steps / min(hires.denoising, 0.999))
            scheduler.set_timesteps(all_steps, device=device, left=steps)
            picture = enlarged(before, hires, batch, self.models.sizes.vae_factor)
        else:
            scheduler.set_timesteps(steps, device=device)
        noises = [Noise(shot.seed, batch.noise) for shot in batch.shots]
        shape = self._latent_shape(batch) if picture is None else picture.shape[1:]
        latents: Tensor = scheduler.begin(stacked(noises, shape).to(device), picture)
        options = {"noises": noises} if scheduler.takes_noises else {}
        calls = len(scheduler.timesteps)
        factor = self.models.sizes.vae_factor
        work = len(noises) * sampling_bytes(self.models.sizes, shape[-1] * factor, shape[-2] * factor)
        predict = lambda *inputs: self._on("unet", partial(self._predict, *inputs), work, may_lower=len(noises) == 1)
        for call, time in enumerate(scheduler.timesteps):
            scaled = scheduler.scale_model_input(latents, time)
            prediction = guidance(predict, scaled, time, call)
            latents = scheduler.step(prediction, time, latents, **options).prev_sample
            for _ in range(call * steps // calls, (call + 1) * steps // calls):
                on_step()
        return latents

    def _guidance(self, batch: Batch, calls: int, before: int, hires: Hires | None) -> Guidance:
        """The conditionings of `batch` at each of the `calls` of the UNet in a pass."""
        conditioner = self.conditioner
        texts = [shot.texts(hires) for shot in batch.shots]
        positive = [conditioner.prompt(prompt, calls, before) for prompt, _ in texts]
        negative = [conditioner.timeline(text, calls, before, negative=True) for _, text in texts]
        width, height = hires.size(batch.width, batch.height) if hires else (batch.width, batch.height)
        own = hires.cfg_scale if hires else None
        return Guidance(
            positive, negative, [shot.cfg_scale if own is None else own for shot in batch.shots], (height, width)
        )

    def _on(self, part: Part, run: Callable[[], R], work: float = 0.0, may_lower: bool = True) -> R:
        """What `run` returns with `part` on the device. may_lower: whether less of the model is kept there, and `run`
        called again, where memory is short; for batches that cannot be made smaller.
        """
        while True:
            try:
                self.placement.bring(part, work)
                return run()
            except Exception as error:
                if not (may_lower and is_out_of_memory(error) and self._lower()):
                    raise

    def _lower(self) -> bool:
        """Keep less of the model on the device from now on. False if that cannot be."""
        active_loras = self.loras.active_loras
        self._apply(())  # what LoRAs have replaced would stay on the device
        lower = self.placement.lower()
        self._apply(active_loras)
        return lower

    def _predict(
        self, latents: Tensor, time: Tensor, texts: Tensor, added_conditions: dict[str, Tensor] | None
    ) -> Tensor:
        """The UNet's prediction, in float32."""
        unet = self.models.unet
        inputs = {
            name: value.to(unet.dtype) if name == "text_embeds" else value
            for name, value in (added_conditions or {}).items()
        }
        prediction: Tensor = unet(
            latents.to(unet.dtype), time, texts.to(unet.dtype), added_cond_kwargs=inputs or None, return_dict=False
        )[0]
        return prediction.float()

    def _parts(self, latents: Tensor) -> tuple[Tensor, ...]:
        """`latents` in parts small enough for the VAE, which takes more memory per picture than the UNet."""
        return torch.split(latents, max(4 * 64 * 64 // (latents.shape[2] * latents.shape[3]), 1))

    def _decode(self, latents: Tensor) -> list[Image.Image]:
        """The pictures of `latents`; in float32 where the VAE overflows (SDXL's own does in float16)."""
        vae = self.models.vae
        decoded = vae.decode(latents.to(vae.dtype), return_dict=False)[0]
        if not torch.isfinite(decoded).all() and decoded.dtype != torch.float32:
            self.placement.clear()
            vae.float()  # it stays so: the next would overflow too
            self.placement.bring("vae")
            decoded = vae.decode(latents.float(), return_dict=False)[0]
        levels = (decoded.float() / 2 + 0.5).clamp(0, 1).nan_to_num().permute(0, 2, 3, 1) * 255
        return [Image.fromarray(picture) for picture in levels.to(torch.uint8).cpu().numpy()]

    def _latent_shape(self, batch: Batch) -> tuple[int, int, int]:
        sizes = self.models.sizes
        return sizes.latents, batch.height // sizes.vae_factor, batch.width // sizes.vae_factor


def passes(steps: int, sampler: str, hires: Hires | None) -> list[tuple[int, int, Hires | None]]:
    """For each pass the calls of the UNet, those of the pass before, and `hires` if it is the hires pass.

    The WebUI schedules prompt editing by these counts, even if the hires pass runs only some of its steps.
    """
    first = steps * find_sampler(sampler)[0].calls
    all_passes: list[tuple[int, int, Hires | None]] = [(first, 0, None)]
    if hires:
        second, its_steps = hires.of(sampler, steps)
        all_passes.append((its_steps * find_sampler(second)[0].calls, first, hires))
    return all_passes


def enlarged(latents: Tensor, hires: Hires, batch: Batch, factor: int) -> Tensor:
    """The first pass's latents at the size of the hires pass, the excess cropped on both sides."""
    width, height = hires.size(batch.width, batch.height)
    size = height // factor, width // factor
    large = torch.nn.functional.interpolate(latents, size=size, **UPSCALERS[hires.upscaler])
    x, y = (pixels // factor for pixels in hires.cut(batch.width, batch.height))
    return large[:, :, y // 2 : large.shape[2] - (y + 1) // 2, x // 2 : large.shape[3] - (x + 1) // 2]


def fitting(engine: Engine, width: int, height: int) -> int:
    """The number of pictures of this size to make in one batch.

    On a GPU this follows from the memory that is free while the UNet is there: the batch is small enough not to spill
    into shared memory, which is slow and raises no error on Windows. On a CPU larger batches are hardly faster, and a
    killed run loses more.
    """
    if engine.placement.device.type != "cuda":
        return 12
    return int(min(max(engine.placement.room() / sampling_bytes(engine.models.sizes, width, height), 1), 64))
