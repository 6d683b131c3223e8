"""Procedural pictures of coloured shapes, with captions in two styles.

A scene is one or two objects on a plain background. Everything is drawn from a ``random.Random`` that the
caller seeds, so a seed names a scene, its picture and its captions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

import torch

PICTURE_SIZE = 128  # pixels
FRAME = 2  # pixels each of black and, inside it, white

SHAPES = ("circle", "square", "triangle", "star", "ring")
COLOURS = {
    "red": (215, 35, 40),
    "orange": (245, 145, 25),
    "yellow": (245, 230, 40),
    "green": (40, 165, 60),
    "blue": (35, 80, 215),
    "purple": (150, 50, 185),
}
BACKGROUNDS = {"white": (245, 245, 245), "grey": (128, 128, 128), "black": (15, 15, 15)}
RADII = {"small": (15.0, 18.0), "large": (26.0, 30.0)}  # pixels
POSITIONS = {"left": (34, 64), "right": (94, 64), "top": (64, 34), "bottom": (64, 94), "centre": (64, 64)}  # x, y

# Never seen together in training: each shape and each of these colours is seen, but not the pair.
HELD_OUT = frozenset(
    {("green", "circle"), ("purple", "square"), ("yellow", "triangle"), ("blue", "star"), ("red", "ring")}
)
Pairs = tuple[tuple[str, str], ...]

ALL_PAIRS: Pairs = tuple((colour, shape) for colour in COLOURS for shape in SHAPES)
HELD_IN = tuple(pair for pair in ALL_PAIRS if pair not in HELD_OUT)

CAPTION_STYLES = ("sentence", "tags")
RELATIONS = {  # place of the first object, place of the second -> words
    ("left", "right"): "left of",
    ("right", "left"): "right of",
    ("top", "bottom"): "above",
    ("bottom", "top"): "below",
}


@dataclass(frozen=True)
class Thing:
    """One object. ``x``, ``y`` and ``radius`` are pixels, ``angle`` is radians."""

    colour: str
    shape: str
    size: str
    place: str
    x: float
    y: float
    radius: float
    angle: float


@dataclass(frozen=True)
class Scene:
    """One or two objects on a background; ``light`` scales all colours a little."""

    things: tuple[Thing, ...]
    background: str
    light: float


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


@dataclass(frozen=True)
class Mentions:
    """The attributes that a caption mentions."""

    colour: bool = True
    shape: bool = True
    size: bool = True
    place: bool = True
    background: bool = True


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


def signed_distance(shape: str, x: torch.Tensor, y: torch.Tensor, radius: float) -> torch.Tensor:
    """Distance in pixels to the outline, negative inside (near the outline exact, elsewhere a bound)."""
    if shape == "circle":
        return torch.hypot(x, y) - 0.92 * radius
    if shape == "ring":
        return (torch.hypot(x, y) - 0.72 * radius).abs() - 0.26 * radius
    if shape == "square":
        return torch.maximum(x.abs(), y.abs()) - 0.82 * radius
    if shape == "triangle":  # upright and equilateral, its centroid a little below the middle
        y = y - 0.22 * radius
        slope = 0.5 * y.neg() + math.sqrt(0.75) * x.abs()
        return torch.maximum(slope, y) - 0.56 * radius
    # star: fold the plane into half of one of the five points, then one straight edge
    outer, inner, sector = 1.1 * radius, 0.5 * radius, math.pi / 5
    turn = torch.atan2(x, -y)
    turn = (torch.remainder(turn + sector, 2 * sector) - sector).abs()
    length = torch.hypot(x, y)
    along, across = length * torch.cos(turn), length * torch.sin(turn)
    edge_x, edge_y = inner * math.cos(sector) - outer, inner * math.sin(sector)
    return (edge_y * (along - outer) - edge_x * across) / math.hypot(edge_x, edge_y)


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
