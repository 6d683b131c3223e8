"""Suggestions for a user whose files were made for another clip skip than the one in effect."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clip_skip.made_for.findings import inspect
from clip_skip.made_for.metadata import find_recommendation
from clip_skip.made_for.reading import Problem
from clip_skip.made_for.recommendation import Recommendation
from clip_skip.made_for.remembered import value_of
from clip_skip.made_for.verdict import Weights
from clip_skip.messages.message import Message, Template
from clip_skip.skip import format_skip, shorten

__all__ = ["NOW", "THIS_PICTURE", "File", "suggest"]

THIS_PICTURE = Template("this picture used {value}")
NOW = Template("you are using {value}")

FILES = {"LoRA": Template("LoRA {name}"), "checkpoint": Template("Checkpoint {name}")}

TRAINED = Template("{file} was trained at clip skip {value}; {comparison}.")
RECOMMENDS = Template("{file} recommends clip skip {value}; {comparison}.")
EXAMPLES_MADE_AT = Template("Most example pictures of {file} were made at clip skip {value}; {comparison}.")
BY_WEIGHTS = Template("{file} was trained at clip skip {value}, according to its weights; {comparison}.")
IN_PART = Template(
    "{file} was trained, at least in part, at clip skip {value}, according to its weights; {comparison}."
)
CONTRADICTS = Template(
    "{file} was trained at clip skip {value}, according to its weights, although its metadata says {stated}; "
    "{comparison}."
)

REMEMBERED = Template("{value} is remembered for {file}; {comparison}.")

WAYS = {"trained": TRAINED, "recommended": RECOMMENDS, "pictures": EXAMPLES_MADE_AT}


@dataclass(frozen=True)
class File:
    """A file that a picture is made with: "LoRA" or "checkpoint", what people call it, and where it is."""

    kind: str
    name: str
    path: str


def suggest(
    files: Iterable[File], in_effect: float, comparison: Template = THIS_PICTURE, from_weights: bool = True
) -> list[dict[str, Any]]:
    """A suggestion for each of `files` that was made for another clip skip than `in_effect`.

    Each is {"file", "kind", "value", "source", "text"}, or {"problem"} for a file that could not be read; "text" and
    "problem" are messages.
    comparison: THIS_PICTURE or NOW, to name the value in effect
    from_weights: whether to open LoRAs whose metadata does not say
    """
    suggestions: list[dict[str, Any]] = []
    for file in files:
        try:
            basis = of_lora(file.path, from_weights) if file.kind == "LoRA" else of_checkpoint(file.path)
        except Problem as problem:
            suggestions.append({"problem": problem.message})
            continue
        if basis and basis.value != in_effect:
            label = FILES[file.kind](name=shorten(file.name, 100))
            suggestions.append(
                {
                    "file": os.path.basename(file.path),
                    "kind": file.kind,
                    "value": basis.value,
                    "source": basis.source,
                    "text": basis.sentence(label, comparison(value=format_skip(in_effect))),
                }
            )
    return suggestions


@dataclass(frozen=True)
class Basis:
    """The clip skip that a file was made for, and the source. metadata_value: the metadata's other value."""

    value: int
    source: str
    template: Template
    metadata_value: int | None = None

    def sentence(self, file: Message, comparison: Message) -> Message:
        other = {} if self.metadata_value is None else {"stated": self.metadata_value}
        return self.template(file=file, value=self.value, comparison=comparison, **other)


def of_checkpoint(path: str) -> Basis | None:
    if value_of(path):  # the header follows it, so another value was set on purpose
        return None
    recommendation = find_recommendation(path)
    return from_metadata(recommendation) if recommendation and is_for_sd1(recommendation) else None


def of_lora(path: str, from_weights: bool = True) -> Basis | None:
    """From its weights if they are exact, else from its metadata, else the lower bound from its weights.

    None if blocks were changed that, by the metadata, were not trained: one of the two is wrong.
    """
    if remembered_skip := value_of(path):
        return Basis(remembered_skip, "remembered", REMEMBERED)
    problem = None
    try:
        metadata = find_recommendation(path)
    except Problem as error:
        metadata, problem = None, error
    if metadata and not is_for_sd1(metadata):
        return None
    try:
        weights = weights_of(path) if from_weights else None
    except Problem as error:
        weights, problem = None, problem or error
    value = weights.clip_skip if weights else None
    is_training_value = metadata is not None and metadata.how == "trained"
    if value and weights and weights.certainty == "exact":
        if metadata and metadata.value == value:
            return from_metadata(metadata)
        if metadata and is_training_value:
            return Basis(value, "weights", CONTRADICTS, metadata.value)
        return Basis(value, "weights", BY_WEIGHTS)
    if metadata:
        return None if is_training_value and value and value < metadata.value else from_metadata(metadata)
    if value:
        return Basis(value, "weights", IN_PART)
    if problem:
        raise problem
    return None


def from_metadata(recommendation: Recommendation) -> Basis:
    return Basis(recommendation.value, f"{recommendation.source} in {recommendation.file}", WAYS[recommendation.how])


def is_for_sd1(recommendation: Recommendation) -> bool:
    return recommendation.model in (None, "SD1")


def weights_of(path: str) -> Weights | None:
    """The findings on the weights of a LoRA for SD1; a file of another kind is never opened."""
    if not os.path.isfile(path) or not path.lower().endswith(".safetensors"):
        return None
    finding = inspect(path)
    return finding.weights if finding.model == "SD1" else None
