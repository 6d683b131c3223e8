"""Finds the checkpoint that a picture was made with: by name, and by hash where the name is ambiguous."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from clip_skip.messages.message import Message, Template
from clip_skip.pictures.errors import PictureError
from clip_skip.pictures.infotext import Infotext
from clip_skip.pictures.json_text import loads, member
from clip_skip.skip import shorten
from clip_skip.standalone.pictures.hashes import Each, first_that_fits

__all__ = ["find_checkpoint", "model_name"]

NOT_THERE = Template("the checkpoint {name} (hash {hash}) is not in {place}")
NO_HASH = Template("not known")
OTHER_HASH = Template("{file} has another hash than the picture's checkpoint, {hash}.")

SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf")
IN_BRACKETS = re.compile(r"\[([0-9A-Fa-f]{8,64})\]\s*$")
HASH = re.compile(r"(?:0x)?([0-9A-Fa-f]{8,64})")


def model_name(infotext: Infotext) -> PurePosixPath:
    """The model's name without its extension, with the folder if the picture has that: `sub\\foo.safetensors`."""
    name = IN_BRACKETS.sub("", infotext.parameters.get("Model", "")).replace("\\", "/").strip()
    suffix = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    return PurePosixPath(name[: len(name) - len(suffix)])


def model_hash(infotext: Infotext) -> str:
    """The hash in small letters: the beginning of a SHA-256, or a whole one; "" for none.

    SwarmUI's is of the tensors alone, without the header, so it is no file's.
    """
    if infotext.tool == "SwarmUI":
        return ""
    brackets = IN_BRACKETS.search(infotext.parameters.get("Model", ""))
    among_all = member(loads(infotext.parameters.get("Hashes", "")), "model")
    for text in (infotext.parameters.get("Model hash"), brackets and brackets[1], among_all):
        match = HASH.fullmatch(text.strip()) if isinstance(text, str) else None
        if match:
            return match[1].lower()
    return ""


def find_checkpoint(
    infotext: Infotext, files: Iterable[Path], place: Message | Template | str, each: Each = list
) -> tuple[Path, Message | None]:
    """The picture's checkpoint among `files`, and a message if its hash is another. Raises `PictureError`.

    place: the name of the files' folder in messages; each: iterates over files that are read in full, with progress
    """
    name, digest, there = model_name(infotext), model_hash(infotext), list(files)
    same = sorted((path for path in there if spelled(path.stem) == spelled(name.name)), key=lambda p: distance(p, name))
    match = first_that_fits(same or by_likeness(there, name), digest, each) if digest else None
    if match:
        return match, None
    if same and name.name:
        return same[0], OTHER_HASH(file=same[0].name, hash=digest) if digest else None
    model = shorten(infotext.parameters.get("Model", ""))
    raise PictureError(NOT_THERE(name=model, hash=digest or NO_HASH, place=place))


def spelled(name: str) -> str:
    """`name` normalized for comparison: SD.Next drops commas and colons, file systems may ignore case."""
    return re.sub(r"[,:\s]+", " ", name).strip().casefold()


def distance(path: Path, name: PurePosixPath) -> tuple[bool, bool]:
    """How much `path` differs from `name`: another folder, another letter case."""
    parts = [spelled(part) for part in path.with_suffix("").parts]
    name_parts = [spelled(part) for part in name.parts]
    return parts[len(parts) - len(name_parts) :] != name_parts, path.stem != name.name


def by_likeness(files: Iterable[Path], name: PurePosixPath) -> list[Path]:
    """`files`, those with a name like `name` first: each has to be read in full for its hash."""
    wanted_name = spelled(name.name)
    return sorted(files, key=lambda path: not (spelled(path.stem) in wanted_name or wanted_name in spelled(path.stem)))
