"""All checkpoints as a table: the remembered value of each, and the one that its files recommend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clip_skip.made_for.metadata import find_recommendation
from clip_skip.made_for.reading import Problem
from clip_skip.made_for.remembered import Store, value_of
from clip_skip.messages.message import Message, Template, Translate, join

__all__ = ["HEADS", "OwnValue", "list_values", "preview", "table", "to_remember"]

HEADS = ("Checkpoint", "Remembered", "Said by its files", "Where", "Loaded")

NOTHING_TO_REMEMBER = Template("All recommended values are already remembered.")
WOULD_REMEMBER = Template("To be remembered, beside each checkpoint:")
LINE = Template("{name}: {value} ({file})")
LOADED = Template("loaded")


@dataclass(frozen=True)
class OwnValue:
    """A checkpoint: its remembered value, the one that its files recommend, in which file, and whether it is selected.

    problem: why its files could not be read
    """

    name: str
    path: str
    remembered_value: int | None
    recommendation: int | None = None
    file: str = ""
    is_selected: bool = False
    problem: Message | str = ""


def list_values(checkpoints: Mapping[str, str], store: Store, selected_path: str | None) -> list[OwnValue]:
    """All of `checkpoints`, paths by their names. selected_path: that of the selected one."""
    return [describe(name, path, store, path == selected_path) for name, path in checkpoints.items()]


def describe(name: str, path: str, store: Store, is_selected: bool) -> OwnValue:
    remembered_value = value_of(path, store)
    try:
        recommendation = find_recommendation(path)
    except Problem as problem:
        return OwnValue(name, path, remembered_value, is_selected=is_selected, problem=problem.message)
    if recommendation is None or recommendation.model not in (None, "SD1"):
        return OwnValue(name, path, remembered_value, is_selected=is_selected)
    return OwnValue(name, path, remembered_value, recommendation.value, recommendation.file, is_selected)


def table(values: Sequence[OwnValue], translate: Translate) -> list[list[str | int]]:
    """A row of cells for each, as HEADS has them."""
    return [
        [
            one.name,
            one.remembered_value or "",
            one.recommendation or "",
            translate(one.problem) if one.problem else one.file,
            translate(LOADED) if one.is_selected else "",
        ]
        for one in values
    ]


def to_remember(values: Sequence[OwnValue]) -> list[OwnValue]:
    """Those with a recommended value and without a remembered one."""
    return [one for one in values if one.recommendation and not one.remembered_value]


def preview(values: Sequence[OwnValue]) -> Message:
    """The values that would be remembered."""
    waiting = to_remember(values)
    if not waiting:
        return NOTHING_TO_REMEMBER()
    lines = (LINE(name=one.name, value=one.recommendation or 0, file=one.file) for one in waiting)
    return join([WOULD_REMEMBER(), *lines], "\n")
