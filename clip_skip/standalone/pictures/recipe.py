"""The settings in a picture's infotext, as far as they can be reproduced here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from clip_skip import skip
from clip_skip.messages.message import FIELD_PROBLEM, Message, Template, join
from clip_skip.panel import FIELDS, Panel, restored
from clip_skip.pictures.facts import parts_message
from clip_skip.pictures.infotext import Infotext
from clip_skip.pictures.numbering import CLIP_SKIP_IGNORED, NATIVE, convert
from clip_skip.prompt.precedence import prompt_tag
from clip_skip.skip import is_clip_skip_key, shorten
from clip_skip.standalone.option_kinds import Choice, Number
from clip_skip.standalone.options import OPTIONS, Option
from clip_skip.standalone.pictures.checkpoint import find_checkpoint as checkpoint
from clip_skip.standalone.sampling.samplers import SAMPLERS, in_two, sampler_name

__all__ = ["Recipe", "Remark", "checkpoint", "of"]

NO_RNG = Template("The picture does not say RNG: CPU, so its noise is taken to be an NVIDIA GPU's.")
NO_RNG_OF = Template("{tool} does not say where its noise is from, so it is taken to be an NVIDIA GPU's.")
NOT_RUN = Template("{field}: {text} is not supported here; {other} is used instead.")
NOT_MADE = Template("{field}: {text} is not available here; {other} is used instead.")
LEFT_OUT = Template("Ignored, because it is not supported here: {settings}.")
TAKEN = Template("{reason} {native} is used, as published.")

USED_ENTRIES = {
    *(key for option in OPTIONS for key in (option.infotext, option.infotext_of_ddim)),
    *("Sampler", "Schedule type", "Size", "Model hash", "Model", "RNG"),
    *("Hires resize", "Hires sampler", "Hires schedule type"),
    *(one.infotext for one in FIELDS),
}
"""The entries that we reproduce, besides the clip skip."""

IRRELEVANT_ENTRIES = {
    *("Version", "App", "Backend", "Lora hashes", "Lora weights", "TI hashes", "TI", "VAE hash", "Hashes", "User"),
    *("Batch", "Batch size", "Batch pos", "Index", "Grid", "Operations", "Comment", "Styles", "Raw prompt"),
    *("Raw negative prompt", "Scheduler", "Performance", "Created Date", "Civitai resources", "Civitai metadata"),
    *("workflow", "draft", "quantity", "Model type", "ecosystem", "baseModel", "priority", "outputFormat", "fluxMode"),
    *("nsfw", "sourceImage", "Pad conds", "Hires Module 1", "Hires Module 2", "Module 1", "Pipeline", "width"),
    *("height", "Width", "Height", "aspectRatio", "Time taken", "Template", "Negative Template", "Script"),
}
"""Entries that do not change the picture, or that repeat other settings or the prompt."""

HARMLESS = {("Eta", "1.0"), ("ENSD", "0"), ("Face restoration", "None"), ("Tiling", "False"), ("Refiner", "None")}
"""Settings that change nothing at this value."""

MOST_LEFT_OUT = 12
"""The most settings to name of those that cannot be reproduced."""

ENDINGS = (" hash", " hashes")
BEGINNINGS = ("Sweep ", "Civitai ")


class Remark(NamedTuple):
    """option: the name in options.py of the option that, if given, makes `message` pointless; "" for none"""

    option: str
    message: Message | Template


@dataclass(frozen=True)
class Recipe:
    """The settings of a picture.

    options: the picture's values of options, by their names in options.py
    remarks: a message for everything that differs here
    source:  the picture's own metadata, on which the meaning of its clip skip depends
    """

    options: Mapping[str, Any]
    remarks: tuple[Remark, ...] = ()
    source: Infotext = field(default=Infotext("", "", {}), repr=False)

    @property
    def warnings(self) -> tuple[Message | Template, ...]:
        """A message for everything that differs here."""
        return self.warnings_unless(())

    def warnings_unless(self, options: Collection[str]) -> tuple[Message | Template, ...]:
        """The same without the messages that don't apply because one of `options` is given."""
        return tuple(remark.message for remark in self.remarks if remark.option not in options)

    def clip_skip(self, family: str) -> tuple[float, list[Message | str]]:
        """The clip skip at which the prompt stopped as a whole in a model of `family`, in SDXL CLIP-L, and a message
        if the picture's own had no effect or isn't known."""
        tag = prompt_tag(self.options["prompt"])
        value = tag.at("l", False) if tag else None
        if value is not None:
            return value, []
        if self.source.skips:  # not one for each of two texts, which are tags then
            native = NATIVE.get(family, 1.0)
            return native, [TAKEN(reason=parts_message(self.source), native=skip.format_skip(native))]
        value, reason = convert(self.source.tool, self.source.skip_text, family, self.source.release)
        native = NATIVE.get(family, 1.0)
        if value is None:
            return native, [TAKEN(reason=reason or "", native=skip.format_skip(native))]
        return value, [reason] if isinstance(reason, Message) and reason.template == CLIP_SKIP_IGNORED else []


