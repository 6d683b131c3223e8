"""The infotext that the WebUI and its forks put into pictures, read and written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from clip_skip.skip import shorten
from clip_skip.standalone.engine.shots import Hires
from clip_skip.standalone.options import OPTIONS
from clip_skip.standalone.sampling.samplers import in_two

__all__ = ["Infotext", "InfotextError", "of_hires", "parameters", "parse", "read"]

PARAMETER = re.compile(r'\s*(\w[\w \-/]*?):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
MOST_BYTES = 1_000_000
EXIF, USER_COMMENT = 0x8769, 0x9286


class InfotextError(ValueError):
    """A file has no infotext, or one that cannot be read; the message names what was wrong."""


@dataclass(frozen=True)
class Infotext:
    """prompt, negative prompt, and the parameters by their names, as texts."""

    prompt: str
    negative: str
    parameters: Mapping[str, str]

    def number(self, name: str, default: float) -> float:
        """Raises `InfotextError` for what is no number."""
        try:
            return float(self.parameters.get(name, default))
        except ValueError:
            raise InfotextError(f"{name}: {shorten(self.parameters[name])} is not a number") from None

    def size(self, name: str) -> tuple[int, int] | None:
        """Width and height under `name`, None where it is not there. Raises `InfotextError`."""
        text = self.parameters.get(name)
        if text is None:
            return None
        match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
        if match is None:
            raise InfotextError(f"{name}: {shorten(text)} is not a size such as 512x768")
        return int(match[1]), int(match[2])

    @property
    def of_fork(self) -> bool:
        """Whether a fork made the picture, in which the header's clip skip acts on SD2 and SDXL too."""
        return not self.parameters.get("Version", "v").startswith("v")


def of_hires(hires: Hires) -> dict[str, object]:
    """The parameters of a hires pass, in the WebUI's words and order."""
    values: dict[str, object] = dict.fromkeys(["Denoising strength", "Hires sampler", "Hires schedule type"])
    for option in OPTIONS:
        value = getattr(hires, option.hires) if option.hires and option.infotext else None
        if value and not (hires.resize and option.hires == "scale"):
            values[option.infotext] = f"{value:g}" if isinstance(value, float) else value
    if hires.sampler:
        values["Hires sampler"], values["Hires schedule type"] = in_two(hires.sampler)
    if hires.resize:
        values["Hires resize"] = "{}x{}".format(*hires.resize)
    last = {key: values.pop(key, None) for key in ("Hires upscale", "Hires steps", "Hires upscaler")}
    return {key: value for key, value in {**values, **last}.items() if value is not None}


def parameters(values: Mapping[str, object]) -> str:
    """The last line of an infotext."""
    return ", ".join(f"{name}: {quoted(str(value))}" for name, value in values.items())


def quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if any(one in value for one in ",:\n") else value


def unquoted(value: str) -> str:
    if value.startswith('"'):
        try:
            return str(json.loads(value))
        except ValueError:
            pass
    return value.strip()


def read(path: Path) -> Infotext:
    """The infotext of a PNG, JPEG or WebP, or of a text file. Raises `InfotextError`, or OSError."""
    if not path.is_file():
        raise InfotextError(f"{path}: there is no such file")
    try:
        with Image.open(path) as picture:
            text = picture.info.get("parameters") or _comment(picture)
    except (UnidentifiedImageError, Image.DecompressionBombError):
        if path.stat().st_size > MOST_BYTES:
            raise InfotextError(f"{path} is neither a picture nor a text") from None
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise InfotextError(f"{path} is neither a picture nor a text") from None
    found = parse(text) if isinstance(text, str) else Infotext("", "", {})
    if not found.parameters:
        raise InfotextError(f"{path} has no infotext in it")
    return found


def _comment(picture: Image.Image) -> str:
    """The user's comment among the Exif data, where JPEG and WebP have the infotext."""
    raw = picture.getexif().get_ifd(EXIF).get(USER_COMMENT, b"")
    if isinstance(raw, str):
        return raw
    kind, text = bytes(raw[:8]), bytes(raw[8:])
    return text.decode("utf-16-be" if kind.startswith(b"UNICODE") else "utf-8", errors="replace").strip("\0")


def parse(text: str) -> Infotext:
    """An infotext: prompt, "Negative prompt: ...", and a last line of parameters. Any text is one."""
    lines = text.strip().split("\n")
    last = PARAMETER.findall(lines[-1])
    if len(last) >= 3 and "Steps" in dict(last):
        lines = lines[:-1]
    else:
        last = []
    before = "\n".join(["", *lines])
    prompt, _, negative = before.partition("\nNegative prompt:")
    return Infotext(prompt.strip(), negative.strip(), {name: unquoted(value) for name, value in last})
