"""What to tell a person whose files were made for another clip skip than the one in effect."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clip_skip.made_for.findings import inspect
from clip_skip.made_for.metadata import Problem, recommended, trained_at
from clip_skip.made_for.verdict import Weights
from clip_skip.skip import format, shorten

__all__ = ["NOW", "THIS_PICTURE", "File", "suggest"]

THIS_PICTURE, NOW = "this picture used", "now it is"
"""What leads to the value in effect at the end of a suggestion."""


@dataclass(frozen=True)
class File:
    """A file that a picture is made with: "LoRA" or "checkpoint", what people call it, and where it is."""

    kind: str
    name: str
    path: str


def suggest(
    files: Iterable[File], in_effect: float, used: str = THIS_PICTURE, from_weights: bool = True
) -> list[dict[str, Any]]:
    """A suggestion for each of `files` that was made for another clip skip than `in_effect`.

    Each is {"file", "kind", "value", "source", "text"}, or {"problem"} for a file that could not be read.
    from_weights: whether LoRAs are opened, where their metadata does not tell.
    """
    suggestions: list[dict[str, Any]] = []
    for file in files:
        try:
            found = of_lora(file.path, from_weights) if file.kind == "LoRA" else of_checkpoint(file.path)
        except Problem as problem:
            suggestions.append({"problem": f"{problem}."})
            continue
        if found and found.value != in_effect:
            lead = f"{file.kind[0].upper()}{file.kind[1:]} {shorten(file.name, 100)} {found.said}"
            suggestions.append(
                {
                    "file": os.path.basename(file.path),
                    "kind": file.kind,
                    "value": found.value,
                    "source": found.source,
                    "text": f"{lead}; {used} {format(in_effect)}.",
                }
            )
    return suggestions


@dataclass(frozen=True)
class Told:
    """What a file was made for, in words, and where that is from."""

    value: int
    source: str
    said: str


def of_checkpoint(path: str) -> Told | None:
    found = recommended(path)
    if found is None:
        return None
    return Told(found.value, f"{found.source} in {found.file}", f"recommends clip skip {found.value}")


def of_lora(path: str, from_weights: bool = True) -> Told | None:
    """By its weights where these tell it exactly, else by its metadata, else by what its weights tell at least."""
    metadata = trained_at(path)
    try:
        weights = weights_of(path) if from_weights else None
    except Problem:
        if metadata is None:
            raise
        weights = None
    exact = weights is not None and weights.certainty == "exact"
    value = weights.clip_skip if weights else None
    if value and metadata and exact and metadata.value != value:
        said = f"was trained at clip skip {value}, as its weights tell, though its metadata says {metadata.value}"
        return Told(value, "weights", said)
    if metadata:
        source = f"{metadata.source} in {metadata.file}"
        return Told(metadata.value, source, f"was trained at clip skip {metadata.value}")
    if value:
        part = "" if exact else ", at least in part,"
        return Told(value, "weights", f"was trained{part} at clip skip {value}, as its weights tell")
    return None


def weights_of(path: str) -> Weights | None:
    """What the weights of a LoRA for SD1 say; a file of another kind is never opened."""
    if not os.path.isfile(path) or not path.lower().endswith(".safetensors"):
        return None
    found = inspect(path)
    return found.weights if found.model == "SD1" else None
