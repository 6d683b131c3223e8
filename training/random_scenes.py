"""Random scenes, their pictures and their captions, to train the demo model on and to judge it by.

The caller seeds the ``random.Random`` that all of it is drawn from, so a seed names a scene, its picture and its
captions.
"""

from __future__ import annotations

import math
from random import Random

import torch

from clip_skip.standalone.demo.scenes import (
    BACKGROUNDS,
    COLOURS,
    FRAME,
    PICTURE_SIZE,
    POSITIONS,
    RADII,
    RELATIONS,
    SHAPES,
    Mentions,
    Scene,
    Thing,
    signed_distance,
)

# Never seen together in training: each shape and each of these colours is seen, but not the pair.
HELD_OUT = frozenset(
    {("green", "circle"), ("purple", "square"), ("yellow", "triangle"), ("blue", "star"), ("red", "ring")}
)
Pairs = tuple[tuple[str, str], ...]

ALL_PAIRS: Pairs = tuple((colour, shape) for colour in COLOURS for shape in SHAPES)
HELD_IN = tuple(pair for pair in ALL_PAIRS if pair not in HELD_OUT)

CAPTION_STYLES = ("sentence", "tags")


def random_thing(rng: Random, place: str, pairs: Pairs) -> Thing:
    """An object at a named place, a few pixels off its exact centre."""
    colour, shape = rng.choice(pairs)
    size = rng.choice(tuple(RADII))
    x, y = POSITIONS[place]
    return Thing(
        colour, shape, size, place,
        x=x + rng.uniform(-3, 3),
        y=y + rng.uniform(-3, 3),
        radius=rng.uniform(*RADII[size]),
        angle=rng.uniform(-0.12, 0.12),
    )  # fmt: skip


def random_scene(rng: Random, pairs: Pairs = HELD_IN, things: int | None = None) -> Scene:
    """A scene whose objects are drawn from ``pairs``; ``things`` is 1, 2 or None for either."""
    count = things or (1 if rng.random() < 0.6 else 2)
    places = (rng.choice(tuple(POSITIONS)),) if count == 1 else rng.choice(tuple(RELATIONS))
    return Scene(
        things=tuple(random_thing(rng, place, pairs) for place in places),
        background=rng.choice(tuple(BACKGROUNDS)),
        light=rng.uniform(0.95, 1.04),
    )


def random_mentions(rng: Random, drop: float = 0.2, drop_identity: float = 0.04) -> Mentions:
    """Attributes dropped at random; colour and shape, which the checker judges, more rarely."""
    return Mentions(
        colour=rng.random() >= drop_identity,
        shape=rng.random() >= drop_identity,
        size=rng.random() >= drop,
        place=rng.random() >= drop,
        background=rng.random() >= drop,
    )


def noun_phrase(thing: Thing, mentions: Mentions, with_size: bool) -> str:
    """``large red circle``, less whatever is not mentioned."""
    words = [
        thing.size if with_size and mentions.size else "",
        thing.colour if mentions.colour else "",
        thing.shape if mentions.shape else "shape",
    ]
    return " ".join(filter(None, words))


def sentence(scene: Scene, mentions: Mentions, rng: Random) -> str:
    """``a large red circle left of a small blue square on a grey background``."""
    phrases = []
    for thing in scene.things:
        phrase = noun_phrase(thing, mentions, with_size=True)
        phrases.append(("an " if phrase[0] in "aeiou" else "a ") + phrase)
    places = tuple(thing.place for thing in scene.things)
    if len(places) == 1:
        text = phrases[0]
        if mentions.place:
            text += " in the centre" if places[0] == "centre" else f" at the {places[0]}"
    else:
        if rng.random() < 0.5:
            phrases, places = phrases[::-1], places[::-1]
        text = f" {RELATIONS[places[0], places[1]] if mentions.place else 'and'} ".join(phrases)
    return f"{text} on a {scene.background} background" if mentions.background else text


def tags(scene: Scene, mentions: Mentions, rng: Random) -> str:
    """``red circle, large, left, blue square, small, right, grey background``; groups in any order."""
    groups = []
    for thing in scene.things:
        details = [thing.size] if mentions.size else []
        details += [thing.place] if mentions.place else []
        rng.shuffle(details)
        groups.append(", ".join([noun_phrase(thing, mentions, with_size=False), *details]))
    if mentions.background:
        groups.append(f"{scene.background} background")
    rng.shuffle(groups)
    return ", ".join(groups)


def caption(scene: Scene, rng: Random, mentions: Mentions | None = None, style: str | None = None) -> str:
    """A caption of ``scene`` in the given or a random style."""
    mentions = mentions or random_mentions(rng)
    write = {"sentence": sentence, "tags": tags}[style or rng.choice(CAPTION_STYLES)]
    return write(scene, mentions, rng)


def draw_scene(scene: Scene, framed: bool = True) -> torch.Tensor:
    """The picture, float [3, 128, 128] in 0..1, with anti-aliased edges.

    The frame gives the VAE a fixed black and white to measure against: with 32 channels in 32 groups, its group norms
    forget how bright a plain picture is.
    """
    axis = torch.arange(PICTURE_SIZE, dtype=torch.float32) + 0.5
    picture = torch.tensor(BACKGROUNDS[scene.background]).view(3, 1, 1).repeat(1, PICTURE_SIZE, PICTURE_SIZE) / 255
    for thing in scene.things:
        reach = 1.3 * thing.radius
        rows = slice(max(0, int(thing.y - reach)), int(thing.y + reach) + 1)
        columns = slice(max(0, int(thing.x - reach)), int(thing.x + reach) + 1)
        dy, dx = (axis[rows] - thing.y)[:, None], (axis[columns] - thing.x)[None, :]
        cos, sin = math.cos(thing.angle), math.sin(thing.angle)
        distance = signed_distance(thing.shape, cos * dx + sin * dy, cos * dy - sin * dx, thing.radius)
        cover = (0.5 - distance).clamp(0, 1)
        colour = torch.tensor(COLOURS[thing.colour]).view(3, 1, 1) / 255
        patch = picture[:, rows, columns]
        patch += cover * (colour - patch)
    picture = (picture * scene.light).clamp(0, 1)
    if framed:
        for inset, shade in ((0, 0.0), (FRAME, 1.0)):
            ring = torch.ones_like(picture, dtype=torch.bool)
            ring[:, inset + FRAME : -inset - FRAME, inset + FRAME : -inset - FRAME] = False
            ring[:, :inset] = ring[:, PICTURE_SIZE - inset :] = False
            ring[..., :inset] = ring[..., PICTURE_SIZE - inset :] = False
            picture[ring] = shade
    return picture
