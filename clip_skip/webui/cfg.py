"""A CFG scale for each picture of a batch."""

from __future__ import annotations

from typing import Any

__all__ = ["scale_each"]


def scale_each(p: Any) -> None:
    """Lets the sampler of `p` use `p.clip_skip_cfg_scales[i]` for picture i, if that is set.

    The host multiplies a sub-prompt's weight by `p.cfg_scale`, a plain number. Here the
    weights carry the ratio of the picture's scale to that number, on this one denoiser
    alone, which the host makes anew for every pass. A step at which the host leaves the
    negative prompt out (it then asks for a scale of 1) stays as it is.
    """
    scales = getattr(p, "clip_skip_cfg_scales", None)
    if not scales:
        return
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
