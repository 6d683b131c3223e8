"""Hashes of checkpoints, as pictures name them, and of other files of weights. A file is read in full once at most, and
not at all if a WebUI has hashed it.

Hashes are kept in the user's cache folder (or in `CLIP_SKIP_CACHE`), by path, size and time of change.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from clip_skip.pictures.json_text import loads, member
from clip_skip.standalone.files import write_text

__all__ = ["Each", "content_hash", "first_that_fits"]

Each = Callable[[list[Path]], Iterable[Path]]
"""Iterates over files that are read in full, and shows the progress."""

OLD_HASH = (0x100000, 0x10000)
"""Start and length of the part that AUTOMATIC1111's hash of 8 letters covered, in 2022."""

OLD_LETTERS = 8
SHA256 = re.compile(r"\b[0-9a-fA-F]{64}\b")
LARGEST = 32_000_000
"""The largest file of hashes that is read, in bytes."""

FOLDERS_ABOVE = 6
"""The number of folders above a checkpoint that are searched for a WebUI's cache.json."""

MOST_KEPT = 20_000


def first_that_fits(files: Iterable[Path], digest: str, each: Each = list) -> Path | None:
    """The first of `files` with the hash `digest`: the beginning of a SHA-256, or the old kind.

    Those whose hash is known already come before those that have to be read in full.
    """
    there = [path for path in files if path.is_file()]
    if len(digest) == OLD_LETTERS:
        match = next((path for path in there if old_hash(path) == digest), None)
        if match:
            return match
    hashes = {path: known_hash(path) for path in there}
    match = next((path for path, whole in hashes.items() if whole.startswith(digest)), None) if digest else None
    rest = [path for path in there if not hashes[path]]
    if match or not rest:
        return match
    return next((path for path in each(rest) if kept_hash(path).startswith(digest)), None)


def content_hash(path: Path) -> str:
    """The SHA-256 of a file, read in full unless it is known. "" where it cannot be read."""
    return known_hash(path) or kept_hash(path)


def known_hash(path: Path) -> str:
    """The SHA-256 of a file if it is known without reading the file; else ""."""
    cached_hash = stamped(read_json(cache_file()).get(str(path.resolve())), path)
    return cached_hash or next((digest for digest in (of_sidecars(path), of_webui(path)) if digest), "")


def kept_hash(path: Path) -> str:
    """The SHA-256 of a file, read in full and kept. "" where it cannot be read."""
    try:
        with path.open("rb") as file:
            content = hashlib.sha256()
            while block := file.read(1 << 22):
                content.update(block)
    except OSError:
        return ""
    keep(path, content.hexdigest())
    return content.hexdigest()


def old_hash(path: Path) -> str:
    """The old kind of hash, of a small part of the file. "" where it cannot be read."""
    begin, length = OLD_HASH
    try:
        with path.open("rb") as file:
            file.seek(begin)
            return hashlib.sha256(file.read(length)).hexdigest()[:OLD_LETTERS]
    except OSError:
        return ""


def of_sidecars(path: Path) -> str:
    """The hash in `NAME.safetensors.sha256` or `NAME.sha256`, unless the checkpoint has changed since; else ""."""
    for place in (path.with_name(f"{path.name}.sha256"), path.with_suffix(".sha256")):
        try:
            if place.stat().st_mtime >= path.stat().st_mtime and place.stat().st_size < 4096:
                match = SHA256.search(place.read_text(encoding="utf-8-sig", errors="replace"))
                if match:
                    return match[0].lower()
        except OSError:
            continue
    return ""


def of_webui(path: Path) -> str:
    """The hash in the cache.json of the WebUI around the file, unless the file has changed since; else ""."""
    whole = path.resolve()
    mtime = path.stat().st_mtime
    for folder in whole.parents[:FOLDERS_ABOVE]:
        hashes = member(read_json(folder / "cache.json"), "hashes")
        if not isinstance(hashes, dict):
            continue
        for title in titles(whole):
            digest, when = member(hashes.get(title), "sha256"), member(hashes.get(title), "mtime")
            if (
                isinstance(digest, str)
                and SHA256.fullmatch(digest)
                and isinstance(when, (int, float))
                and when >= mtime
            ):
                return digest.lower()
    return ""


def titles(path: Path) -> Iterator[str]:
    """A WebUI's possible names of a checkpoint: its path below one of the folders around it."""
    for count in range(1, len(path.parts)):
        for separator in dict.fromkeys((os.sep, "/")):
            yield "checkpoint/" + separator.join(path.parts[-count:])


def stamped(entry: Any, path: Path) -> str:
    """The hash in `entry`, if it was taken of the file as it is now; else ""."""
    stat = path.stat()
    if [member(entry, "size"), member(entry, "changed")] != [stat.st_size, stat.st_mtime_ns]:
        return ""
    digest = member(entry, "sha256")
    return digest if isinstance(digest, str) and SHA256.fullmatch(digest) else ""


def keep(path: Path, digest: str) -> None:
    """Caches the hash for the next time, also in another process. Failing to write it is not an error."""
    stat, place = path.stat(), cache_file()
    entry = {"size": stat.st_size, "changed": stat.st_mtime_ns, "sha256": digest}
    others = {name: one for name, one in read_json(place).items() if name != str(path.resolve())}
    entries = dict([*others.items(), (str(path.resolve()), entry)][-MOST_KEPT:])
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_text(place, json.dumps(entries, indent=0))
    except OSError:
        return


def cache_file() -> Path:
    own = os.environ.get("CLIP_SKIP_CACHE")
    if own:
        return Path(own) / "hashes.json"
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Caches"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return folder / "clip-skip" / "hashes.json"


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file, which may be anything; empty if there is none."""
    try:
        stat = path.stat()
    except OSError:
        return {}
    return _read_json(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _read_json(path: Path, size: int, mtime_ns: int) -> dict[str, Any]:
    if size > LARGEST:
        return {}
    try:
        data = loads(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return {}
    return data if isinstance(data, dict) else {}
