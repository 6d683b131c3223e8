"""JSON that other tools put into pictures, and values out of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["loads", "member", "text_of"]

LONGEST_JSON = 8_000_000


def loads(text: str) -> Any:
    """The parsed JSON in `text`; None where it is not JSON. Accepts NaN and the like, as ComfyUI writes them."""
    text = text.strip("\ufeff\0 \t\r\n")
    if not text.startswith(("{", "[")) or len(text) > LONGEST_JSON:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def member(data: object, *names: str) -> Any:
    """The first value under `names` in `data` that is neither None nor ""."""
    if not isinstance(data, Mapping):
        return None
    return next((data[name] for name in names if data.get(name) not in (None, "")), None)


def text_of(value: object) -> str | None:
    """A number or a text as text, exactly; None for anything else. Integers of any size keep all their digits."""
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, int) and value.bit_length() > 256:
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value) if isinstance(value, (int, float, str)) else None
