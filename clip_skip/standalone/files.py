"""Files that are never visible half-written, and reading of records that may be anything."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from PIL import Image, PngImagePlugin

from clip_skip.messages.message import MessageError, Template
from clip_skip.messages.safe_text import well_formed

IN_USE = Template("{folder} is in use: another command or page is making pictures in it")

MOST_NAMES = 9

LOCK = ".clip-skip.lock"


TOO_LONG = Template(
    "{folder}: the paths of its files would have {length} letters, and this system takes {most}; choose a folder with "
    "a shorter path"
)


class PathTooLongError(MessageError):
    """A folder in which files cannot be made because of the length of their paths."""


class InUseError(MessageError):
    """Another process is writing into a folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """While open, no other process locks `folder`, which is created. The lock ends with the process, however that ends.

    Raises `InUseError` if another process has it, OSError if the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(folder / LOCK), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InUseError(IN_USE(folder=str(folder))) from None
    try:
        yield
    finally:
        lock.release()


WAITS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between attempts to replace a file that somebody on Windows has open."""

PATH_LIMIT = 259 if sys.platform == "win32" else 4096
"""Letters of a whole path."""

RESERVED_NAME = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?", re.IGNORECASE)
"""Names that Windows keeps for devices, whatever follows the dot."""

NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f]|[. ]$')
LONGEST_NAME = 60


def move(source: Path, target: Path) -> None:
    """Moves `source` to `target` in one step. On Windows that fails while somebody reads `target`."""
    for wait in (*WAITS, None):
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if wait is None:
                raise
            time.sleep(wait)


def check_length(folder: Path, names: Iterable[str]) -> None:
    """Raise `PathTooLongError` if the longest of `names`, below `folder`, is too long for the system."""
    length = len(os.path.abspath(folder)) + 1 + len(".unfinished/") + max(map(len, names), default=0)
    if length > PATH_LIMIT:
        raise PathTooLongError(TOO_LONG(folder=str(folder), length=length, most=PATH_LIMIT))


def folder_name(text: str) -> str:
    """`text` if it is a valid folder name on every system, else a similar name, always the same for the same text."""
    if text and len(text) <= LONGEST_NAME and not RESERVED_NAME.fullmatch(text) and not NOT_IN_NAMES.search(text):
        return text
    return f"{slug(text) or 'folder'}-{hashlib.sha256(text.encode(errors='backslashreplace')).hexdigest()[:8]}"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to; when the block ends without an error, it replaces `path` atomically."""
    unfinished_path = path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")  # unlike any other thread's
    try:
        yield unfinished_path
        flush_to_disk(unfinished_path)
        move(unfinished_path, path)
    finally:
        unfinished_path.unlink(missing_ok=True)


def flush_to_disk(path: Path) -> None:
    """Flushes the content of `path` to the disk, so that a power cut after a rename leaves no empty file."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def read_made_with(path: Path) -> dict[str, Any] | None:
    """The settings in the record at `path`, a sweep.json or a study.json; None if it is not such a record."""
    try:
        made_with = json.loads(path.read_text(encoding="utf-8"))["made_with"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return made_with if isinstance(made_with, dict) else None


def write_text(path: Path, content: str) -> None:
    """Write a text file in UTF-8, in one step. Lone surrogates, which file names may contain, are escaped."""
    with replacing(path) as unfinished_path:
        unfinished_path.write_text(content, encoding="utf-8", errors="backslashreplace")


def slug(text: str, most: int = 40) -> str:
    """`text` as a part of a file's name: lower-case letters, digits and hyphens. It may be empty."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:most].strip("-")


def clear_unfinished(folder: Path) -> None:
    """Removes the temporary files of an interrupted `replacing` in `folder`."""
    for path in folder.glob(".*.unfinished"):
        path.unlink()


class Batches:
    """Files that are saved in `folder` a batch at a time: after a kill at any moment a batch is complete or absent.

    A batch is written to `folder`/.unfinished, which becomes `folder`/.finished in one step when every file is
    complete, and whose files then move to their places.
    """

    def __init__(self, folder: Path) -> None:
        """Recovers from an interruption: a complete batch is moved to its place, an incomplete one is removed."""
        self._folder = folder
        self._unfinished_folder, self._finished_folder = folder / ".unfinished", folder / ".finished"
        shutil.rmtree(self._unfinished_folder, ignore_errors=True)
        self._move()

    @contextmanager
    def batch(self) -> Iterator[Path]:
        """A folder to write to; when the block ends without an error, its files are in their places."""
        self._unfinished_folder.mkdir()
        yield self._unfinished_folder
        for file in self._unfinished_folder.rglob("*"):
            if file.is_file():
                flush_to_disk(file)
        move(self._unfinished_folder, self._finished_folder)
        self._move()

    def _move(self) -> None:
        """Pictures move last: if one exists, the files that belong to it exist too."""
        if not self._finished_folder.exists():
            return
        files = [file for file in self._finished_folder.rglob("*") if file.is_file()]
        for file in sorted(files, key=lambda file: file.suffix == ".png"):
            place = self._folder / file.relative_to(self._finished_folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            move(file, place)
        shutil.rmtree(self._finished_folder)


def png_texts(texts: Mapping[str, str]) -> PngImagePlugin.PngInfo:
    """Text that Pillow writes into a PNG, such as infotext under "parameters"."""
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        text = well_formed(text)
        info.add_text(key, text) if text.isascii() else info.add_itxt(key, text)
    return info


def save_picture(picture: Image.Image, path: Path, texts: Mapping[str, str] | None = None) -> Path:
    """Write a PNG with `texts`; creates its folder. Returns `path`, or one beside it if that cannot be replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for place in (path, *(path.with_stem(f"{path.stem}-{number}") for number in range(2, MOST_NAMES + 1))):
        try:
            with replacing(place) as unfinished_path:
                picture.save(unfinished_path, format="PNG", pnginfo=png_texts(texts or {}))
            return place
        except PermissionError:
            if not place.exists():  # not open elsewhere: the folder is not writable
                raise
            problem = place
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(problem))
