"""Files that are never seen half-written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, PngImagePlugin


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to; when the block ends without an error, what is there takes the place of `path` in one step."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def clear_unfinished(folder: Path) -> None:
    """Takes away what a kill has left of `replacing` in `folder`."""
    for left in folder.glob(".*.unfinished"):
        left.unlink()


class Batches:
    """Files that come into `folder` a batch at a time: after a kill at any moment all of a batch is there, or none.

    A batch is written to `folder`/.unfinished, which becomes `folder`/.finished in one step when every file is
    complete, and whose files then move to their places.
    """

    def __init__(self, folder: Path) -> None:
        """Goes on where a kill has stopped: a whole batch moves to its place, what is not whole goes."""
        self._folder, self._unfinished, self._finished = folder, folder / ".unfinished", folder / ".finished"
        shutil.rmtree(self._unfinished, ignore_errors=True)
        self._move()

    @contextmanager
    def batch(self) -> Iterator[Path]:
        """A folder to write to; when the block ends without an error, its files are in their places."""
        self._unfinished.mkdir()
        yield self._unfinished
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
    """What Pillow writes into a PNG, such as infotext under "parameters"."""
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_text(key, text) if text.isascii() else info.add_itxt(key, text)
    return info


def save_picture(picture: Image.Image, path: Path, texts: Mapping[str, str] | None = None) -> None:
    """Write a PNG with `texts`; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        picture.save(unfinished, format="PNG", pnginfo=png_texts(texts or {}))
