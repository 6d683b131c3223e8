"""What is remembered for checkpoints and LoRAs without a WebUI: beside them, else in the user's data folder."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from clip_skip.made_for.remembered import Store, value_of

__all__ = ["own_store", "remembered_value"]

CHUNK = 2**22


def own_store() -> Store:
    """The user's own file, by the SHA-256 of the models."""
    home = os.environ.get("APPDATA") if os.name == "nt" else os.environ.get("XDG_DATA_HOME")
    folder = Path(home) if home else Path.home() / ".local" / "share"
    return Store(str(folder / "clip-skip" / "remembered.json"), sha256)


def remembered_value(path: Path) -> int | None:
    """What is remembered for the model at `path`."""
    return value_of(str(path), own_store())


def sha256(path: str) -> str | None:
    try:
        status = os.stat(path)
        return once(path, status.st_mtime_ns, status.st_size)
    except OSError:
        return None


@lru_cache(maxsize=1024)
def once(path: str, mtime_ns: int, size: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
