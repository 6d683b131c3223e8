"""The error of all code that reads pictures."""

from __future__ import annotations

from clip_skip.messages.message import MessageError

__all__ = ["PictureError"]


class PictureError(MessageError):
    """A picture, or the text in it, that cannot be read; the message says what is wrong with it."""
