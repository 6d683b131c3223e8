"""Files that are never seen half-written, and records that may be anything."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to; when the block ends without an error, it replaces `path` atomically."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        yield unfinished
        flush_to_disk(unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def flush_to_disk(path: Path) -> None:
    """Has the content of `path` on the disk, so that a power cut after it has been renamed leaves no empty file."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def read_made_with(path: Path) -> dict[str, Any] | None:
    """The settings in the record at `path`, a sweep.json or a study.json; None where it is not such a record."""
    try:
        made_with = json.loads(path.read_text(encoding="utf-8"))["made_with"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return made_with if isinstance(made_with, dict) else None


def slug(text: str, most: int = 40) -> str:
    """`text` as a part of a file's name: lower-case letters, digits and hyphens. It may be empty."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:most].strip("-")


def clear_unfinished(folder: Path) -> None:
    """Removes the temporary files of an interrupted `replacing` in `folder`."""
    for left in folder.glob(".*.unfinished"):
        left.unlink()


class Batches:
    """Files that come into `folder` a batch at a time: after a kill at any moment all of a batch is there, or none.

    A batch is written to `folder`/.unfinished, which becomes `folder`/.finished in one step when every file is
    complete, and whose files then move to their places.
    """

    def __init__(self, folder: Path) -> None:
        """Recovers from an interruption: a complete batch is moved to its place, an incomplete one is removed."""
        self._folder, self._unfinished, self._finished = folder, folder / ".unfinished", folder / ".finished"
        shutil.rmtree(self._unfinished, ignore_errors=True)
        self._move()

    @contextmanager
    def batch(self) -> Iterator[Path]:
        """A folder to write to; when the block ends without an error, its files are in their places."""
        self._unfinished.mkdir()
        yield self._unfinished
        for file in self._unfinished.rglob("*"):
            if file.is_file():
                flush_to_disk(file)
        os.replace(self._unfinished, self._finished)
        self._move()

    def _move(self) -> None:
        """Pictures move last: one that is there says that what belongs to it is too."""
        if not self._finished.exists():
            return
        files = [file for file in self._finished.rglob("*") if file.is_file()]
        for file in sorted(files, key=lambda file: file.suffix == ".png"):
            place = self._folder / file.relative_to(self._finished)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, place)
        shutil.rmtree(self._finished)


def png_texts(texts: Mapping[str, str]) -> PngImagePlugin.PngInfo:
    """Text that Pillow writes into a PNG, such as infotext under "parameters"."""
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_text(key, text) if text.isascii() else info.add_itxt(key, text)
    return info


def save_picture(picture: Image.Image, path: Path, texts: Mapping[str, str] | None = None) -> None:
    """Write a PNG with `texts`; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        picture.save(unfinished, format="PNG", pnginfo=png_texts(texts or {}))
