"""The extension's files that are not in the package: localizations, javascript, style.css.

Pure: standard library only.
"""

from __future__ import annotations

import site
import sysconfig
from functools import cache
from pathlib import Path

__all__ = ["extension_folder"]


@cache
def extension_folder() -> Path:
    """The extension's own folder, or the one where pip has installed its files, also with --user or --target."""
    extension = Path(__file__).parents[1]
    bases = (sysconfig.get_path("data"), site.getuserbase(), str(extension))
    places = [extension, *(Path(base) / "share" / "clip-skip" for base in bases)]
    return next((place for place in places if (place / "javascript" / "clip_skip.js").is_file()), extension)
