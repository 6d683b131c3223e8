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

__all__ = ["LANGUAGE_MODELS", "NUMBER", "Skip", "brief", "check", "format", "from_other", "parse", "shorten"]

NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)")
MOST_DIGITS = 1000

LANGUAGE_MODELS = ("t5", "qwen", "gemma", "ministral")
"""Text encoders that are not CLIP. Each is reached by its own name alone, as in `<clipskip:t5=3>`: never by a number
without a name, which older prompts have, nor by the header, the panel, `l`, `g` or `hires`."""

NO_VALUE = Template("no value is given")
NOT_A_NUMBER = Template("{text} is not a number such as 2 or 1.5")
NOT_NUMERIC = Template("{text} is not a number")
NOT_FINITE = Template("the value is not a finite number")
BELOW_ONE = Template("{value} is below 1, the last layer")
IGNORED_BY_KOHYA = Template("kohya ignores --clip_skip on SDXL")
UNKNOWN_TOOL = Template("unknown tool {tool}")


def parse(text: str) -> float:
    """The clip skip that `text` names: "2" is 2.0, "1.5" is 1.5.

    Negative numbers are ComfyUI's way to write the same: "-2" is 2.0.
    Raises MessageError for anything else.
    """
    text = text.strip()
    if not text:
        raise MessageError(NO_VALUE)
    if not NUMBER.fullmatch(text):
        raise MessageError(NOT_A_NUMBER(text=shorten(text)))
    if len(text) > MOST_DIGITS:
        raise MessageError(NOT_FINITE)
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
        raise MessageError(BELOW_ONE(value=format(number)))
    return number


def format(value: float) -> str:
    """The shortest text that `parse` reads as `value`: 2.0 is "2", 1.5 is "1.5"."""
    return f"{value:.4f}".rstrip("0").rstrip(".")


def brief(value: float) -> str:
    """`value` for a message: as `format` writes it, an absurdly large one shortened."""
    return format(value) if abs(value) < 1e6 else f"{value:.3g}"


def shorten(text: str, limit: int = 40) -> str:
    """`text` in quotation marks, for a message: printable, cut to `limit` characters."""
    text = "".join(character if character.isprintable() else "\ufffd" for character in text[: limit + 1])
    return f'"{text}"' if len(text) <= limit else f'"{text[:limit]}…"'


@dataclass(frozen=True)
class Skip:
    """What one tag, the panel or an axis asks for; None is "not set here".

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
            named: float | None = getattr(self, tower)
            return named
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
        """What it sets for `LANGUAGE_MODELS` alone."""
        return replace(self, value=None, l=None, g=None, hires=None)

    def __str__(self) -> str:
        parts = [] if self.value is None else [format(self.value)]
        for name in ("l", "g", "hires", *LANGUAGE_MODELS):
            value = getattr(self, name)
            if value is not None:
                parts.append(f"{name}={format(value)}")
        return ":".join(parts)


def from_other(tool: str, value: float, sdxl: bool = False) -> float:
    """The clip skip that another tool's number means.

    tool: "comfyui" (`stop_at_clip_layer`), "diffusers" (`clip_skip`),
    "sdnext" or "kohya" (`--clip_skip`). Raises MessageError where the other
    tool's number has no effect (kohya on SDXL) or the tool is unknown.
    """
    if tool == "comfyui":
        return check(value)
    if tool == "diffusers":
        return check(value + (2 if sdxl else 1))
    if tool == "sdnext":
        return check(value + (1 if sdxl else 0))
    if tool == "kohya":
        if sdxl:
            raise MessageError(IGNORED_BY_KOHYA)
        return check(value)
    raise MessageError(UNKNOWN_TOOL(tool=shorten(tool)))
