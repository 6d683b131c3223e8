"""Messages in the language that the host's user has chosen."""

from __future__ import annotations

from modules import shared

from clip_skip.messages.catalogues import languages, translator
from clip_skip.messages.message import Message

__all__ = ["language", "translate"]


def language() -> str:
    """The language of the extension's texts on the page, such as "zh_CN"; "en" without a translation."""
    name = str(getattr(shared.opts, "localization", "None"))
    return name if name in languages() else "en"


def translate(text: Message | str) -> str:
    """`text` in the host's language; unchanged if it has no translation."""
    return translator(getattr(shared.opts, "localization", "None"))(text)
