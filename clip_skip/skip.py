"""A clip-skip value: parse, check, format, and the numbering of other tools.

Clip skip n counts from the top of the full text encoder, as AUTOMATIC1111's
WebUI counts: 1 is the last layer, N the first one. A fraction such as 1.5 lies
between its two neighbours.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from clip_skip.messages.message import MessageError, Template

__all__ = [
    "DECIMAL",
    "LANGUAGE_MODELS",
    "Skip",
    "check",
    "format_skip",
    "is_clip_skip_key",
    "parse_skip",
    "shorten",
    "shorten_skip",
]

DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)")

LANGUAGE_MODELS = ("t5", "qwen", "gemma", "ministral")
"""Text encoders that are not CLIP. Each is reached by its own name alone, as in `<clipskip:t5=3>`: never by a number
without a name, which older prompts have, nor by the header, the panel, `l`, `g` or `hires`."""

EMPTY_SKIP = Template("no value is given")
NOT_A_CLIP_SKIP = Template("{text} is not a number such as 2 or 1.5")
NOT_NUMERIC = Template("{text} is not a number")
NOT_FINITE = Template("the value is not a finite number")
BELOW_ONE = Template("{value} is below 1, the last layer")


def parse_skip(text: str) -> float:
    """The clip skip that `text` names: "2" is 2.0, "1.5" is 1.5.

    Negative numbers are ComfyUI's notation: "-2" is 2.0.
    Raises MessageError for anything else.
    """
    text = text.strip()
    if not text:
        raise MessageError(EMPTY_SKIP)
    if not DECIMAL.fullmatch(text):
        raise MessageError(NOT_A_CLIP_SKIP(text=shorten(text)))
    return check(float(text))


def check(value: object) -> float:
    """`value` as a clip skip, rounded to 4 decimals; MessageError when it is not one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MessageError(NOT_NUMERIC(text=shorten(str(value))))
    try:
        number = round(abs(float(value)), 4)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise MessageError(NOT_FINITE)
    if number < 1:
        raise MessageError(BELOW_ONE(value=format_skip(number)))
    return number


def format_skip(value: float) -> str:
    """The shortest text that `parse_skip` reads as `value`: 2.0 is "2", 1.5 is "1.5"."""
    return f"{value:.4f}".rstrip("0").rstrip(".")


def is_clip_skip_key(name: str) -> bool:
    """Whether `name` is one of the ways to write the key: `Clip skip`, `CLIP Skip`, `clipSkip`, `CLiP-skip`."""
    return len(name) < 20 and "".join(filter(str.isalpha, name)).lower() == "clipskip"


def shorten_skip(value: float) -> str:
    """`value` for a message: as `format_skip` writes it, an absurdly large one shortened."""
    return format_skip(value) if abs(value) < 1e6 else f"{value:.3g}"


def shorten(text: str, limit: int = 40) -> str:
    """`text` in quotation marks, for a message: printable, cut to `limit` characters."""
    text = "".join(character if character.isprintable() else "\ufffd" for character in text[: limit + 1])
    return f'"{text}"' if len(text) <= limit else f'"{text[:limit]}…"'


@dataclass(frozen=True)
class Skip:
    """The values of one tag, the panel or an axis; None is "not set here".

    value: every CLIP, unless `l` or `g` says otherwise
    l, g:  CLIP ViT-L/14 (SD1, SDXL) and OpenCLIP ViT-bigG/14 (SDXL)
    hires: every CLIP, in the hires pass
    t5, qwen, gemma, ministral: the text encoders in `LANGUAGE_MODELS`, in both passes
    """

    value: float | None = None
    l: float | None = None
    g: float | None = None
    hires: float | None = None
    t5: float | None = None
    qwen: float | None = None
    gemma: float | None = None
    ministral: float | None = None

    def at(self, tower: str, hires: bool) -> float | None:
        """The value for the encoder `tower` ("l", "g", "h" or one of `LANGUAGE_MODELS`) in the given pass."""
        if tower in LANGUAGE_MODELS:
            own_value: float | None = getattr(self, tower)
            return own_value
        if hires and self.hires is not None:
            return self.hires
        own = {"l": self.l, "g": self.g}.get(tower)
        return self.value if own is None else own

    @property
    def acts_on_clip(self) -> bool:
        """Whether it sets a value for CLIP."""
        return any(value is not None for value in (self.value, self.l, self.g, self.hires))

    @property
    def without_clip(self) -> Skip:
        """Its values for `LANGUAGE_MODELS` alone."""
        return replace(self, value=None, l=None, g=None, hires=None)

    def __str__(self) -> str:
        parts = [] if self.value is None else [format_skip(self.value)]
        for name in ("l", "g", "hires", *LANGUAGE_MODELS):
            value = getattr(self, name)
            if value is not None:
                parts.append(f"{name}={format_skip(value)}")
        return ":".join(parts)
