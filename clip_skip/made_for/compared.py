"""How much each block of a checkpoint's text encoder differs from the checkpoint's base.

Files of two precisions are compared in the coarser of the two, and values of bfloat16 that were saved as float16 or
float32 count as bfloat16: else the rounding of the file would be taken for training.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from clip_skip.made_for.adapters import MISSING, Block, Open
from clip_skip.made_for.naming import Name

__all__ = ["compared_blocks"]

OPEN_CLIP = {
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
"""OpenCLIP's names for the layers of a block, and transformers'."""

THIRDS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
"""What OpenCLIP's `attn.in_proj` holds one above the other."""

ULPS = 2
"""Units in the last place by which sums that were rounded in the file's precision differ, at most."""

Part = tuple[str, int | None]
"""A tensor's name in the file, and which third of it, if not all."""

Pair = tuple[Any, Any]


def compared_blocks(
    file: Open, base: Open, places: Mapping[str, Name], base_places: Mapping[str, Name], encoder: int, depth: int
) -> tuple[Block, ...]:
    """The `depth` blocks of the text encoder at the place `encoder`, from the bottom up."""
    ours, theirs = parts(places, encoder), parts(base_places, encoder)
    shared = [key for key in ours if key in theirs]
    if not shared:
        return (MISSING,) * depth
    largest = max(shared, key=lambda key: math.prod(file.get_slice(ours[key][0]).get_shape()))
    precision = coarser(stored(read(file, ours[largest])), stored(read(base, theirs[largest])))
    blocks = []
    for block in range(depth):
        keys = [key for key in shared if key[0] == block]
        blocks.append(differing(((read(file, ours[key]), read(base, theirs[key])) for key in keys), precision))
    return tuple(blocks)


def parts(places: Mapping[str, Name], encoder: int) -> dict[tuple[int, str, str], Part]:
    """Where each weight is, by block, layer and factor in the names of transformers."""
    found: dict[tuple[int, str, str], Part] = {}
    for name, place in places.items():
        if place.encoder != encoder or place.factor not in ("weight", "bias"):
            continue
        if place.layer == "attn.in_proj":
            found |= {(place.block, layer, place.factor): (name, third) for third, layer in enumerate(THIRDS)}
        else:
            found[place.block, OPEN_CLIP.get(place.layer, place.layer), place.factor] = (name, None)
    return found


def read(file: Open, part: Part) -> Any:
    name, third = part
    if third is None:
        return file.get_tensor(name)
    rows = file.get_slice(name)
    size = rows.get_shape()[0] // 3
    return rows[third * size : (third + 1) * size]


def stored(tensor: Any) -> Any:
    """The precision that the values have, which may be coarser than that of the file: a dtype of torch."""
    import torch

    for dtype in (torch.bfloat16, torch.float16):
        is_coarser = torch.finfo(dtype).eps > torch.finfo(tensor.dtype).eps
        if is_coarser and bool((tensor.to(dtype) == tensor).all()):
            return dtype
    return tensor.dtype


def coarser(one: Any, other: Any) -> Any:
    import torch

    return max(one, other, key=lambda dtype: torch.finfo(dtype).eps)


def differing(pairs: Iterable[Pair], precision: Any) -> Block:
    """A block from its tensors and the base's."""
    largest, rounding, told = 0.0, True, False
    for one, other in pairs:
        if one.shape != other.shape:
            return Block(None, "sizes")
        told = True
        for ours, theirs in rounded(one, other, precision):
            apart = (ours - theirs).abs_()
            value = float(apart.max()) if apart.numel() else 0.0
            if not math.isfinite(value):
                return Block(None, "broken")
            if value and rounding:
                rounding = within_rounding(apart, theirs, precision)
            largest = max(largest, value)
    if not told:
        return MISSING
    return Block(largest, "rounding" if largest and rounding else "")


def rounded(one: Any, other: Any, precision: Any) -> Iterator[Pair]:
    """Both in float32 after `precision`; nothing where they are equal as they are, and finite."""
    import torch

    if one.dtype == other.dtype and torch.equal(one, other) and bool(torch.isfinite(one.sum(dtype=torch.float32))):
        return
    yield one.to(precision).float(), other.to(precision).float()


def within_rounding(apart: Any, values: Any, precision: Any) -> bool:
    import torch

    info = torch.finfo(precision)
    return bool((apart <= values.abs().mul_(ULPS * info.eps).add_(ULPS * info.smallest_normal * info.eps)).all())
