"""How many attention heads a model has, which its weights do not tell: another number makes other pictures, silently.

Asked in this order: the file's metadata (`clip_skip.unet_heads`, `clip_skip.text_heads`), the `.yaml` of the same name
beside it, which a WebUI reads too, and the published model, where the sizes are its own. Nothing is guessed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

__all__ = ["HeadsError", "text_heads", "unet_heads"]

UNET_PUBLISHED: dict[tuple[int, ...], int] = {(320, 640, 1280, 1280): 8}
"""Heads by the channels of the UNet's levels: Stable Diffusion 1."""

TEXT_PUBLISHED = {768: 12, 1024: 16, 1280: 20}
"""Heads by the width of a text encoder: CLIP ViT-L/14, OpenCLIP ViT-H/14 and ViT-bigG/14."""

LARGEST_YAML = 1_000_000


class HeadsError(ValueError):
    """The number of heads cannot be told; the message says of which part, and what would tell it."""


def unet_heads(path: Path, metadata: Mapping[str, str], channels: tuple[int, ...]) -> int:
    """The heads of each attention of the UNet in the checkpoint at `path`. Raises `HeadsError`."""
    said = from_metadata(metadata, "unet_heads")
    if said is None:
        said = entry(beside(path), "unet_config", "num_heads", path)
    found = said or UNET_PUBLISHED.get(channels)
    if found is None:
        raise HeadsError(untold("UNet", f"{'-'.join(map(str, channels))} channels", "unet_heads", "num_heads", path))
    if channels[-1] % found:
        raise HeadsError(f"{found} attention heads do not divide the UNet's {channels[-1]} channels")
    return found


def text_heads(path: Path, metadata: Mapping[str, str], width: int, key: str = "text_heads") -> int:
    """The heads of a text encoder of `width` in the checkpoint at `path`. Raises `HeadsError`.

    key: where the metadata has it; with SDXL's two encoders "text_heads_l" and "text_heads_g".
    """
    said = from_metadata(metadata, key)
    if said is None:
        said = from_encoder(entry(beside(path), "cond_stage_config", "version", path), path)
    found = said or TEXT_PUBLISHED.get(width)
    if found is None:
        raise HeadsError(untold("text encoder", f"width {width}", key, "version", path))
    if width % found:
        raise HeadsError(f"{found} attention heads do not divide the text encoder's width of {width}")
    return found


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


def entry(config: Any, part: str, name: str, path: Path) -> Any:
    """The parameter `name` of `part` of a model in a `.yaml`; None where it does not say it."""
    for key in ("model", "params", part, "params", name):
        config = config.get(key) if isinstance(config, Mapping) else None
    if name == "num_heads" and config is not None and config != -1:
        return number(config, f"num_heads in {path.with_suffix('.yaml').name}")
    return None if config == -1 else config


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


def number(value: object, where: str) -> int:
    if isinstance(value, bool) or not str(value).isdecimal() or int(str(value)) < 1:
        raise HeadsError(f"{where} is {value!r}, not a number of heads")
    return int(str(value))
