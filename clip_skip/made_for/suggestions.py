"""What to tell a person whose files were made for another clip skip than the one in effect."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clip_skip.made_for.metadata import Problem, recommended, trained_at
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


def suggest(files: Iterable[File], in_effect: float, used: str = THIS_PICTURE) -> list[dict[str, Any]]:
    """A suggestion for each of `files` that was made for another clip skip than `in_effect`.

    Each is {"file", "kind", "value", "source", "text"}, or {"problem"} for a file that could not be read.
    """
    suggestions: list[dict[str, Any]] = []
    for file in files:
        read, verb = (trained_at, "was trained at") if file.kind == "LoRA" else (recommended, "recommends")
        try:
            found = read(file.path)
        except Problem as problem:
            suggestions.append({"problem": f"{problem}."})
            continue
        if found and found.value != in_effect:
            lead = f"{file.kind[0].upper()}{file.kind[1:]} {shorten(file.name, 100)} {verb} clip skip {found.value}"
            suggestions.append(
                {
                    "file": os.path.basename(file.path),
                    "kind": file.kind,
                    "value": found.value,
                    "source": f"{found.source} in {found.file}",
                    "text": f"{lead}; {used} {format(in_effect)}.",
                }
            )
    return suggestions
