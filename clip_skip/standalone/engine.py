"""Pictures from a self-contained batch: each with its own texts, clip skip, CFG scale and seed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor

from clip_skip import tags
from clip_skip.standalone.models.checkpoint import Models
from clip_skip.standalone.prompts.conditioning import Conditioner
from clip_skip.standalone.prompts.tokens import tokenizer as clip_tokenizer
from clip_skip.standalone.samplers import scheduler as new_scheduler
from clip_skip.standalone.shots import Batch, Shot


@dataclass(frozen=True)
class Made:
    """The pictures of a batch, and their latents (B, channels, height / 8, width / 8) as the VAE took them, float32."""

    pictures: list[Image.Image]
    latents: Tensor


class Engine:
    """Makes batches with one model. Encodings are kept between batches."""

    def __init__(self, models: Models, tokenizer: Tokenizer | None = None) -> None:
        """With `tokenizer` None it is CLIP's own, for which open_clip must be installed."""
        self.models = models
        self.conditioner = Conditioner(models.text_encoder, tokenizer or clip_tokenizer())

    def prepare(self, shots: Sequence[Shot]) -> None:
        """Encode the texts of `shots`, each once for all the values that it has in them."""
        wanted: dict[str, set[float]] = {}
        for shot in shots:
            for text, value in zip((shot.prompt, shot.negative), shot.clip_skips()):
                wanted.setdefault(tags.strip(text), set()).add(value)
        for text, values in wanted.items():
            self.conditioner.prepare(text, values)

    @torch.inference_mode()
    def make(self, batch: Batch, on_step: Callable[[], None] = lambda: None) -> Made:
        """The pictures of `batch`; `on_step` is called after every step.

        One picture per batch gives the picture that is made alone, bit for bit; in larger batches the arithmetic of
        the device rounds differently, and nothing else differs: noise is drawn per picture, on the CPU.
        """
        unet = self.models.unet
        device, dtype = unet.device, unet.dtype
        conditions = self._conditions(batch.shots)
        scale = torch.tensor([shot.cfg_scale for shot in batch.shots], device=device).view(-1, 1, 1, 1)
        generators = [torch.Generator("cpu").manual_seed(shot.seed) for shot in batch.shots]
        scheduler = new_scheduler(batch.sampler)
        scheduler.set_timesteps(batch.steps, device=device)
        options = {"generator": generators} if "generator" in inspect.signature(scheduler.step).parameters else {}
        shape = self._latent_shape(batch)
        noise = torch.stack([torch.randn(shape, generator=generator) for generator in generators])
        latents = noise.to(device, dtype) * scheduler.init_noise_sigma
        for time in scheduler.timesteps:
            scaled = scheduler.scale_model_input(latents, time)
            without, with_prompt = self._predict(scaled, time, *conditions)
            guided = without + (scale * (with_prompt - without)).to(dtype)
            latents = scheduler.step(guided, time, latents, **options).prev_sample
            on_step()
        latents = latents / self.models.vae.config.scaling_factor
        return Made([picture for part in self._parts(latents) for picture in self._decode(part)], latents.float().cpu())

    def _conditions(self, shots: tuple[Shot, ...]) -> tuple[Tensor, Tensor]:
        """What the UNet looks at for the negative prompts and for the prompts."""
        values = [shot.clip_skips() for shot in shots]
        negative = self.conditioner([shot.negative for shot in shots], [value for _, value in values])
        return negative, self.conditioner([shot.prompt for shot in shots], [value for value, _ in values])

    def _predict(self, latents: Tensor, time: Tensor, negative: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
        """The UNet's predictions for negative prompt and prompt: in one pass if their texts are equally long."""
        unet = self.models.unet
        if negative.shape == positive.shape:
            both = unet(latents.repeat(2, 1, 1, 1), time, torch.cat([negative, positive]), return_dict=False)[0]
            without, with_prompt = both.chunk(2)
        else:
            without = unet(latents, time, negative, return_dict=False)[0]
            with_prompt = unet(latents, time, positive, return_dict=False)[0]
        return without, with_prompt

    def _parts(self, latents: Tensor) -> tuple[Tensor, ...]:
        """`latents` in parts small enough for the VAE, which takes more memory per picture than the UNet."""
        return torch.split(latents, max(4 * 64 * 64 // (latents.shape[2] * latents.shape[3]), 1))

    def _decode(self, latents: Tensor) -> list[Image.Image]:
        decoded = self.models.vae.decode(latents, return_dict=False)[0]
        if not torch.isfinite(decoded).all() and decoded.dtype != torch.float32:
            decoded = self.models.vae.float().decode(latents.float(), return_dict=False)[0]
            self.models.vae.to(latents.dtype)
        levels = (decoded.float() / 2 + 0.5).clamp(0, 1).nan_to_num().permute(0, 2, 3, 1) * 255
        return [Image.fromarray(picture) for picture in levels.round().to(torch.uint8).cpu().numpy()]

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
