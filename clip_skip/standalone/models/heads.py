"""What a model's weights do not tell: its attention heads, and what its UNet predicts. Another number makes other
pictures, silently.

Asked in this order: the file's metadata (`clip_skip.unet_heads`, `clip_skip.text_heads`), the `.yaml` of the same name
beside it, which a WebUI reads too, and the published model, where the sizes are its own. Nothing is guessed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from clip_skip.standalone.models.sizes import TOWERS, Sizes

__all__ = ["HeadsError", "completed", "text_heads", "unet_heads"]

UNET_PUBLISHED: dict[tuple[int, ...], int] = {(320, 640, 1280, 1280): 8}
"""Heads by the channels of the UNet's levels: Stable Diffusion 1."""

PUBLISHED_CHANNELS = {("SD2", (320, 640, 1280, 1280)): 64, ("SDXL", (320, 640, 1280)): 64}
"""Channels of a head by family and the channels of the UNet's levels."""

TEXT_PUBLISHED = {768: 12, 1024: 16, 1280: 20}
"""Heads by the width of a text encoder: CLIP ViT-L/14, OpenCLIP ViT-H/14 and ViT-bigG/14."""

LARGEST_YAML = 1_000_000


class HeadsError(ValueError):
    """The number of heads cannot be told; the message says of which part, and what would tell it."""


def completed(path: Path, metadata: Mapping[str, str], sizes: Sizes) -> Sizes:
    """`sizes` of the checkpoint at `path` with what its weights do not tell. Raises `HeadsError`."""
    config = beside(path)
    heads, channels = unet_attention(path, metadata, config, sizes)
    texts = [
        text_heads(path, metadata, text.width, f"text_heads_{tower}" if sizes.second else "text_heads", place)
        for place, (text, tower) in enumerate(zip(sizes.texts, TOWERS[sizes.family]))
    ]
    scale = parameter(config, "scale_factor")
    if scale is not None and not isinstance(scale, (int, float)):
        raise HeadsError(f"scale_factor in {path.with_suffix('.yaml').name} is {scale!r}, not a number")
    return replace(
        sizes,
        unet_heads=heads,
        head_channels=channels,
        text_heads=texts[0],
        second=replace(sizes.second, heads=texts[1]) if sizes.second else None,
        vae_scale=float(scale or sizes.vae_scale),
        prediction=prediction(metadata, config, sizes.family),
    )


def unet_attention(path: Path, metadata: Mapping[str, str], config: Any, sizes: Sizes) -> tuple[int, int]:
    """The heads at every level and 0, or 0 and the channels of a head."""
    part = "network_config" if sizes.family == "SDXL" else "unet_config"
    if "clip_skip.unet_heads" not in metadata:
        said = from_metadata(metadata, "unet_head_channels")
        if said is None:
            said = entry(config, part, "num_head_channels", path)
        found = said or PUBLISHED_CHANNELS.get((sizes.family, sizes.unet))
        if found:
            levels = [width for width, blocks in zip(sizes.unet, sizes.attention) if blocks]
            if any(width % found for width in levels):
                raise HeadsError(f"{found} channels per attention head do not divide the UNet's {levels} channels")
            return 0, int(found)
    return unet_heads(path, metadata, sizes.unet, part, sizes.family), 0


def unet_heads(
    path: Path, metadata: Mapping[str, str], channels: tuple[int, ...], part: str = "unet_config", family: str = "SD1"
) -> int:
    """The heads of each attention of the UNet in the checkpoint at `path`. Raises `HeadsError`."""
    said = from_metadata(metadata, "unet_heads")
    if said is None:
        said = entry(beside(path), part, "num_heads", path)
    found = said or (UNET_PUBLISHED.get(channels) if family == "SD1" else None)
    if found is None:
        raise HeadsError(untold("UNet", f"{'-'.join(map(str, channels))} channels", "unet_heads", "num_heads", path))
    if channels[-1] % found:
        raise HeadsError(f"{found} attention heads do not divide the UNet's {channels[-1]} channels")
    return found


