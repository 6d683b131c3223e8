"""The lines under a picture in PNG Info: the tool that made it, and its clip skip."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from clip_skip.messages.message import Template, reason
from clip_skip.pictures.errors import PictureError
from clip_skip.pictures.facts import facts_of, sentences
from clip_skip.pictures.reader import read_infotext
from clip_skip.webui.host_language import translate

__all__ = ["identify_picture"]

NO_PICTURE = Template("There is no picture.")
PICTURE_TOO_LARGE = Template("The picture is too large to be read here.")
THE_PICTURE = Template("This picture")

MOST_LETTERS = 150_000_000
"""The limit for a picture in base64."""


def identify_picture(request: Mapping[str, Any]) -> dict[str, Any]:
    """The facts in the metadata of `request["picture"]`, a `data:` address or base64.

    "sentences" for a person in the host's language, "picture" as in `clip-skip inspect --json`; if it has no metadata,
    "problem" says so.
    """
    data_url = request.get("picture")
    if not isinstance(data_url, str) or not data_url:
        return {"problem": translate(NO_PICTURE)}
    if len(data_url) > MOST_LETTERS:
        return {"problem": translate(PICTURE_TOO_LARGE)}
    try:
        data = base64.b64decode(data_url.partition(",")[2] if data_url.startswith("data:") else data_url, validate=True)
    except (binascii.Error, ValueError):
        return {"problem": translate(NO_PICTURE)}
    try:
        facts = facts_of(read_infotext(data, translate(THE_PICTURE)))
    except PictureError as error:
        return {"problem": translate(reason(error))}
    return {"sentences": [translate(message) for message in sentences(facts)], "picture": facts.as_json()}
