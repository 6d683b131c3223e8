"""The clip skip that the blocks of a text encoder indicate, how certainly, and why.

With clip skip n the top n - 1 blocks get no gradient, so they stay as they were. docs/made-for.md explains what tools
do to that, and where `FAINT` comes from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from clip_skip.made_for.adapters import Block
from clip_skip.made_for.kinds import ADAPTERS, FIRST_OF_SEVERAL, FileKind
from clip_skip.made_for.recommendation import Recommendation
from clip_skip.messages.message import Message, Template

__all__ = ["FAINT", "NO_TEXT_ENCODER", "Verdict", "Weights", "judge", "judge_blocks", "weigh", "why_no_verdict"]

FAINT = 0.25
"""A block that has changed by less than this share of the blocks below it indicates a merge, or rounding."""

NO_TEXT_ENCODER = Template("It contains no text-encoder weights.")
WEIGHTS_NOT_FINITE = Template("The text encoder has values that are not finite numbers.")
OTHER_SIZES = Template("The text encoder and the base's differ in size.")
HALVES = Template("Some tensors of the text encoder lack their counterparts.")
ONLY_ROUNDING = Template("The text encoder differs from the base's only by rounding.")
UNCHANGED = Template("The text encoder was not changed.")
TOP_CHANGED = Template("The top block of {count} was changed: at least part of it was trained at clip skip 1.")
TOP_DIFFERS = Template(
    "The top block of {count} differs from the base's: at least part of it was trained at clip skip 1, if this is its "
    "base."
)
ROUNDING_ABOVE = Template(
    "The lower {edge} of {count} blocks differ from the base's, those above only by rounding: at least part of it was "
    "trained at clip skip {value}."
)
FAINT_ABOVE = Template(
    "The lower {edge} of {count} blocks were changed, those above only {share} as much: at least part of it was "
    "trained at clip skip {value}."
)
MISSING_ABOVE = Template(
    "The lower {edge} of {count} blocks were changed, those above are not in the file: it was trained at clip skip "
    "{value}, or without them."
)
CLEARED_ABOVE = Template(
    "The lower {edge} of {count} blocks were changed, those above are zero in every factor, as after an extraction or "
    "where a tool has cleared blocks: if no tool did, it was trained at clip skip {value}."
)
SOME_CHANGED = Template(
    "Only some of the lower {edge} of {count} blocks were changed, none above, as where a tool has cleared blocks: if "
    "no tool did, it was trained at clip skip {value}."
)
TINY_CHANGES = Template(
    "The lower {edge} of {count} blocks were changed, none above, but so little that the file's precision may have "
    "lost the rest: if not, it was trained at clip skip {value}."
)
CHANGED = Template("The lower {edge} of {count} blocks were changed, none above: it was trained at clip skip {value}.")

AS_PUBLISHED = Template(
    "Its CLIP-L was trained at clip skip 2, where {model} stops as published, so this tells us nothing."
)
POOLED = Template("{tower}'s pooled output trains all of its blocks, so this tells us nothing.")
FIXED = Template("It is for {model}, whose text encoders stop at a fixed layer.")
INVERSION = Template("A textual inversion contains no text-encoder weights.")
UNKNOWN_KIND = Template("This kind of file is not supported.")
NEEDS_BASE = Template("To judge a checkpoint, also choose the base model it was made from.")

SAYS = Template("Its metadata says clip skip {value} ({source}).")
BUT_SAYS = Template("But its metadata says clip skip {value} ({source}).")
RECOMMENDED = Template("Its author recommends clip skip {value} ({source}).")
EXAMPLES_SUGGEST = Template("Most of its example pictures were made at clip skip {value} ({source}).")

Certainty = Literal["exact", "likely", "none"]


@dataclass(frozen=True)
class Weights:
    """The conclusion from the blocks.

    clip_skip: None where they do not show it. untouched_blocks: the number at the top that were not trained. certainty
    and reason: of that. blocks: those of each text encoder, "l", "h" or "g", from the bottom up.
    """

    clip_skip: int | None
    untouched_blocks: int | None
    certainty: Certainty
    reason: Message | str
    blocks: Mapping[str, tuple[Block, ...]]


@dataclass(frozen=True)
class Verdict:
    """sentences: the reasons; from the file's weights first, then from its metadata."""

    clip_skip: int | None
    certainty: Certainty
    sentences: tuple[Message | str, ...]

    @property
    def reason(self) -> str:
        """The sentences in English."""
        return " ".join(map(str, self.sentences))


def weigh(kind: FileKind, blocks: Mapping[str, tuple[Block, ...]]) -> Weights:
    """The conclusion from the `blocks` of a file's text encoders. For SDXL it is CLIP-L's: OpenCLIP-G's pooled
    vector comes from the full tower, and trains it."""
    tower = next(iter(kind.towers.values()))
    value, certainty, reason = judge_blocks(blocks[tower], kind.kind in ADAPTERS, 1 if tower == "h" else 0)
    return Weights(value, value and value - 1, certainty, reason, blocks)


