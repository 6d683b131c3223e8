"""A device that does not exist, whose memory is counted: its tensors lie in the computer's, and are computed there.

As on a real one, tensors of two devices do not mix, and there is an end to its memory.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = torch.device("lazy")
"""A name that torch knows, without code for it."""

CPU = torch.device("cpu")


class OnDevice(Tensor):
    """A tensor on the device; `inner` is where its numbers are."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> OnDevice:
        shape = {"strides": inner.stride(), "storage_offset": inner.storage_offset(), "dtype": inner.dtype}
        made = Tensor._make_wrapper_subclass(cls, inner.shape, device=DEVICE, **shape)
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{function} runs while there is no device")


def is_elsewhere(value: Any) -> bool:
    """Whether `value` is a tensor of the computer's memory, and not a single number, which every device takes."""
    return isinstance(value, Tensor) and not isinstance(value, OnDevice) and bool(value.dim())


def change_each(change: Callable[[Any], Any], value: Any) -> Any:
    """`value` with each thing in its tuples, lists and dictionaries changed. (torch's `tree_map` takes much longer.)"""
    if isinstance(value, (tuple, list)):
        return type(value)([change_each(change, one) for one in value])
    if isinstance(value, dict):
        return {name: change_each(change, one) for name, one in value.items()}
    return change(value)


class NumbersOnDevice(TorchFunctionMode):
    """`torch.tensor` of numbers on the device, which torch does without asking a dispatch mode."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if function is torch.tensor and kwargs.get("device") == DEVICE:
            return function(*args, **{**kwargs, "device": "cpu"}).to(DEVICE)
        return function(*args, **kwargs)


class CountedDevice(TorchDispatchMode):
    """While it is open, the device is there.

    capacity: the bytes of its memory
    now:      those that are taken
    peak:     the most that were, since it was last set
    """

    def __init__(self, capacity: float = math.inf) -> None:
        super().__init__()
        self.capacity, self.now, self.peak = capacity, 0, 0
        self._tensors: dict[int, int] = {}
        self._numbers = NumbersOnDevice()

    def __enter__(self) -> CountedDevice:
        self._numbers.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._numbers.__exit__(*error)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given: list[Any] = []
        change_each(given.append, (args, kwargs))
        is_there = any(isinstance(one, OnDevice) for one in given)
        if function.overloadpacket is torch.ops.aten._has_compatible_shallow_copy_type:
            return is_there == all(isinstance(one, OnDevice) for one in given)
        moves = function.overloadpacket in (torch.ops.aten.copy_, torch.ops.aten.index, torch.ops.aten.index_put_)
        if is_there and not moves and any(is_elsewhere(one) for one in given):
            raise RuntimeError(f"{function}: tensors are on two devices")
        for one in given:
            is_there = one == DEVICE if isinstance(one, torch.device) else is_there
        inner = lambda one: one.inner if isinstance(one, OnDevice) else CPU if isinstance(one, torch.device) else one
        with torch.inference_mode(False), torch.no_grad():
            made = function(*change_each(inner, args), **change_each(inner, kwargs))
            return change_each(lambda one: self._place(one) if is_there and isinstance(one, Tensor) else one, made)

    def _place(self, inner: Tensor) -> OnDevice:
        storage = inner.untyped_storage()
        if not self._tensors.get(storage._cdata):
            if self.now + storage.nbytes() > self.capacity:
                raise torch.cuda.OutOfMemoryError("the counted device is out of memory")
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
        self._tensors[storage._cdata] = self._tensors.get(storage._cdata, 0) + 1
        placed = OnDevice(inner)
        weakref.finalize(placed, self._release, storage)
        return placed

    def _release(self, storage: torch.UntypedStorage) -> None:
        self._tensors[storage._cdata] -= 1
        if not self._tensors[storage._cdata]:
            del self._tensors[storage._cdata]
            self.now -= storage.nbytes()
