"""Pictures of the tools that write JSON: SwarmUI, InvokeAI, Fooocus, NovelAI, Draw Things, Easy Diffusion, diffusers.

Each `read_...` returns what it finds in the WebUI's words, or None where another tool made the picture. The keys and
what each tool means by them: docs/files.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from clip_skip.pictures.container import PictureTexts
from clip_skip.pictures.infotext import Infotext
from clip_skip.pictures.json_text import loads, member, text_of
from clip_skip.pictures.samplers import webui_names

__all__ = ["READERS"]

WIDGET_SIZE = re.compile(r"[^0-9]*([0-9]{1,5})[^0-9]+([0-9]{1,5})[^0-9]*")
JSON_PLACES = ("parameters", "UserComment", "XMP:UserComment", "ImageDescription", "Comment")

INVOKE_FAMILIES = {"sd-1": "SD1", "sd-2": "SD2", "sdxl": "SDXL", "sdxl-refiner": "SDXL", "flux": "Flux", "sd-3": "SD3"}
INVOKE_MODE = re.compile(r"_?(?:txt2img|img2img|inpaint|outpaint)\Z")
RANDOM_DEVICES = {"cpu": "CPU", "cuda": "GPU"}
SEED_MODES = {"Torch CPU Compatible": "CPU", "NVIDIA GPU Compatible": "NV"}
DREAM = re.compile(r'"(.*)"([^"]*)', re.DOTALL)
DREAM_OPTION = re.compile(r"-([A-Za-z])\s*([^\s-][^\s]*)")
DREAM_KEYS = {"s": "Steps", "S": "Seed", "C": "CFG scale", "A": "Sampler"}


def infotext_settings(values: Mapping[str, Any]) -> dict[str, str]:
    """`values` as an infotext has them; empty ones are left out, samplers have the WebUI's names."""
    texts = {name: text for name, value in values.items() if (text := text_of(value)) not in (None, "")}
    if "Sampler" in texts:
        name, schedule = webui_names(texts["Sampler"], texts.get("Schedule type", ""))
        texts |= {"Sampler": name, **({"Schedule type": schedule} if schedule else {})}
    return {name: text for name, text in texts.items() if text is not None}


def sized(width: object, height: object) -> str | None:
    wide, high = text_of(width), text_of(height)
    return f"{wide}x{high}" if wide and high else None


def data_in(texts: PictureTexts, *places: str) -> Any:
    """The first JSON object in the texts under `places`."""
    parsed_texts = (loads(texts.values[place]) for place in places if texts.values.get(place))
    return next((data for data in parsed_texts if isinstance(data, dict)), None)


def text(data: object, *names: str) -> str:
    value = member(data, *names)
    return value if isinstance(value, str) else ""


def read_swarmui(texts: PictureTexts) -> Infotext | None:
    params = member(data_in(texts, *JSON_PLACES), "sui_image_params")
    if not isinstance(params, dict):
        return None
    models = member(data_in(texts, *JSON_PLACES), "sui_models")
    main = next((one for one in models if member(one, "param") == "model"), None) if isinstance(models, list) else None
    values = {
        "Steps": member(params, "steps"),
        "Sampler": member(params, "sampler", "comfyuisampler") or "euler",
        "Schedule type": member(params, "scheduler", "comfyuischeduler") or "normal",
        "CFG scale": member(params, "cfgscale"),
        "Seed": member(params, "seed"),
        "Size": sized(member(params, "width"), member(params, "height")),
        "Model": member(params, "model"),
        "Model hash": text(main, "hash").removeprefix("0x"),
        "RNG": "CPU",
        "Refiner": member(params, "refinermodel"),
    }
    number = text_of(member(params, "clipstopatlayer"))
    return Infotext(
        text(params, "prompt"), text(params, "negativeprompt"), infotext_settings(values), "SwarmUI", skip_text=number
    )


