"""Pictures from a self-contained batch: each with its own texts, clip skip, CFG scale and seed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor

from clip_skip.standalone.models.checkpoint import Models
from clip_skip.standalone.models.encoders import towers
from clip_skip.standalone.models.loras import Loras
from clip_skip.standalone.prompts.conditioning import Conditioner
from clip_skip.standalone.prompts.embeddings import Embeddings
from clip_skip.standalone.prompts.guidance import Guidance
from clip_skip.standalone.prompts.networks import Lora
from clip_skip.standalone.prompts.tokens import tokenizer as clip_tokenizer
from clip_skip.standalone.samplers import find
from clip_skip.standalone.samplers import scheduler as new_scheduler
from clip_skip.standalone.shots import Batch, Shot


@dataclass(frozen=True)
class Made:
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
    ) -> None:
        """With `tokenizer` None it is CLIP's own, for which open_clip must be installed. loras: the folder of LoRAs."""
        self.models = models
        read = towers(models.sizes.family, models.text_encoders, tokenizer or clip_tokenizer())
        self.conditioner = Conditioner(tuple(read), emphasis, embeddings)
        self.loras = Loras(models, loras)

    def prepare(self, shots: Sequence[Shot], steps: int = 20, sampler: str = "Euler") -> None:
        """Encode the texts of `shots`, each once for all the values that it has in them, and for each set of LoRAs.

        steps, sampler: those of the batches to come, by which prompt editing is read
        """
        for loras in dict.fromkeys(shot.loras() for shot in shots):
            self._apply(loras)
            texts = [shot.texts() for shot in shots if shot.loras() == loras]
            self.conditioner.prepare(texts, steps * find(sampler)[0].calls)

    def _apply(self, loras: tuple[Lora, ...]) -> None:
        self.loras.apply(loras)
        self.conditioner.state = tuple((lora.name, lora.text) for lora in loras)

    @torch.inference_mode()
    def make(self, batch: Batch, on_step: Callable[[], None] = lambda: None) -> Made:
        """The pictures of `batch`; `on_step` is called after every step.

        One picture per batch gives the picture that is made alone, bit for bit; in larger batches the arithmetic of
        the device rounds differently, and nothing else differs: noise is drawn per picture, on the CPU. Pictures with
        other LoRAs are made one set after the other. Raises `LoraError`.
        """
        sets = list(dict.fromkeys(shot.loras() for shot in batch.shots))
        pictures: dict[int, Image.Image] = {}
        latents: dict[int, Tensor] = {}
        steps = count(1)
        step = lambda: on_step() if next(steps) % len(sets) == 0 else None
        for loras in sets:
            places = [place for place, shot in enumerate(batch.shots) if shot.loras() == loras]
            self._apply(loras)
            made = self._made(replace(batch, shots=tuple(batch.shots[place] for place in places)), step)
            pictures.update(zip(places, made.pictures))
            latents.update(zip(places, made.latents))
        return Made([pictures[place] for place in sorted(pictures)], torch.stack([latents[i] for i in sorted(latents)]))

    def _made(self, batch: Batch, on_step: Callable[[], object]) -> Made:
        """The pictures of a batch in whose prompts are the same LoRAs."""
        generators = [torch.Generator("cpu").manual_seed(shot.seed) for shot in batch.shots]
        shape = self._latent_shape(batch)
        noise = torch.stack([torch.randn(shape, generator=generator) for generator in generators])
        latents = self._sampled(batch, noise, generators, on_step) / self.models.vae.config.scaling_factor
        parts = self._parts(latents)
        return Made([picture for part in parts for picture in self._decode(part)], latents.float().cpu())

    def _sampled(
        self, batch: Batch, noise: Tensor, generators: Sequence[torch.Generator], on_step: Callable[[], object]
    ) -> Tensor:
        """The latents that `noise` becomes, (B, channels, height, width), float32."""
        device = self.models.unet.device
        scheduler = new_scheduler(batch.sampler, self.models.sizes.prediction)
        scheduler.set_timesteps(batch.steps, device=device)
        options = {"generator": generators} if "generator" in inspect.signature(scheduler.step).parameters else {}
        guidance = self._guidance(batch)
        latents: Tensor = noise.to(device) * scheduler.init_noise_sigma
        calls = len(scheduler.timesteps)
        for call, time in enumerate(scheduler.timesteps):
            scaled = scheduler.scale_model_input(latents, time)
            guided = guidance(self._predict, scaled, time, call)
            latents = scheduler.step(guided, time, latents, **options).prev_sample
            for _ in range(call * batch.steps // calls, (call + 1) * batch.steps // calls):
                on_step()
        return latents

    def _guidance(self, batch: Batch) -> Guidance:
        """What the pictures of `batch` are guided by at each call of the UNet."""
        total = batch.steps * find(batch.sampler)[0].calls
        read = self.conditioner
        texts = [shot.texts() for shot in batch.shots]
        positive = [read.prompt(prompt, total) for prompt, _ in texts]
        negative = [read.timeline(text, total, negative=True) for _, text in texts]
        return Guidance(positive, negative, [shot.cfg_scale for shot in batch.shots], (batch.height, batch.width))

    def _predict(self, latents: Tensor, time: Tensor, texts: Tensor, added: dict[str, Tensor] | None) -> Tensor:
        """What the UNet predicts, in float32."""
        unet = self.models.unet
        told = {name: value.to(unet.dtype) if name == "text_embeds" else value for name, value in (added or {}).items()}
        predicted: Tensor = unet(
            latents.to(unet.dtype), time, texts.to(unet.dtype), added_cond_kwargs=told or None, return_dict=False
        )[0]
        return predicted.float()

    def _parts(self, latents: Tensor) -> tuple[Tensor, ...]:
        """`latents` in parts small enough for the VAE, which takes more memory per picture than the UNet."""
        return torch.split(latents, max(4 * 64 * 64 // (latents.shape[2] * latents.shape[3]), 1))

    def _decode(self, latents: Tensor) -> list[Image.Image]:
        """The pictures of `latents`; in float32 where the VAE overflows (SDXL's own does in float16)."""
        vae = self.models.vae
        decoded = vae.decode(latents.to(vae.dtype), return_dict=False)[0]
        if not torch.isfinite(decoded).all() and decoded.dtype != torch.float32:
            decoded = vae.float().decode(latents.float(), return_dict=False)[0]  # it stays so: the next would too
        levels = (decoded.float() / 2 + 0.5).clamp(0, 1).nan_to_num().permute(0, 2, 3, 1) * 255
        return [Image.fromarray(picture) for picture in levels.to(torch.uint8).cpu().numpy()]

    def _latent_shape(self, batch: Batch) -> tuple[int, int, int]:
        sizes = self.models.sizes
        return sizes.latents, batch.height // sizes.vae_factor, batch.width // sizes.vae_factor


def fitting(engine: Engine, width: int, height: int) -> int:
    """How many pictures of this size are worth making together.

    On a GPU this follows from its free memory: the batch is small enough not to spill into shared memory, which is
    slow and raises no error on Windows. On a CPU larger batches are hardly faster, and a killed run loses more.
    """
    device = engine.models.unet.device
    if device.type != "cuda":
        return 12
    per_picture = 450e6 * width * height / 512**2 * engine.models.sizes.unet[0] / 320
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by torch, from earlier batches
    return int(min(max((torch.cuda.mem_get_info(device)[0] + kept) / per_picture, 1), 64))


def is_out_of_memory(error: Exception) -> bool:
    """Whether a smaller batch may help."""
    text = str(error).lower()
    return isinstance(error, (RuntimeError, MemoryError)) and (
        isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError))
        or "out of memory" in text
        or "can't allocate memory" in text
    )