def text_heads(path: Path, metadata: Mapping[str, str], width: int, key: str = "text_heads", place: int = 0) -> int:
    """The heads of a text encoder of `width` in the checkpoint at `path`. Raises `HeadsError`.

    key: where the metadata has it; with SDXL's two encoders "text_heads_l" and "text_heads_g". place: which of them.
    """
    said = from_metadata(metadata, key)
    config = beside(path) if said is None else None
    if said is None:
        embedders = parameter(config, "conditioner_config", "params", "emb_models")
        part = embedders[place] if isinstance(embedders, list) and len(embedders) > place else None
        part = part or parameter(config, "cond_stage_config")
        params = part.get("params") if isinstance(part, Mapping) else None
        params = params if isinstance(params, Mapping) else {}
        said = (
            from_architecture(params["arch"], path) if "arch" in params else from_encoder(params.get("version"), path)
        )
    found = said or TEXT_PUBLISHED.get(width)
    if found is None:
        raise HeadsError(untold("text encoder", f"width {width}", key, "version", path))
    if width % found:
        raise HeadsError(f"{found} attention heads do not divide the text encoder's width of {width}")
    return found


def prediction(metadata: Mapping[str, str], config: Any, family: str) -> str:
    """What the UNet predicts, or "" where only SD2's weights could tell."""
    said = metadata.get("modelspec.prediction_type", "").lower()
    if said in ("epsilon", "v", "v_prediction"):
        return "epsilon" if said == "epsilon" else "v_prediction"
    if config is not None:
        scaling = parameter(config, "denoiser_config", "params", "scaling_config", "target")
        is_v = parameter(config, "parameterization") == "v" or str(scaling).endswith("VScaling")
        return "v_prediction" if is_v else "epsilon"
    return "" if family == "SD2" else "epsilon"


def untold(part: str, size: str, key: str, name: str, path: Path) -> str:
    return (
        f"how many attention heads its {part} has cannot be told: {size} is not a published size, its metadata has no "
        f"clip_skip.{key}, and no {path.with_suffix('.yaml').name} beside it says {name}"
    )


def from_metadata(metadata: Mapping[str, str], key: str) -> int | None:
    text = metadata.get(f"clip_skip.{key}")
    return None if text is None else number(text, f"the metadata clip_skip.{key}")


def beside(path: Path) -> Any:
    """What the `.yaml` beside `path` says, or None where there is none."""
    file = path.with_suffix(".yaml")
    if not file.is_file():
        return None
    try:
        if file.stat().st_size > LARGEST_YAML:
            raise HeadsError(f"{file.name} is larger than {LARGEST_YAML:,} bytes")
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise HeadsError(f"{file.name} cannot be read: {' '.join(str(error).split())}") from error


def parameter(config: Any, *keys: str) -> Any:
    """What a model's `.yaml` says under `keys`; None where it does not say it."""
    for key in ("model", "params", *keys):
        config = config.get(key) if isinstance(config, Mapping) else None
    return config


def entry(config: Any, part: str, name: str, path: Path) -> int | None:
    """A number of `part` of a model in a `.yaml`; None where it does not say it."""
    said = parameter(config, part, "params", name)
    return None if said in (None, -1) else number(said, f"{name} in {path.with_suffix('.yaml').name}")


def from_encoder(version: Any, path: Path) -> int | None:
    """The heads of the text encoder whose folder a `.yaml` names; a name that is no folder tells nothing."""
    file = path.parent / str(version) / "config.json"  # a name of a model hub is no folder here
    if version is None or not file.is_file():
        return None
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        said = config.get("text_config", config).get("num_attention_heads")
    except (OSError, ValueError, AttributeError) as error:
        raise HeadsError(f"{file} cannot be read: {error}") from error
    return None if said is None else number(said, f"num_attention_heads in {file}")


def from_architecture(name: Any, path: Path) -> int | None:
    """The heads of an architecture of OpenCLIP: one of its own, or one whose `.json` is beside `path`; else None."""
    import open_clip  # slow, and seldom needed

    file = path.parent / f"{name}.json"
    try:
        own = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
        config = open_clip.get_model_config(str(name)) or own or {}
        said = config.get("text_cfg", {}).get("heads")
    except (OSError, ValueError, AttributeError) as error:
        raise HeadsError(f"{file} cannot be read: {error}") from error
    return None if said is None else number(said, f"heads in {file}")


def number(value: object, where: str) -> int:
    if isinstance(value, bool) or not str(value).isdecimal() or int(str(value)) < 1:
        raise HeadsError(f"{where} is {value!r}, not a number of heads")
    return int(str(value))
