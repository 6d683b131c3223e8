"""The host's own clip-skip option, which a client or a saved file may have set to anything."""

from __future__ import annotations

from typing import Any

from modules import shared

from clip_skip.webui.saved_settings import SLIDER as OPTION

__all__ = ["OPTION", "header_option"]


def header_option() -> int:
    """The option as hosts cast it, "3" and 3.0 as 3; at least 1, and 1 for values that no host accepts."""
    value: Any = getattr(shared.opts, OPTION)
    try:
        return max(1, int(value))
    except (TypeError, ValueError, OverflowError):
        return 1
