"""Every option of a picture, in one table.

From it follow the command line of `sweep` and `study`, STUDY.toml, the page's widgets, what `--like` and a dropped
picture fill in, and the infotext. A new option is a line here, a field in engine/shots.py or settings.py, and the
place where it does something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clip_skip.messages.message import MessageError, Template, Value
from clip_skip.standalone.engine.loading import EMPHASES
from clip_skip.standalone.engine.shots import NOISES, UPSCALERS, Hires
from clip_skip.standalone.option_kinds import Choice, FieldError, Number, OptionKind, Switch, Text
from clip_skip.standalone.sampling.samplers import SAMPLERS

__all__ = ["LARGEST_SEED", "LAST_SEED", "OPTIONS", "SAME_SAMPLER", "STUDY", "Option", "check_values", "defaults"]

LAST_SEED = 2**32 - 1
"""The largest that is drawn at random, as in the WebUI."""

LARGEST_SEED = 2**64 - 1
"""The largest that torch takes; ComfyUI draws such."""

SAME_SAMPLER = Template("Use same sampler")


@dataclass(frozen=True)
class Option:
    """name:    that of the page's field, and of the field of `Settings`
    label:     on the page
    kind:      of its values
    default:   its value where nothing is given
    demo:      the same for the bundled demo model, where that is another
    flag:      on the command line; "" if it has none
    help:      on the command line, without the default
    metavar:   the placeholder of its value there
    infotext:  its key in an infotext; "" where it is not a key and a value
    infotext_of_ddim: its key where the sampler is DDIM, if that is another
    hires:     the field of `Hires` that it is
    element:   its id in the page, where the extension's script looks for it by the WebUI's
    row:       options of the same row are side by side on the page
    in_study:  whether it is an option of a study too, in which all pictures have it in common
    short:     its name in errors, where the label is longer
    left_out_by_default: whether an infotext has it only where it is not the default
    """

    name: str
    label: Template
    kind: OptionKind
    default: Any
    demo: Any = None
    flag: str = ""
    help: str = ""
    metavar: str = "N"
    infotext: str = ""
    infotext_of_ddim: str = ""
    hires: str = ""
    element: str = ""
    row: str = ""
    in_study: bool = False
    short: Template | None = None
    left_out_by_default: bool = False

    @property
    def argument(self) -> str:
        """Its name among the parsed arguments, and in STUDY.toml."""
        return self.flag.lstrip("-").replace("-", "_")

    def key(self, sampler: str) -> str:
        """Its key in the infotext of a picture that is made with `sampler`."""
        return self.infotext_of_ddim if self.infotext_of_ddim and sampler == "DDIM" else self.infotext

    def default_for(self, demo: bool) -> Any:
        return self.demo if demo and self.demo is not None else self.default

    def check(self, value: Any, field: Value = "", factor: int = 1) -> Any:
        """`value`, checked; factor: the VAE's. FieldError names the option `field`, or else by its label."""
        if isinstance(self.kind, Number) and self.kind.none is not None and value in (None, self.kind.none):
            return self.default
        try:
            return self.kind.check(value, factor)
        except MessageError as error:
            raise FieldError.of(field or self.short or self.label, error.message) from None


FIRST = "default: that of the first pass"

