"""The small files beside a checkpoint: its `.yaml`, and the `config.json` of its text encoder.

They may come from anywhere, so only the needed values are read: scalars at known places, from files of a limited size
that are inside the checkpoint's folder. Nothing in them leads to another folder, or to the network.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import yaml

from clip_skip.messages.message import MessageError, Template

__all__ = ["ConfigError", "json_file", "path_inside", "plain_name", "yaml_scalars"]

LARGEST_FILE = 100_000
"""Bytes. Published ones have 10,000 at most."""

MOST_NESTING = 20
"""The deepest nesting of lists and mappings in a `.yaml`."""

CONFIG_TOO_LARGE = Template("{file} is larger than {limit} bytes")
CONFIG_UNREADABLE = Template("{file} cannot be read: {problem}")
HAS_ALIASES = Template("it has an alias (*), which is not accepted")
NESTED_TOO_DEEP = Template("its lists and mappings are more than {limit} levels deep")
ODD_KEY = Template("the key of a mapping is not a plain text")
MORE_THAN_ONE = Template("it has more than one document")

Place = tuple[str | int, ...]
"""The keys and indexes that lead to a scalar: ("model", "params", "scale_factor")."""


class ConfigError(MessageError):
    """A file beside a checkpoint that cannot be used; the message names it."""


def text_of(path: Path) -> str:
    """The text in `path`, without a byte-order mark. Raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise ConfigError(CONFIG_TOO_LARGE(file=path.name, limit=f"{LARGEST_FILE:,}"))
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(CONFIG_UNREADABLE(file=path.name, problem=one_line(error))) from error


def yaml_scalars(path: Path) -> dict[Place, str]:
    """The scalars in the `.yaml` at `path` as they are written, by their places. Raises `ConfigError`."""
    text = text_of(path)
    try:
        return Scalars().read(text)
    except ConfigError as error:
        raise ConfigError(CONFIG_UNREADABLE(file=path.name, problem=error.message)) from error
    except yaml.YAMLError as error:
        raise ConfigError(CONFIG_UNREADABLE(file=path.name, problem=one_line(error))) from error


class Scalars:
    """Follows a YAML document event by event; no object is built, no tag or alias is followed.

    `keys` is the place of the next node in the document, a key or an index for each open collection; None for a
    mapping whose next node is a key.
    """

    def __init__(self) -> None:
        self.values: dict[Place, str] = {}
        self.keys: list[str | int | None] = []

    def read(self, text: str) -> dict[Place, str]:
        documents = 0
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise ConfigError(HAS_ALIASES())
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise ConfigError(MORE_THAN_ONE())
            elif isinstance(event, yaml.CollectionStartEvent):
                self.open(isinstance(event, yaml.MappingStartEvent))
            elif isinstance(event, yaml.CollectionEndEvent):
                self.keys.pop()
                self.node_ends()
            elif isinstance(event, yaml.ScalarEvent):
                self.scalar(event.value)
        return self.values

    def open(self, is_mapping: bool) -> None:
        if self.keys and self.keys[-1] is None:
            raise ConfigError(ODD_KEY())
        if len(self.keys) >= MOST_NESTING:
            raise ConfigError(NESTED_TOO_DEEP(limit=MOST_NESTING))
        self.keys.append(None if is_mapping else 0)

    def scalar(self, value: str) -> None:
        if self.keys and self.keys[-1] is None:
            self.keys[-1] = value
        else:
            self.values[tuple(key for key in self.keys if key is not None)] = value
            self.node_ends()

    def node_ends(self) -> None:
        """The next place in the open collection: a key, or the next item."""
        if self.keys:
            last = self.keys[-1]
            self.keys[-1] = last + 1 if isinstance(last, int) else None


def json_file(path: Path) -> Mapping[str, Any]:
    """The object in the JSON file at `path`; empty if it is something else. Raises `ConfigError`."""
    text = text_of(path)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(CONFIG_UNREADABLE(file=path.name, problem=one_line(error))) from error
    return data if isinstance(data, dict) else {}


def plain_name(text: str) -> bool:
    """Whether `text` is a name and nothing else: no path, no address, no `hf-hub:`."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,100}", text) is not None


def path_inside(folder: Path, text: str) -> Path | None:
    """The path `text` if it is in `folder` or below it, else None; by the text alone, without touching the disk.

    Absolute paths are taken too, since a WebUI needs them; never a network drive (UNC), `C:` or a way up.
    """
    if "\0" in text or text.startswith(("\\\\", "//")) or (os.name != "nt" and PureWindowsPath(text).drive):
        return None
    for base in (Path(os.path.abspath(folder)), folder.resolve()):
        path = Path(os.path.normpath(base / text))
        if path.is_relative_to(base) and path != base:
            return path
    return None


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
