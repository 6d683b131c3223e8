"""A single-file checkpoint as diffusers and transformers modules; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

from clip_skip.standalone.models.configs import unet_config, vae_config
from clip_skip.standalone.models.errors import checkpoint_errors
from clip_skip.standalone.models.header import open_checkpoint
from clip_skip.standalone.models.sizes import TEXT_PREFIXES, UNET, Sizes
from clip_skip.standalone.models.text_encoders import assign_weights, build_text_encoder

V_PREDICTION_BELOW = -1.0
"""If the mean of a UNet's output for a constant 0.5, minus 0.5, is below this, it predicts v."""


@dataclass(frozen=True)
class Models:
    """The parts of a model, in evaluation mode, on one device."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoders: tuple[nn.Module, ...]
    sizes: Sizes
    unet_names: Mapping[str, str] = field(default_factory=dict)
    """The UNet's modules by their names in diffusers, each with its name in the checkpoint, as LoRAs have it."""

    @property
    def text_encoder(self) -> nn.Module:
        """The first text encoder."""
        return self.text_encoders[0]


def load_checkpoint(path: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Models:
    """The model in `path`, whose weights are each read once. Raises `CheckpointError` if it is not complete.

    The weights are copies: on Windows, nobody can replace a file that is mapped.
    """
    with open_checkpoint(path) as (file, weight_names, sizes):
        weights = {new: file.get_tensor(old).to(device, dtype, copy=True) for new, old in weight_names.items()}
    return build_models(weights, sizes, device, dtype, path)


def build_models(
    weights: Mapping[str, Tensor], sizes: Sizes, device: str, dtype: torch.dtype, path: Path | str = "the model"
) -> Models:
    """The model made of `weights` in the names of a single-file checkpoint, which are neither kept nor changed.

    Raises `CheckpointError` if they are not those of a model of these `sizes`. path: the checkpoint, for the error
    """
    weights = {name: weight.to(device, dtype) for name, weight in weights.items()}
    with checkpoint_errors(path):
        with torch.device("meta"):
            unet = UNet2DConditionModel(**unet_config(sizes))
            vae = AutoencoderKL(**vae_config(sizes))
        assign_weights(unet, convert_ldm_unet_checkpoint(weights, unet.config), path)
        assign_weights(vae, convert_ldm_vae_checkpoint(weights, vae.config), path)
        for module in unet.modules():
            if isinstance(module, Upsample2D):
                module.forward = partial(enlarge, module.forward)
        texts = [
            build_text_encoder(text, weights, prefix, path)
            for text, prefix in zip(sizes.texts, TEXT_PREFIXES[sizes.family], strict=True)
        ]
        if not sizes.prediction:
            sizes = replace(sizes, prediction=try_out(unet))
    return Models(unet, vae, tuple(texts), sizes, ldm_names(weights, unet))


def ldm_names(weights: Mapping[str, Tensor], unet: UNet2DConditionModel) -> dict[str, str]:
    """The modules of the UNet by their names in diffusers, each with its name in the checkpoint."""
    names = {name: name for name in weights if name.startswith(UNET)}
    old_names = convert_ldm_unet_checkpoint(names, unet.config)
    return {new.rpartition(".")[0]: old.removeprefix(UNET).rpartition(".")[0] for new, old in old_names.items()}


def enlarge(forward: Callable[..., Tensor], latents: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """The forward pass of the UNet's `Upsample2D`: doubles, convolves, then crops to `size`, as in the WebUI.

    `size` is given if a level has an odd size, as in pictures of 96 pixels; diffusers crops before it convolves, which
    gives another picture there.
    """
    doubled = forward(latents)
    return doubled if size is None else nn.functional.interpolate(doubled, size=size, mode="nearest")


@torch.inference_mode()
def try_out(unet: UNet2DConditionModel) -> str:
    """The UNet's prediction type, by its output at the last time for a constant picture of 0.5: a UNet that predicts
    noise returns about that picture, one that predicts v its opposite. AUTOMATIC1111 distinguishes the two SD2 models
    in the same way.
    """
    grey = torch.full((1, unet.config.in_channels, 8, 8), 0.5, device=unet.device, dtype=unet.dtype)
    text = torch.full((1, 2, unet.config.cross_attention_dim), 0.5, device=unet.device, dtype=unet.dtype)
    answer = unet(grey, 999, text, return_dict=False)[0]
    return "v_prediction" if (answer - grey).float().mean() < V_PREDICTION_BELOW else "epsilon"
