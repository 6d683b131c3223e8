"""The settings of a sweep from its script's arguments, checked against the loaded model and the host's limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from modules import shared
from PIL import Image

from clip_skip.messages.message import Message, Template, join, reason
from clip_skip.sweep.axis import SweepError
from clip_skip.sweep.plan import SweepPlan
from clip_skip.sweep.rows import HIRES_PASS_NEEDED, random_seeds
from clip_skip.sweep.settings import LABELS, SweepSettings
from clip_skip.webui.errors import ClipSkip
from clip_skip.webui.host_types import Processing, Script
from clip_skip.webui.hosts.encoders import describe_model, selected
from clip_skip.webui.state import State

__all__ = ["check_sweep", "sweep_arguments"]

GRID_TOO_LARGE = Template("the grid would be too large ({size} megapixels; the settings allow {most})")


def check_sweep(p: Processing, args: Sequence[object]) -> tuple[SweepSettings, SweepPlan]:
    """The settings from the script's arguments, and their plan for the loaded model; API errors name its fields."""
    model = selected(p)
    try:
        settings = SweepSettings.from_args(args)
        settings = replace(settings, seeds=random_seeds(settings.seeds))
        names = settings.names(args) if getattr(p, "is_api", False) else LABELS
        plan = settings.plan(None if model is None else describe_model(model).all_towers, names)
        rows = names[settings.kind.field]
        plan.rows.check(rows, p.prompt, p.negative_prompt)
        if settings.rows == "hires" and not getattr(p, "enable_hr", False):
            raise SweepError.in_field(names["rows"], HIRES_PASS_NEEDED)
        check_size(p, plan, join([names["clip_skips"], rows], ", "))
    except ValueError as error:
        raise ClipSkip(reason(error)) from None
    if model is None:  # known once the first cell begins
        p.clip_skip_state = State(check_model=lambda model: settings.plan(describe_model(model).all_towers, names))
    return settings, plan


def check_size(p: Processing, plan: SweepPlan, fields: Message) -> None:
    """The same check as in the host's X/Y/Z plot."""
    scale = getattr(p, "hr_scale", 1) if getattr(p, "enable_hr", False) else 1
    megapixels = round(len(plan.cells) * p.width * p.height * scale**2 / 1_000_000)
    most = shared.opts.img_max_size_mp
    if megapixels >= most:
        raise SweepError.in_field(fields, GRID_TOO_LARGE(size=megapixels, most=f"{most:g}"))
    Image.MAX_IMAGE_PIXELS = None


def sweep_arguments(script: Script, p: Processing, args: Sequence[object]) -> Sequence[object]:
    """The sweep's part of `args`: where the API is given fewer, the host appends the arguments of the next script."""
    inputs = getattr(getattr(p, "scripts", None), "inputs", None)
    missing = len(inputs) - len(p.script_args) if inputs else 0
    return args[: script.args_to - script.args_from - missing] if missing > 0 else args
