"""AUTOMATIC1111's specifics: its encoder modules, and the place where it combines the CFG parts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from modules import shared
from torch import Tensor

from clip_skip.encoder import TOWER_NAMES, from_open_clip, from_transformers
from clip_skip.webui.host_types import EncoderModule, Processing
from clip_skip.webui.hosts.host_encoder import HostEncoder

__all__ = ["describe_a1111_encoder", "set_cfg_scales"]


def describe_a1111_encoder(module: EncoderModule) -> HostEncoder | None:
    """The encoder in `module`, recognized by the name of its class; None if the class is unknown.

    The host runs the blocks of OpenCLIP sequence first itself, in every version of open_clip.
    """
    kind = type(module).__name__
    if kind == "FrozenCLIPEmbedderWithCustomWords":
        return HostEncoder(module, from_transformers(module.wrapped.transformer), header=0)
    if kind == "FrozenCLIPEmbedderForSDXLWithCustomWords":
        encoder = from_transformers(module.wrapped.transformer, native=2, final_norm=False)
        return HostEncoder(module, encoder, header=0 if shared.opts.sdxl_clip_l_skip else None, least=1)
    if kind == "FrozenOpenCLIPEmbedderWithCustomWords":
        encoder = from_open_clip(module.wrapped.model, sequence_first=True)
        return HostEncoder(module, encoder, unrun=getattr(module.wrapped, "layer_idx", 0))
    if kind == "FrozenOpenCLIPEmbedder2WithCustomWords":
        model = module.wrapped.model
        encoder = from_open_clip(model, TOWER_NAMES["g"], "g", final_norm=False, sequence_first=True)
        return HostEncoder(module, encoder, pooled=True)
    return None


def set_cfg_scales(p: Processing, scales: Sequence[float]) -> None:
    """Lets the sampler of `p` use `scales[i]` for picture i.

    The host combines the predictions of a whole batch at `p.cfg_scale`, a plain number. So we call that
    function, which other extensions may have wrapped, once for each distinct scale, and take each picture from the
    result of its own scale. Only this denoiser is changed, which the host creates for every pass. A step without the
    negative prompt (the host then passes a scale of 1) stays as it is.
    """
    denoiser = p.sampler.model_wrap_cfg
    original, nominal = denoiser.combine_denoised, p.cfg_scale

    def combine_denoised(x_out: Tensor, conds_list: object, uncond: object, cond_scale: float) -> Tensor:
        if cond_scale == 1.0 != nominal:
            return original(x_out, conds_list, uncond, cond_scale)
        ratio = cond_scale / nominal
        results = {scale: original(x_out, conds_list, uncond, scale * ratio) for scale in set(scales)}
        return torch.stack([results[scale][index] for index, scale in enumerate(scales)])

    denoiser.combine_denoised = combine_denoised
