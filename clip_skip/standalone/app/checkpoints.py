"""The checkpoints that the page offers, and the facts in their headers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from clip_skip.encoder import TextEncoder, not_loaded
from clip_skip.messages.message import Message, Template, reason
from clip_skip.skip import shorten
from clip_skip.standalone.models import header
from clip_skip.standalone.models.sizes import FAMILY_NATIVE, FAMILY_TOWERS, Sizes
from clip_skip.standalone.option_kinds import FieldError
from clip_skip.standalone.pictures import recipe
from clip_skip.standalone.pictures.hashes import Each
from clip_skip.standalone.pictures.infotext import Infotext, InfotextError
from clip_skip.standalone.remembering import remembered_value

__all__ = ["Checkpoint", "Checkpoints", "files"]

CHECKPOINT = Template("Checkpoint")
NOT_THERE = Template("{name} is not there any more")
OF_THIS_PAGE = Template("the checkpoints of this page")
STANDS_IN = Template("{problem}; the selected one is used instead.")


@dataclass(frozen=True)
class Checkpoint:
    """name: its name on the page"""

    name: str
    path: Path
    sizes: Sizes

    @property
    def family(self) -> str:
        return self.sizes.family

    @property
    def encoders(self) -> list[TextEncoder]:
        """Its text encoders, described without loading them."""
        pairs = zip(FAMILY_TOWERS[self.family], self.sizes.texts)
        return [not_loaded(tower, text.layers, FAMILY_NATIVE[self.family]) for tower, text in pairs]

    @property
    def remembered(self) -> int | None:
        """The clip skip that was remembered for it, as far as the header's slider goes."""
        value = remembered_value(self.path)
        return min(value, self.encoders[0].layers) if value else None

    @property
    def deepest(self) -> int:
        """The layers of its deepest text encoder."""
        return max(encoder.layers for encoder in self.encoders)


def files(folder: Path | None, below: bool) -> dict[str, str]:
    """The .safetensors files in `folder`, and `below` it, by their names in it."""
    if folder is None:
        return {}
    paths = sorted(folder.rglob("*") if below else folder.glob("*"))
    models = [file for file in paths if file.suffix.lower() == ".safetensors" and file.is_file()]
    return {file.relative_to(folder).with_suffix("").as_posix(): str(file) for file in models}


class Checkpoints:
    """The checkpoint that the page was started with, and those in and below `folder`, or else beside it."""

    def __init__(self, first: Path, folder: Path | None = None) -> None:
        self._first, self.folder = first, folder
        self._last: dict[str, Path] = {}
        """The last result of `paths`."""

    @property
    def first(self) -> Checkpoint:
        """The checkpoint that the page was started with. Raises `CheckpointError`."""
        name = next(name for name, path in self.paths().items() if path == self._first)
        return Checkpoint(name, self._first, header.inspect(self._first))

    def paths(self) -> dict[str, Path]:
        """The file of each, by its name, as they are now; the first one comes first."""
        files_by_name = files(self.folder, True) if self.folder else files(self._first.parent, False)
        own = self._first.resolve()
        others = {name: Path(path) for name, path in files_by_name.items()}
        name = next((name for name, path in others.items() if path.resolve() == own), "")
        others.pop(name, None)
        name = name or self._first.stem
        if name in others:  # another file of the same name
            name = f"{self._first.parent.resolve().name}/{name}"
        self._last = {name: self._first, **others}
        return self._last

    def like(self, infotext: Infotext, otherwise: object, each: Each = list) -> tuple[Checkpoint, Message | None]:
        """The checkpoint that a picture was made with, and a message where `otherwise` replaces it.

        It is found by its name, else by its hash. Raises as `find`. each: iterates over files to hash, with progress.
        """
        paths = self.paths()
        try:
            path, message = recipe.checkpoint(infotext, paths.values(), OF_THIS_PAGE, each)
        except InfotextError as error:
            return self.find(otherwise), STANDS_IN(problem=reason(error))
        return self.find(next(name for name, one in paths.items() if one == path)), message

    def find(self, name: object) -> Checkpoint:
        """Raises `FieldError` where there is none, or `CheckpointError` where it cannot be used."""
        path = self._last.get(str(name)) or self.paths().get(str(name))
        if path is None or not path.is_file():
            raise FieldError.of(CHECKPOINT, NOT_THERE(name=shorten(str(name))))
        stat = path.stat()
        return Checkpoint(str(name), path, _sizes(path, stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=256)
def _sizes(path: Path, mtime_ns: int, size: int) -> Sizes:
    """The sizes of the model in a file that has not changed since."""
    return header.inspect(path)
