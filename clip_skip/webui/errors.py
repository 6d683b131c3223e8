"""Arguments of a user or a client that cannot be used, as the host's API and page answer them."""

from __future__ import annotations

from clip_skip.messages.message import Message
from clip_skip.webui.host_language import translate

__all__ = ["ClipSkip"]


class ClipSkip(ValueError):
    """Arguments of the panel, the sweep or an axis that cannot be used; the message names the field.

    Its name is for people: the host's page and API put the class's name before the message, in the host's language.
    The API answers with the two attributes as status and detail.
    """

    def __init__(self, message: Message | str) -> None:
        self.status_code = 422
        self.detail = translate(message)
        super().__init__(self.detail)
