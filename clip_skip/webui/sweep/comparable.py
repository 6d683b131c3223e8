"""Values of any kind as data for JSON, so that two of them can be compared by a digest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path

from PIL import Image

__all__ = ["Incomparable", "comparable", "digest", "strings"]


class Incomparable(Exception):
    """It cannot be determined whether two of these values are equal."""


def comparable(value: object) -> object:
    """`value` for JSON, with pictures and arrays by their content. Incomparable for anything else."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Enum):
        return [type(value).__name__, value.name]
    if isinstance(value, Mapping):
        return {str(key): comparable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [comparable(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted(json.dumps(comparable(one), sort_keys=True) for one in value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Image.Image):
        return [value.mode, *value.size, hashlib.sha256(value.tobytes()).hexdigest()]
    if hasattr(value, "__array__"):
        return array_content(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, comparable(vars(value))]
    raise Incomparable


def array_content(value: object) -> list[object]:
    import numpy as np

    array = np.asarray(value.detach().float().cpu() if hasattr(value, "detach") else value)
    if array.dtype == object:
        raise Incomparable
    return [str(array.dtype), *array.shape, hashlib.sha256(array.tobytes()).hexdigest()]


def strings(value: object) -> Iterator[str]:
    """Every text in `value`."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from strings(one)


def digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
