"""Named sets of a sweep's values and options: those that are built in, and the user's. Pure: standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from clip_skip.messages.message import Template
from clip_skip.skip import shorten
from clip_skip.sweep.axis import SweepError
from clip_skip.sweep.settings import SweepSettings

__all__ = ["BUILT_IN", "LONGEST_PRESET_NAME", "all_presets", "parse_preset", "with_preset", "without_preset"]

LONGEST_PRESET_NAME = 60
"""The most letters in a name."""

PRESET = Template("Preset")
NOT_VALUES = Template("a preset is a set of named values")
NO_PRESET = Template("there is no {name}")
NO_NAME = Template("enter a name")
LONG_NAME = Template("a name has up to {count} letters")
IS_BUILT_IN = Template("{name} is built in and cannot be changed")

BUILT_IN = {
    "Reference: 1-12 by CFG 4, 7, 11": SweepSettings(),
    "Quick look: 1-4 at CFG 7": SweepSettings(clip_skips="1-4", cfg_scales="7"),
    "Between 1 and 3, in quarters": SweepSettings(clip_skips="1-3 (+0.25)", cfg_scales="7"),
    "On 8 seeds: 1-4, with report": SweepSettings(clip_skips="1-4", rows="seed", seeds="1-8", report=True),
}
"""The reference sweep, and answers to the questions that usually follow it."""


def all_presets(user_presets: Any) -> dict[str, SweepSettings]:
    """The built-in presets, then those in `user_presets`, the host's option, without entries that are not presets."""
    own = user_presets.items() if isinstance(user_presets, Mapping) else ()
    presets = dict(BUILT_IN)
    for name, values in own:
        try:
            presets.setdefault(str(name), parse_preset(values))
        except ValueError:
            continue
    return presets


def parse_preset(values: Any) -> SweepSettings:
    """A saved preset's settings. SweepError names the problem."""
    if not isinstance(values, Mapping):
        raise SweepError.in_field(PRESET, NOT_VALUES)
    return SweepSettings.from_args([values])


def with_preset(user_presets: Any, name: str, settings: SweepSettings) -> dict[str, Any]:
    """`user_presets` with the preset `name` added or replaced. SweepError says why the name cannot be used."""
    name = check_preset_name(name)
    return {**(user_presets if isinstance(user_presets, Mapping) else {}), name: asdict(settings)}


def without_preset(user_presets: Any, name: str) -> dict[str, Any]:
    """`user_presets` without the preset `name`. SweepError if the user has no such preset."""
    name = check_preset_name(name)
    if not isinstance(user_presets, Mapping) or name not in user_presets:
        raise SweepError.in_field(PRESET, NO_PRESET(name=shorten(name)))
    return {other: values for other, values in user_presets.items() if other != name}


def check_preset_name(name: str) -> str:
    name = (name or "").strip()
    if not name:
        raise SweepError.in_field(PRESET, NO_NAME)
    if len(name) > LONGEST_PRESET_NAME:
        raise SweepError.in_field(PRESET, LONG_NAME(count=LONGEST_PRESET_NAME))
    if name in BUILT_IN:
        raise SweepError.in_field(PRESET, IS_BUILT_IN(name=shorten(name)))
    return name
