"""What is AUTOMATIC1111's own: its encoder modules, and where it combines the CFG parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modules import shared

from clip_skip.encoder import from_open_clip, from_transformers
from clip_skip.webui.host_encoder import NAMES, HostEncoder

__all__ = ["describe", "scale_each"]


def describe(module: Any) -> HostEncoder | None:
    """The encoder that `module` holds, told by the name of its class; None if it is another's.

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
        encoder = from_open_clip(model, NAMES["g"], "g", final_norm=False, sequence_first=True)
        return HostEncoder(module, encoder, pooled=True)
    return None


def scale_each(p: Any, scales: Sequence[float]) -> None:
    """Lets the sampler of `p` use `scales[i]` for picture i.

    The host multiplies a sub-prompt's weight by `p.cfg_scale`, a plain number. Here the
    weights carry the ratio of the picture's scale to that number, on this one denoiser
    alone, which the host makes anew for every pass. A step at which the host leaves the
    negative prompt out (it then asks for a scale of 1) stays as it is.
    """
    denoiser = p.sampler.model_wrap_cfg
    original, nominal = type(denoiser).combine_denoised, p.cfg_scale

    def combine_denoised(x_out: Any, conds_list: Any, uncond: Any, cond_scale: float) -> Any:
        if cond_scale != 1.0 or nominal == 1.0:
            conds_list = [
                [(index, weight * (scale / nominal)) for index, weight in conds]
                for conds, scale in zip(conds_list, scales)
            ]
        return original(denoiser, x_out, conds_list, uncond, cond_scale)

    denoiser.combine_denoised = combine_denoised
