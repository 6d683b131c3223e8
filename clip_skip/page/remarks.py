"""Messages about the tags of a text on the loaded model, while the text is being written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from clip_skip.encoder import TextEncoder
from clip_skip.messages.message import Message, Template
from clip_skip.page.named_encoders import NAME_HAS_NO_EFFECT, tag_messages
from clip_skip.prompt.parsed import MOST_WARNINGS, Prompt, find_warnings
from clip_skip.prompt.tags import Tag
from clip_skip.skip import LANGUAGE_MODELS, shorten

__all__ = ["TAG_TOO_DEEP", "remarks"]

TOO_SHALLOW = Template("{tag} is above the layer that {name} was published with; {used} is used.")
TAG_TOO_DEEP = Template("{tag} is deeper than the {layers} layers of {name}; {used} is used.")


def remarks(
    prompt: Prompt,
    encoders: Sequence[TextEncoder],
    model: str,
    networks: Collection[str] = (),
    named_encoders: Sequence[TextEncoder] = (),
    several: bool = False,
) -> list[Message | str]:
    """A message for each bad tag of `prompt`, and for each that names a layer or encoder `model` does not have.

    networks: names of `<name:...>` tags that the host or another extension has
    named_encoders, several: as in `tag_messages`
    """
    good = [tag for tag in prompt.tags if tag.skip]
    messages = dict.fromkeys(
        message for tag in good for message in out_of_reach(tag, [*encoders, *named_encoders], model)
    )
    if model:
        messages |= dict.fromkeys(
            message for tag in good for message in tag_messages(tag, encoders, named_encoders, model, several)
        )
    return [*find_warnings([prompt], networks), *list(messages)[:MOST_WARNINGS]]


def out_of_reach(tag: Tag, encoders: Sequence[TextEncoder], model: str) -> Iterator[Message]:
    assert tag.skip
    for encoder in encoders:
        values = [tag.skip.at(encoder.tower, hires) for hires in (False, True)]
        if any(value is not None and value > encoder.deepest for value in values):
            yield TAG_TOO_DEEP(tag=shorten(tag.text), layers=encoder.layers, name=encoder.name, used=encoder.deepest)
        if encoder.tower in LANGUAGE_MODELS and any(value is not None and value < encoder.native for value in values):
            yield TOO_SHALLOW(tag=shorten(tag.text), name=encoder.name, used=encoder.native)
    towers = {encoder.tower for encoder in encoders if encoder.tower not in LANGUAGE_MODELS}
    for tower, value in (("l", tag.skip.l), ("g", tag.skip.g)):
        if value is not None and towers and tower not in towers:
            yield NAME_HAS_NO_EFFECT(name=tower, tag=shorten(tag.text), model=model)
