"""What the page is told: the encoders, and what a prompt's tags come to while it is being written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clip_skip import precedence, tags
from clip_skip.encoder import TextEncoder

__all__ = ["describe", "read"]


def describe(encoder: TextEncoder, header: dict[str, int] | None) -> dict[str, Any]:
    """An encoder; `header` says what the header's value comes to there: it plus "offset", at least "least"."""
    fixed = {"name": encoder.name, "tower": encoder.tower, "layers": encoder.layers, "native": encoder.native}
    return {**fixed, "header": header}


def read(prompt: str, negative: str, translate: Callable[[str], str] = str) -> dict[str, Any]:
    """The page's "tag", "values" and "warnings".

    tag: the prompt's tag as it is written shortest, or None; values: what it asks for by tower; warnings: a sentence
    for each bad tag, translated.
    """
    tag = precedence.prompt_tag(prompt)
    values = {tower: tag.at(tower, False) for tower in precedence.TOWERS} if tag else {}
    return {
        "tag": f"<clipskip:{tag}>" if tag else None,
        "values": {tower: value for tower, value in values.items() if value is not None},
        "warnings": [translate(warning) for warning in tags.warnings([prompt, negative])],
    }
