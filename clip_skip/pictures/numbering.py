"""Converts other tools' numbers to our clip skip. The sources of the rules: docs/files.md.

A family is "SD1", "SD2", "SDXL", "" where it isn't known, or the name of a model without clip skip. Where it isn't
known, the answer is SD1's, and the reason says what differs for the others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from clip_skip import skip
from clip_skip.messages.message import Message, Template
from clip_skip.skip import shorten

__all__ = ["NATIVE", "UNTRACEABLE", "convert", "number_in"]

NATIVE: Mapping[str, float] = {"SD1": 1.0, "SD2": 2.0, "SDXL": 2.0}
"""The clip skip that each family was published with."""

UNTRACEABLE = "?"
"""In the place of a number that a picture has, but not in a way that can be followed."""

DEEPEST_IN_PICTURES = 32
SD1_LAYERS = 12

Answer = tuple["float | None", "Message | Template | None"]

CLIP_SKIP_NOT_A_NUMBER = Template("The picture says clip skip {value}, which is not a number.")
CLIP_SKIP_TOO_DEEP = Template("The picture says clip skip {value}, which is deeper than any text encoder.")
UNKNOWN_TOOL = Template("It is not known how {tool} counts clip skip.")
NO_CLIP_SKIP = Template("{family} has no clip skip, so the number in the picture has no meaning.")
WITHOUT_CLIP_SKIP = Template("{family} has no clip skip.")
NOT_FOLLOWED = Template("{tool}'s graph sets a clip skip, but it is unclear which value reaches the sampler.")
AS_PUBLISHED = Template("Nothing in the picture sets a clip skip, so it is as published: 1 on SD1, 2 on SD2 and SDXL.")
PUBLISHED_FOR = Template("Nothing in the picture sets a clip skip, so it is as published for {family}.")
UNWRITTEN = Template("{tool} writes clip skip only above 1, so it was 1; SD2 and SDXL then stop at 2, as published.")
SD1_ONLY = Template("{tool} applies clip skip to SD1 only: SD2 and SDXL stop at 2, as published.")
CLIP_SKIP_IGNORED = Template("{tool} does not apply clip skip to {family}, which stops at {native}, as published.")
AT_LEAST = Template("{tool} stops {family} at {native}, as published, for values below that.")
NEGATIVE_SIGN = Template("Negative numbers are ComfyUI's way of counting: {value} is clip skip {skip}.")
ZERO = Template("{tool} treats 0 as 1.")
NEO_UNWRITTEN = Template(
    "Forge Neo writes clip skip for SD1 models only, and its default is 2, so it is not known for this picture."
)
ONE_LESS = Template("{tool}'s clip skip is one lower on {family}: {value} there is {skip} here.")
SDNEXT_UNKNOWN = Template("This is for SD1. For SDXL, SD.Next's {value} would be {skip} here.")
COMFYUI = Template("ComfyUI's stop_at_clip_layer {value} is clip skip {skip}.")
RAW_TOP = Template(
    "{tool}'s {value} is SDXL's last layer without the final layer norm, which is above its published 2 and has no "
    "number here."
)
RAW_TOP_UNKNOWN = Template(
    "This is for SD1. On SDXL, {tool}'s {value} is the last layer without the final layer norm, which is above the "
    "published 2 and has no number here."
)
BELOW_SD1 = Template("ComfyUI's {value} is deeper than SD1's 12 layers; there ComfyUI takes the last layer instead.")
SKIPPED = Template("{tool} counts the layers it leaves out: {value} is clip skip {skip} on {family}.")
SKIPPED_UNKNOWN = Template(
    "{tool} counts the layers it leaves out: {value} is clip skip {skip} on SD1, {more} on SDXL."
)
FOOOCUS_UNWRITTEN = Template(
    "Fooocus 2.4 and newer write clip skip only above 1, and its 1 is SDXL's last layer without the final layer norm, "
    "which has no number here."
)
NOVELAI = Template(
    "NovelAI writes no clip skip. Its models of SD1 use the layer before the last, as NovelAI has published."
)
NOVELAI_LATER = Template("NovelAI writes no clip skip, and has not published which layer {model} uses.")
SWITCH = Template("Easy Diffusion has a switch for clip skip: on is 2, off is 1.")
CIVITAI_SDXL = Template("Civitai's generator makes SDXL pictures at 2, as published, although it writes {value}.")

OFF = {"": None, "none": None, "null": None, "undefined": None, "default": None}
SHORT_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})")


def number_in(text: str | None) -> float | None:
    """`text` as a number; None where it means "not set". Raises ValueError for anything else."""
    if text is None or text.strip().lower() in OFF:
        return None
    if not SHORT_DECIMAL.fullmatch(text.strip()):
        raise ValueError(text)
    return float(text)


def convert(tool: str, text: str | None, family: str = "", release: str = "") -> Answer:
    """The clip skip that `tool` means by `text`, and why it is not simply that number; None where it isn't known.

    text:    None, empty or "None" where the picture says nothing
    release: of the tool, where that matters
    """
    if tool == "Easy Diffusion":
        return easy_diffusion(text, family)
    if text == UNTRACEABLE:
        return None, NOT_FOLLOWED(tool=tool)
    try:
        value = number_in(text)
    except ValueError:
        return None, CLIP_SKIP_NOT_A_NUMBER(value=shorten(str(text)))
    if value is not None and not (math.isfinite(value) and abs(value) <= DEEPEST_IN_PICTURES):
        return None, CLIP_SKIP_TOO_DEEP(value=shorten(str(text)))
    if family and family not in NATIVE:
        return None, (WITHOUT_CLIP_SKIP if value is None else NO_CLIP_SKIP)(family=family)
    if tool == "NovelAI":
        return novelai(family, release)
    if tool == "Fooocus":
        return fooocus(value, release)
    rule = RULES.get(tool)
    return rule(tool, value, family) if rule else (None, UNKNOWN_TOOL(tool=tool or "?"))


def webui_numbering(tool: str, value: float | None, family: str) -> Answer:
    """AUTOMATIC1111: on SD1 ours; SD2 and SDXL are as published."""
    value, reason = header_value(tool, value)
    if family in ("SD2", "SDXL"):
        native = NATIVE[family]
        message = (
            CLIP_SKIP_IGNORED(tool=tool, family=family, native=skip.format_skip(native)) if value > native else reason
        )
        return native, message
    return value, reason or (SD1_ONLY(tool=tool) if value > 2 and not family else None)


def forge(tool: str, value: float | None, family: str) -> Answer:
    """Forge and reForge: on SD1 ours; on SD2 and SDXL too, but at least the published one."""
    value, reason = header_value(tool, value)
    if family in ("SD2", "SDXL") and value < NATIVE[family]:
        return NATIVE[family], AT_LEAST(tool=tool, family=family, native=skip.format_skip(NATIVE[family]))
    return value, reason


def neo(tool: str, value: float | None, family: str) -> Answer:
    return (None, NEO_UNWRITTEN) if value is None else forge(tool, value, family)


def civitai_numbering(tool: str, value: float | None, family: str) -> Answer:
    if family == "SDXL":
        wrong = value is not None and value != 2
        return 2.0, CIVITAI_SDXL(value=skip.format_skip(value)) if wrong and value is not None else None
    return as_published(family) if value is None else header_value(tool, value)


def header_value(tool: str, value: float | None) -> tuple[float, Message | None]:
    """The header's value: 1 where none is written; 0 acts as 1."""
    if value is None:
        return 1.0, UNWRITTEN(tool=tool)
    if value < 0:
        number = max(-value, 1.0)
        return number, NEGATIVE_SIGN(value=plain(value), skip=skip.format_skip(number))
    return (value, None) if value >= 1 else (1.0, ZERO(tool=tool))


