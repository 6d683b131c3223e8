"""Named sets of a sweep's values and options: those that are built in, and the user's. Pure: standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from clip_skip.skip import shorten
from clip_skip.sweep.settings import SweepSettings

__all__ = ["BUILT_IN", "LONGEST", "all_of", "read", "with_preset", "without_preset"]

LONGEST = 60
"""Letters of a name."""

BUILT_IN = {
    "Reference: 1-12 by CFG 4, 7, 11": SweepSettings(),
    "Quick look: 1-4 at CFG 7": SweepSettings(clip_skips="1-4", cfg_scales="7"),
    "Between 1 and 3, in quarters": SweepSettings(clip_skips="1-3 (+0.25)", cfg_scales="7"),
    "On 8 seeds: 1-4, with report": SweepSettings(clip_skips="1-4", rows="seed", seeds="1-8", report=True),
}
"""The reference sweep, and answers to what people ask next."""


def all_of(saved: Any) -> dict[str, SweepSettings]:
    """Those that are built in, then those of `saved`, as the host keeps them; what is no preset there is left out."""
    own = saved.items() if isinstance(saved, Mapping) else ()
    presets = dict(BUILT_IN)
    for name, values in own:
        try:
            presets.setdefault(str(name), read(values))
        except ValueError:
            continue
    return presets


def read(values: Any) -> SweepSettings:
    """A preset from what was saved of it. ValueError says what is wrong."""
    if not isinstance(values, Mapping):
        raise ValueError("a preset is a set of named values")
    return SweepSettings.from_args([values])


def with_preset(saved: Any, name: str, settings: SweepSettings) -> dict[str, Any]:
    """`saved` with a preset more, or another one of that name. ValueError says why the name cannot be."""
    name = checked(name)
    return {**(saved if isinstance(saved, Mapping) else {}), name: asdict(settings)}


def without_preset(saved: Any, name: str) -> dict[str, Any]:
    """`saved` without the preset `name`. ValueError where there is none of the user's."""
    name = checked(name)
    if not isinstance(saved, Mapping) or name not in saved:
        raise ValueError(f"Preset: there is no {shorten(name)}")
    return {other: values for other, values in saved.items() if other != name}


def checked(name: str) -> str:
    name = (name or "").strip()
    if not name:
        raise ValueError("Preset: it needs a name")
    if len(name) > LONGEST:
        raise ValueError(f"Preset: a name has up to {LONGEST} letters")
    if name in BUILT_IN:
        raise ValueError(f"Preset: {shorten(name)} is built in")
    return name
