"""How much each block of a checkpoint's text encoder differs from the checkpoint's base.

Files of two precisions are compared in the coarser of the two, and values of bfloat16 that were saved as float16 or
float32 count as bfloat16: else the rounding of the file would be taken for training.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from clip_skip.made_for.adapters import MISSING, Block
from clip_skip.made_for.naming import OPEN_CLIP_LAYERS, Name
from clip_skip.made_for.safetensors_file import PRECISIONS, Array, SafetensorsFile, round_to

__all__ = ["compared_blocks"]

THIRDS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
"""The parts that OpenCLIP's `attn.in_proj` stacks."""

ULPS = 2
"""Units in the last place by which sums that were rounded in the file's precision differ, at most."""

Part = tuple[str, int | None]
"""A tensor's name in the file, and which third of it, if not all."""

Pair = tuple[Array, Array]


@np.errstate(all="ignore")  # values that are not finite are reported as such
def compared_blocks(
    file: SafetensorsFile,
    base: SafetensorsFile,
    places: Mapping[str, Name],
    base_places: Mapping[str, Name],
    encoder: int,
    depth: int,
) -> tuple[Block, ...]:
    """The `depth` blocks of the text encoder at the place `encoder`, from the bottom up."""
    ours, theirs = locate_parts(places, encoder), locate_parts(base_places, encoder)
    shared = [key for key in ours if key in theirs]
    if not shared:
        return (MISSING,) * depth
    largest = max(shared, key=lambda key: math.prod(file.shape(ours[key][0])))
    precisions = precision_of(file, ours[largest][0]), precision_of(base, theirs[largest][0])
    precision = max(precisions, key=lambda name: PRECISIONS[name][0])
    blocks = []
    for block in range(depth):
        keys = [key for key in shared if key[0] == block]
        pairs = ((read_part(file, ours[key], precision), read_part(base, theirs[key], precision)) for key in keys)
        blocks.append(differing(pairs, precision))
    return tuple(blocks)


def locate_parts(places: Mapping[str, Name], encoder: int) -> dict[tuple[int, str, str], Part]:
    """The place of each weight, by block, layer and factor in transformers' names."""
    parts: dict[tuple[int, str, str], Part] = {}
    for name, place in places.items():
        if place.encoder != encoder or place.factor not in ("weight", "bias"):
            continue
        if place.layer == "attn.in_proj":
            parts |= {(place.block, layer, place.factor): (name, third) for third, layer in enumerate(THIRDS)}
        else:
            parts[place.block, OPEN_CLIP_LAYERS.get(place.layer, place.layer), place.factor] = (name, None)
    return parts


def read_part(file: SafetensorsFile, part: Part, precision: str) -> Array:
    """The numbers of a part, in the precision in which it is compared."""
    name, third = part
    values = file.values(name) if third is None else file.values(name, third, len(THIRDS))
    return values if file.type(name) == precision else round_to(values, precision)


def precision_of(file: SafetensorsFile, name: str) -> str:
    """The precision that the values of a tensor have, which may be coarser than that of the file."""
    values = file.values(name)
    file_type = file.type(name) if file.type(name) in PRECISIONS else "F32"
    for precision in ("BF16", "F16"):
        is_coarser = PRECISIONS[precision][0] > PRECISIONS[file_type][0]
        if is_coarser and np.array_equal(round_to(values, precision), values):
            return precision
    return file_type


def differing(pairs: Iterable[Pair], precision: str) -> Block:
    """A block from its tensors and the base's."""
    largest, rounding, has_pairs = 0.0, True, False
    for ours, theirs in pairs:
        if ours.shape != theirs.shape:
            return Block(None, "sizes")
        has_pairs = True
        if np.array_equal(ours, theirs):  # NaNs never are
            continue
        apart = np.abs(ours - theirs)
        value = float(apart.max())
        if not math.isfinite(value):
            return Block(None, "broken")
        if value and rounding:
            rounding = within_rounding(apart, theirs, precision)
        largest = max(largest, value)
    if not has_pairs:
        return MISSING
    return Block(largest, "rounding" if largest and rounding else "")


def within_rounding(apart: Array, values: Array, precision: str) -> bool:
    eps, smallest = PRECISIONS[precision]
    return bool((apart <= ULPS * eps * np.abs(values) + ULPS * smallest * eps).all())
