"""Messages in the language that the host's user has chosen."""

from __future__ import annotations

from modules import shared

from clip_skip.page.language import translated

__all__ = ["translate"]


def translate(text: str) -> str:
    """`text` in the host's language; as it is, where there is no translation of it."""
    return translated(text, getattr(shared.opts, "localization", "None"))
