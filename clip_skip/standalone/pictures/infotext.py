"""The infotext of pictures that are made here, and the reading of others'."""

from __future__ import annotations

from clip_skip.pictures.errors import PictureError as InfotextError
from clip_skip.pictures.infotext import Infotext, compose
from clip_skip.pictures.reader import read_infotext as read
from clip_skip.standalone.engine.shots import Hires
from clip_skip.standalone.options import OPTIONS
from clip_skip.standalone.sampling.samplers import in_two

__all__ = ["Infotext", "InfotextError", "of_hires", "parameters", "read"]

parameters = compose
"""The last line of an infotext."""


def of_hires(hires: Hires) -> dict[str, object]:
    """The parameters of a hires pass, in the WebUI's words and order."""
    values: dict[str, object] = dict.fromkeys(["Denoising strength", "Hires sampler", "Hires schedule type"])
    for option in OPTIONS:
        value = getattr(hires, option.hires) if option.hires and option.infotext else None
        if value and not (hires.resize and option.hires == "scale"):
            values[option.infotext] = f"{value:g}" if isinstance(value, float) else value
    if hires.sampler:
        values["Hires sampler"], values["Hires schedule type"] = in_two(hires.sampler)
    if hires.resize:
        values["Hires resize"] = "{}x{}".format(*hires.resize)
    last = {key: values.pop(key, None) for key in ("Hires upscale", "Hires steps", "Hires upscaler")}
    return {key: value for key, value in {**values, **last}.items() if value is not None}
