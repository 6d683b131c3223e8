"""Facts that are not in a model's weights: attention heads, and the UNet's prediction type. A wrong number changes the
pictures without an error.

Looked for in this order: the file's metadata (`clip_skip.unet_heads`, `clip_skip.text_heads`), the `.yaml` of the same
name beside it, which a WebUI reads too, and the published model of the same sizes. Nothing is guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from clip_skip.messages.message import Message, MessageError, Template
from clip_skip.skip import shorten
from clip_skip.standalone.models.config_files import (
    ConfigError,
    Place,
    json_file,
    path_inside,
    plain_name,
    yaml_scalars,
)
from clip_skip.standalone.models.sizes import FAMILY_TOWERS, Sizes

__all__ = ["HeadsError", "complete_sizes", "text_heads", "unet_heads"]

UNET_PUBLISHED: dict[tuple[int, ...], int] = {(320, 640, 1280, 1280): 8}
"""Heads by the channels of the UNet's levels: Stable Diffusion 1."""

PUBLISHED_CHANNELS = {("SD2", (320, 640, 1280, 1280)): 64, ("SDXL", (320, 640, 1280)): 64}
"""Channels of a head by family and the channels of the UNet's levels."""

TEXT_PUBLISHED = {768: 12, 1024: 16, 1280: 20}
"""Heads by the width of a text encoder: CLIP ViT-L/14, OpenCLIP ViT-H/14 and ViT-bigG/14."""

UNKNOWN_UNET_HEADS = Template(
    "the number of attention heads of its UNet is unknown: {channels} channels is not a published size, its metadata "
    "has no {key}, and no {yaml} beside it has {name}"
)
UNKNOWN_TEXT_HEADS = Template(
    "the number of attention heads of its text encoder is unknown: width {width} is not a published size, its metadata "
    "has no {key}, and no {yaml} beside it has {name}"
)
NOT_HEADS = Template("{where} is {text}, not a number of heads")
METADATA_NOT_A_NUMBER = Template("{where} is {text}, not a number above 0")
METADATA = Template("the metadata {key}")
IN_FILE = Template("{name} in {file}")
HEADS_DO_NOT_DIVIDE = Template("{heads} attention heads do not divide the UNet's {channels} channels")
TEXT_HEADS_DO_NOT_DIVIDE = Template("{heads} attention heads do not divide the text encoder's width of {width}")
CHANNELS_DO_NOT_DIVIDE = Template("{found} channels per attention head do not divide the UNet's {channels} channels")

NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)

Config = Mapping[Place, str]
"""The scalars of a `.yaml`, below `model.params`."""


class HeadsError(MessageError):
    """The number of heads is unknown or impossible; the message names the part, and where the number can be written."""


def complete_sizes(path: Path, metadata: Mapping[str, str], sizes: Sizes) -> Sizes:
    """`sizes` of the checkpoint at `path`, completed with facts that are not in its weights. Raises `HeadsError`."""
    config = yaml_beside(path)
    heads, channels = unet_attention(path, metadata, config, sizes)
    towers = FAMILY_TOWERS[sizes.family]
    texts = [
        text_heads(path, metadata, text.width, tower, place, len(towers) > 1)
        for place, (text, tower) in enumerate(zip(sizes.texts, towers))
    ]
    scale = config.get(("scale_factor",))
    return replace(
        sizes,
        unet_heads=heads,
        head_channels=channels,
        text_heads=texts[0],
        second=replace(sizes.second, heads=texts[1]) if sizes.second else None,
        vae_scale=sizes.vae_scale if scale is None else positive(scale, in_yaml("scale_factor", path)),
        prediction=prediction(metadata, config, sizes.family),
    )


def unet_attention(path: Path, metadata: Mapping[str, str], config: Config, sizes: Sizes) -> tuple[int, int]:
    """The heads at every level and 0, or 0 and the channels of a head."""
    part = "network_config" if sizes.family == "SDXL" else "unet_config"
    if "clip_skip.unet_heads" not in metadata:
        channels = from_metadata(metadata, "unet_head_channels")
        if channels is None:
            channels = from_yaml(config, part, "num_head_channels", path)
        channels = channels or PUBLISHED_CHANNELS.get((sizes.family, sizes.unet))
        if channels:
            levels = [width for width, blocks in zip(sizes.unet, sizes.attention) if blocks]
            if any(width % channels for width in levels):
                raise HeadsError(CHANNELS_DO_NOT_DIVIDE(found=channels, channels="-".join(map(str, levels))))
            return 0, channels
    return unet_heads(path, metadata, sizes.unet, part, sizes.family), 0


def unet_heads(
    path: Path, metadata: Mapping[str, str], channels: tuple[int, ...], part: str = "unet_config", family: str = "SD1"
) -> int:
    """The heads of each attention of the UNet in the checkpoint at `path`. Raises `HeadsError`."""
    heads = from_metadata(metadata, "unet_heads")
    if heads is None:
        heads = from_yaml(yaml_beside(path), part, "num_heads", path)
    heads = heads or (UNET_PUBLISHED.get(channels) if family == "SD1" else None)
    if heads is None:
        levels = "-".join(map(str, channels))
        key, yaml = "clip_skip.unet_heads", path.with_suffix(".yaml").name
        raise HeadsError(UNKNOWN_UNET_HEADS(channels=levels, key=key, yaml=yaml, name="num_heads"))
    if channels[-1] % heads:
        raise HeadsError(HEADS_DO_NOT_DIVIDE(heads=heads, channels=channels[-1]))
    return heads


