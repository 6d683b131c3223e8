"""What a checkpoint file holds, from its header alone: is it SD1, SD2 or SDXL, and of what sizes?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from clip_skip.made_for.naming import checkpoint_family
from clip_skip.standalone.models import heads
from clip_skip.standalone.models.sizes import TEXT, TEXTS, UNET, VAE, Shape, Sizes, read

OLD_TEXT = "cond_stage_model.transformer."
"""Some checkpoints lack `text_model` in the names of the text encoder; WebUIs take them too."""

_OTHERS = {
    "conditioner.embedders.0.model.": "an SDXL refiner",
    "model.diffusion_model.joint_blocks.": "an SD3 checkpoint",
    "model.diffusion_model.double_blocks.": "a Flux checkpoint",
    "double_blocks.": "a Flux transformer",
    "lora_": "a LoRA",
    "down_blocks.": "a UNet in the names of diffusers",
    "unet.": "a model in the names of diffusers",
    "text_model.": "a text encoder",
    "control_model.": "a ControlNet",
    "decoder.": "a VAE",
    "emb_params": "a textual inversion embedding",
}


class CheckpointError(ValueError):
    """The file is not a complete SD1, SD2 or SDXL checkpoint; the message says what was found instead."""


def inspect(path: Path) -> Sizes:
    """The sizes of the model in `path`, from its header alone. Raises `CheckpointError` if it is not one."""
    with opened(path) as (_, _, sizes):
        return sizes


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, dict[str, str], Sizes]]:
    """The open file, its name for each weight we need, and the sizes of the model. Raises `CheckpointError`."""
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file")
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            wanted = _wanted(names)
            shapes = {new: tuple(file.get_slice(old).get_shape()) for new, old in wanted.items()}
            _check(shapes, names, path)
            yield file, wanted, _sizes(shapes, file.metadata() or {}, path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a complete .safetensors file: {error}") from error


def digest(path: Path) -> str:
    """A hash that tells models apart without reading gigabytes: of the size and of 64 blocks spread over the file."""
    size = path.stat().st_size
    content = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for block in range(64):
            file.seek(block * size // 64)
            content.update(file.read(1 << 16))
    return content.hexdigest()


def _check(shapes: Mapping[str, Shape], names: list[str], path: Path) -> None:
    """Raise `CheckpointError` unless weights of these `shapes` are those of a text-to-image model that is known."""
    parts = {"UNet": f"{UNET}input_blocks.0.0.weight", "VAE": f"{VAE}post_quant_conv.weight"}
    missing = [part for part, name in parts.items() if name not in shapes]
    if checkpoint_family(names_of(shapes)) is None:
        missing.append("text encoder")
    if missing:
        other = next((what for start, what in _OTHERS.items() if any(name.startswith(start) for name in names)), None)
        found = f"it is {other}" if other else f"it has no {' and no '.join(missing)}"
        raise CheckpointError(f"{path} is not an SD1, SD2 or SDXL checkpoint: {found}")
    channels = shapes[parts["UNet"]][1]
    if channels != 4:
        kind = {9: "an inpainting model", 8: "an instruct-pix2pix model"}.get(channels, "another kind of model")
        raise CheckpointError(f"{path} is {kind}: its UNet takes {channels} channels, not 4")


def names_of(shapes: Mapping[str, Shape]) -> Iterator[str]:
    """The weights' names, a text encoder's only where it is one: its last norm is there."""
    for prefixes in TEXTS.values():
        for prefix in prefixes:
            if f"{prefix}final_layer_norm.weight" in shapes or f"{prefix}ln_final.weight" in shapes:
                yield prefix


def _wanted(names: list[str]) -> dict[str, str]:
    """The weights we need, by today's name: no EMA copies, no training state."""
    texts = tuple(prefix for prefixes in TEXTS.values() for prefix in prefixes)
    wanted = {name: name for name in names if name.startswith((UNET, VAE, *texts))}
    for name in names:
        if name.startswith(OLD_TEXT) and not name.startswith(TEXT):
            wanted[TEXT + name[len(OLD_TEXT) :]] = name
    unused = ("position_ids", "logit_scale", ".attn_mask")
    return {new: old for new, old in wanted.items() if not new.endswith(unused) and ".loss." not in new}


def _sizes(shapes: Mapping[str, Shape], metadata: Mapping[str, str], path: Path) -> Sizes:
    try:
        sizes = read(shapes)
        middle = max(sizes.attention[-1], 1)
        if sizes.middle != middle:
            raise CheckpointError(f"{path}: its UNet's middle has {sizes.middle} transformer blocks, not {middle}")
        return heads.completed(path, metadata, sizes)
    except heads.HeadsError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (KeyError, IndexError, ZeroDivisionError) as error:
        raise CheckpointError(
            f"{path} is not a complete {checkpoint_family(shapes) or 'SD1'} checkpoint: {error}"
        ) from error
