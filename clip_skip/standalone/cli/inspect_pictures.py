"""`clip-skip inspect PICTURE`: which tool made it, at which clip skip, and what else `--like` needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clip_skip.messages.message import FIELD_PROBLEM
from clip_skip.pictures.facts import PictureFacts, sentences
from clip_skip.pictures.reader import SUFFIXES

__all__ = ["described", "is_picture", "picture_answer", "pictures_in"]

LABELS = {
    "model": "Model",
    "model_hash": "Model hash",
    "seed": "Seed",
    "steps": "Steps",
    "cfg_scale": "CFG scale",
    "size": "Size",
    "prompt": "Prompt",
    "negative": "Negative prompt",
}
TEXT_SUFFIXES = {".txt", ".json"}


def is_picture(file: Path) -> bool:
    """Whether `file` is a picture, or the text of one, by its name."""
    return file.suffix.lower() in SUFFIXES


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in and below `folder`."""
    suffixes = SUFFIXES - TEXT_SUFFIXES
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in suffixes and file.is_file())


def picture_answer(file: Path, facts: PictureFacts) -> dict[str, Any]:
    """The object that `--json` prints for a picture."""
    return {"file": str(file), "kind": "picture", "picture": facts.as_json()}


def described(file: Path, facts: PictureFacts) -> Iterator[str]:
    """The same in lines for a person."""
    yield file.name
    for message in sentences(facts):
        yield f"    {message}"
    for name, label in LABELS.items():
        value = getattr(facts, name)
        if value not in (None, ""):
            text = f"{value:g}" if isinstance(value, float) else str(value)
            yield f"    {FIELD_PROBLEM(field=label, problem=text)}"
