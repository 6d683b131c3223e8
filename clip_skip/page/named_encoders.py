"""Messages about tags on models with a text encoder other than CLIP, and names of such encoders on other models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clip_skip.encoder import TextEncoder
from clip_skip.messages.message import Message, Template
from clip_skip.prompt.tags import Tag
from clip_skip.skip import LANGUAGE_MODELS, shorten

__all__ = ["example", "panel_message", "tag_messages"]

NAME_HAS_NO_EFFECT = Template("{name}= in {tag} has no effect on {model}.")
NAME_HAS_NO_EFFECT_BUT = Template(
    "{name}= in {tag} has no effect on {model}. {example} would act (published: {published})."
)
NOT_CLIP = Template(
    "{tag} has no effect on {model}: its text encoder is not CLIP. {example} would act (published: {published})."
)
SEVERAL = Template("{tag} has no effect on {model}, which uses several layers of its text encoder at once.")
PANEL_NOT_CLIP = Template(
    "the panel has no effect on {model}: its text encoder is not CLIP. {example} would act (published: {published})."
)


def example(encoder: TextEncoder) -> str:
    """A tag that acts on an encoder that is reached by name: one layer earlier than the published one."""
    return f"<clipskip:{encoder.tower}={encoder.native + 1}>"


def tag_messages(
    tag: Tag,
    clip: Sequence[TextEncoder],
    named_encoders: Sequence[TextEncoder],
    model: str | Template,
    several: bool = False,
) -> Iterator[Message]:
    """Why a good tag, or a name in it, has no effect on a loaded model, and which tag would act.

    clip, named_encoders: the model's CLIPs, and its text encoders that are reached by name
    several: whether the model uses several layers of its text encoder at once
    """
    assert tag.skip
    skip, text = tag.skip, shorten(tag.text)
    names = [name for name in LANGUAGE_MODELS if skip.at(name, False) is not None]
    if several and not clip:
        yield SEVERAL(tag=text, model=model)
        return
    for name in names:
        if name not in {encoder.tower for encoder in named_encoders}:
            if named_encoders:
                yield NAME_HAS_NO_EFFECT_BUT(name=name, tag=text, model=model, **would_act(named_encoders[0]))
            else:
                yield NAME_HAS_NO_EFFECT(name=name, tag=text, model=model)
    if named_encoders and not clip and not names:
        yield NOT_CLIP(tag=text, model=model, **would_act(named_encoders[0]))


def panel_message(named_encoders: Sequence[TextEncoder], model: str | Template) -> Message:
    """The message that the panel has no effect on a model without CLIP, and which tag would act."""
    return PANEL_NOT_CLIP(model=model, **would_act(named_encoders[0]))


def would_act(encoder: TextEncoder) -> dict[str, str | int]:
    return {"example": shorten(example(encoder)), "published": encoder.native}