OPTIONS = (
    Option(
        *("prompt", Template("Prompt"), Text(4), ""),
        demo="a small green triangle below a large orange ring on a black background",
        flag="--prompt",
        element="txt2img_prompt",
    ),  # of forty pairs of prompt and seed, the one that shows the effect of clip skip best: docs/demo-model.md
    Option(
        *("negative", Template("Negative prompt"), Text(2), ""),
        flag="--negative",
        help="the negative prompt; a <clipskip:n> in it stays",
        element="txt2img_neg_prompt",
        in_study=True,
    ),
    Option(
        *("seed", Template("Seed (-1 = random)"), Number(-1, LARGEST_SEED, whole=True), 2881122569),
        demo=1,
        flag="--seed",
        help="-1 is random",
        infotext="Seed",
        row="seed",
        short=Template("Seed"),
    ),  # the default of the well-known sweep
    Option(
        *("steps", Template("Steps"), Number(1, 1000, (1, 100, 1), whole=True), 20),
        flag="--steps",
        infotext="Steps",
        element="txt2img_steps",
        row="seed",
        in_study=True,
    ),
    Option(
        *("width", Template("Width"), Number(64, 4096, (64, 2048, 0), whole=True, multiple=True), 512),
        demo=128,
        row="size",
    ),
    Option(
        *("height", Template("Height"), Number(64, 4096, (64, 2048, 0), whole=True, multiple=True), 512),
        demo=128,
        row="size",
    ),
    Option(
        *("sampler", Template("Sampler"), Choice(SAMPLERS), SAMPLERS[0]),
        flag="--sampler",
        help=f"one of {', '.join(SAMPLERS)}",
        metavar="NAME",
        in_study=True,
    ),
    Option("cfg_scale", Template("CFG scale"), Number(0, 100, (0, 30, 0.5)), 7.0, infotext="CFG scale"),
    Option("hires", Template("Hires. fix"), Switch(), False, element="txt2img_hr-checkbox"),
    Option(
        *("upscaler", Template("Upscaler"), Choice(tuple(UPSCALERS)), Hires.upscaler),
        flag="--hires-upscaler",
        help=f"one of {', '.join(UPSCALERS)}",
        metavar="NAME",
        infotext="Hires upscaler",
        hires="upscaler",
        row="upscaler",
    ),
    Option(
        *("scale", Template("Upscale by"), Number(1, 8, (1, 4, 0.05)), Hires.scale),
        infotext="Hires upscale",
        hires="scale",
        row="upscaler",
    ),
    Option(
        *("resize_width", Template("Resize width"), Number(0, 4096, (0, 2048, 0), whole=True, none=0), 0),
        hires="resize",
        row="resize",
    ),
    Option(
        *("resize_height", Template("Resize height"), Number(0, 4096, (0, 2048, 0), whole=True, none=0), 0),
        hires="resize",
        row="resize",
    ),
    Option(
        *("denoising", Template("Denoising strength"), Number(0.0001, 1, (0, 1, 0.01)), Hires.denoising),
        flag="--denoising",
        help="the hires pass's denoising strength",
        infotext="Denoising strength",
        hires="denoising",
        row="denoising",
    ),
    Option(
        *("hires_steps", Template("Hires steps"), Number(0, 1000, (0, 100, 1), whole=True, none=0), Hires.steps),
        flag="--hires-steps",
        help="default: as many as --steps",
        infotext="Hires steps",
        hires="steps",
        element="txt2img_hires_steps",
        row="denoising",
    ),
    Option(
        *("hires_sampler", Template("Hires sampler"), Choice(SAMPLERS, SAME_SAMPLER), Hires.sampler),
        flag="--hires-sampler",
        help=FIRST,
        metavar="NAME",
        hires="sampler",
        row="sampler",
    ),
    Option(
        *("hires_cfg_scale", Template("Hires CFG scale"), Number(0, 100, (0, 30, 0.5), none=0), Hires.cfg_scale),
        flag="--hires-cfg",
        help=FIRST,
        infotext="Hires CFG Scale",
        hires="cfg_scale",
        row="sampler",
    ),
    Option(
        *("hires_prompt", Template("Hires prompt"), Text(2), Hires.prompt),
        flag="--hires-prompt",
        help=FIRST,
        metavar="PROMPT",
        infotext="Hires prompt",
        hires="prompt",
        element="hires_prompt",
    ),
    Option(
        *("hires_negative", Template("Hires negative prompt"), Text(2), Hires.negative),
        flag="--hires-negative",
        help=FIRST,
        metavar="PROMPT",
        infotext="Hires negative prompt",
        hires="negative",
        element="hires_neg_prompt",
    ),
    Option(
        *("emphasis", Template("Emphasis"), Choice(EMPHASES), EMPHASES[0]),
        flag="--emphasis",
        help="what (a:1.2) does, as in the WebUI's settings",
        metavar=f"{{{','.join(EMPHASES)}}}",
        infotext="Emphasis",
        left_out_by_default=True,
        row="emphasis",
        in_study=True,
    ),
    Option(
        *("noise", Template("Noise from"), Choice(NOISES), NOISES[0]),
        flag="--noise",
        help="noise source: CPU, or GPU as on an NVIDIA card, which most WebUIs use",
        metavar=f"{{{','.join(NOISES)}}}",
        row="emphasis",
        in_study=True,
    ),
    Option(
        *("eta", Template("Eta (-1 = the sampler's own)"), Number(0, 1, none=-1), None),
        flag="--eta",
        help="how much noise the steps add, 0 to 1; default: 1 with ancestral and SDE samplers, 0 with DDIM",
        infotext="Eta",
        infotext_of_ddim="Eta DDIM",
        in_study=True,
        short=Template("Eta"),
        left_out_by_default=True,
    ),
)
"""All options, in the order of the page."""

STUDY = tuple(option for option in OPTIONS if option.in_study)


def defaults(demo: bool = False) -> dict[str, Any]:
    """The values of all options where nothing is given."""
    return {option.name: option.default_for(demo) for option in OPTIONS}


def check_values(values: Mapping[str, Any], factor: int = 1) -> dict[str, Any]:
    """`values`, which the page has for all options, checked; factor: the VAE's.

    Options of the hires pass count only where there is one. Raises `FieldError`.
    """
    counting = [option for option in OPTIONS if values["hires"] or not option.hires]
    return {**defaults(), **{option.name: option.check(values[option.name], factor=factor) for option in counting}}
