"""The contents of a checkpoint file, from its header alone: SD1, SD2 or SDXL, and its sizes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import safe_open

from clip_skip.made_for.naming import checkpoint_family
from clip_skip.messages.message import FIELD_PROBLEM, Message, Template, join
from clip_skip.standalone.models.errors import CheckpointError, checkpoint_errors
from clip_skip.standalone.models.heads import HeadsError, complete_sizes
from clip_skip.standalone.models.sizes import TEXT, TEXT_PREFIXES, UNET, VAE, Shape, Sizes, sizes_of

__all__ = [
    "CheckpointError",
    "checkpoint_names",
    "count_weights",
    "digest",
    "inspect",
    "open_checkpoint",
    "other_model",
]

OLD_TEXT = "cond_stage_model.transformer."
"""Some checkpoints have no `text_model` in the names of the text encoder; WebUIs accept them too."""

OTHERS = {
    "conditioner.embedders.0.model.": Template("an SDXL refiner"),
    "model.diffusion_model.joint_blocks.": Template("an SD3 checkpoint"),
    "model.diffusion_model.double_blocks.": Template("a Flux checkpoint"),
    "double_blocks.": Template("a Flux transformer"),
    "lora_": Template("a LoRA"),
    "down_blocks.": Template("a UNet in the names of diffusers"),
    "unet.": Template("a model in the names of diffusers"),
    "text_model.": Template("a text encoder"),
    "control_model.": Template("a ControlNet"),
    "decoder.": Template("a VAE"),
    "emb_params": Template("a textual inversion embedding"),
}
"""Kinds of files, by the prefixes of their weights' names."""

CHANNELS = {9: Template("an inpainting model"), 8: Template("an instruct-pix2pix model")}
"""Kinds of checkpoints, by the input channels of the UNet."""

CHECKPOINT_NOT_FOUND = Template("{file}: there is no such file")
IS_ANOTHER = Template("{file} is not an SD1, SD2 or SDXL checkpoint: it is {kind}")
LACKS_PARTS = Template("{file} is not an SD1, SD2 or SDXL checkpoint: it has {parts}")
NO_UNET, NO_VAE, NO_TEXT = Template("no UNet"), Template("no VAE"), Template("no text encoder")
OTHER_CHANNELS = Template("{file} is {kind}: its UNet takes {channels} channels, not 4")
ANOTHER_KIND = Template("another kind of model")
OTHER_MIDDLE = Template("{file}: the middle of its UNet has {count} transformer blocks, not {expected}")
INCOMPLETE = Template("{file} is not a complete {family} checkpoint: {problem}")


def inspect(path: Path) -> Sizes:
    """The sizes of the model in `path`, from its header alone. Raises `CheckpointError` if it is not one."""
    with open_checkpoint(path) as (_, _, sizes):
        return sizes


@contextmanager
def open_checkpoint(path: Path) -> Iterator[tuple[Any, dict[str, str], Sizes]]:
    """The open file, its name for each weight we need, and the sizes of the model. Raises `CheckpointError`.

    Errors that the block raises about the weights become one, too.
    """
    if not path.is_file():
        raise CheckpointError(CHECKPOINT_NOT_FOUND(file=str(path)))
    with checkpoint_errors(path), safe_open(path, framework="pt") as file:
        names = list(file.keys())
        weight_names = checkpoint_names(names)
        shapes = {new: tuple(file.get_slice(old).get_shape()) for new, old in weight_names.items()}
        check_parts(shapes, names, path)
        yield file, weight_names, read_sizes(shapes, file.metadata() or {}, path)


def count_weights(path: Path) -> tuple[Sizes, int]:
    """The sizes of the model in `path`, and how many numbers its weights are. Raises as `inspect`."""
    with open_checkpoint(path) as (file, weight_names, sizes):
        return sizes, sum(math.prod(file.get_slice(name).get_shape()) for name in weight_names.values())


def digest(path: Path) -> str:
    """A hash that identifies a model without reading gigabytes: of the size and of 64 blocks spread over the file."""
    size = path.stat().st_size
    content = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for block in range(64):
            file.seek(block * size // 64)
            content.update(file.read(1 << 16))
    return content.hexdigest()


def check_parts(shapes: Mapping[str, Shape], names: Sequence[str], path: Path) -> None:
    """Raise `CheckpointError` unless weights of these `shapes` are those of a known text-to-image model."""
    unet, vae = f"{UNET}input_blocks.0.0.weight", f"{VAE}post_quant_conv.weight"
    missing: list[Message | str] = [part for part, name in ((NO_UNET, unet), (NO_VAE, vae)) if name not in shapes]
    if checkpoint_family(text_prefixes(shapes)) is None:
        missing.append(NO_TEXT)
    if missing:
        kind = other_model(names)
        if kind:
            raise CheckpointError(IS_ANOTHER(file=str(path), kind=kind))
        raise CheckpointError(LACKS_PARTS(file=str(path), parts=join(missing, ", ")))
    channels = shapes[unet][1]
    if channels != 4:
        kind = CHANNELS.get(channels, ANOTHER_KIND)
        raise CheckpointError(OTHER_CHANNELS(file=str(path), kind=kind, channels=channels))


def other_model(names: Sequence[str]) -> Template | None:
    """The kind of a file that is not a checkpoint, by the names of its weights."""
    return next((kind for start, kind in OTHERS.items() if any(name.startswith(start) for name in names)), None)


def text_prefixes(shapes: Mapping[str, Shape]) -> Iterator[str]:
    """The prefixes of the text encoders, each recognized by its last norm."""
    for prefixes in TEXT_PREFIXES.values():
        for prefix in prefixes:
            if f"{prefix}final_layer_norm.weight" in shapes or f"{prefix}ln_final.weight" in shapes:
                yield prefix


def checkpoint_names(names: Sequence[str]) -> dict[str, str]:
    """The names of the weights we need, by today's name: no EMA copies, no training state."""
    texts = tuple(prefix for prefixes in TEXT_PREFIXES.values() for prefix in prefixes)
    weight_names = {name: name for name in names if name.startswith((UNET, VAE, *texts))}
    for name in names:
        if name.startswith(OLD_TEXT) and not name.startswith(TEXT):
            weight_names[TEXT + name[len(OLD_TEXT) :]] = name
    unused_endings = ("position_ids", "logit_scale", ".attn_mask")
    return {new: old for new, old in weight_names.items() if not new.endswith(unused_endings) and ".loss." not in new}


def read_sizes(shapes: Mapping[str, Shape], metadata: Mapping[str, str], path: Path) -> Sizes:
    """The sizes of the checkpoint at `path`, complete. Raises `CheckpointError`."""
    try:
        sizes = sizes_of(shapes)
        middle = max(sizes.attention[-1], 1)
        if sizes.middle != middle:
            raise CheckpointError(OTHER_MIDDLE(file=str(path), count=sizes.middle, expected=middle))
        return complete_sizes(path, metadata, sizes)
    except HeadsError as error:
        raise CheckpointError(FIELD_PROBLEM(field=str(path), problem=error.message)) from error
    except (KeyError, IndexError) as error:
        family = checkpoint_family(shapes) or "SD1"
        raise CheckpointError(INCOMPLETE(file=str(path), family=family, problem=str(error))) from error
