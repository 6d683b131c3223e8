"""How much an adapter changes each block of a text encoder, from as few of its tensors as tell it.

An adapter's change is a product of factors. One of them begins at zero, so where no gradient came the whole product is
exactly zero; which one it is differs between trainers (LyCORIS' LoHa begins with `hada_w2_a` at zero, PEFT's with
`hada_w2_b`), so a product is zero where any of its factors is. Rotations (OFT) and scales ((IA)3) begin at zero or one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clip_skip.made_for.naming import Name

__all__ = ["Block", "Open", "adapter_blocks"]

Open = Any
"""A file as `safetensors.safe_open` gives it, with torch's tensors."""


@dataclass(frozen=True)
class Block:
    """What is known of one block of a text encoder.

    largest: its largest absolute change; None where the file does not tell it.
    note: "" or why there is more to say: "missing" (no tensors), "halves" (a factor without its counterpart), "broken"
    (values that are not finite), "cleared" (zero in every factor, which no training makes), "rounding" (no more than
    the rounding of the file's precision).
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
"""What is multiplied with each other, if there; the products are added. Pairs are named by one of their two."""

FROM_ONE = {"ia3_l", "boft_s", "rescale"}
"""Scales, which begin at one."""

RANKS = ("down", "hada_w1_b", "lokr_w2_b", "lokr_w1_b", "b2")
"""Factors whose first dimension is the rank."""


def adapter_blocks(file: Open, places: Mapping[str, Name], encoder: int, depth: int) -> tuple[Block, ...]:
    """The `depth` blocks of the text encoder at the place `encoder`, from the bottom up."""
    layers: dict[int, dict[str, dict[str, str]]] = {}
    for name, place in places.items():
        if place.encoder == encoder and place.block < depth:
            layers.setdefault(place.block, {}).setdefault(place.layer, {})[place.factor] = name
    return tuple(
        joined(changes(file, layers[block].values())) if block in layers else MISSING for block in range(depth)
    )


def changes(file: Open, layers: Iterable[Mapping[str, str]]) -> Iterator[Block]:
    return (layer_change(file, tensors) for tensors in layers)


def joined(layers: Iterable[Block]) -> Block:
    """A block from what is known of its layers. One that has changed is enough; that none has, all must say."""
    found = list(layers)
    notes = {layer.note for layer in found}
    largest = max((layer.largest for layer in found if layer.largest is not None), default=None)
    if "broken" in notes:
        return Block(None, "broken")
    if not largest and "halves" in notes:
        return Block(None, "halves")
    if largest is None:
        return MISSING
    return Block(largest, "cleared" if notes == {"cleared"} else "")


def layer_change(file: Open, tensors: Mapping[str, str]) -> Block:
    """The change of one layer, whose factors are in `tensors` by their names in the file."""
    factors = dict(tensors)
    if "on_input" in factors and "weight" in factors:  # LyCORIS' (IA)3 keeps its scale, less one, as a weight
        factors["diff"] = factors.pop("weight")
    total, told, cleared = 0.0, False, True
    for product in PRODUCTS:
        groups = [group for name in product if (group := group_of(name, factors))]
        if not groups or groups == [("mid",)]:
            continue
        if any(name not in factors for group in groups for name in group) or only_one(product, factors):
            return Block(None, "halves")
        value, empty = multiplied(file, groups, factors)
        times = scale(file, factors)
        total, told, cleared = total + value * times, True, cleared and (empty or not times)
    if not math.isfinite(total):
        return Block(None, "broken")
    return Block(total, "cleared" if cleared and not total else "") if told else MISSING


def group_of(name: str, factors: Mapping[str, str]) -> tuple[str, ...]:
    """The matrix `name`, or the pair that it names, if any of it is there."""
    group = PAIRS.get(name, (name,))
    return group if any(one in factors for one in group) else ()


def only_one(product: tuple[str, ...], factors: Mapping[str, str]) -> bool:
    """Whether LoHa or LoKr lacks one of the two things that it multiplies."""
    kind = product[0].partition("_")[0]
    sides = {name[5:7] for name in factors if name.startswith(f"{kind}_w")}
    return kind in ("hada", "lokr") and len(sides) == 1


def multiplied(file: Open, groups: Iterable[tuple[str, ...]], factors: Mapping[str, str]) -> tuple[float, bool]:
    """A bound of the product's largest element, exactly 0 where it is zero; and whether every factor is zero.

    A pair's largest element is at most the longest row of the one times the longest column of the other.
    """
    tensors = {name: file.get_tensor(factors[name]) for group in groups for name in group}
    if tensors.keys() & FROM_ONE:
        tensors = {name: tensor.float() - 1 for name, tensor in tensors.items()}
    largest = {name: peak(tensor) for name, tensor in tensors.items()}
    if not all(math.isfinite(one) for one in largest.values()):
        return math.nan, False
    if not all(largest.values()):
        return 0.0, len(largest) > 1 and not any(largest.values())
    value = 1.0
    for group in groups:
        for name in group:
            paired = len(group) == 2 and tensors[name].ndim > 1
            value *= length(tensors[name], largest[name], name == group[0]) if paired else largest[name]
    return value, False


def peak(tensor: Any) -> float:
    """The largest absolute value; NaN if there is one."""
    if not tensor.numel():
        return 0.0
    if not tensor.is_floating_point() or tensor.element_size() < 2:  # torch compares no 8-bit floats
        tensor = tensor.float()
    low, high = tensor.aminmax()
    return max(abs(float(low)), abs(float(high))) if low == low and high == high else math.nan


def length(tensor: Any, largest: float, rows: bool) -> float:
    """The length of the longest row, or column, of a matrix whose largest absolute value is `largest`."""
    scaled = tensor.flatten(1).float() / largest
    return math.sqrt(float(scaled.square_().sum(1 if rows else 0).amax())) * largest


def scale(file: Open, factors: Mapping[str, str]) -> float:
    """Alpha by rank, which the change is multiplied by; 1 where the file has no alpha."""
    if "alpha" not in factors:
        return 1.0
    with_rank = next((factors[name] for name in RANKS if name in factors), None)
    shape = file.get_slice(with_rank).get_shape() if with_rank else []
    alpha = file.get_tensor(factors["alpha"])
    return abs(float(alpha)) / shape[0] if shape and shape[0] and alpha.numel() == 1 else 1.0
