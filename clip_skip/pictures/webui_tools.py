"""Detects the tool that wrote an infotext: AUTOMATIC1111 and forks, SD.Next, Civitai, and others of this format."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from clip_skip.pictures.infotext import Infotext, parse_infotext
from clip_skip.pictures.json_text import loads, member
from clip_skip.pictures.samplers import webui_names
from clip_skip.skip import is_clip_skip_key

__all__ = ["identified", "read_webui_infotext"]

SDNEXT_KEY = "CLiP-skip"
CIVITAI_KEYS = ("Civitai resources", "Civitai metadata", "Created Date")
ECOSYSTEMS = {
    **dict.fromkeys(("sd1", "sd14", "sd15", "sd1.5"), "SD1"),
    **dict.fromkeys(("sdxl", "sdxldistilled", "pony", "illustrious", "noobai", "sdxllightning"), "SDXL"),
}
"""Civitai's names of base models that have a clip skip."""


def read_webui_infotext(text: str) -> Infotext | None:
    """The infotext in `text`, with the tool that wrote it; None where there are no settings in it."""
    infotext = parse_infotext(text)
    return identified(infotext) if infotext.parameters else None


def identified(infotext: Infotext) -> Infotext:
    """`infotext` with its tool, its model's family and its number for clip skip."""
    settings = dict(infotext.parameters)
    tool = tool_of(settings)
    name = next((one for one in settings if is_clip_skip_key(one)), None)
    text = None if name is None else settings[name]
    if "Scheduler" in settings and tool != "SD.Next":
        settings.setdefault("Schedule type", settings["Scheduler"])
    if "Sampler" in settings:
        sampler, schedule = webui_names(settings["Sampler"], settings.get("Schedule type", ""))
        settings |= {"Sampler": sampler, **({"Schedule type": schedule} if schedule else {})}
    settings |= model_of(settings)
    if tool in ("ComfyUI", "Fooocus"):
        settings.setdefault("RNG", "CPU")
    release = settings.get("Version", "")
    return replace(
        infotext, parameters=settings, tool=tool, family=family_of(tool, settings), skip_text=text, release=release
    )


def model_of(settings: Mapping[str, str]) -> dict[str, str]:
    """The model's name and hash where they have no key of their own, as in pictures of Civitai's generator."""
    more: dict[str, str] = {}
    resources = loads(settings.get("Civitai resources", ""))
    if "Model" not in settings and isinstance(resources, list):
        names = (member(one, "modelName") for one in resources if member(one, "type") == "checkpoint")
        name = next(names, None)
        more |= {"Model": name} if isinstance(name, str) else {}
    model_hash = member(loads(settings.get("Hashes", "")), "model")
    if "Model hash" not in settings and isinstance(model_hash, str):
        more["Model hash"] = model_hash
    return more


def tool_of(settings: Mapping[str, str]) -> str:
    version = settings.get("Version", "").strip()
    lower = version.lower()
    if "comfyui" in lower:
        return "ComfyUI"
    if lower.startswith("fooocus"):
        return "Fooocus"
    if settings.get("App") == "SD.Next" or SDNEXT_KEY in settings:
        return "SD.Next"
    if any(name in settings for name in CIVITAI_KEYS):
        return "Civitai"
    if lower.startswith("neo"):
        return "Forge Neo"
    if lower.startswith("classic"):
        return "Forge Classic"
    if re.match(r"f\d", lower):
        return "reForge" if re.match(r"f1\.|f\S*(?:dev-|v1\.10\.1rc)", lower) else "Forge"
    return "AUTOMATIC1111"


def family_of(tool: str, settings: Mapping[str, str]) -> str:
    """The model's family, as far as the settings show it."""
    if tool == "Fooocus":
        return "SDXL"
    if tool == "SD.Next":
        return of_pipeline(settings.get("Pipeline", ""))
    if tool == "Civitai":
        metadata = loads(settings.get("Civitai metadata", ""))
        base = member(metadata, "ecosystem", "baseModel")
        return ECOSYSTEMS.get(re.sub(r"[\s_]", "", base).lower(), base) if isinstance(base, str) else ""
    return ""


def of_pipeline(name: str) -> str:
    """The family by the name of diffusers' pipeline. SD2 shares SD1's, which is far more common, and counts as SD1."""
    if "XL" in name:
        return "SDXL"
    if name.startswith("StableDiffusion") and "3" not in name:
        return "SD1"
    return name.removesuffix("Pipeline")
