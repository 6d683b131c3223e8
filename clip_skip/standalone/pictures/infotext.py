"""The infotext of pictures that are made here, and the reading of others'."""

from __future__ import annotations

from clip_skip.pictures.errors import PictureError as InfotextError
from clip_skip.pictures.infotext import Infotext, compose
from clip_skip.pictures.infotext import parse as parse_text
from clip_skip.pictures.reader import read_infotext as read
from clip_skip.pictures.webui_tools import identified
from clip_skip.standalone.engine.shots import Hires
from clip_skip.standalone.sampling.samplers import in_two

__all__ = ["Infotext", "InfotextError", "of_hires", "parameters", "parse", "read"]

parameters = compose
"""The last line of an infotext."""


def parse(text: str) -> Infotext:
    """The infotext in `text`, with the tool that wrote it. Any text is one."""
    return identified(parse_text(text))


def of_hires(hires: Hires) -> dict[str, object]:
    """The parameters of a hires pass, in the WebUI's words."""
    values: dict[str, object] = {"Denoising strength": f"{hires.denoising:g}"}
    if hires.sampler:
        values["Hires sampler"], values["Hires schedule type"] = in_two(hires.sampler)
    if hires.cfg_scale is not None:
        values["Hires CFG Scale"] = f"{hires.cfg_scale:g}"
    values |= {"Hires prompt": hires.prompt} if hires.prompt else {}
    values |= {"Hires negative prompt": hires.negative} if hires.negative else {}
    if hires.resize:
        values["Hires resize"] = "{}x{}".format(*hires.resize)
    else:
        values["Hires upscale"] = f"{hires.scale:g}"
    values |= {"Hires steps": hires.steps} if hires.steps else {}
    return {**values, "Hires upscaler": hires.upscaler}
