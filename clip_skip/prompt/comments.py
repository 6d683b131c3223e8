"""Comments in prompts: from a # to the end of the line."""

from __future__ import annotations

import re

__all__ = ["strip_comments"]

COMMENT = re.compile(r"(?:^|\n)?#[^\n]*(?:\n|$)")


def strip_comments(text: str) -> str:
    """`text` without its comments, as the WebUI leaves them out before a picture is made."""
    return COMMENT.sub("\n", text)
