"""The clip skip that a person has had remembered for a file. It is in the JSON beside it, as other notes of the WebUIs.

Where the folder of the models cannot be written, it is kept in a file of our own, by the model's hash. The JSON beside
a model may have a clip skip from a downloader; only one with our mark was remembered, and is followed.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clip_skip.made_for.json_members import edit_members
from clip_skip.made_for.reading import LARGE, LARGEST_JSON, Problem, Unreadable, complaint, read_json, remembered
from clip_skip.made_for.sidecars import whole
from clip_skip.messages.message import MessageError, Template

__all__ = [
    "DEEPEST",
    "NOT_A_VALUE",
    "NOT_WRITTEN",
    "Store",
    "check_value",
    "forget",
    "json_beside",
    "remember",
    "value_of",
]

KEY = "clip skip"
MARK = "clip skip remembered"

DEEPEST = 12
"""The end of the WebUIs' slider."""

NOT_A_VALUE = Template("a clip skip to be remembered is a whole number from 1 to {deepest}")
NOT_WRITTEN = Template("{file} could not be written: {reason}.")

READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)

WRITING = threading.Lock()


@dataclass(frozen=True)
class Store:
    """A JSON object of our own, at `path`: values by hashes. digest: the hash of the model at a path, if known."""

    path: str
    digest: Callable[[str], str | None]

    def value_of(self, model: str) -> int | None:
        try:
            entries = remembered(read_json, self.path)
        except Problem:
            return None
        if not isinstance(entries, dict) or not entries:
            return None
        digest = self.digest(model)
        return whole(entries.get(digest)) if digest else None


def json_beside(model: str) -> str:
    """The path of the WebUIs' own JSON for the model at that path."""
    return os.path.splitext(model)[0] + ".json"


def value_of(model: str, store: Store | None = None) -> int | None:
    """What was remembered for the model at that path; None for nothing, and where the files cannot be read."""
    try:
        data: Any = remembered(read_json, json_beside(model))
    except Problem:
        data = None
    if isinstance(data, dict) and data.get(MARK) is True and (value := whole(data.get(KEY))):
        return value
    return store.value_of(model) if store else None


def check_value(value: object) -> int:
    """`value` as one that can be remembered. Raises MessageError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1 <= value <= DEEPEST or value % 1:
        raise MessageError(NOT_A_VALUE(deepest=DEEPEST))
    return int(value)


def remember(model: str, value: int, store: Store | None = None) -> str:
    """Keeps `value` for the model at that path; returns the path of the file that has it now.

    Raises Problem, and nothing has been written then, where the JSON there cannot be parsed, or no place be written.
    """
    beside = json_beside(model)
    try:
        edit_file(beside, {KEY: value, MARK: True})
    except OSError as error:
        digest = store.digest(model) if store and error.errno in READ_ONLY else None
        if store is None or digest is None:
            raise not_written(beside, error) from error
        edit_own(store, digest, value)
        return store.path
    if store and store.value_of(model):
        forget_in_store(model, store)
    return beside


def forget(model: str, store: Store | None = None) -> None:
    """Removes what was remembered for the model at that path. Raises Problem, as `remember`."""
    beside = json_beside(model)
    data = remembered(read_json, beside)
    if isinstance(data, dict) and MARK in data:
        try:
            edit_file(beside, {KEY: None, MARK: None})
        except OSError as error:
            raise not_written(beside, error) from error
    if store and store.value_of(model):
        forget_in_store(model, store)


def forget_in_store(model: str, store: Store) -> None:
    digest = store.digest(model)
    if digest:
        edit_own(store, digest, None)


def edit_own(store: Store, digest: str, value: int | None) -> None:
    try:
        os.makedirs(os.path.dirname(store.path), exist_ok=True)
        edit_file(store.path, {digest: value})
    except OSError as error:
        raise not_written(store.path, error) from error


def edit_file(path: str, changes: Mapping[str, object]) -> None:
    """Changes members of the JSON object at `path`, in one step. A missing file is made, one without others removed.

    Raises Problem where it cannot be parsed, OSError where it cannot be written.
    """
    with WRITING:
        target = os.path.realpath(path)
        try:
            with open(target, "rb") as file:
                before = file.read(LARGEST_JSON + 1)
        except FileNotFoundError:
            members = {key: value for key, value in changes.items() if value is not None}
            if members:
                replace_file(target, json.dumps(members, indent=4).encode())
            return
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        try:
            after = edit_bytes(before, changes)
        except Unreadable as error:
            raise Problem(complaint(path, error.message)) from error
        if after == before:
            return
        if b"".join(after.split()) == b"{}":  # nothing else was in it
            os.unlink(target)
        else:
            replace_file(target, after)


def edit_bytes(data: bytes, changes: Mapping[str, object]) -> bytes:
    """`data`, JSON in UTF-8, 16 or 32, with `changes`, in its own encoding."""
    if len(data) > LARGEST_JSON:
        raise Unreadable(LARGE(size=LARGEST_JSON // 1_000_000))
    encoding = json.detect_encoding(data)
    text = edit_members_of(data, encoding, changes)
    if encoding in ("utf-16", "utf-32"):  # these have a byte-order mark, whose order Python would choose itself
        order = "le" if data[:1] == b"\xff" else "be"
        return f"\ufeff{text}".encode(f"{encoding}-{order}", "surrogatepass")
    return text.encode(encoding, "surrogatepass")


def edit_members_of(data: bytes, encoding: str, changes: Mapping[str, object]) -> str:
    try:
        text = data.decode(encoding, "surrogatepass")
    except UnicodeDecodeError:
        text = ""  # is not valid JSON, which is reported
    return edit_members(text, changes)


def replace_file(path: str, data: bytes) -> None:
    """Puts `data` in the place of the file at `path` in one step, with the rights that it has."""
    unfinished_path = f"{path}.{os.getpid()}.unfinished"
    try:
        with open(unfinished_path, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(path):
            os.chmod(unfinished_path, os.stat(path).st_mode & 0o7777)
        os.replace(unfinished_path, path)
    finally:
        if os.path.exists(unfinished_path):
            os.unlink(unfinished_path)


def not_written(path: str, error: OSError) -> Problem:
    return Problem(NOT_WRITTEN(file=os.path.basename(path), reason=error.strerror or str(error)))
