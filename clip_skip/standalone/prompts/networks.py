"""What is in a prompt besides its text: LoRAs, `<lora:name:0.8>`, and comments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clip_skip.prompt.tags import find_networks, strip_networks

__all__ = ["EmbeddingError", "Lora", "LoraError", "file", "read"]


class EmbeddingError(ValueError):
    """A file is not a textual inversion; the message names it."""


class LoraError(ValueError):
    """A LoRA that a prompt names cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Lora:
    """A LoRA's name, and its weights in text encoders and UNet."""

    name: str
    text: float
    unet: float


def read(prompt: str) -> tuple[str, tuple[Lora, ...]]:
    """`prompt` without networks, and its LoRAs: `<lora:name>`, `<lora:name:0.8>`, `<lora:name:te=1:unet=0.5>`.

    Raises `LoraError` where a weight is no number.
    """
    found = []
    for match in find_networks(prompt):
        if match[1] == "lora":
            found.append(parsed(match[0], match[2].split(":")))
    return strip_networks(prompt), tuple(found)


def parsed(tag: str, items: Sequence[str]) -> Lora:
    given = dict(item.split("=", 1) for item in items if "=" in item)
    name, *weights = [item for item in items if "=" not in item]
    try:
        text = float(given.get("te", weights[0] if weights else 1.0))
        unet = float(given.get("unet", weights[1] if len(weights) > 1 else text))
    except ValueError as error:
        raise LoraError(f"{tag}: a weight of it is not a number") from error
    return Lora(name, text, unet)


def file(name: str, folder: Path | None) -> Path:
    """The file of the LoRA `name` in `folder` or below it. Raises `LoraError`."""
    if folder is None:
        raise LoraError(f"<lora:{name}>: no folder of LoRAs is given (--loras)")
    found = next((path for path in sorted(folder.rglob("*.safetensors")) if path.stem == name), None)
    if found is None:
        raise LoraError(f"<lora:{name}>: there is no {name}.safetensors in {folder}")
    return found
