"""What the bundled demo model draws: scenes of one or two coloured shapes on a plain background."""

from __future__ import annotations

import math
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Mentions:
    """The attributes that a caption mentions."""

    colour: bool = True
    shape: bool = True
    size: bool = True
    place: bool = True
    background: bool = True


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
