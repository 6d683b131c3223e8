"""An infotext: prompt, negative prompt and a line of settings, as the WebUI writes it and as others write it too.

Besides AUTOMATIC1111's own form these are read: settings followed by other lines (Dynamic Prompts' `Template:`),
everything on one line, JSON without quotation marks as a value, a byte-order mark, CRLF. Every step is linear in the
length of the text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from clip_skip.messages.message import FIELD_PROBLEM, Template
from clip_skip.pictures.errors import PictureError
from clip_skip.skip import shorten

__all__ = ["Infotext", "compose", "parse_infotext", "parse_settings", "split_settings", "write_infotext"]

VALUE_NOT_A_NUMBER = Template("{value} is not a number")
VALUE_NOT_WHOLE = Template("{value} is not a whole number")
VALUE_NOT_A_SIZE = Template("{value} is not a size such as 512x768")

STEPS_ENTRY = re.compile(r"(?:^|(?<=[\s,.]))Steps: ?(?=\d)")
BARE = re.compile(r"[^,:]*")
SETTING_NAME = re.compile(r"[\w \-/.()+]*")
QUOTATION = re.compile(r'"(?:[^"\\]|\\.)*"(?=\s*(?:,|$))')
SPACE = re.compile(r"\s*")
AFTERWARDS = ("Template:", "Negative Template:")
NEGATIVE = "Negative prompt:"

LEAST_SETTINGS = 3
"""The least number of entries in a line of settings; the WebUI's own rule."""

MOST_TRIES = 20
"""Most failed attempts to parse a value that looks like JSON, or to find the start of the settings."""

LONGEST_NUMBER = 40


@dataclass(frozen=True)
class Infotext:
    """The metadata of a picture in the WebUI's terms, whichever tool wrote it.

    parameters: by their names in the WebUI, as texts
    tool:       what made the picture, "" if it was not identified
    family:     "SD1", "SD2", "SDXL", another model's name, or "" if unknown
    skip_text:  the tool's own number for clip skip, as written; None where there is none
    skips:      where parts of the picture have different ones, each part's name and number
    release:    the tool's version, where its numbers depend on that
    """

    prompt: str
    negative: str
    parameters: Mapping[str, str]
    tool: str = ""
    family: str = ""
    skip_text: str | None = None
    skips: tuple[tuple[str, str], ...] = ()
    release: str = ""

    def number(self, name: str, default: float) -> float:
        """Raises `PictureError` unless it is a finite number."""
        text = self.parameters.get(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise PictureError(FIELD_PROBLEM(field=name, problem=VALUE_NOT_A_NUMBER(value=shorten(text))))
        return value

    def whole(self, name: str) -> int | None:
        """The integer under `name`, exactly; None where there is none. Raises `PictureError`."""
        text = self.parameters.get(name)
        if text is None:
            return None
        if len(text) <= LONGEST_NUMBER and re.fullmatch(r"[+-]?[0-9]+", text):
            return int(text)
        value = self.number(name, 0)
        if not value.is_integer() or abs(value) > 2**53:
            raise PictureError(FIELD_PROBLEM(field=name, problem=VALUE_NOT_WHOLE(value=shorten(text))))
        return int(value)

    def size(self, name: str) -> tuple[int, int] | None:
        """Width and height under `name`, None where it is not there. Raises `PictureError`."""
        text = self.parameters.get(name)
        if text is None:
            return None
        match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
        if match is None:
            raise PictureError(FIELD_PROBLEM(field=name, problem=VALUE_NOT_A_SIZE(value=shorten(text))))
        return int(match[1]), int(match[2])


def parse_infotext(text: str) -> Infotext:
    """The infotext in `text`. Any text is one: without settings, it is a prompt."""
    lines = text.lstrip("\ufeff").replace("\r\n", "\n").strip().split("\n")
    last: tuple[int, dict[str, str]] | None = None
    for index, line in enumerate(lines):
        if last and line.startswith(AFTERWARDS):
            break
        settings = parse_settings(line.strip())
        last = (index, settings) if settings else last
    if last is None:
        return parse_one_line("\n".join(lines))
    before = "\n".join(["", *lines[: last[0]]])
    prompt, _, negative = before.partition(f"\n{NEGATIVE}")
    return Infotext(prompt.strip(), negative.strip(), last[1])


def parse_one_line(text: str) -> Infotext:
    """An infotext whose settings follow the prompts on the same line."""
    starts = [match.start() for match in STEPS_ENTRY.finditer(text)]
    for start in reversed(starts[-MOST_TRIES:]):
        settings = parse_settings(text[start:].partition("\n")[0])
        if settings:
            prompt, _, negative = text[:start].partition(NEGATIVE)
            return Infotext(prompt.strip(" \t\n,"), negative.strip(" \t\n,"), settings)
    prompt, _, negative = f"\n{text}".partition(f"\n{NEGATIVE}")
    return Infotext(prompt.strip(), negative.strip(), {})


def parse_settings(line: str) -> dict[str, str]:
    """The settings that `line` consists of; empty where it is another kind of line."""
    if "Steps:" not in line:
        return {}
    entries = list(split_settings(line))
    settings = dict(entries)
    starts_with_one = bool(entries) and line.startswith(entries[0][0])
    return settings if starts_with_one and len(entries) >= LEAST_SETTINGS and "Steps" in settings else {}


def split_settings(line: str) -> Iterator[tuple[str, str]]:
    """The names and values in `line`: `Steps: 20, Hires prompt: "a, b", Hashes: {"model": "0123"}`."""
    position, tries = 0, MOST_TRIES
    while position < len(line):
        bare = BARE.match(line, position)
        assert bare
        position = bare.end() + 1
        if bare.end() == len(line) or line[bare.end()] == ",":
            continue
        name = trailing_name(bare[0])
        space = SPACE.match(line, position)
        assert space
        value, end = None, space.end()
        if line.startswith('"', end):
            quotation = QUOTATION.match(line, end)
            value, position = (unquote(quotation[0]), quotation.end()) if quotation else (None, position)
        elif line.startswith(("{", "["), end) and tries:
            length = length_of_json(line, end)
            value, position = (line[end : end + length], end + length) if length else (None, position)
            tries -= not length
        if value is None:
            comma = line.find(",", end)
            position = len(line) if comma < 0 else comma
            value = line[end:position].strip()
        if name:
            yield name, value


def trailing_name(text: str) -> str:
    """The name of a setting at the end of `text`."""
    match = SETTING_NAME.match(text[::-1])
    assert match
    return match[0][::-1].lstrip(" -/.()+").rstrip()


def length_of_json(line: str, start: int) -> int:
    """The length of the JSON value that begins at `start` and fills a whole setting; 0 if there is none."""
    try:
        _, end = json.JSONDecoder().raw_decode(line, start)
    except (ValueError, RecursionError):
        return 0
    after = SPACE.match(line, end)
    assert after
    return end - start if after.end() == len(line) or line[after.end()] == "," else 0


def unquote(value: str) -> str:
    try:
        return str(json.loads(value))
    except ValueError:
        return value


def write_infotext(prompt: str, negative: str, settings: str) -> str:
    """The infotext of these texts and the line `settings`."""
    return "\n".join([prompt, *([f"{NEGATIVE} {negative}"] if negative else []), settings])


def compose(values: Mapping[str, object]) -> str:
    """The settings as one line."""
    return ", ".join(f"{name}: {quoted(str(value))}" for name, value in values.items())


def quoted(value: str) -> str:
    needs_marks = any(sign in value for sign in ",:\n") or value.startswith(('"', "{", "["))
    return json.dumps(value, ensure_ascii=False) if needs_marks else value