def read_invokeai(texts: PictureTexts) -> Infotext | None:
    data = loads(texts.get("invokeai_metadata"))
    if not isinstance(data, dict):
        return read_old_invokeai(texts)
    model = member(data, "model")
    family = text(model, "base", "base_model") or INVOKE_MODE.sub("", text(data, "generation_mode"))
    name = text(model, "name", "model_name") or (model if isinstance(model, str) else "")
    values = {
        "Steps": member(data, "steps"),
        "Sampler": member(data, "scheduler"),
        "CFG scale": member(data, "cfg_scale"),
        "Seed": member(data, "seed"),
        "Size": sized(member(data, "width"), member(data, "height")),
        "Model": name,
        "Model hash": sha256(text(model, "hash", "model_hash")),
        "RNG": RANDOM_DEVICES.get(text(data, "rand_device")),
        "Refiner": text(member(data, "refiner_model"), "name", "model_name"),
        "VAE": text(member(data, "vae"), "name", "model_name"),
    }
    number = text_of(member(data, "clip_skip"))
    family_name = INVOKE_FAMILIES.get(family, family)
    return Infotext(
        text(data, "positive_prompt"),
        text(data, "negative_prompt"),
        infotext_settings(values),
        "InvokeAI",
        family_name,
        number,
    )


def sha256(digest: str) -> str:
    """The hash if it is a SHA-256: InvokeAI writes blake3, which no other tool knows."""
    return digest if re.fullmatch(r"[0-9A-Fa-f]{64}", digest) else ""


def read_old_invokeai(texts: PictureTexts) -> Infotext | None:
    """Versions 1 and 2, which had no clip skip: `sd-metadata`, and the command line in `Dream`."""
    data = loads(texts.get("sd-metadata"))
    image = member(data, "image")
    if isinstance(image, dict):
        prompts = member(image, "prompt")
        both_prompts = text(prompts[0], "prompt") if isinstance(prompts, list) and prompts else text(image, "prompt")
        prompt, negative = in_brackets(both_prompts)
        values = {
            "Steps": member(image, "steps"),
            "Sampler": member(image, "sampler"),
            "CFG scale": member(image, "cfg_scale"),
            "Seed": member(image, "seed"),
            "Size": sized(member(image, "width"), member(image, "height")),
            "Model": member(data, "model_weights"),
            "Model hash": member(data, "model_hash"),
        }
        return Infotext(prompt, negative, infotext_settings(values), "InvokeAI")
    match = DREAM.fullmatch(texts.get("Dream", "dream").strip()[:100_000])
    if match is None:
        return None
    options = dict(DREAM_OPTION.findall(match[2]))
    prompt, negative = in_brackets(match[1])
    old_values = {name: options.get(letter) for letter, name in DREAM_KEYS.items()}
    old_values["Size"] = sized(options.get("W"), options.get("H"))
    return Infotext(prompt, negative, infotext_settings(old_values), "InvokeAI")


def in_brackets(both_prompts: str) -> tuple[str, str]:
    """Splits a text into prompt and negative prompt, which is in [brackets]."""
    negative = re.findall(r"\[([^\[\]]*)\]", both_prompts)
    return re.sub(r"\[[^\[\]]*\]", "", both_prompts).strip(), ", ".join(one.strip() for one in negative)


def read_fooocus(texts: PictureTexts) -> Infotext | None:
    """The scheme "fooocus"; "a1111" is an infotext. The full prompts have the styles in them, as in an infotext."""
    data = data_in(texts, *JSON_PLACES)
    if member(data, "base_model") is None or member(data, "guidance_scale", "sharpness", "performance") is None:
        return None
    size = WIDGET_SIZE.fullmatch(text(data, "resolution"))
    values = {
        "Steps": member(data, "steps"),
        "Sampler": member(data, "sampler"),
        "Schedule type": member(data, "scheduler"),
        "CFG scale": member(data, "guidance_scale"),
        "Seed": member(data, "seed"),
        "Size": f"{size[1]}x{size[2]}" if size else None,
        "Model": member(data, "base_model"),
        "Model hash": member(data, "base_model_hash"),
        "RNG": "CPU",
        "Sharpness": member(data, "sharpness"),
        "ADM Guidance": member(data, "adm_guidance"),
        "Refiner": text(data, "refiner_model").replace("None", ""),
    }
    full, full_negative = join_texts(data.get("full_prompt")), join_texts(data.get("full_negative_prompt"))
    prompt, negative = text(data, "prompt"), text(data, "negative_prompt")
    number, release = text_of(member(data, "clip_skip")), text(data, "version")
    return Infotext(
        *(full or prompt, full_negative or negative, infotext_settings(values), "Fooocus", "SDXL", number),
        release=release,
    )


