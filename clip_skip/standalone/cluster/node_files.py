"""The checkpoints that a node of a cluster keeps, in a folder that only its user can write to.

They are in the machine's temporary folder, where others may have put something else: nothing there is used or
overwritten unless it is a plain file of this user whose content has the digest in its name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from clip_skip.messages.message import Template
from clip_skip.standalone.cluster.errors import ClusterError

__all__ = ["find_cached", "full_digest", "keep", "node_folder"]

OLDEST = 7 * 24 * 3600
"""Seconds after which unused files are removed."""

NOT_OURS = Template("--ray: {folder} on the node belongs to somebody else, or others can write to it; remove it there")


def full_digest(files: Mapping[str, bytes] | Path) -> str:
    """SHA-256 of a checkpoint and the files beside it: by name, or of the file at a path and its `.yaml`."""
    content = hashlib.sha256()
    if isinstance(files, Path):
        for path in beside(files):
            add_name(content, path.name, path.stat().st_size)
            with path.open("rb") as file:
                while part := file.read(1 << 20):
                    content.update(part)
    else:
        for name in sorted(files):
            add_name(content, name, len(files[name]))
            content.update(files[name])
    return content.hexdigest()


def add_name(content: hashlib._Hash, name: str, size: int) -> None:
    content.update(f"{name}\0{size}\0".encode())


def beside(model: Path) -> list[Path]:
    """A checkpoint and the `.yaml` that is beside it, in the order of their names."""
    return sorted(path for path in {model, model.with_suffix(".yaml")} if path.is_file())


def node_folder() -> Path:
    """The folder of this user's checkpoints on this machine. Raises `ClusterError` if others can write to it."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"clip-skip-checkpoints-{user}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    is_private = not hasattr(os, "getuid") or (status.st_uid == user and not status.st_mode & 0o077)
    if not stat.S_ISDIR(status.st_mode) or not is_private:
        raise ClusterError(NOT_OURS(folder=str(folder)))
    return folder


def find_cached(name: str, digest: str) -> Path | None:
    """The checkpoint `name` that is kept here, if its content has this full digest."""
    folder = node_folder() / digest
    model = folder / Path(name).name
    if folder.is_symlink() or not is_plain(model) or full_digest(model) != digest:
        return None
    os.utime(folder)  # it is in use
    return model


def keep(name: str, digest: str, files: Mapping[str, bytes]) -> Path:
    """Write `files`, the checkpoint `name` and the files beside it, for `find_cached`; older ones are removed."""
    parent = node_folder()
    remove_old(parent)
    unfinished_folder = Path(tempfile.mkdtemp(dir=parent, prefix="."))
    try:
        for file_name, content in files.items():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(unfinished_folder / Path(file_name).name, flags, 0o600), "wb") as file:
                file.write(content)
        folder = parent / digest
        if find_cached(name, digest) is None:  # by another maker, meanwhile
            remove(folder)
            os.replace(unfinished_folder, folder)
    finally:
        shutil.rmtree(unfinished_folder, ignore_errors=True)
    return folder / Path(name).name


def is_plain(path: Path) -> bool:
    """Whether it is a file, and not a link to one."""
    return path.is_file() and not path.is_symlink()


def remove_old(parent: Path) -> None:
    """Remove files that have not been used for a while."""
    for folder in parent.iterdir():
        if time.time() - folder.lstat().st_mtime > OLDEST:
            remove(folder)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
