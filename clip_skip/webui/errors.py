"""What the user got wrong, as the host's API answers it."""

from __future__ import annotations

from clip_skip.panel import TITLE

__all__ = ["BadArguments"]


class BadArguments(ValueError):
    """Arguments of the panel, the sweep or an axis that cannot be used; the message names the field.

    The host's API reads the two attributes, and answers with this status and detail.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.status_code = 422
        self.detail = message


BadArguments.__name__ = TITLE  # the host's page puts the name of an error's class before its message
