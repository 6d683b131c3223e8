"""Which parts of a model are on the device, and when: all of them, or what is needed next.

All texts are encoded before the first step and pictures are decoded after the last, so where the memory of a GPU is too
small for a model, the text encoders, the UNet and the VAE take turns, and those blocks of the UNet for which there is
no room are there only while each of them runs. The weights stay in the computer's memory; what runs are copies, so that
nothing has to be copied back. No pixel changes.

The hooks of accelerate and diffusers are not used: theirs keep hold of weights that LoRAs replace between pictures,
take no notice of how much room there is, and copy back what has not changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any, Literal

import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

from clip_skip.standalone.models.checkpoint import Models
from clip_skip.standalone.models.sizes import Sizes

__all__ = ["Part", "Placement", "decoding_bytes", "free_memory", "is_short_of_memory", "peak_bytes", "sampling_bytes"]

Part = Literal["texts", "unet", "vae"]

BLOCKS = (BasicTransformerBlock, ResnetBlock2D, Downsample2D, Upsample2D)
"""The parts of a UNet that can be on the device one after the other. SDXL's largest takes 95 MB in float16."""

Weight = tuple[MutableMapping[str, Any], str, Tensor]
"""The dictionary of a module that holds a weight, its name there, and the weight."""


def free_memory(device: torch.device) -> float:
    """Bytes that torch can still use on `device`. Unlimited where a part that is elsewhere would leave no more room:
    on a CPU, and on a Mac, whose GPU has no memory of its own.
    """
    if device.type != "cuda":
        return math.inf
    # by torch, from earlier batches
    cached_bytes = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    current = device if device.index is not None else None  # torch 2.1 takes no other
    return float(torch.cuda.mem_get_info(current)[0] + cached_bytes)


def sampling_bytes(sizes: Sizes, width: int, height: int) -> float:
    """The memory that a picture takes while the UNet runs, without weights; generous, as attention may need more."""
    return 450e6 * width * height / 512**2 * sizes.unet[0] / 320


def decoding_bytes(sizes: Sizes, width: int, height: int) -> float:
    """The memory that a picture takes while it is decoded in float32, in which SDXL's VAE may have to run."""
    return 6.0 * sizes.vae[0] * width * height * 4


def peak_bytes(sizes: Sizes, width: int, height: int) -> float:
    """The most that one picture takes besides the weights."""
    return max(sampling_bytes(sizes, width, height), decoding_bytes(sizes, width, height))


def is_short_of_memory(device: torch.device, sizes: Sizes, weights: int, dtype: torch.dtype) -> bool:
    """Whether `device` has no room for a model of so many weights and one picture of the size it was trained at."""
    side = 1024 if sizes.family == "SDXL" else 512
    return free_memory(device) < weights * dtype.itemsize + peak_bytes(sizes, side, side)


class Placement:
    """Brings the parts of a model to the device it runs on."""

    def __init__(
        self,
        models: Models,
        device: torch.device | str | None = None,
        low_memory: bool = False,
        resident: float = math.inf,
    ) -> None:
        """device:     where the model runs; None is where its UNet is
        low_memory: whether the parts take turns there; if not, all of them are there already, and if so, none
        resident:   the most bytes of the UNet's blocks that stay there from step to step, if there is room
        """
        self.device = models.unet.device if device is None else torch.device(device)
        self.low_memory = low_memory
        self._resident = resident
        self._parts: dict[Part, tuple[nn.Module, ...]] = {
            "texts": models.text_encoders,
            "unet": (models.unet,),
            "vae": (models.vae,),
        }
        self._here: Part | None = None
        self._work = 0.0
        self._originals: dict[object, list[Weight]] = {}
        """The weights in whose place copies on the device are, by what brought them."""
        self._hooks: list[Any] = []

    def bring(self, part: Part, work: float = 0.0) -> None:
        """Have `part` on the device, and none of the others where they take turns. work: the bytes that it runs in."""
        if not self.low_memory or (self._here == part and work <= self._work):
            return
        self.clear()
        modules = self._parts[part]
        blocks = [module for module in modules[0].modules() if isinstance(module, BLOCKS)] if part == "unet" else []
        self._replace(part, set_apart(modules, blocks))
        self._here, self._work = part, work
        room = min(free_memory(self.device) - work - max(map(bytes_of, blocks), default=0), self._resident)
        for block in blocks:
            room -= bytes_of(block)
            if room >= 0:
                self._replace(block, weights([block]))
            else:
                self._hooks += [block.register_forward_pre_hook(self._enter), block.register_forward_hook(self._leave)]

    def clear(self) -> None:
        """Have nothing on the device, where parts take turns: what changes weights changes those that are kept."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        for owner in list(self._originals):
            self._restore(owner)
        self._here = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()  # what torch keeps is in pieces of the wrong size for the next part

    def lower(self) -> bool:
        """Use less of the device's memory from now on. False if that cannot be."""
        if self.low_memory and not self._resident:
            return False
        if self.low_memory:
            self._resident = 0
        else:
            for modules in self._parts.values():
                for module in modules:
                    module.to("cpu")
            self.low_memory = True
        self.clear()
        return True

    def room(self) -> float:
        """Bytes that are left for pictures while the whole UNet is on the device; below 0 if it does not fit."""
        free = free_memory(self.device)
        if not self.low_memory:
            return free
        copy_bytes = sum(weight.nbytes for own in self._originals.values() for *_, weight in own)
        return free + copy_bytes - bytes_of(*self._parts["unet"])

    def _enter(self, block: nn.Module, inputs: object) -> None:
        self._restore(block)  # where an error ended the step before it was left
        self._replace(block, weights([block]))

    def _leave(self, block: nn.Module, inputs: object, output: object) -> None:
        self._restore(block)

    def _replace(self, owner: object, own: Iterable[Weight]) -> None:
        """Put copies on the device in the place of the weights of `own`."""
        originals = self._originals.setdefault(owner, [])
        for holder, name, weight in list(own):
            copy = weight.to(self.device, copy=True)
            originals.append((holder, name, weight))
            holder[name] = nn.Parameter(copy, requires_grad=False) if isinstance(weight, nn.Parameter) else copy

    def _restore(self, owner: object) -> None:
        for holder, name, weight in self._originals.pop(owner, []):
            holder[name] = weight


def weights(modules: Iterable[nn.Module]) -> Iterator[Weight]:
    """The weights and buffers of `modules` and all that is in them."""
    for module in modules:
        for inner in module.modules():
            for holder in (inner._parameters, inner._buffers):
                yield from ((holder, name, weight) for name, weight in holder.items() if weight is not None)


def set_apart(modules: Iterable[nn.Module], blocks: Iterable[nn.Module]) -> Iterator[Weight]:
    """The weights of `modules` that are not in one of `blocks`."""
    others = {id(holder) for holder, *_ in weights(blocks)}
    return (weight for weight in weights(modules) if id(weight[0]) not in others)


def bytes_of(*modules: nn.Module) -> int:
    """The bytes that the weights of `modules` take."""
    return sum(weight.nbytes for *_, weight in weights(modules))
