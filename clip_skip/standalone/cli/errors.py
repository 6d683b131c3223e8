"""Arguments that cannot be used. Imports none of the libraries that only some commands need."""

from __future__ import annotations

from pathlib import Path

from clip_skip.messages.message import Template
from clip_skip.standalone.option_kinds import FieldError

__all__ = ["ArgumentError", "check_png"]


class ArgumentError(FieldError):
    """An argument that cannot be used; the message names it."""


NOT_PNG = Template("the picture is saved as PNG, so the name must end in .png")


def check_png(option: str, path: Path) -> None:
    """Raise `ArgumentError` unless the name of `path`, where a picture is to be saved, ends in .png."""
    if path.suffix.lower() != ".png":
        raise ArgumentError.of(option, NOT_PNG)
