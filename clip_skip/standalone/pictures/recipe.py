"""What an infotext says a picture was made of, as far as it can be made again here."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clip_skip import skip
from clip_skip.panel import FIELDS, Panel, restored
from clip_skip.prompt.precedence import prompt_tag
from clip_skip.skip import shorten
from clip_skip.standalone.models.sizes import NATIVE
from clip_skip.standalone.option_kinds import Choice, Number
from clip_skip.standalone.options import OPTIONS, Option
from clip_skip.standalone.pictures.infotext import Infotext, InfotextError
from clip_skip.standalone.sampling.samplers import SAMPLERS, in_two, named

__all__ = ["Recipe", "checkpoint", "of"]

READ = {
    *(key for option in OPTIONS for key in (option.infotext, option.infotext_of_ddim)),
    *("Sampler", "Schedule type", "Size", "Model hash", "Model", "Clip skip"),
    *("Hires resize", "Hires sampler", "Hires schedule type", "RNG"),
    *(one.infotext for one in FIELDS),
}
"""What we make again."""

NOTHING = {
    *("Version", "Lora hashes", "TI hashes", "TI", "VAE hash", "Hashes", "Batch size", "Batch pos", "User"),
    *("Pad conds", "Hires Module 1", "Hires Module 2", "Module 1"),
}
"""What does not change the picture, or what the prompt says too."""


@dataclass(frozen=True)
class Recipe:
    """What a picture was made of.

    options:  the values of those options, by their names in options.py, that the infotext tells
    header:   the header's clip skip
    of_fork:  a fork of the WebUI made it, in which the header's clip skip acts on SD2 and SDXL too
    warnings: a sentence for everything that cannot be made again
    """

    options: Mapping[str, Any]
    header: float
    of_fork: bool
    warnings: tuple[str, ...]

    def clip_skip(self, family: str) -> tuple[float, list[str]]:
        """The clip skip at which the prompt stopped as a whole in a model of `family`, in SDXL CLIP-L, and a sentence
        where the header's did nothing."""
        tag = prompt_tag(self.options["prompt"])
        value = tag.at("l", False) if tag else None
        if value is not None:
            return value, []
        if family == "SD1" or self.of_fork:
            return self.header, []
        native = NATIVE[family]
        nothing = f"Clip skip: {skip.format(self.header)} does nothing on {family} in AUTOMATIC1111's WebUI"
        said = f"{nothing}; {native} is taken, as published."
        return float(native), [said] if self.header > native else []


def of(infotext: Infotext) -> Recipe:
    """What can be made again of a picture. Raises `InfotextError` for a number or a size that is none."""
    found, warnings = infotext.parameters, list(_unknown(infotext))
    if "RNG" not in found:
        warnings.append("The picture does not say RNG: CPU, so its noise is taken to be an NVIDIA GPU's.")
    prompt, negative = _with_panel(infotext)
    hires = "Hires upscale" in found or "Hires resize" in found
    counting = [option for option in OPTIONS if hires or not option.hires]
    options: dict[str, Any] = {one.name: one.default for one in counting if one.hires or one.left_out_by_default}
    options |= {"prompt": prompt, "negative": negative, "hires": hires}
    options["noise"] = "CPU" if found.get("RNG") == "CPU" else "GPU"
    if size := infotext.size("Size"):
        options["width"], options["height"] = size
    if resize := infotext.size("Hires resize"):
        options["resize_width"], options["resize_height"] = resize
    options["sampler"], more = _sampler(found.get("Sampler", ""), found.get("Schedule type", ""), SAMPLERS[0])
    warnings += more
    if hires:
        second = found.get("Hires sampler", ""), found.get("Hires schedule type", ""), options["sampler"], "Hires "
        sampler, more = _sampler(*second)
        options["hires_sampler"] = "" if sampler == options["sampler"] else sampler
        warnings += more
    for option in counting:
        if (key := option.key(options["sampler"])) in found:
            options[option.name], more = _value(option, key, infotext)
            warnings += more
        other = option.key(options.get("hires_sampler") or options["sampler"])
        if found.get(other) != found.get(key):  # the samplers of the two passes go by different ones
            warnings.append(f"{other}: {shorten(found.get(other, ''))} cannot be made again here, and was left out.")
    return Recipe(options, max(infotext.number("Clip skip", 1), 1), infotext.of_fork, tuple(warnings))


def _value(option: Option, key: str, infotext: Infotext) -> tuple[Any, list[str]]:
    """What the infotext tells of `option` by its `key`, and what to say where that cannot be made again."""
    text = infotext.parameters[key]
    if isinstance(option.kind, Number):
        number = infotext.number(key, 0)
        return (int(number) if option.kind.whole else number), []
    return _one_of(option.kind.names, key, text) if isinstance(option.kind, Choice) else (text, [])


def _sampler(name: str, schedule: str, default: str, prefix: str = "") -> tuple[str, list[str]]:
    """The one of `SAMPLERS` that is meant, `default` where nothing is said or there is none, and what to say then."""
    if not name and not schedule:
        return default, []
    base, own = (name, "Automatic") if name else in_two(default)
    try:
        return named(base, schedule or own), []
    except KeyError:
        instead = base if base in SAMPLERS else default
        asked = shorten(f"{base} {schedule}".rstrip())
        return instead, [f"{prefix}Sampler: {asked} cannot be run here; {instead} takes its place."]


def _one_of(known: Collection[str], name: str, value: str) -> tuple[str, list[str]]:
    """`value`, or the first that is known, and what to say then."""
    if value in known:
        return value, []
    instead = next(iter(known))
    return instead, [f"{name}: {shorten(value)} cannot be made here; {instead} takes its place."]


def _unknown(infotext: Infotext) -> Iterator[str]:
    """A sentence for each parameter that made the picture what it is and cannot be made again."""
    for name, value in infotext.parameters.items():
        known = name in READ or name in NOTHING or name.startswith("Sweep ")
        if not known:
            yield f"{name}: {shorten(value)} cannot be made again here, and was left out."


def _with_panel(infotext: Infotext) -> tuple[str, str]:
    """Prompt and negative prompt, led by tags of what this extension's panel said, which tags of theirs win over."""
    values = {one.name: restored(one, infotext.parameters) for one in FIELDS}
    if None in values.values():
        return infotext.prompt, infotext.negative
    prompt, negative = Panel(True, **values).skips()  # type: ignore[arg-type]
    own = f"<clipskip:{negative}>" if values["negative"] else ""
    return f"<clipskip:{prompt}>{infotext.prompt}", f"{own}{infotext.negative}"


def checkpoint(infotext: Infotext, files: Iterable[Path], called: str) -> tuple[Path, str]:
    """The picture's checkpoint among `files`, whose place is `called` so, and a sentence if its hash is another.

    It is found by its name, else by its hash. Raises `InfotextError`.
    """
    name, told = infotext.parameters.get("Model", ""), infotext.parameters.get("Model hash", "").lower()
    there = list(files)
    same = [path for path in there if path.stem == name]
    found = next((path for path in same or there if told and _short_hash(path).startswith(told)), None)
    if found:
        return found, ""
    if same:
        return same[0], f"{same[0].name} has another hash than the picture's checkpoint, {told}." if told else ""
    raise InfotextError(f"the checkpoint {shorten(name)} (hash {told or 'unknown'}) is not in {called}")


def _short_hash(path: Path) -> str:
    """The beginning of the file's SHA-256, as the WebUI writes it."""
    content = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            content.update(block)
    return content.hexdigest()[:10]
