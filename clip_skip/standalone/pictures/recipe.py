"""What an infotext says a picture was made of, as far as it can be made again here."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from clip_skip import skip
from clip_skip.messages.message import FIELD_PROBLEM, Message, Template, join
from clip_skip.panel import FIELDS, Panel, restored
from clip_skip.pictures.infotext import Infotext, skip_key
from clip_skip.pictures.numbering import IGNORED, NATIVE, convert
from clip_skip.prompt.precedence import prompt_tag
from clip_skip.skip import shorten
from clip_skip.standalone.engine.loading import EMPHASES
from clip_skip.standalone.engine.shots import UPSCALERS, Hires
from clip_skip.standalone.pictures.checkpoint import find_checkpoint as checkpoint
from clip_skip.standalone.sampling.samplers import SAMPLERS, in_two, named

__all__ = ["Recipe", "Remark", "checkpoint", "of"]

NO_RNG = Template("The picture does not say RNG: CPU, so its noise is taken to be an NVIDIA GPU's.")
NO_RNG_OF = Template("{tool} does not say where its noise is from, so it is taken to be an NVIDIA GPU's.")
NOT_RUN = Template("{field}: {text} cannot be run here; {other} takes its place.")
NOT_MADE = Template("{field}: {text} cannot be made here; {other} takes its place.")
LEFT_OUT = Template("Left out, because it cannot be made again here: {settings}.")
TAKEN = Template("{reason} {native} is taken, as published.")

READ = {
    *("Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model hash", "Model", "Emphasis", "RNG"),
    *("Hires upscale", "Hires resize", "Hires steps", "Hires upscaler", "Hires sampler", "Hires schedule type"),
    *("Hires prompt", "Hires negative prompt", "Hires CFG Scale", "Denoising strength"),
    *(one.infotext for one in FIELDS),
}
"""What we make again, besides the clip skip."""

NOTHING = {
    *("Version", "App", "Backend", "Lora hashes", "Lora weights", "TI hashes", "TI", "VAE hash", "Hashes", "User"),
    *("Batch", "Batch size", "Batch pos", "Index", "Grid", "Operations", "Comment", "Styles", "Raw prompt"),
    *("Raw negative prompt", "Scheduler", "Performance", "Created Date", "Civitai resources", "Civitai metadata"),
    *("workflow", "draft", "quantity", "Model type", "ecosystem", "baseModel", "priority", "outputFormat", "fluxMode"),
    *("nsfw", "sourceImage", "Pad conds", "Hires Module 1", "Hires Module 2", "Module 1", "Pipeline", "width"),
    *("height", "Width", "Height", "aspectRatio", "Time taken", "Template", "Negative Template", "Script"),
}
"""What does not change the picture, or what other settings and the prompt say too."""

HARMLESS = {("Eta", "1.0"), ("ENSD", "0"), ("Face restoration", "None"), ("Tiling", "False"), ("Refiner", "None")}
"""Settings that change nothing at this value."""

MOST_LEFT_OUT = 12
"""How many settings are named that cannot be made again."""

ENDINGS = (" hash", " hashes")
BEGINNINGS = ("Sweep ", "Civitai ")


class Remark(NamedTuple):
    """argument: the one that makes `message` pointless where it is given, by its name in `cli.like.values_of`"""

    argument: str
    message: Message | Template


@dataclass(frozen=True)
class Recipe:
    """What a picture was made of. None is "not said".

    sampler: one of `SAMPLERS`
    remarks: a message for everything that is made otherwise here
    source:  what the picture itself says, which decides what its clip skip means
    """

    prompt: str
    negative: str
    cfg_scale: float | None
    seed: int | None
    steps: int | None
    size: tuple[int, int] | None
    sampler: str
    emphasis: str
    noise: str
    hires: Hires | None
    remarks: tuple[Remark, ...] = ()
    source: Infotext = field(default=Infotext("", "", {}), repr=False)

    @property
    def said(self) -> tuple[Message | Template, ...]:
        """What there is to say of it."""
        return tuple(self.messages())

    def messages(self, given: Collection[str] = ()) -> Iterator[Message | Template]:
        """The same without what is pointless because an argument is `given`."""
        return (remark.message for remark in self.remarks if remark.argument not in given)

    def clip_skip(self, family: str) -> tuple[float, list[Message | Template]]:
        """The clip skip at which the prompt stopped as a whole in a model of `family`, in SDXL CLIP-L, and a message
        where the picture's own had no effect or isn't known."""
        tag = prompt_tag(self.prompt)
        value = tag.at("l", False) if tag else None
        if value is not None:
            return value, []
        value, reason = convert(self.source.tool, self.source.skip_text, family, self.source.release)
        native = NATIVE.get(family, 1.0)
        if value is None:
            return native, [TAKEN(reason=reason or "", native=skip.format(native))]
        return value, [reason] if isinstance(reason, Message) and reason.template == IGNORED else []


def of(infotext: Infotext) -> Recipe:
    """What can be made again of a picture. Raises `PictureError` for a number or a size that is none."""
    found = infotext.parameters
    remarks = [*left_out(infotext), *without_rng(infotext)]
    sampler, about_sampler = _sampler(found.get("Sampler", ""), found.get("Schedule type", ""), next(iter(SAMPLERS)))
    hires, about_hires = _hires(infotext, sampler)
    emphasis, about_emphasis = _one_of(EMPHASES, "Emphasis", found.get("Emphasis", EMPHASES[0]))
    prompt, negative = with_tags(infotext)
    remarks += [Remark("sampler", message) for message in about_sampler]
    remarks += [Remark("hires", message) for message in about_hires]
    remarks += [Remark("emphasis", message) for message in about_emphasis]
    return Recipe(
        prompt=prompt,
        negative=negative,
        cfg_scale=infotext.number("CFG scale", 0) if "CFG scale" in found else None,
        seed=infotext.whole("Seed"),
        steps=infotext.whole("Steps"),
        size=infotext.size("Size"),
        sampler=sampler,
        emphasis=emphasis,
        noise="CPU" if found.get("RNG", "").upper() == "CPU" else "GPU",
        hires=hires,
        remarks=tuple(remarks),
        source=infotext,
    )


def without_rng(infotext: Infotext) -> Iterator[Remark]:
    if "RNG" not in infotext.parameters:
        of_webui = infotext.tool in ("", "AUTOMATIC1111", "Forge", "reForge", "Forge Classic", "Forge Neo")
        yield Remark("noise", NO_RNG if of_webui else NO_RNG_OF(tool=infotext.tool))


def _sampler(name: str, schedule: str, default: str, prefix: str = "") -> tuple[str, list[Message]]:
    """The one of `SAMPLERS` that is meant, `default` where nothing is said or there is none, and what to say then."""
    if not name and not schedule:
        return default, []
    base, own = (name, "Automatic") if name else in_two(default)
    try:
        return named(base, schedule or own), []
    except KeyError:
        instead = base if base in SAMPLERS else default
        wanted = shorten(f"{base} {schedule}".rstrip())
        return instead, [NOT_RUN(field=f"{prefix}Sampler", text=wanted, other=instead)]


def _hires(infotext: Infotext, sampler: str) -> tuple[Hires | None, list[Message]]:
    """The hires pass after a first one with `sampler`, and what cannot be made again of it."""
    found, resize = infotext.parameters, infotext.size("Hires resize")
    if "Hires upscale" not in found and resize is None:
        return None, []
    upscaler, about = _one_of(UPSCALERS, "Hires upscaler", found.get("Hires upscaler", Hires.upscaler))
    second, more = _sampler(found.get("Hires sampler", ""), found.get("Hires schedule type", ""), sampler, "Hires ")
    hires = Hires(
        scale=infotext.number("Hires upscale", Hires.scale),
        resize=resize,
        upscaler=upscaler,
        denoising=infotext.number("Denoising strength", Hires.denoising),
        steps=infotext.whole("Hires steps") or 0,
        sampler="" if second == sampler else second,
        cfg_scale=infotext.number("Hires CFG Scale", 0) or None,
        prompt=found.get("Hires prompt", ""),
        negative=found.get("Hires negative prompt", ""),
    )
    return hires, about + more


def _one_of(known: Collection[str], name: str, value: str) -> tuple[str, list[Message]]:
    """`value`, or the first that is known, and what to say then."""
    if value in known:
        return value, []
    instead = next(iter(known))
    return instead, [NOT_MADE(field=name, text=shorten(value), other=instead)]


def left_out(infotext: Infotext) -> Iterator[Remark]:
    """One message for all settings that made the picture what it is and cannot be made again."""
    names = [
        name
        for name, value in infotext.parameters.items()
        if not (name in READ or name in NOTHING or skip_key(name) or (name, value) in HARMLESS)
        and not name.startswith(BEGINNINGS)
        and not name.lower().endswith(ENDINGS)
    ]
    if names:
        values = infotext.parameters
        shown = (FIELD_PROBLEM(field=name[:60], problem=shorten(values[name])) for name in names[:MOST_LEFT_OUT])
        more = ["..."] if len(names) > MOST_LEFT_OUT else []
        yield Remark("", LEFT_OUT(settings=join([*shown, *more], ", ")))


def with_tags(infotext: Infotext) -> tuple[str, str]:
    """Prompt and negative prompt with tags for what was set elsewhere, which tags of their own win over: this
    extension's panel, or ComfyUI's nodes where the prompt and the negative prompt have different ones."""
    values = {one.name: restored(one, infotext.parameters) for one in FIELDS}
    if None not in values.values():
        prompt, negative = Panel(True, **values).skips()  # type: ignore[arg-type]
        own = f"<clipskip:{negative}>" if values["negative"] else ""
        return f"<clipskip:{prompt}>{infotext.prompt}", f"{own}{infotext.negative}"
    of_parts = {part: convert(infotext.tool, number, "SD1")[0] for part, number in infotext.skips}
    if len(of_parts) == len(infotext.skips) == 2 and None not in of_parts.values():
        tags = {part: f"<clipskip:{skip.format(value)}>" for part, value in of_parts.items() if value is not None}
        return tags["prompt"] + infotext.prompt, tags["negative prompt"] + infotext.negative
    return infotext.prompt, infotext.negative
