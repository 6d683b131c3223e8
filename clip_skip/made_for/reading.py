"""Reads files once until they change, and reports a problem in one sentence that names the file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from clip_skip.messages.message import Message, MessageError, Template
from clip_skip.skip import shorten

__all__ = ["NO_FILE", "Problem", "Unreadable", "complaint", "load_json", "read_json", "remembered"]

UNREADABLE = Template("{file} could not be read: {reason}.")
NO_FILE = Template("there is no such file")
NOT_JSON = Template("it is not valid JSON")
LARGE = Template("it is larger than {size} MB")

LARGEST_JSON = 10_000_000
"""Bytes; Civitai's answers have some hundred thousand."""

LONGEST_INTEGER = 20
"""Digits. No number in these formats is longer, and converting a longer one is slow."""

Content = TypeVar("Content")


class Problem(MessageError):
    """A file that could not be read; the message is a sentence that names it and says why."""


class Unreadable(MessageError):
    """Why a file could not be read, to be put into a `Problem`."""


def complaint(path: str, reason: Message | str) -> Message:
    return UNREADABLE(file=shorten(os.path.basename(path), 100), reason=reason)


def remembered(read: Callable[[str], Content], path: str) -> Content | None:
    """`read(path)`, or its last result if the file has not changed; None if there is no file. Raises Problem."""
    outcome: Content | Message
    try:
        status = os.stat(path)
        outcome = once(read, path, status.st_mtime_ns, status.st_size)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        outcome = complaint(path, error.strerror or str(error))
    if isinstance(outcome, Message):
        raise Problem(outcome)
    return outcome


@lru_cache(maxsize=2**15)
def once(read: Callable[[str], Any], path: str, mtime_ns: int, size: int) -> Any:
    """`read(path)`, or the problem with the file; an OSError may be temporary and is not cached."""
    try:
        return read(path)
    except Unreadable as error:
        return complaint(path, error.message)


def load_json(text: bytes | str) -> Any:
    """The data in `text`, whose bytes may be UTF-8, 16 or 32, with or without a byte-order mark. Raises Unreadable."""
    try:
        return json.loads(text, parse_int=whole_number)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise Unreadable(NOT_JSON) from None


def whole_number(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_INTEGER else float(digits)


def read_json(path: str) -> Any:
    """The data in the file at `path`."""
    with open(path, "rb") as file:
        text = file.read(LARGEST_JSON + 1)
    if len(text) > LARGEST_JSON:
        raise Unreadable(LARGE(size=LARGEST_JSON // 1_000_000))
    return load_json(text)
