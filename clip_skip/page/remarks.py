"""What there is to say of a text while it is being written, for the loaded model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clip_skip.encoder import TextEncoder
from clip_skip.prompt import tags
from clip_skip.prompt.tags import Tag
from clip_skip.skip import shorten

__all__ = ["remarks"]


def remarks(text: str, encoders: Sequence[TextEncoder], model: str) -> list[str]:
    """A sentence for each bad tag of `text`, and for each that says what the `encoders` of `model` do not have."""
    good = [tag for tag in tags.scan(text)[1] if tag.skip]
    said = dict.fromkeys(sentence for tag in good for sentence in beyond(tag, encoders, model))
    return [*tags.warnings([text]), *list(said)[: tags.MOST_WARNINGS]]


def beyond(tag: Tag, encoders: Sequence[TextEncoder], model: str) -> Iterator[str]:
    assert tag.skip
    for encoder in encoders:
        asked = [tag.skip.at(encoder.tower, hires) for hires in (False, True)]
        if any(value is not None and value > encoder.layers for value in asked):
            layers = encoder.layers
            yield f"{shorten(tag.text)} is deeper than the {layers} layers of {encoder.name}; {layers} is used."
    towers = {encoder.tower for encoder in encoders}
    for tower, value in (("l", tag.skip.l), ("g", tag.skip.g)):
        if value is not None and towers and tower not in towers:
            yield f"{tower}= in {shorten(tag.text)} has no effect on {model}."