def text_heads(
    path: Path, metadata: Mapping[str, str], width: int, tower: str = "l", place: int = 0, is_one_of_two: bool = False
) -> int:
    """The heads of the text encoder `tower`, of this width, in the checkpoint at `path`. Raises `HeadsError`.

    In the metadata they are `clip_skip.text_heads`, or `clip_skip.text_heads_l` and so on, which SDXL needs.
    place: which of the model's text encoders it is
    """
    key = f"text_heads_{tower}"
    if not is_one_of_two and f"clip_skip.{key}" not in metadata:
        key = "text_heads"
    heads = from_metadata(metadata, key)
    if heads is None:
        heads = text_heads_beside(path, place)
    heads = heads or TEXT_PUBLISHED.get(width)
    if heads is None:
        yaml = path.with_suffix(".yaml").name
        raise HeadsError(UNKNOWN_TEXT_HEADS(width=width, key=f"clip_skip.{key}", yaml=yaml, name="version"))
    if width % heads:
        raise HeadsError(TEXT_HEADS_DO_NOT_DIVIDE(heads=heads, width=width))
    return heads


def text_heads_beside(path: Path, place: int) -> int | None:
    """The heads of a text encoder by the `.yaml` beside the checkpoint at `path`; None if they are not in it."""
    config = yaml_beside(path)
    for part in (("conditioner_config", "params", "emb_models", place), ("cond_stage_config",)):
        if any(where[: len(part)] == part for where in config):
            architecture, version = (config.get((*part, "params", name)) for name in ("arch", "version"))
            return from_encoder(version, path) if architecture is None else from_architecture(architecture, path)
    return None


def prediction(metadata: Mapping[str, str], config: Config, family: str) -> str:
    """The UNet's prediction type, or "" where only a test run of SD2's weights can show it."""
    text = metadata.get("modelspec.prediction_type", "").lower()
    if text in ("epsilon", "v", "v_prediction"):
        return "epsilon" if text == "epsilon" else "v_prediction"
    if config:
        scaling = config.get(("denoiser_config", "params", "scaling_config", "target"), "")
        is_v = config.get(("parameterization",)) == "v" or scaling.endswith("VScaling")
        return "v_prediction" if is_v else "epsilon"
    return "" if family == "SD2" else "epsilon"


def yaml_beside(path: Path) -> Config:
    """The scalars below `model.params` in the `.yaml` beside `path`; empty where there is none. Raises `HeadsError`."""
    file = path.with_suffix(".yaml")
    if not file.is_file():
        return {}
    try:
        return {place[2:]: text for place, text in yaml_scalars(file).items() if place[:2] == ("model", "params")}
    except ConfigError as error:
        raise HeadsError(error.message) from error


def from_metadata(metadata: Mapping[str, str], key: str) -> int | None:
    text = metadata.get(f"clip_skip.{key}")
    return None if text is None else count(text, METADATA(key=f"clip_skip.{key}"))


def from_yaml(config: Config, part: str, name: str, path: Path) -> int | None:
    """A number of `part` of a model in a `.yaml`; None where it does not have it."""
    text = config.get((part, "params", name))
    return None if text in (None, "-1", "", "null", "~") else count(text, in_yaml(name, path))


def in_yaml(name: str, path: Path) -> Message:
    return IN_FILE(name=name, file=path.with_suffix(".yaml").name)


def from_encoder(version: str | None, path: Path) -> int | None:
    """The heads of the text encoder whose folder a `.yaml` names; None for a hub's name, and a folder elsewhere."""
    folder = path_inside(path.parent, version) if version else None
    if folder is None or not (folder / "config.json").is_file():
        return None
    config = config_of(folder / "config.json")
    text = config.get("text_config", config)
    heads = text.get("num_attention_heads") if isinstance(text, dict) else None
    return None if heads is None else count(heads, IN_FILE(name="num_attention_heads", file="config.json"))


def from_architecture(name: str, path: Path) -> int | None:
    """The heads of an architecture of OpenCLIP: one of its own, or one whose `.json` is beside `path`; else None.

    OpenCLIP itself is not called, because it looks up names like `hf-hub:...` in the network.
    """
    if not plain_name(name):
        return None
    spec = find_spec("open_clip")
    own = Path(spec.origin).parent / "model_configs" if spec and spec.origin else path.parent
    for file in (own / f"{name}.json", path.parent / f"{name}.json"):
        if file.is_file():
            text = config_of(file).get("text_cfg")
            heads = text.get("heads") if isinstance(text, dict) else None
            return None if heads is None else count(heads, IN_FILE(name="heads", file=file.name))
    return None


def config_of(file: Path) -> Mapping[str, Any]:
    try:
        return json_file(file)
    except ConfigError as error:
        raise HeadsError(error.message) from error


def count(value: object, where: Message) -> int:
    """A number of heads, or of channels. Raises `HeadsError`."""
    text = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"\d{1,5}", text, re.ASCII) or int(text) < 1:
        raise HeadsError(NOT_HEADS(where=where, text=shorten(str(value))))
    return int(text)


def positive(text: str, where: Message) -> float:
    """A number above 0. Raises `HeadsError`."""
    number = float(text) if NUMBER.fullmatch(text) else math.nan
    if not 0 < number < math.inf:
        raise HeadsError(METADATA_NOT_A_NUMBER(where=where, text=shorten(text)))
    return number
