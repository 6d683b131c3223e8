"""The extension's files that are not Python: localizations, javascript, style.css, and the parts of pages.

Pure: standard library only.
"""

from __future__ import annotations

import site
import sysconfig
from functools import cache
from pathlib import Path

__all__ = ["extension_folder", "page_part"]


@cache
def extension_folder() -> Path:
    """The extension's own folder, or the one where pip has installed its files, also with --user or --target."""
    extension = Path(__file__).parents[1]
    bases = (sysconfig.get_path("data"), site.getuserbase(), str(extension))
    places = [extension, *(Path(base) / "share" / "clip-skip" for base in bases)]
    return next((place for place in places if (place / "javascript" / "clip_skip.js").is_file()), extension)


def page_part(module: str, ending: str) -> str:
    """A part of a page: the text of the file that differs from `module`, the path of a module, only in its ending."""
    return Path(module).with_suffix(ending).read_text(encoding="utf-8")
