"""How much an adapter changes each block of a text encoder, from as few of its tensors as possible.

An adapter's change is a product of factors. One of them begins at zero, so where no gradient came the whole product is
exactly zero; which one it is differs between trainers (LyCORIS' LoHa begins with `hada_w2_a` at zero, PEFT's with
`hada_w2_b`), so a product is zero where any of its factors is. Rotations (OFT) and scales ((IA)3) begin at zero or one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clip_skip.made_for.naming import Name
from clip_skip.made_for.safetensors_file import Array, SafetensorsFile

__all__ = ["Block", "adapter_blocks"]


@dataclass(frozen=True)
class Block:
    """The findings on one block of a text encoder.

    largest: its largest absolute change; None where the file does not show it.
    note: "" or why there is more to say: "missing" (no tensors), "halves" (a factor without its counterpart), "broken"
    (values that are not finite), "cleared" (zero in every factor), "rounding" (no more than the rounding of the file's
    precision), "tiny" (little more than the least that float16 can hold).
    """

    largest: float | None
    note: str = ""


MISSING = Block(None, "missing")

PAIRS = {
    "up": ("up", "down"),
    "hada_w1_a": ("hada_w1_a", "hada_w1_b"),
    "hada_w2_a": ("hada_w2_a", "hada_w2_b"),
    "lokr_w1_a": ("lokr_w1_a", "lokr_w1_b"),
    "lokr_w2_a": ("lokr_w2_a", "lokr_w2_b"),
    "a2": ("a1", "a2"),
    "b2": ("b1", "b2"),
}
"""Matrices of shape (outputs, rank) and (rank, inputs) that are multiplied."""

PRODUCTS = (
    ("up", "mid", "lora_E"),
    ("hada_w2_a", "hada_w1_a", "hada_t1", "hada_t2"),
    ("lokr_w2", "lokr_w2_a", "lokr_w1", "lokr_w1_a", "lokr_t2"),
    ("a2",),
    ("b2",),
    *((one,) for one in ("diff", "diff_b", "w_norm", "b_norm", "oft_blocks", "oft_R", "oft_r", "boft_R", "boft_r")),
    ("ia3_l",),
    ("boft_s",),
    ("rescale",),
)
"""Factors that are multiplied, where present; the products are added. A pair is named by one of its two factors."""

TINY = 2.0**-24 * 20
"""float16 has nothing between 2**-24 and zero: where a factor is below this, a twentieth of it would be lost."""

FROM_ONE = {"ia3_l", "boft_s", "rescale"}
"""Scales, which begin at one."""

RANKS = ("down", "hada_w1_b", "lokr_w2_b", "lokr_w1_b", "b2")
"""Factors whose first dimension is the rank."""


@np.errstate(all="ignore")  # values that are not finite are reported as such
def adapter_blocks(file: SafetensorsFile, places: Mapping[str, Name], encoder: int, depth: int) -> tuple[Block, ...]:
    """The `depth` blocks of the text encoder at the place `encoder`, from the bottom up."""
    layers: dict[int, dict[str, dict[str, str]]] = {}
    for name, place in places.items():
        if place.encoder == encoder and place.block < depth:
            layers.setdefault(place.block, {}).setdefault(place.layer, {})[place.factor] = name
    blocks = []
    for block in range(depth):
        changes = [layer_change(file, tensors) for tensors in layers.get(block, {}).values()]
        blocks.append(combine_blocks(changes, max))
    return tuple(blocks)


def combine_blocks(parts: Sequence[Block], combine: Callable[[Iterable[float]], float]) -> Block:
    """The findings on a whole: changed if any part changed; unchanged only if all are known unchanged."""
    notes = {part.note for part in parts}
    measured_parts = [part for part in parts if part.largest is not None]
    largest = combine([part.largest or 0.0 for part in measured_parts]) if measured_parts else None
    if "broken" in notes or not math.isfinite(largest or 0.0):
        return Block(None, "broken")
    if not largest and "halves" in notes:
        return Block(None, "halves")
    if largest is None:
        return MISSING
    telling = {part.note for part in measured_parts if part.largest or not largest}
    return Block(largest, telling.pop() if len(telling) == 1 else "")


def layer_change(file: SafetensorsFile, tensors: Mapping[str, str]) -> Block:
    """The change of one layer, whose factors are in `tensors` by their names in the file."""
    factors = dict(tensors)
    if "on_input" in factors and "weight" in factors:  # LyCORIS' (IA)3 keeps its scale, less one, as a weight
        factors["diff"] = factors.pop("weight")
    changes = []
    for product in PRODUCTS:
        groups = [group for name in product if (group := group_of(name, factors))]
        if not groups or groups == [("mid",)]:
            continue
        if any(name not in factors for group in groups for name in group) or only_one(product, factors):
            return Block(None, "halves")
        changes.append(multiplied(file, groups, factors))
    return combine_blocks(changes, sum)


def group_of(name: str, factors: Mapping[str, str]) -> tuple[str, ...]:
    """The matrix `name`, or the pair that it names, if any of it is there."""
    group = PAIRS.get(name, (name,))
    return group if any(one in factors for one in group) else ()


def only_one(product: tuple[str, ...], factors: Mapping[str, str]) -> bool:
    """Whether one of the two factors of LoHa or LoKr is missing."""
    kind = product[0].partition("_")[0]
    sides = {name[5:7] for name in factors if name.startswith(f"{kind}_w")}
    return kind in ("hada", "lokr") and len(sides) == 1


def multiplied(file: SafetensorsFile, groups: Sequence[tuple[str, ...]], factors: Mapping[str, str]) -> Block:
    """A bound of the largest element of a product, times its scale; exactly 0 where it is zero.

    A pair's largest element is at most the longest row of the one times the longest column of the other.
    """
    tensors = {name: file.values(factors[name]) for group in groups for name in group}
    if tensors.keys() & FROM_ONE:
        tensors = {name: tensor - 1 for name, tensor in tensors.items()}
    largest = {name: peak(tensor) for name, tensor in tensors.items()}
    if not all(math.isfinite(one) for one in largest.values()):
        return Block(None, "broken")
    value = scale(file, factors)
    if not all(largest.values()) or not value:
        all_zero = len(largest) > 1 and not any(largest.values())
        return Block(0.0, "cleared" if all_zero or not value else "")
    for group in groups:
        for name in group:
            is_pair = len(group) == 2 and tensors[name].ndim > 1
            value *= length(tensors[name], largest[name], name == group[0]) if is_pair else largest[name]
    tiny = any(file.type(factors[name]) in ("F16", "BF16") and one < TINY for name, one in largest.items())
    return Block(value, "tiny" if tiny else "")


def peak(tensor: Array) -> float:
    """The largest absolute value; NaN if there is one."""
    return max(float(tensor.max()), -float(tensor.min())) if tensor.size else 0.0


def length(tensor: Array, largest: float, rows: bool) -> float:
    """The length of the longest row, or column, of a matrix whose largest absolute value is `largest`."""
    scaled = tensor.reshape(len(tensor), -1) / np.float32(largest)
    lengths = np.einsum("rc,rc->r" if rows else "rc,rc->c", scaled, scaled)
    return math.sqrt(float(lengths.max())) * largest


def scale(file: SafetensorsFile, factors: Mapping[str, str]) -> float:
    """Alpha by rank, which the change is multiplied by; 1 where the file has no alpha."""
    if "alpha" not in factors:
        return 1.0
    with_rank = next((factors[name] for name in RANKS if name in factors), None)
    shape = file.shape(with_rank) if with_rank else ()
    alpha = file.values(factors["alpha"])
    return abs(float(alpha.item())) / shape[0] if shape and shape[0] and alpha.size == 1 else 1.0
