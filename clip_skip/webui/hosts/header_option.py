"""The host's own clip-skip option, whatever a client or a saved file has put there."""

from __future__ import annotations

from typing import Any

from modules import shared

from clip_skip.webui.saved_settings import SLIDER as OPTION

__all__ = ["OPTION", "header_option"]


def header_option() -> int:
    """The option as the hosts that cast it take it, "3" and 3.0 as 3; at least 1, and 1 for what no host takes."""
    value: Any = getattr(shared.opts, OPTION)
    try:
        return max(1, int(value))
    except (TypeError, ValueError, OverflowError):
        return 1
