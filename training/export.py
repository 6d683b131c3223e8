"""The trained parts as one SD1 single-file checkpoint."""

from __future__ import annotations

import subprocess
from datetime import date
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextModel

from clip_skip.standalone.demo.model import CHECKPOINT
from clip_skip.standalone.models import configs
from clip_skip.standalone.models.sizes import TEXT, UNET, VAE
from tests.random_weights import shapes
from training.model import SIZES


def _trained(module: nn.Module, path: Path) -> nn.Module:
    module.load_state_dict(torch.load(path, map_location="cpu"))
    return module.requires_grad_(False).eval()


def trained_vae(folder: Path) -> AutoencoderKL:
    return _trained(AutoencoderKL(**configs.vae_config(SIZES)), folder / "vae-weights.pt")


def trained_text(folder: Path) -> CLIPTextModel:
    return _trained(CLIPTextModel(configs.encoder_config(SIZES.texts[0], "quick_gelu")), folder / "text-weights.pt")


def trained_unet(folder: Path) -> UNet2DConditionModel:
    return _trained(UNet2DConditionModel(**configs.unet_config(SIZES)), folder / "unet-weights.pt")


def in_checkpoint_names(module: nn.Module, prefix: str, convert) -> dict[str, Tensor]:
    """The weights of a diffusers module in SD1 names: ``convert`` turned round, by converting numbers for weights."""
    wanted = {name: shape for name, shape in shapes(SIZES).items() if name.startswith(prefix)}
    numbers = {name: torch.full(shape, float(number)) for number, (name, shape) in enumerate(wanted.items())}
    names, weights = list(wanted), module.state_dict()
    converted = convert(dict(numbers), module.config)
    if converted.keys() != weights.keys():
        raise ValueError(f"these names do not match: {sorted(converted.keys() ^ weights.keys())}")
    found = {names[int(number.flatten()[0])]: weights[name] for name, number in converted.items()}
    return {name: found[name].reshape(shape) for name, shape in wanted.items()}


def noise_schedule() -> dict[str, Tensor]:
    """SD1's 1000 steps under the names that `DDPM.register_schedule` of CompVis/stable-diffusion gives them."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    kept = (1 - betas).cumprod(0)
    before = torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
    variance = betas * (1 - before) / (1 - kept)
    schedule = {
        "betas": betas,
        "alphas_cumprod": kept,
        "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": kept.sqrt(),
        "sqrt_one_minus_alphas_cumprod": (1 - kept).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - kept).log(),
        "sqrt_recip_alphas_cumprod": kept.rsqrt(),
        "sqrt_recipm1_alphas_cumprod": (1 / kept - 1).sqrt(),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
        "posterior_mean_coef1": betas * before.sqrt() / (1 - kept),
        "posterior_mean_coef2": (1 - before) * (1 - betas).sqrt() / (1 - kept),
    }
    return {name: values.float() for name, values in schedule.items()}


def commit() -> str:
    """The commit whose training scripts made the file, or ``unknown`` outside git."""
    command = ["git", "rev-parse", "HEAD"]
    answer = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else "unknown"


def write(folder: Path, path: Path = CHECKPOINT) -> None:
    """The checkpoint made of what the stages left in ``folder``: weights in fp16, the noise schedule in fp32."""
    unet, vae, text = trained_unet(folder), trained_vae(folder), trained_text(folder)
    weights = in_checkpoint_names(unet, UNET, convert_ldm_unet_checkpoint)
    weights |= in_checkpoint_names(vae, VAE, convert_ldm_vae_checkpoint)
    weights |= {TEXT + name.removeprefix("text_model."): weight for name, weight in text.state_dict().items()}
    weights.pop(f"{TEXT}embeddings.position_ids", None)
    count = sum(weight.numel() for weight in weights.values())
    file = {name: weight.half().contiguous() for name, weight in weights.items()} | noise_schedule()
    file[f"{TEXT}embeddings.position_ids"] = torch.arange(SIZES.positions)[None]
    metadata = {
        "format": "pt",
        "modelspec.title": "Clip Skip demonstration model",
        "modelspec.description": "A very small Stable Diffusion 1 model of coloured shapes, 128 x 128 pixels.",
        "modelspec.architecture": "stable-diffusion-v1",
        "modelspec.license": "MIT",
        "modelspec.date": date.today().isoformat(),
        "clip_skip.training_commit": commit(),
        "clip_skip.parameters": str(count),
        "clip_skip.unet_heads": str(SIZES.unet_heads),
        "clip_skip.text_heads": str(SIZES.text_heads),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(file, path, metadata)
    print(f"{path.name}: {count:,} parameters, {path.stat().st_size / 1e6:.1f} MB")
