"""The header and the tensors of a .safetensors file, read with NumPy alone.

The format: eight bytes with the length of the header, the header (JSON), and the tensors' bytes. Importing
torch would take longer than all the rest, and NumPy has neither bfloat16 nor float8, so both are converted here.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clip_skip.made_for.reading import Unreadable, load_json
from clip_skip.messages.message import Template

__all__ = ["PRECISIONS", "Array", "SafetensorsFile", "round_to"]

LONGEST_HEADER = 32_000_000
"""Bytes; the longest one found has four million, most of it the captions of a training."""

MOST_DIMENSIONS = 32
"""NumPy before 2.0 has no more."""

NOT_SAFETENSORS = Template("it is not a .safetensors file")
LONG_HEADER = Template("its header has {size} MB, more than any model needs")
CUT_SHORT = Template("it is incomplete")
ODD_SHAPE = Template("its text encoder has tensors of unexpected shapes")
UNKNOWN_TYPE = Template("it has tensors of the type {name}, which cannot be read here")

Array = NDArray[Any]

NUMPY_TYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "F8_E4M3": "u1", "F8_E5M2": "u1", "BOOL": "u1"},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1"},
}
"""The file's types, and how NumPy reads their bytes."""

PRECISIONS = {
    "F64": (2.0**-52, 2.0**-1022),
    "F32": (2.0**-23, 2.0**-126),
    "F16": (2.0**-10, 2.0**-14),
    "BF16": (2.0**-7, 2.0**-126),
    "F8_E4M3": (2.0**-3, 2.0**-6),
    "F8_E5M2": (2.0**-2, 2.0**-14),
}
"""Of each floating-point type: the distance from 1 to the next number, and the smallest normal number."""


@dataclass(frozen=True)
class Tensor:
    """type: a key of TYPES, or another that is not known. start: bytes from the beginning of the file."""

    type: str
    shape: tuple[int, ...]
    start: int


class SafetensorsFile:
    """An open file. A context manager. Raises `Unreadable` for another kind of file, and OSError.

    metadata: the header's entries other than the tensors. tensors: by name.
    """

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb")  # noqa: SIM115
        try:
            self.metadata, self.tensors = read_header(self._file)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> SafetensorsFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].shape

    def type(self, name: str) -> str:
        return self.tensors[name].type

    def raw_values(self, name: str, part: int = 0, parts: int = 1) -> Array:
        """The tensor as it is stored, bfloat16 and float8 as unsigned integers.

        part, parts: which one of the tensors that are stacked in this one, and their number.
        """
        tensor = self.tensors[name]
        if tensor.type not in NUMPY_TYPES:
            raise Unreadable(UNKNOWN_TYPE(name=tensor.type))
        if parts > 1 and (not tensor.shape or tensor.shape[0] % parts):
            raise Unreadable(ODD_SHAPE)
        shape = tensor.shape if parts == 1 else (tensor.shape[0] // parts, *tensor.shape[1:])
        size = math.prod(shape)
        dtype = np.dtype(NUMPY_TYPES[tensor.type])
        self._file.seek(tensor.start + part * size * dtype.itemsize)
        return np.fromfile(self._file, dtype, size).reshape(shape)

    def values(self, name: str, part: int = 0, parts: int = 1) -> Array:
        """The numbers of a tensor: float64 if it is stored so, else float32."""
        return numbers(self.raw_values(name, part, parts), self.type(name))


def read_header(file: Any) -> tuple[Mapping[str, str], Mapping[str, Tensor]]:
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > size - 8:
        raise Unreadable(NOT_SAFETENSORS)
    if length > LONGEST_HEADER:
        raise Unreadable(LONG_HEADER(size=round(length / 1e6)))
    try:
        header = load_json(file.read(length))
    except Unreadable:
        header = None
    if not isinstance(header, dict):
        raise Unreadable(NOT_SAFETENSORS)
    metadata = header.pop("__metadata__", None)
    texts = {key: text for key, text in metadata.items() if isinstance(text, str)} if isinstance(metadata, dict) else {}
    return texts, {name: tensor_of(entry, 8 + length, size) for name, entry in header.items()}


def tensor_of(entry: Any, body: int, size: int) -> Tensor:
    """The tensor that an entry of the header describes, in a file whose tensors begin at `body`."""
    try:
        shape, (start, end), name = tuple(entry["shape"]), entry["data_offsets"], entry["dtype"]
        whole = all(type(number) is int and number >= 0 for number in (*shape, start, end))
    except (TypeError, ValueError, KeyError):
        raise Unreadable(NOT_SAFETENSORS) from None
    if not whole or not isinstance(name, str) or len(shape) > MOST_DIMENSIONS:
        raise Unreadable(NOT_SAFETENSORS)
    if end > size - body:
        raise Unreadable(CUT_SHORT)
    if name in NUMPY_TYPES and end - start != math.prod(shape) * np.dtype(NUMPY_TYPES[name]).itemsize:
        raise Unreadable(NOT_SAFETENSORS)
    return Tensor(name, shape, body + start)


def numbers(raw: Array, name: str) -> Array:
    """The values of `raw`, of the type `name`, as float32 or float64."""
    if name == "BF16":
        return np.left_shift(raw, 16, dtype=np.uint32).view(np.float32)
    if name == "F8_E5M2":  # the upper half of a float16
        return np.left_shift(raw, 8, dtype=np.uint16).view(np.float16).astype(np.float32)
    if name == "F8_E4M3":
        return float8_values()[raw]
    return raw if name == "F64" else raw.astype(np.float32)


@lru_cache(maxsize=1)
def float8_values() -> Array:
    """The values of the 256 bit patterns of float8 E4M3, which has no infinities and two NaNs."""
    bits = np.arange(256)
    exponent, mantissa = bits >> 3 & 15, bits & 7
    values = np.where(exponent == 0, mantissa / 8 * 2.0**-6, (1 + mantissa / 8) * 2.0 ** (exponent - 7))
    values[bits & 127 == 127] = np.nan
    return np.where(bits & 128, -values, values).astype(np.float32)


def round_to(values: Array, precision: str) -> Array:
    """`values`, rounded as the floating-point type `precision` would hold them, however large they are."""
    eps, smallest = PRECISIONS[precision]
    if eps <= np.finfo(values.dtype).eps:
        return values
    _, exponents = np.frexp(values)
    steps = np.maximum(np.ldexp(eps, exponents - 1), eps * smallest).astype(values.dtype)
    rounded: Array = np.rint(values / steps) * steps
    return rounded
