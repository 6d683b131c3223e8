"""Detects the contents of a picture from its pixels: objects with colour, shape, size, place; the background."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import permutations

import numpy as np
import torch
from scipy import ndimage

from clip_skip.standalone.demo import scenes

FOREGROUND = 0.22
"""The distance of an object's pixels from the background's colour; red, green and blue are 0 to 1."""
INSIDE = 2 * scenes.FRAME + 1
"""Pixels at the border that are frame, or mixed with it."""
SMALLEST = 90  # pixels; a small star has about 230


@dataclass(frozen=True)
class DetectedObject:
    """An object detected in the pixels. ``x``, ``y`` are its centroid in pixels, ``area`` its pixels without holes."""

    colour: str
    shape: str
    size: str
    x: float
    y: float
    area: int


@dataclass(frozen=True)
class Verdict:
    """Correct attributes per object; None where the caption has none. ``count``: is the number of objects right?"""

    colours: tuple[bool, ...]
    shapes: tuple[bool, ...]
    sizes: tuple[bool, ...] | None
    places: bool | None
    background: bool | None
    count: bool


def nearest(colour: np.ndarray, palette: dict[str, tuple[int, int, int]]) -> str:
    """The name in ``palette`` (0..255) of the colour closest to ``colour`` [3] (0..1)."""
    return min(palette, key=lambda name: float(np.square(np.array(palette[name]) / 255 - colour).sum()))


def background_colour(picture: np.ndarray) -> np.ndarray:
    """The median colour [3] of the 4 pixels next to the frame of ``picture`` [128, 128, 3]."""
    colour: np.ndarray = np.median(picture[_within(INSIDE) & ~_within(INSIDE + 4)], axis=0)
    return colour


def _within(inset: int) -> np.ndarray:
    """Which pixels are more than ``inset`` from the border."""
    mask = np.zeros((scenes.PICTURE_SIZE, scenes.PICTURE_SIZE), bool)
    mask[inset:-inset, inset:-inset] = True
    return mask


def find_objects(picture: torch.Tensor) -> tuple[list[DetectedObject], str]:
    """The objects in ``picture`` [3, 128, 128] (0..1), the largest first, and the background's name."""
    pixels = picture.permute(1, 2, 0).numpy()
    background = background_colour(pixels)
    foreground = np.linalg.norm(pixels - background, axis=2) > FOREGROUND
    foreground &= _within(INSIDE)
    parts, _ = ndimage.label(ndimage.binary_opening(foreground, np.ones((2, 2))))
    things = []
    for number, area in enumerate(np.bincount(parts.ravel())[1:], start=1):
        if area >= SMALLEST:
            things.append(_describe(parts == number, pixels))
    return sorted(things, key=lambda thing: -thing.area), nearest(background, scenes.BACKGROUNDS)


def judge(picture: torch.Tensor, scene: scenes.Scene, mentions: scenes.Mentions) -> Verdict:
    """Compare ``picture`` [3, 128, 128] (0..1) with the scene that its caption describes."""
    things, background = find_objects(picture)
    expected_things = scene.things
    orders: list[tuple[DetectedObject, ...]] = list(
        permutations(things[: len(expected_things)], len(expected_things))
    ) or [()]
    if len(expected_things) == 2 and mentions.place and orders != [()]:
        along = "x" if "left" in {thing.place for thing in expected_things} else "y"
        orders = [order for order in orders if _same_order(order, expected_things, along)]
    order: tuple[DetectedObject, ...] = max(orders, key=lambda order: _likeness(order, expected_things))
    places = None
    if len(order) < len(expected_things):  # too few objects to be right
        pairs, places = [], (False if mentions.place else None)
    else:
        pairs = [*zip(order, expected_things)]
        if mentions.place:
            places = all(_place(thing, len(expected_things)) == want.place for thing, want in pairs)
    wrong = () if pairs else (False,) * len(expected_things)
    return Verdict(
        colours=wrong or tuple(thing.colour == want.colour for thing, want in pairs),
        shapes=wrong or tuple(thing.shape == want.shape for thing, want in pairs),
        sizes=(wrong or tuple(thing.size == want.size for thing, want in pairs)) if mentions.size else None,
        places=places,
        background=background == scene.background if mentions.background else None,
        count=len(things) == len(expected_things),
    )


def _same_order(order: tuple[DetectedObject, ...], expected_things: tuple[scenes.Thing, ...], along: str) -> bool:
    """Whether two objects are in the expected order along "x" or "y"."""
    begins = scenes.POSITIONS[expected_things[0].place] < scenes.POSITIONS[expected_things[1].place]
    return bool(getattr(order[0], along) < getattr(order[1], along)) == begins


def _likeness(order: tuple[DetectedObject, ...], expected_things: tuple[scenes.Thing, ...]) -> int:
    return sum(
        (thing.colour == want.colour) + (thing.shape == want.shape) for thing, want in zip(order, expected_things)
    )


def _place(thing: DetectedObject, count: int) -> str:
    """The closest of the five places; with two objects the centre is not one."""
    places = {name: at for name, at in scenes.POSITIONS.items() if count == 1 or name != "centre"}
    return min(places, key=lambda name: (places[name][0] - thing.x) ** 2 + (places[name][1] - thing.y) ** 2)


def _describe(mask: np.ndarray, pixels: np.ndarray) -> DetectedObject:
    inside = ndimage.binary_erosion(mask, iterations=2)
    colour = np.median(pixels[inside if inside.any() else mask], axis=0)
    filled = ndimage.binary_fill_holes(mask)
    area, (y, x) = int(filled.sum()), ndimage.center_of_mass(filled)
    shape, radius = ("ring", np.sqrt(mask.sum() / _moments("ring")[0])), 0.0
    if mask.sum() > 0.93 * area:
        shape = _best_template(filled, area, x, y)
    name, radius = shape
    size = "small" if radius < 22 else "large"
    return DetectedObject(nearest(colour, scenes.COLOURS), name, size, float(x), float(y), area)


@cache
def _moments(shape: str) -> tuple[float, float]:
    """Area over radius squared, and how far below its origin the centroid lies, over the radius."""
    axis = torch.arange(-100.0, 101.0)
    mask = scenes.signed_distance(shape, axis[None, :].expand(201, 201), axis[:, None].expand(201, 201), 50.0) < 0
    return float(mask.sum()) / 2500, float(axis[mask.nonzero()[:, 0]].mean()) / 50


def _best_template(filled: np.ndarray, area: int, x: float, y: float) -> tuple[str, float]:
    """The shape that, drawn with the same area and centroid, overlaps best with ``filled``, and its radius."""
    rows, columns = (torch.arange(float(length)) for length in filled.shape)
    truth = torch.from_numpy(filled)
    best, match = -1.0, ("none", 0.0)
    for shape in scenes.SHAPES:
        if shape == "ring":
            continue
        ratio, below = _moments(shape)
        radius = (area / ratio) ** 0.5
        dy, dx = (rows - y)[:, None], (columns - x)[None, :]
        for angle in (-0.1, 0.0, 0.1):
            cos, sin = np.cos(angle), np.sin(angle)
            template = (
                scenes.signed_distance(shape, cos * dx + sin * dy, cos * dy - sin * dx + below * radius, radius) < 0
            )
            overlap = float((template & truth).sum() / (template | truth).sum())
            if overlap > best:
                best, match = overlap, (shape, radius)
    return match if best > 0.7 else ("none", match[1])
