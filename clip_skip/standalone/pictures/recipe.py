"""What an infotext says a picture was made of, as far as it can be made again here."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clip_skip import skip
from clip_skip.panel import FIELDS, Panel, restored
from clip_skip.prompt.precedence import prompt_tag
from clip_skip.skip import shorten
from clip_skip.standalone.engine.loading import EMPHASES
from clip_skip.standalone.engine.shots import UPSCALERS, Hires
from clip_skip.standalone.models.sizes import NATIVE
from clip_skip.standalone.pictures.infotext import Infotext, InfotextError
from clip_skip.standalone.sampling.samplers import SAMPLERS, in_two, named

__all__ = ["Recipe", "checkpoint", "of"]

READ = {
    *("Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model hash", "Model", "Clip skip", "Emphasis"),
    *("Hires upscale", "Hires resize", "Hires steps", "Hires upscaler", "Hires sampler", "Hires schedule type", "RNG"),
    *("Hires prompt", "Hires negative prompt", "Hires CFG Scale", "Denoising strength"),
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
    """What a picture was made of. None is "not said".

    header:  the header's clip skip
    sampler: one of `SAMPLERS`
    of_fork: a fork of the WebUI made it, in which the header's clip skip acts on SD2 and SDXL too
    said:    a sentence for everything that cannot be made again
    """

    prompt: str
    negative: str
    header: float
    cfg_scale: float | None
    seed: int | None
    steps: int | None
    size: tuple[int, int] | None
    sampler: str
    emphasis: str
    noise: str
    hires: Hires | None
    of_fork: bool
    said: tuple[str, ...]

    def clip_skip(self, family: str) -> tuple[float, list[str]]:
        """The clip skip at which the prompt stopped as a whole in a model of `family`, in SDXL CLIP-L, and a sentence
        where the header's did nothing."""
        tag = prompt_tag(self.prompt)
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
    found, said = infotext.parameters, list(_unknown(infotext))
    if "RNG" not in found:
        said.append("The picture does not say RNG: CPU, so its noise is taken to be an NVIDIA GPU's.")
    sampler, sentences = _sampler(found.get("Sampler", ""), found.get("Schedule type", ""), next(iter(SAMPLERS)))
    hires, more = _hires(infotext, sampler)
    emphasis, last = _one_of(EMPHASES, "Emphasis", found.get("Emphasis", EMPHASES[0]))
    prompt, negative = _with_panel(infotext)

    def number(name: str) -> float | None:
        return infotext.number(name, 0) if name in found else None

    seed, steps = number("Seed"), number("Steps")
    return Recipe(
        prompt=prompt,
        negative=negative,
        header=max(infotext.number("Clip skip", 1), 1),
        cfg_scale=number("CFG scale"),
        seed=None if seed is None else int(seed),
        steps=None if steps is None else int(steps),
        size=infotext.size("Size"),
        sampler=sampler,
        emphasis=emphasis,
        noise="CPU" if found.get("RNG") == "CPU" else "GPU",
        hires=hires,
        of_fork=infotext.of_fork,
        said=(*said, *sentences, *more, *last),
    )


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


def _hires(infotext: Infotext, sampler: str) -> tuple[Hires | None, list[str]]:
    """The hires pass after a first one with `sampler`, and what cannot be made again of it."""
    found, resize = infotext.parameters, infotext.size("Hires resize")
    if "Hires upscale" not in found and resize is None:
        return None, []
    upscaler, said = _one_of(UPSCALERS, "Hires upscaler", found.get("Hires upscaler", Hires.upscaler))
    second, more = _sampler(found.get("Hires sampler", ""), found.get("Hires schedule type", ""), sampler, "Hires ")
    hires = Hires(
        scale=infotext.number("Hires upscale", Hires.scale),
        resize=resize,
        upscaler=upscaler,
        denoising=infotext.number("Denoising strength", Hires.denoising),
        steps=int(infotext.number("Hires steps", 0)),
        sampler="" if second == sampler else second,
        cfg_scale=infotext.number("Hires CFG Scale", 0) or None,
        prompt=found.get("Hires prompt", ""),
        negative=found.get("Hires negative prompt", ""),
    )
    return hires, said + more


def _one_of(known: Collection[str], name: str, value: str) -> tuple[str, list[str]]:
    """`value`, or the first that is known, and what to say then."""
    if value in known:
        return value, []
    instead = next(iter(known))
    return instead, [f"{name}: {shorten(value)} cannot be made here; {instead} takes its place."]


def _unknown(infotext: Infotext) -> Iterator[str]:
    """A sentence for each parameter that made the picture what it is and cannot be made again."""
    for name, value in infotext.parameters.items():
        known = name in READ or name in NOTHING or name.startswith("Sweep ") or (name, value) in (("Eta", "1.0"),)
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
