"""An SD1 single-file checkpoint as diffusers and transformers modules, with nothing fetched from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from torch import Tensor, nn
from transformers import CLIPTextModel

from clip_skip.standalone.models.configs import text_config, unet_config, vae_config
from clip_skip.standalone.models.header import CheckpointError, opened
from clip_skip.standalone.models.sizes import TEXT, Sizes


@dataclass(frozen=True)
class Models:
    """The parts of an SD1 model, in evaluation mode, on one device."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    sizes: Sizes


def load(path: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Models:
    """The model in `path`. Raises `CheckpointError` if it is not a complete SD1 checkpoint."""
    with opened(path) as (file, wanted, sizes):
        return build({new: file.get_tensor(old) for new, old in wanted.items()}, sizes, device, dtype, path)


def build(
    weights: Mapping[str, Tensor], sizes: Sizes, device: str, dtype: torch.dtype, path: Path | str = "the model"
) -> Models:
    """The model made of `weights` in the names of a single-file checkpoint, none of which is kept or changed."""
    weights = {name: weight.to(device, dtype) for name, weight in weights.items()}
    with torch.device("meta"):
        unet = UNet2DConditionModel(**unet_config(sizes))
        vae = AutoencoderKL(**vae_config(sizes))
    text_encoder = CLIPTextModel(text_config(sizes))
    prefix = "text_model." if hasattr(text_encoder, "text_model") else ""
    text = {prefix + name[len(TEXT) :]: weight for name, weight in weights.items() if name.startswith(TEXT)}
    for module, converted in (
        (unet, convert_ldm_unet_checkpoint(weights, unet.config)),
        (vae, convert_ldm_vae_checkpoint(weights, vae.config)),
        (text_encoder, text),
    ):
        _fill(module, converted, path)
    return Models(unet, vae, text_encoder.to(device), sizes)


def _fill(module: nn.Module, weights: dict[str, Tensor], path: Path | str) -> None:
    """Put `weights` into `module`, which may be on the meta device."""
    expected = {name for name in module.state_dict() if not name.endswith("position_ids")}
    missing = sorted(expected - weights.keys())
    if missing:
        raise CheckpointError(f"{path} is not a complete SD1 checkpoint: {missing[0]} and {len(missing) - 1} more lack")
    try:
        module.load_state_dict({name: weights[name] for name in expected}, strict=False, assign=True)
    except RuntimeError as error:
        raise CheckpointError(f"{path} is not an SD1 checkpoint: {str(error).splitlines()[-1].strip()}") from error
    module.requires_grad_(False).eval()