def of(infotext: Infotext) -> Recipe:
    """The settings of a picture that can be reproduced. Raises `PictureError` for an invalid number or size."""
    settings, remarks = infotext.parameters, [*left_out(infotext), *without_rng(infotext)]
    prompt, negative = with_tags(infotext)
    hires = "Hires upscale" in settings or "Hires resize" in settings
    counting = [option for option in OPTIONS if hires or not option.hires]
    options: dict[str, Any] = {one.name: one.default for one in counting if one.hires or one.left_out_by_default}
    options |= {"prompt": prompt, "negative": negative, "hires": hires}
    options["noise"] = "CPU" if settings.get("RNG", "").upper() == "CPU" else "GPU"
    if size := infotext.size("Size"):
        options["width"], options["height"] = size
    if resize := infotext.size("Hires resize"):
        options["resize_width"], options["resize_height"] = resize
    options["sampler"], about = _sampler(settings.get("Sampler", ""), settings.get("Schedule type", ""), SAMPLERS[0])
    remarks += [Remark("sampler", message) for message in about]
    if hires:
        second = (
            settings.get("Hires sampler", ""),
            settings.get("Hires schedule type", ""),
            options["sampler"],
            "Hires ",
        )
        sampler, about = _sampler(*second)
        options["hires_sampler"] = "" if sampler == options["sampler"] else sampler
        remarks += [Remark("hires_sampler", message) for message in about]
    for option in counting:
        if (key := option.key(options["sampler"])) in settings:
            options[option.name], about = _value(option, key, infotext)
            remarks += [Remark(option.name, message) for message in about]
        other = option.key(options.get("hires_sampler") or options["sampler"])
        if settings.get(other) != settings.get(key):  # the samplers of the two passes go by different ones
            setting = FIELD_PROBLEM(field=other, problem=shorten(settings.get(other, "")))
            remarks.append(Remark(option.name, LEFT_OUT(settings=setting)))
    return Recipe(options, tuple(remarks), infotext)


def _value(option: Option, key: str, infotext: Infotext) -> tuple[Any, list[Message]]:
    """The infotext's value of `option` under its `key`, and a message if it can't be reproduced."""
    text = infotext.parameters[key]
    if isinstance(option.kind, Number):
        return infotext.whole(key) if option.kind.whole else infotext.number(key, 0), []
    return _one_of(option.kind.names, key, text) if isinstance(option.kind, Choice) else (text, [])


def without_rng(infotext: Infotext) -> Iterator[Remark]:
    if "RNG" not in infotext.parameters:
        of_webui = infotext.tool in ("", "AUTOMATIC1111", "Forge", "reForge", "Forge Classic", "Forge Neo")
        yield Remark("noise", NO_RNG if of_webui else NO_RNG_OF(tool=infotext.tool))


def _sampler(name: str, schedule: str, default: str, prefix: str = "") -> tuple[str, list[Message]]:
    """The matching entry of `SAMPLERS`, or `default` if it is absent or unknown, and a message in that case."""
    if not name and not schedule:
        return default, []
    base, own = (name, "Automatic") if name else in_two(default)
    try:
        return sampler_name(base, schedule or own), []
    except KeyError:
        instead = base if base in SAMPLERS else default
        text = shorten(f"{base} {schedule}".rstrip())
        return instead, [NOT_RUN(field=f"{prefix}Sampler", text=text, other=instead)]


def _one_of(names: Collection[str], name: str, value: str) -> tuple[str, list[Message]]:
    """`value`, or the first of `names`, and a message in that case."""
    if value in names:
        return value, []
    instead = next(iter(names))
    return instead, [NOT_MADE(field=name, text=shorten(value), other=instead)]


def left_out(infotext: Infotext) -> Iterator[Remark]:
    """One message for all settings that changed the picture and cannot be reproduced."""
    names = [
        name
        for name, value in infotext.parameters.items()
        if not (
            name in USED_ENTRIES or name in IRRELEVANT_ENTRIES or is_clip_skip_key(name) or (name, value) in HARMLESS
        )
        and not name.startswith(BEGINNINGS)
        and not name.lower().endswith(ENDINGS)
    ]
    if names:
        values = infotext.parameters
        parts = (FIELD_PROBLEM(field=name[:60], problem=shorten(values[name])) for name in names[:MOST_LEFT_OUT])
        more = ["..."] if len(names) > MOST_LEFT_OUT else []
        yield Remark("", LEFT_OUT(settings=join([*parts, *more], ", ")))


def with_tags(infotext: Infotext) -> tuple[str, str]:
    """Prompt and negative prompt with tags for values that were set elsewhere: in this extension's panel, or in
    ComfyUI's nodes if those of the prompt and the negative prompt differ. Existing tags take precedence."""
    values = {one.name: restored(one, infotext.parameters) for one in FIELDS}
    if None not in values.values():
        prompt, negative = Panel(True, **values).skips()  # type: ignore[arg-type]
        own = f"<clipskip:{negative}>" if values["negative"] else ""
        return f"<clipskip:{prompt}>{infotext.prompt}", f"{own}{infotext.negative}"
    of_parts = {part: convert(infotext.tool, number, "SD1")[0] for part, number in infotext.skips}
    if len(of_parts) == len(infotext.skips) == 2 and None not in of_parts.values():
        tags = {part: f"<clipskip:{skip.format_skip(value)}>" for part, value in of_parts.items() if value is not None}
        return tags["prompt"] + infotext.prompt, tags["negative prompt"] + infotext.negative
    return infotext.prompt, infotext.negative
