"""Hashes of checkpoints, as pictures name them. A file of several GB is read once, and not where a WebUI has read it.

What was computed is kept in a file of the user's (`CLIP_SKIP_CACHE` names its folder) by path, size and time of change.
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

__all__ = ["Each", "first_that_fits"]

Each = Callable[[list[Path]], Iterable[Path]]
"""Goes through files that are read in full, and shows how far it is."""

OLD_HASH = (0x100000, 0x10000)
"""Where the part of the file begins, and how long it is, of which AUTOMATIC1111 took a hash of 8 letters in 2022."""

OLD_LETTERS = 8
SHA256 = re.compile(r"\b[0-9a-fA-F]{64}\b")
LARGEST = 32_000_000
"""Bytes of a file of hashes that are read."""

FOLDERS_ABOVE = 6
"""In how many folders above a checkpoint a WebUI's cache.json is looked for."""

MOST_KEPT = 20_000


def first_that_fits(files: Iterable[Path], given: str, each: Each = list) -> Path | None:
    """The first of `files` with the hash `given`: the beginning of a SHA-256, or the old kind.

    Those whose hash is known already come before those that have to be read in full.
    """
    there = [path for path in files if path.is_file()]
    if len(given) == OLD_LETTERS:
        found = next((path for path in there if old_hash(path) == given), None)
        if found:
            return found
    known = {path: known_hash(path) for path in there}
    found = next((path for path, whole in known.items() if whole.startswith(given)), None) if given else None
    unknown = [path for path in there if not known[path]]
    if found or not unknown:
        return found
    return next((path for path in each(unknown) if kept_hash(path).startswith(given)), None)


def known_hash(path: Path) -> str:
    """The SHA-256 of a file, where that is known without reading it; else ""."""
    kept = stamped(read_json(cache_file()).get(str(path.resolve())), path)
    return kept or next((found for found in (of_sidecars(path), of_webui(path)) if found), "")


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
    """What `NAME.safetensors.sha256` or `NAME.sha256` says, unless the checkpoint has changed since; else ""."""
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
    """What the cache.json of the WebUI around the file says, unless the file has changed since; else ""."""
    whole = path.resolve()
    changed = path.stat().st_mtime
    for folder in whole.parents[:FOLDERS_ABOVE]:
        hashes = member(read_json(folder / "cache.json"), "hashes")
        if not isinstance(hashes, dict):
            continue
        for title in titles(whole):
            found, when = member(hashes.get(title), "sha256"), member(hashes.get(title), "mtime")
            if (
                isinstance(found, str)
                and SHA256.fullmatch(found)
                and isinstance(when, (int, float))
                and when >= changed
            ):
                return found.lower()
    return ""


def titles(path: Path) -> Iterator[str]:
    """What a WebUI may call a checkpoint: its path below one of the folders around it."""
    for count in range(1, len(path.parts)):
        for separator in dict.fromkeys((os.sep, "/")):
            yield "checkpoint/" + separator.join(path.parts[-count:])


def stamped(entry: Any, path: Path) -> str:
    """The hash in `entry`, if it was taken of the file as it is now; else ""."""
    stat = path.stat()
    if [member(entry, "size"), member(entry, "changed")] != [stat.st_size, stat.st_mtime_ns]:
        return ""
    found = member(entry, "sha256")
    return found if isinstance(found, str) and SHA256.fullmatch(found) else ""


def keep(path: Path, found: str) -> None:
    """Have the hash at hand the next time, also in another process. That it cannot be written is no fault."""
    stat, place = path.stat(), cache_file()
    entry = {"size": stat.st_size, "changed": stat.st_mtime_ns, "sha256": found}
    others = {name: one for name, one in read_json(place).items() if name != str(path.resolve())}
    kept = dict([*others.items(), (str(path.resolve()), entry)][-MOST_KEPT:])
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_text(place, json.dumps(kept, indent=0))
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
    """The object in a file that may be anything; empty where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return {}
    return _read_json(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _read_json(path: Path, size: int, changed: int) -> dict[str, Any]:
    if size > LARGEST:
        return {}
    try:
        found = loads(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return {}
    return found if isinstance(found, dict) else {}