def join_texts(value: object) -> str:
    return ", ".join(one for one in value if isinstance(one, str)) if isinstance(value, list) else ""


def read_novelai(texts: PictureTexts) -> Infotext | None:
    if texts.get("Software") != "NovelAI":
        return None
    data = loads(texts.get("Comment"))
    source = texts.get("Source")
    values = {
        "Steps": member(data, "steps"),
        "Sampler": member(data, "sampler"),
        "Schedule type": member(data, "noise_schedule"),
        "CFG scale": member(data, "scale"),
        "Seed": member(data, "seed"),
        "Size": sized(member(data, "width"), member(data, "height")) or (texts.size and "{}x{}".format(*texts.size)),
        "Model": source,
    }
    family = "SD1" if re.match(r"Stable Diffusion [0-9A-F]{8}", source) else ""
    prompt = text(data, "prompt") or texts.get("Description")
    return Infotext(prompt, text(data, "uc"), infotext_settings(values), "NovelAI", family, release=source)


def read_draw_things(texts: PictureTexts) -> Infotext | None:
    data = data_in(texts, *JSON_PLACES)
    if member(data, "c") is None or member(data, "seed_mode", "uc", "v2") is None:
        return None
    values = {
        "Steps": member(data, "steps"),
        "Sampler": member(data, "sampler"),
        "CFG scale": member(data, "scale"),
        "Seed": member(data, "seed"),
        "Size": text(data, "size"),
        "Model": member(data, "model"),
        "RNG": SEED_MODES.get(text(data, "seed_mode")),
        "Refiner": member(data, "refiner"),
    }
    number = text_of(member(data, "clip_skip"))
    return Infotext(text(data, "c"), text(data, "uc"), infotext_settings(values), "Draw Things", skip_text=number)


def read_easy_diffusion(texts: PictureTexts) -> Infotext | None:
    """JSON in Exif; in PNG each key is a chunk of its own."""
    data = data_in(texts, *JSON_PLACES) or texts.values
    if member(data, "use_stable_diffusion_model") is None or "num_inference_steps" not in data:
        return None
    values = {
        "Steps": member(data, "num_inference_steps"),
        "Sampler": member(data, "sampler_name"),
        "Schedule type": member(data, "scheduler_name"),
        "CFG scale": member(data, "guidance_scale"),
        "Seed": member(data, "seed"),
        "Size": sized(member(data, "width"), member(data, "height")),
        "Model": member(data, "use_stable_diffusion_model"),
    }
    number = text_of(member(data, "clip_skip"))
    return Infotext(
        text(data, "prompt"),
        text(data, "negative_prompt"),
        infotext_settings(values),
        "Easy Diffusion",
        skip_text=number,
    )


def read_diffusers(texts: PictureTexts) -> Infotext | None:
    """diffusers writes nothing itself; scripts write the arguments of its pipelines."""
    data = data_in(texts, *JSON_PLACES) or texts.values
    if "num_inference_steps" not in data or "guidance_scale" not in data:
        return None
    pipeline = text(data, "pipeline", "_class_name", "pipeline_class")
    family = "SDXL" if "XL" in pipeline else "SD1" if pipeline.startswith("StableDiffusionPipeline") else ""
    values = {
        "Steps": member(data, "num_inference_steps"),
        "Sampler": member(data, "scheduler", "sampler"),
        "CFG scale": member(data, "guidance_scale"),
        "Seed": member(data, "seed"),
        "Size": sized(member(data, "width"), member(data, "height")),
        "Model": member(data, "model", "model_id", "_name_or_path"),
    }
    number = text_of(member(data, "clip_skip"))
    return Infotext(
        text(data, "prompt"), text(data, "negative_prompt"), infotext_settings(values), "diffusers", family, number
    )


READERS: tuple[Callable[[PictureTexts], Infotext | None], ...] = (
    read_swarmui,
    read_invokeai,
    read_novelai,
    read_fooocus,
    read_draw_things,
    read_easy_diffusion,
    read_diffusers,
)