def sdnext(tool: str, value: float | None, family: str) -> Answer:
    if value is None or abs(value) < 1:
        return as_published(family) if family else (1.0, UNWRITTEN(tool=tool))
    value = abs(value)
    if family in ("SD2", "SDXL"):
        return value + 1, one_less(tool, value, family)
    return value, None if family else SDNEXT_UNKNOWN(value=skip.format_skip(value), skip=skip.format_skip(value + 1))


def comfyui(tool: str, value: float | None, family: str) -> Answer:
    """ComfyUI and tools built on it: -n is n; -1 takes SDXL's last layer raw."""
    if value is None or value == 0:
        return as_published(family)
    number = abs(value)
    if number == 1 and family != "SD1":
        raw = RAW_TOP if family == "SDXL" else RAW_TOP_UNKNOWN
        return (None if family == "SDXL" else 1.0), raw(tool=tool, value=plain(value))
    if number > SD1_LAYERS and family != "SDXL":
        return (1.0 if family == "SD1" else None), BELOW_SD1(value=plain(value))
    return number, COMFYUI(value=plain(value), skip=skip.format_skip(number)) if value < 0 else None


def left_out(tool: str, value: float | None, family: str) -> Answer:
    """InvokeAI, diffusers, OneTrainer: k layers are left out below the published one."""
    if value is None:
        return as_published(family)
    number = abs(value) + NATIVE.get(family, 1)
    values = {"tool": tool, "value": plain(value), "skip": skip.format_skip(number)}
    return number, SKIPPED(**values, family=family) if family else SKIPPED_UNKNOWN(
        **values, more=skip.format_skip(number + 1)
    )


