"""Which clip skip the blocks of a text encoder tell of, how surely, and why.

With clip skip n the top n - 1 blocks get no gradient, so they stay as they were. What tools do to that is told in
docs/made-for.md, and where `FAINT` comes from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from clip_skip.made_for.adapters import Block
from clip_skip.made_for.kinds import ADAPTERS, Kind
from clip_skip.made_for.metadata import TRAINED, Recommendation

__all__ = ["FAINT", "Verdict", "Weights", "judge", "weigh"]

FAINT = 0.25
"""A block that has changed by less than this share of the blocks below it tells of a merge, or of rounding."""

Certainty = Literal["exact", "likely", "none"]


@dataclass(frozen=True)
class Weights:
    """What the blocks say.

    clip_skip: None where they do not tell it. untouched: blocks at the top that were not trained. certainty and
    reason: of that. blocks: those of each text encoder, "l", "h" or "g", from the bottom up.
    """

    clip_skip: int | None
    untouched: int | None
    certainty: Certainty
    reason: str
    blocks: Mapping[str, tuple[Block, ...]]


@dataclass(frozen=True)
class Verdict:
    """sentences: why, each to be translated alone; the file's own weights first, then its metadata."""

    clip_skip: int | None
    certainty: Certainty
    sentences: tuple[str, ...]

    @property
    def reason(self) -> str:
        return " ".join(self.sentences)


def weigh(kind: Kind, blocks: Mapping[str, tuple[Block, ...]]) -> Weights:
    """What the `blocks` of a file's text encoders say. That of SDXL is its CLIP-L: OpenCLIP-G's pooled vector comes
    from the full tower, and trains it."""
    tower = next(iter(kind.towers.values()))
    value, certainty, reason = told_by(blocks[tower], kind.kind in ADAPTERS, 1 if tower == "h" else 0)
    return Weights(value, value and value - 1, certainty, reason, blocks)


def told_by(blocks: Sequence[Block], adapter: bool, cut: int) -> tuple[int | None, Certainty, str]:
    """The clip skip, how surely, and a sentence.

    cut: so many blocks at the top are not in the files of some trainers, which never run them (SD2 stops at its
    published layer).
    """
    notes = {block.note for block in blocks}
    count = len(blocks)
    if notes == {"missing"}:
        return None, "none", "Nothing of a text encoder is in it."
    if "broken" in notes:
        return None, "none", "The text encoder has values that are not finite numbers."
    if "sizes" in notes:
        return None, "none", "The text encoder has other sizes than the base's."
    levels = [0.0 if block.note == "rounding" else block.largest or 0.0 for block in blocks]
    edge = top(levels)
    above = blocks[edge:]
    if any(block.note == "halves" for block in above):
        return None, "none", "Tensors of the text encoder lack their other half."
    if not edge and any(block.largest for block in blocks):
        return None, "none", "The text encoder differs from the base's by rounding alone."
    if not edge:
        return None, "none", "The text encoder was not changed."
    value = count - edge + 1
    lower = f"the lower {edge} of {count} blocks"
    part = f"at least one part of it was trained at clip skip {value}"
    if value == 1 and adapter:
        return 1, "likely", f"The top block of {count} was changed: {part}."
    if value == 1:
        return 1, "likely", f"The top block of {count} differs from the base's: {part}, if this is its base."
    if any(block.note == "rounding" for block in above):
        return value, "likely", f"T{lower[1:]} differ from the base's, those above by rounding alone: {part}."
    if any(block.largest for block in above):
        share = max(levels[edge:]) / median(level for level in levels[:edge] if level)
        return value, "likely", f"T{lower[1:]} were changed, those above by {100 * share:.2g}% as much: {part}."
    trained = f"it was trained at clip skip {value}"
    if any(block.note == "missing" for block in above[: len(above) - cut]):
        return value, "likely", f"T{lower[1:]} were changed, those above are not in it: {trained}, or without them."
    if any(block.note == "cleared" for block in above):
        zero = "those above are zero in every factor, as in an extraction, or where a tool clears blocks"
        return value, "likely", f"T{lower[1:]} were changed, {zero}: if none did, {trained}."
    if not all(levels[:edge]):
        odd = "none above, as where a tool clears blocks: if none did"
        return value, "likely", f"Only some of {lower} were changed, {odd}, {trained}."
    if all(block.note == "tiny" for block in blocks[:edge]):
        lost = "none above, but so little that its precision may have lost the rest"
        return value, "likely", f"T{lower[1:]} were changed, {lost}: if not, {trained}."
    return value, "exact", f"T{lower[1:]} were changed, none above: {trained}."


def top(levels: Sequence[float]) -> int:
    """How many blocks there are up to the highest that has changed more than faintly; 0 if none has changed.

    Faint ones are looked for in the upper half: some optimizers change the lowest block far more than all others.
    """
    highest = max((number for number, level in enumerate(levels, 1) if level), default=0)
    for edge in range(len(levels) // 2, highest):
        below = [level for level in levels[:edge] if level]
        if below and max(levels[edge:]) < FAINT * median(below):
            return edge
    return highest


def judge(kind: Kind, weights: Weights | None, metadata: Recommendation | None, problem: str | None = None) -> Verdict:
    """The verdict on a file. problem: why its weights could not be asked, if they were not."""
    if kind.model in ("SDXL", "SDXL refiner"):
        fixed = f"{kind.model} is trained at its published clip skip 2 by every trainer: nothing follows from it."
        return Verdict(None, "none", (fixed,))
    value = weights.clip_skip if weights else None
    sentences = [problem or (weights.reason if weights else silent(kind))]
    if metadata:
        shifted = metadata.value + (kind.model == "SD2" and metadata.source in TRAINED)
        but = "But its" if value is not None and shifted != value else "Its"
        sentences.append(f"{but} metadata says clip skip {metadata.value} ({metadata.source}).")
    return Verdict(value, weights.certainty if weights else "none", tuple(sentences))


def silent(kind: Kind) -> str:
    """Why a file of this kind tells nothing."""
    if kind.kind == "textual inversion":
        return "A textual inversion has no blocks of a text encoder."
    if kind.model and not kind.towers:
        return f"It is for {kind.model}, whose text encoders stop where they were made to."
    if kind.kind == "unknown":
        return "It is of a kind that is not known here."
    if kind.kind not in ADAPTERS:
        return "A checkpoint tells it only beside the base that it was made from."
    return "Nothing of a text encoder is in it."