def judge_blocks(
    blocks: Sequence[Block], adapter: bool, omitted_count: int
) -> tuple[int | None, Certainty, Message | str]:
    """The clip skip, how surely, and a sentence.

    omitted_count: the number of top blocks that some trainers leave out of the file because they never run them (SD2
    stops at its published layer).
    """
    problem = unusable(blocks)
    if problem:
        return None, "none", problem
    levels = changes(blocks)
    edge, count = top(levels), len(blocks)
    value, above = count - edge + 1, blocks[edge:]
    if value == 1:
        return 1, "likely", (TOP_CHANGED if adapter else TOP_DIFFERS)(count=count)
    values = {"edge": edge, "count": count, "value": value}
    if any(block.note == "rounding" for block in above):
        return value, "likely", ROUNDING_ABOVE(**values)
    if any(block.largest for block in above):
        share = max(levels[edge:]) / median(level for level in levels[:edge] if level)
        return value, "likely", FAINT_ABOVE(**values, share=f"{100 * share:.2g}%")
    if any(block.note == "missing" for block in above[: len(above) - omitted_count]):
        return value, "likely", MISSING_ABOVE(**values)
    if any(block.note == "cleared" for block in above):
        return value, "likely", CLEARED_ABOVE(**values)
    if not all(levels[:edge]):
        return value, "likely", SOME_CHANGED(**values)
    if all(block.note == "tiny" for block in blocks[:edge]):
        return value, "likely", TINY_CHANGES(**values)
    return value, "exact", CHANGED(**values)


def unusable(blocks: Sequence[Block]) -> Template | None:
    """Why the `blocks` show nothing; None where they show something."""
    notes = {block.note for block in blocks}
    if notes <= {"missing"}:
        return NO_TEXT_ENCODER
    if "broken" in notes:
        return WEIGHTS_NOT_FINITE
    if "sizes" in notes:
        return OTHER_SIZES
    edge = top(changes(blocks))
    if any(block.note == "halves" for block in blocks[edge:]):
        return HALVES
    if edge:
        return None
    return ONLY_ROUNDING if any(block.largest for block in blocks) else UNCHANGED


def changes(blocks: Sequence[Block]) -> list[float]:
    return [0.0 if block.note == "rounding" else block.largest or 0.0 for block in blocks]


def top(levels: Sequence[float]) -> int:
    """The number of blocks up to the highest that has changed more than faintly; 0 if none has changed.

    Faint ones are looked for in the upper half: some optimizers change the lowest block far more than all others.
    """
    highest = max((number for number, level in enumerate(levels, 1) if level), default=0)
    for edge in range(len(levels) // 2, highest):
        below = [level for level in levels[:edge] if level]
        if below and max(levels[edge:]) < FAINT * median(below):
            return edge
    return highest


def judge(
    kind: FileKind, weights: Weights | None, metadata: Recommendation | None, problem: Template | None = None
) -> Verdict:
    """The verdict on a file. problem: why its weights show nothing, if that is known already."""
    value, certainty = (weights.clip_skip, weights.certainty) if weights else (None, "none")
    sentence: Message | str = problem or (weights.reason if weights else why_no_verdict(kind))
    reason = published_way(kind, value) if value else None
    if reason:
        value, certainty, sentence = None, "none", reason
    if metadata is None:
        return Verdict(value, certainty, (sentence,))
    return Verdict(value, certainty, (sentence, metadata_sentence(metadata, value)))


def published_way(kind: FileKind, value: int) -> Message | None:
    """Why `value` means nothing for a model after SD2: it is the trainers' default."""
    if kind.model in ("SD1", "SD2"):
        return None
    if "l" not in kind.towers.values():
        return POOLED(tower="CLIP-G")
    if value == 1 and kind.model == FIRST_OF_SEVERAL:  # SD3 and Flux use that of CLIP-L
        return POOLED(tower="CLIP-L")
    return AS_PUBLISHED(model=str(kind.model)) if value == 2 else None


def metadata_sentence(metadata: Recommendation, value: int | None) -> Message:
    """The sentences on a file whose weights show `value`."""
    number = f" {metadata.original}" if metadata.original not in ("", str(metadata.value)) else ""
    source = f"{metadata.source}{number}, {metadata.file}"
    if metadata.how != "trained":
        return (EXAMPLES_SUGGEST if metadata.how == "pictures" else RECOMMENDED)(value=metadata.value, source=source)
    template = SAYS if value in (None, metadata.value) else BUT_SAYS
    return template(value=metadata.value, source=source)


def why_no_verdict(kind: FileKind) -> Message | str:
    """Why a file of this kind shows nothing."""
    if kind.kind == "textual inversion":
        return INVERSION
    if kind.model and not kind.towers:
        return FIXED(model=kind.model)
    if kind.kind == "unknown":
        return UNKNOWN_KIND
    return NO_TEXT_ENCODER if kind.kind in ADAPTERS else NEEDS_BASE