def draw_things(tool: str, value: float | None, family: str) -> Answer:
    number = max(abs(value or 1.0), 1.0)
    if family == "SD2":
        return number + 1, one_less(tool, number, family)
    if family == "SDXL" and number == 1:
        return None, RAW_TOP(tool=tool, value="1")
    if value is None:
        return number, UNWRITTEN(tool=tool)
    return number, None


def one_less(tool: str, value: float, family: str) -> Message:
    return ONE_LESS(tool=tool, family=family, value=skip.format_skip(value), skip=skip.format_skip(value + 1))


def fooocus(value: float | None, release: str) -> Answer:
    """Fooocus, whose models are SDXL's: ComfyUI's layers, with the sign left out."""
    if value is None:
        match = re.search(r"([0-9]{1,4})\.([0-9]{1,4})", release)
        old = match is not None and (int(match[1]), int(match[2])) < (2, 4)
        return (2.0, PUBLISHED_FOR(family="SDXL")) if old else (None, FOOOCUS_UNWRITTEN)
    number = abs(value)
    return (number, None) if number >= 2 else (None, RAW_TOP(tool="Fooocus", value=plain(value)))


def novelai(family: str, model: str) -> Answer:
    """NovelAI: as published for its SD1 models; nothing was published for the later ones."""
    return (2.0, NOVELAI) if family == "SD1" else (None, NOVELAI_LATER(model=model or "?"))


def easy_diffusion(text: str | None, family: str) -> Answer:
    if family and family not in NATIVE:
        return None, NO_CLIP_SKIP(family=family)
    on = str(text).strip().lower()
    if on in ("true", "false", "none", ""):
        value = 2.0 if on == "true" else 1.0
        return max(value, NATIVE.get(family, 1.0)), SWITCH
    return None, CLIP_SKIP_NOT_A_NUMBER(value=shorten(str(text)))


def as_published(family: str) -> Answer:
    return (NATIVE[family], PUBLISHED_FOR(family=family)) if family in NATIVE else (None, AS_PUBLISHED)


def plain(value: float) -> str:
    """`value` as the tool wrote it, with its sign."""
    return ("-" if value < 0 else "") + skip.format_skip(abs(value))


RULES: Mapping[str, Callable[[str, float | None, str], Answer]] = {
    "AUTOMATIC1111": webui_numbering,
    "Forge": forge,
    "reForge": forge,
    "Forge Classic": webui_numbering,
    "Forge Neo": neo,
    "Civitai": civitai_numbering,
    "SD.Next": sdnext,
    "ComfyUI": comfyui,
    "SwarmUI": comfyui,
    "InvokeAI": left_out,
    "diffusers": left_out,
    "OneTrainer": left_out,
    "Draw Things": draw_things,
}
