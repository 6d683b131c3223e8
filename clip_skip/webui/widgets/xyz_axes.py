"""Clip skip as axes of the host's X/Y/Z plot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modules import shared

from clip_skip.messages.message import FIELD_PROBLEM, Message, Template, reason
from clip_skip.prompt.override import Override
from clip_skip.skip import check, format_skip, shorten_skip
from clip_skip.sweep.axis import COLUMN_TOO_DEEP
from clip_skip.webui.errors import ClipSkip
from clip_skip.webui.host_types import Processing
from clip_skip.webui.hosts.encoders import ModelEncoders, describe_model, selected
from clip_skip.webui.hosts.plot import plot_modules
from clip_skip.webui.state import State, state_of
from clip_skip.webui.sweep.batch import keep_on_this_machine

__all__ = ["add_axes"]

NO_NAMED = Template("{model} has no text encoder that a tag reaches by its name (T5, Qwen, Gemma, Ministral)")

NAMED = ("named_prompt", "named_negative")
"""The fields for the loaded model's text encoder that only a tag with its name reaches."""

AXES = {
    "[Clip Skip] Prompt and negative": ("prompt", "negative"),
    "[Clip Skip] Prompt": ("prompt",),
    "[Clip Skip] Negative": ("negative",),
    "[Clip Skip] Hires": ("hires",),
    "[Clip Skip] T5 / LLM": NAMED,
}
"""The parts of an override that each axis sets, by its label in the plot's lists, which users' settings depend on."""


def add_axes() -> None:
    """Adds the axes to every X/Y/Z plot that the host has loaded, unless they are there."""
    for plot in plot_modules():
        present = {option.label for option in plot.axis_options}
        plot.axis_options.extend(
            axis(plot.AxisOption, label, names) for label, names in AXES.items() if label not in present
        )


def axis(axis_option: Any, label: str, names: tuple[str, ...]) -> Any:
    """An axis that sets the parts `names` of an override."""

    def apply(p: Processing, value: float, values: list[float]) -> None:
        (before,) = state_of(p).overrides or [Override()]  # of the plot's other axis
        keep_on_this_machine(p)
        changes: dict[str, Any] = dict.fromkeys(names, check(value))
        p.clip_skip_state = State(overrides=[replace(before, **changes)])

    def confirm(p: Processing, values: list[float]) -> None:
        model = selected(p)
        deepest = deepest_of(describe_model(model), names)
        if names == NAMED and model is not None and deepest is None:
            raise ClipSkip(FIELD_PROBLEM(field=label, problem=NO_NAMED(model=describe_model(model).name)))
        for value in values:
            problem = problem_of(value, deepest)
            if problem:
                raise ClipSkip(FIELD_PROBLEM(field=label, problem=problem))

    def show(p: Processing, option: Any, value: float) -> str:
        which = f" ({names[0]})" if len(names) == 1 else " (T5 / LLM)" if names == NAMED else ""
        return f"Clip skip{which}: {format_skip(value)}"

    def choices() -> list[str]:
        model = describe_model(shared.sd_model)
        first = model.named_encoders[0].encoder.native if names == NAMED and model.named_encoders else 1
        return [str(value) for value in range(first, (deepest_of(model, names) or 12) + 1)]

    return axis_option(label, float, apply, format_value=show, confirm=confirm, choices=choices)


def deepest_of(model: ModelEncoders, names: tuple[str, ...]) -> int | None:
    """The deepest clip skip of the text encoders that an axis acts on; None where `model` has none of them."""
    if names != NAMED:
        return model.layers
    return max((one.encoder.deepest for one in model.named_encoders), default=None)


def problem_of(value: float, layers: int | None) -> Message | str | None:
    """Why `value` is not a clip skip of a model with `layers` (None if unknown); None if it is one."""
    try:
        skip = check(value)
    except ValueError as error:
        return reason(error)
    return COLUMN_TOO_DEEP(value=shorten_skip(skip), layers=layers) if layers is not None and skip > layers else None
