"""The cells of a sweep that was ended before its end, for the same sweep started again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from modules import shared
from PIL import Image

from clip_skip.sweep.settings import SweepSettings
from clip_skip.webui.sweep.batch import sweep_of
from clip_skip.webui.sweep.results import Done

__all__ = ["Unfinished"]

ABOUT_CELLS = ("apply_to", "rows", "columns", "replacements", "lora_weights")
"""The sweep's own settings that its cells depend on."""


class Unfinished:
    """Holds the cells of the last sweep, if some are missing, and what they were made with."""

    def __init__(self) -> None:
        self.key = ""
        self.jobs: list[Any] = []
        self.finished: list[Done] = []

    def take(self, p: Any, settings: SweepSettings, jobs: Sequence[Any]) -> list[Done]:
        """The finished cells of each of `jobs`: those of the last sweep, if this is the same one again."""
        key = fingerprint(p, settings)
        finished: list[Done] = [{} for _ in jobs]
        if key == self.key:
            finished = [dict(done) for done in self.finished]
            for job, before in zip(jobs, self.jobs):
                sweep_of(job).last = sweep_of(before).last
        self.key, self.jobs, self.finished = key, [], []
        return finished

    def keep(self, jobs: Sequence[Any], finished: Sequence[Done], cells: int) -> None:
        """Keeps the cells, if there are less than `cells` for one of the jobs."""
        if any(len(done) < cells for done in finished):
            self.jobs, self.finished = list(jobs), list(finished)
        else:
            self.key = ""


def fingerprint(p: Any, settings: SweepSettings) -> str:
    """What tells whether a cell of this sweep would be the same picture: everything that the user has set.

    Something in it that cannot be compared makes a fingerprint that no other sweep has.
    """
    names = [field.name for field in dataclasses.fields(p) if field.init] if dataclasses.is_dataclass(p) else vars(p)
    without = {"n_iter", "batch_size", "extra_generation_params", "prompt_for_display", "comments", "sd_model"}
    without |= {"clip_skip_state"}
    without |= {"subseed"} if p.subseed_strength == 0 else set()
    said = {name: getattr(p, name) for name in names if name not in without and not callable(getattr(p, name))}
    said["settings"] = [getattr(settings, name) for name in ABOUT_CELLS]
    said["script_args"] = getattr(p, "script_args_value", None) or getattr(p, "script_args", None)
    said["options"] = shared.opts.data
    return hashlib.sha256(json.dumps(comparable(said), sort_keys=True).encode()).hexdigest()


def comparable(value: Any) -> Any:
    """`value` for JSON, pictures and arrays by their content."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): comparable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [comparable(one) for one in value]
    if isinstance(value, Image.Image) or hasattr(value, "__array__"):
        size = value.size if isinstance(value, Image.Image) else value.shape
        return [str(size), hashlib.sha256(value.tobytes()).hexdigest()]
    return secrets.token_hex()
