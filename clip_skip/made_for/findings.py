"""A file in, findings out: what it is, what its metadata says, what its weights say, and the verdict.

Only .safetensors files are opened, and of them only the header and the tensors that are needed. A pickle never is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from clip_skip.made_for.adapters import Open, adapter_blocks
from clip_skip.made_for.compared import compared_blocks
from clip_skip.made_for.kinds import ADAPTERS, DEPTHS, Kind, kind_of
from clip_skip.made_for.metadata import Problem, Recommendation, complaint, recommended, remembered, trained_at
from clip_skip.made_for.naming import Name, parse
from clip_skip.made_for.verdict import Verdict, Weights, judge, weigh

__all__ = ["Finding", "changed_blocks", "inspect"]

LONGEST_HEADER = 32_000_000
"""Bytes; the longest that was met has four million, most of it the captions of a training."""


@dataclass(frozen=True)
class Finding:
    """All that is known of the file `file`; `weights` is None where its weights tell nothing of a text encoder."""

    file: str
    kind: str
    model: str | None
    metadata: Recommendation | None
    weights: Weights | None
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        """What `clip-skip inspect --json` prints of it."""
        metadata, weights, verdict = self.metadata, self.weights, self.verdict
        return {
            "file": self.file,
            "kind": self.kind,
            "model": self.model,
            "metadata": metadata and {"clip_skip": metadata.value, "source": metadata.source},
            "weights": weights
            and {
                "clip_skip": weights.clip_skip,
                "untouched_blocks": weights.untouched,
                "blocks": {name: [block.largest for block in blocks] for name, blocks in weights.blocks.items()},
            },
            "verdict": {"clip_skip": verdict.clip_skip, "certainty": verdict.certainty, "reason": verdict.reason},
        }


def changed_blocks(finding: Finding) -> tuple[int, int] | None:
    """How many blocks from the bottom up were changed, and of how many; None where the weights do not tell it."""
    weights = finding.weights
    if weights is None or not weights.clip_skip:
        return None
    count = len(next(iter(weights.blocks.values())))
    return count - (weights.untouched or 0), count


@dataclass(frozen=True)
class Look:
    """What a file says by itself. in_blocks: whether it has tensors in blocks of a known text encoder."""

    kind: Kind
    weights: Weights | None
    in_blocks: bool


@dataclass(frozen=True)
class Opened:
    file: Open
    places: Mapping[str, Name]
    kind: Kind


def inspect(path: str, base: str | None = None) -> Finding:
    """What is known of the file at `path`. What it says by itself is remembered until the file changes.

    base: the checkpoint to compare it with, if it is one. Raises Problem where one of the two cannot be read.
    """
    found = seen(path)
    weights, problem = found.weights, None
    if base is not None and found.kind.kind not in ADAPTERS and found.kind.towers:
        weights, problem = compare(path, base, found, seen(base))
    read = trained_at if found.kind.kind in ADAPTERS else recommended
    try:
        metadata = read(path)
    except Problem:  # what is wrong with a JSON beside it is told where a model is used, and no reason to stop here
        metadata = None
    verdict = judge(found.kind, weights, metadata, problem)
    return Finding(path, found.kind.kind, found.kind.model, metadata, weights, verdict)


def seen(path: str) -> Look:
    if not path.lower().endswith(".safetensors"):
        raise Problem(complaint(path, "only .safetensors files are opened, and never a pickle"))
    found = remembered(look, path)
    if found is None:
        raise Problem(complaint(path, "there is no such file"))
    return found


def look(path: str) -> Look:
    """The file by itself."""
    with opened(path) as one:
        weights = None
        if one.kind.kind in ADAPTERS and one.kind.towers and one.places:
            towers = one.kind.towers.items()
            blocks = {tower: adapter_blocks(one.file, one.places, place, DEPTHS[tower]) for place, tower in towers}
            weights = weigh(one.kind, blocks)
        return Look(one.kind, weights, bool(one.places))


def compare(path: str, base: str, found: Look, other: Look) -> tuple[Weights | None, str | None]:
    """What the checkpoint's difference from its base says; or why there is none to be had."""
    kind = found.kind
    if not found.in_blocks:
        return None, "Nothing of a text encoder is in it."
    if kind.model != other.kind.model or other.kind.kind in ADAPTERS:
        return None, "The base is not a checkpoint for the same model."
    if os.path.samefile(path, base):
        return None, "It is the base itself."
    try:
        with opened(path) as one, opened(base) as two:
            blocks = {
                tower: compared_blocks(one.file, two.file, one.places, two.places, place, DEPTHS[tower])
                for place, tower in kind.towers.items()
            }
    except Problem:
        raise
    except Exception as error:  # safetensors' own error class differs between versions
        raise Problem(complaint(path, str(error) or type(error).__name__)) from error
    return weigh(kind, blocks), None


@contextmanager
def opened(path: str) -> Iterator[Opened]:
    """The file with its names read. Raises ValueError where the header is absurd, and safetensors' own errors."""
    from safetensors import safe_open

    with open(path, "rb") as raw:
        length = int.from_bytes(raw.read(8), "little")
    if LONGEST_HEADER < length <= os.path.getsize(path):
        raise ValueError(f"its header has {length / 1e6:.0f} MB, more than any model needs")
    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
        places = {name: place for name in names if (place := parse(name))}
        kind = kind_of(names, places, lambda name: tuple(file.get_slice(name).get_shape()), file.metadata() or {})
        yield Opened(file, places, kind)
