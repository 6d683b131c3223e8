"""Every template of the library, found by importing its modules, and every text that its scripts show."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import clip_skip
from clip_skip.extension_files import page_part
from clip_skip.messages.message import Template
from clip_skip.sweep import viewer

ROOT = Path(__file__).parents[1]

TRANSLATED_WORD = re.compile(r'\btr\(\s*"([^"]+)"')


def library() -> Iterator[ModuleType]:
    """All modules of the library; those of a WebUI need its modules, or stand-ins for them."""
    yield clip_skip
    for found in pkgutil.walk_packages(clip_skip.__path__, "clip_skip."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def templates() -> dict[str, set[str]]:
    """The names of the modules that have each template: as a constant, in one, or in a class."""
    found: dict[str, set[str]] = {}
    for module in library():
        for template in templates_in([*vars(module).values(), *class_constants(module)]):
            found.setdefault(str(template), set()).add(module.__name__)
    return found


def class_constants(module: ModuleType) -> Iterator[Any]:
    for value in vars(module).values():
        if isinstance(value, type) and value.__module__ == module.__name__:
            yield from vars(value).values()


def templates_in(value: Any, depth: int = 5) -> Iterator[Template]:
    if isinstance(value, Template):
        yield value
    elif depth == 0:
        return
    elif isinstance(value, Mapping):
        for item in (*value.keys(), *value.values()):
            yield from templates_in(item, depth - 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from templates_in(item, depth - 1)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from templates_in(getattr(value, field.name), depth - 1)


def words_of_scripts() -> set[str]:
    """What the scripts of the pages show: the texts that are given to `tr`, and the words in the viewer's page."""
    files = [*(ROOT / "javascript").glob("*.js"), *(ROOT / "clip_skip" / "standalone" / "app").glob("*.js")]
    texts = [page_part(viewer.__file__, ".js"), *(file.read_text(encoding="utf8") for file in files)]
    return {word for text in texts for word in TRANSLATED_WORD.findall(text)} | {
        *viewer.PLACE.findall(page_part(viewer.__file__, ".html"))
    }


def main() -> None:
    """Print all templates with their modules, and the words of the scripts."""
    import gradio  # noqa: F401  (the page without a WebUI needs the real one, which the stand-ins come after)

    sys.path.insert(0, str(ROOT / "tests" / "standins"))
    print(json.dumps({"templates": {text: sorted(names) for text, names in templates().items()}}))


if __name__ == "__main__":
    main()
