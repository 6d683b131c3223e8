"""Inspects a file: its kind, its metadata, its weights, and the verdict.

Only .safetensors files are opened, and of them only the header and the tensors that are needed. A pickle never is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from clip_skip.made_for.adapters import adapter_blocks
from clip_skip.made_for.compared import compared_blocks
from clip_skip.made_for.kinds import ADAPTERS, DEPTHS, FileKind, kind_of
from clip_skip.made_for.metadata import find_recommendation
from clip_skip.made_for.named_layers import NamedLayer, named_layer
from clip_skip.made_for.naming import Name, parse_tensor_name
from clip_skip.made_for.reading import NO_FILE, Problem, Unreadable, complaint, remembered
from clip_skip.made_for.recommendation import Recommendation
from clip_skip.made_for.safetensors_file import SafetensorsFile
from clip_skip.made_for.verdict import NO_TEXT_ENCODER, Verdict, Weights, judge, weigh
from clip_skip.messages.message import Template, reason

__all__ = ["BASE_ITSELF", "OTHER_BASE", "Finding", "changed_blocks", "inspect"]

NEVER_A_PICKLE = Template("only .safetensors files are opened, and never a pickle")
OTHER_BASE = Template("The base is not a checkpoint for the same model.")
BASE_ITSELF = Template("It is the base itself.")

STORED_H = 23
"""Blocks of an OpenCLIP-H that was stored without its last one, which no SD2 runs."""


@dataclass(frozen=True)
class Finding:
    """The findings on `file`; `weights` is None where its weights say nothing about a text encoder.

    named_layer: the layer of a text encoder other than CLIP that it was trained at, if not the published one
    """

    file: str
    kind: str
    model: str | None
    metadata: Recommendation | None
    weights: Weights | None
    verdict: Verdict
    named_layer: NamedLayer | None = None

    def as_json(self) -> dict[str, Any]:
        """The object that `clip-skip inspect --json` prints."""
        metadata, weights, verdict = self.metadata, self.weights, self.verdict
        return {
            "file": self.file,
            "kind": self.kind,
            "model": self.model,
            "metadata": metadata and {"clip_skip": metadata.value, "source": metadata.source, "how": metadata.how},
            "weights": weights
            and {
                "clip_skip": weights.clip_skip,
                "untouched_blocks": weights.untouched_blocks,
                "blocks": {name: [block.largest for block in blocks] for name, blocks in weights.blocks.items()},
            },
            "named": self.named_layer
            and {
                "tower": self.named_layer.tower,
                "clip_skip": self.named_layer.value,
                "source": self.named_layer.source,
            },
            "verdict": {"clip_skip": verdict.clip_skip, "certainty": verdict.certainty, "reason": verdict.reason},
        }


def changed_blocks(finding: Finding) -> tuple[int, int] | None:
    """The number of changed blocks from the bottom up, and of all blocks; None where the weights do not show it."""
    weights = finding.weights
    if weights is None or not weights.clip_skip:
        return None
    count = len(next(iter(weights.blocks.values())))
    return count - (weights.untouched_blocks or 0), count


@dataclass(frozen=True)
class Examination:
    """The findings on a file without its base. in_blocks: whether it has tensors in blocks of a known text encoder."""

    kind: FileKind
    weights: Weights | None
    in_blocks: bool
    named_layer: NamedLayer | None


@dataclass(frozen=True)
class OpenFile:
    file: SafetensorsFile
    places: Mapping[str, Name]
    kind: FileKind

    def stored_blocks(self, place: int) -> int:
        """How many blocks the text encoder at `place` has, as a whole tower: SD2's last one may not be in the file."""
        count = 1 + max((name.block for name in self.places.values() if name.encoder == place), default=-1)
        return count + (self.kind.towers[place] == "h" and count == STORED_H)


def inspect(path: str, base: str | None = None) -> Finding:
    """The findings on the file at `path`. Its own examination is cached until the file changes.

    base: the checkpoint to compare it with, if it is one. Raises Problem where one of the two cannot be read.
    """
    examination = examine(path)
    weights, problem = examination.weights, None
    if base is not None and examination.kind.kind not in ADAPTERS and examination.kind.towers:
        weights, problem = compare(path, base, examination, examine(base))
    try:
        metadata = find_recommendation(path)
    except Problem:  # a sidecar's problem is reported where the model is used, and doesn't stop this
        metadata = None
    if metadata and not is_for(metadata, examination.kind.model):
        metadata = None
    verdict = judge(examination.kind, weights, metadata, problem)
    if examination.named_layer:
        verdict = replace(verdict, sentences=(*verdict.sentences, examination.named_layer.message))
    return Finding(
        path, examination.kind.kind, examination.kind.model, metadata, weights, verdict, examination.named_layer
    )


def is_for(metadata: Recommendation, model: str | None) -> bool:
    """Whether the metadata is about this model; for an unknown model its numbering is taken as SD1's."""
    model_name = metadata.model or "SD1"
    return model is None or model_name in model.split(", ") or model_name == model


def examine(path: str) -> Examination:
    if not os.path.exists(path):
        raise Problem(complaint(path, NO_FILE))
    if not path.lower().endswith(".safetensors"):
        raise Problem(complaint(path, NEVER_A_PICKLE))
    examination = remembered(examine_file, path)
    if examination is None:
        raise Problem(complaint(path, NO_FILE))
    return examination


def examine_file(path: str) -> Examination:
    """Examines the file without its base."""
    with open_weights(path) as one:
        weights = None
        if one.kind.kind in ADAPTERS and one.kind.towers and one.places:
            towers = one.kind.towers.items()
            blocks = {tower: adapter_blocks(one.file, one.places, place, DEPTHS[tower]) for place, tower in towers}
            weights = weigh(one.kind, blocks)
        return Examination(one.kind, weights, bool(one.places), named_layer(one.file.metadata))


def compare(
    path: str, base: str, examination: Examination, other: Examination
) -> tuple[Weights | None, Template | None]:
    """The findings from the checkpoint's difference to its base, or why there are none. Raises Problem."""
    kind = examination.kind
    if not examination.in_blocks:
        return None, NO_TEXT_ENCODER
    if kind.model != other.kind.model or other.kind.kind in ADAPTERS:
        return None, OTHER_BASE
    if os.path.samefile(path, base):
        return None, BASE_ITSELF
    try:
        with open_weights(path) as one, open_weights(base) as two:
            blocks = {
                tower: compared_blocks(
                    one.file,
                    two.file,
                    one.places,
                    two.places,
                    place,
                    max(one.stored_blocks(place), two.stored_blocks(place)),
                )
                for place, tower in kind.towers.items()
            }
    except (Unreadable, OSError) as error:
        raise Problem(complaint(path, reason(error))) from error
    return weigh(kind, blocks), None


@contextmanager
def open_weights(path: str) -> Iterator[OpenFile]:
    """The file with its names parsed. Raises Unreadable and OSError."""
    with SafetensorsFile(path) as file:
        places = {name: place for name in file.tensors if (place := parse_tensor_name(name))}
        yield OpenFile(file, places, kind_of(file.tensors, places, file.shape, file.metadata))
