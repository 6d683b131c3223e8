"""Parses the captions of the bundled demo model."""

from __future__ import annotations

import re
from typing import Any

from clip_skip.messages.message import MessageError, Template
from clip_skip.skip import shorten
from clip_skip.standalone.demo.scenes import (
    BACKGROUNDS,
    COLOURS,
    POSITIONS,
    RADII,
    RELATIONS,
    SHAPES,
    Mentions,
    Scene,
    Thing,
)

__all__ = ["DEMO", "CaptionError", "read_caption"]

DEMO = (
    "a green square at the right on a black background",
    "a large orange ring at the right on a black background",
    "yellow ring, black background",
    "grey background, orange star, bottom",
    "white background, red triangle, bottom",
    "orange triangle, bottom, small",
    "orange triangle, bottom, small, black background",
    "orange circle, large, top",
    "orange star, left, large, white background",
    "black background, purple ring, small, bottom",
    "grey background, red square, large",
    "a purple triangle at the top on a white background",
    "black background, orange ring, bottom, small, yellow star, top, large",
    "a large orange circle and a large orange triangle on a grey background",
    "a small orange triangle and a small red circle on a white background",
    "white background, green triangle, small, right, green triangle, left, large",
    "a small orange square and a small blue ring",
    "red circle, small, bottom, white background, yellow circle, top, large",
    "a large blue square below a small orange circle",
    "blue circle, small, top, green ring, bottom, large",
    "a large orange ring left of a large orange circle on a grey background",
    "white background, orange circle, small, yellow ring, large",
    "a small yellow circle and a small yellow square on a white background",
    "black background, red star, small, yellow circle, large",
)
"""The 24 captions of docs/demo-model.md's sheet, which were not selected by their results."""

_THING = re.compile(rf"(?:({'|'.join(RADII)}) )?({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})")
_BACKGROUND = re.compile(rf"({'|'.join(BACKGROUNDS)}) background")
_SENTENCE = re.compile(
    rf"an? {_THING.pattern}(?: at the ({'|'.join(POSITIONS)})| in the (centre)|"
    rf" ({'|'.join(RELATIONS.values())}|and) an? {_THING.pattern})?(?: on a {_BACKGROUND.pattern})?"
)


UNKNOWN_WORDS = Template("{text} is not a caption of the bundled demo model: {words} is not known")
WRONG_COUNT = Template("{text} is not a caption of the bundled demo model: it names {count} objects, not 1 or 2")


class CaptionError(MessageError):
    """The text is not a caption that can be checked; the message quotes it."""


def read_caption(text: str) -> tuple[Scene, Mentions]:
    """The scene that `text` describes, and the attributes that it mentions; it cannot set exact places and sizes.

    Both styles of `scenes` are read, with the colour and the shape of each object named. Raises `CaptionError`.
    """
    if match := _SENTENCE.fullmatch(text.strip()):
        size, colour, shape, place, centre, relation, size2, colour2, shape2, background = match.groups()
        things: list[tuple[Any, ...]] = [(size, colour, shape)] + ([(size2, colour2, shape2)] if relation else [])
        pairs = {words: places for places, words in RELATIONS.items()}
        places: list[str | None] = list(pairs.get(relation, (place or centre, None)))
        return _scene(text, things, places[: len(things)], background)
    things, places, background = [], [], None
    for group in (part.strip() for part in text.split(",")):
        if match := _THING.fullmatch(group):
            things.append(match.groups())
            places.append(None)
        elif match := _BACKGROUND.fullmatch(group):
            background = match[1]
        elif things and group in RADII:
            things[-1] = (group, *things[-1][1:])
        elif things and group in POSITIONS:
            places[-1] = group
        else:
            raise CaptionError(UNKNOWN_WORDS(text=shorten(text), words=shorten(group)))
    return _scene(text, things, places, background)


def _scene(
    text: str, things: list[tuple[Any, ...]], places: list[str | None], background: str | None
) -> tuple[Scene, Mentions]:
    if not 1 <= len(things) <= 2:
        raise CaptionError(WRONG_COUNT(text=shorten(text), count=len(things)))
    all_placed, all_sized = all(places), all(size for size, _, _ in things)
    objects = tuple(
        Thing(colour, shape, size or "", place or "", 0.0, 0.0, 0.0, 0.0)
        for (size, colour, shape), place in zip(things, places)
    )
    mentions = Mentions(size=all_sized, place=all_placed, background=background is not None)
    return Scene(objects, background or "", 1.0), mentions
