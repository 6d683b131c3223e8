"""The widgets of the options of a picture."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from itertools import groupby
from typing import Any

import gradio as gr

from clip_skip.messages.message import Translate
from clip_skip.page.events import listen
from clip_skip.standalone.option_kinds import Choice, Number, Switch
from clip_skip.standalone.options import OPTIONS, Option

__all__ = ["option_widgets"]


def option_widgets(tr: Translate, values: Mapping[str, Any], factor: int) -> dict[str, Any]:
    """The widgets by the names of the options, created in the current place; those of the hires pass are hidden until
    it is turned on.

    values: their contents; factor: the VAE's
    """
    widgets: dict[str, Any] = {}
    for of_hires, group in groupby(OPTIONS, lambda option: bool(option.hires)):
        with gr.Column(visible=False) if of_hires else nullcontext() as column:
            for row, options in groupby(group, lambda option: option.row):
                with gr.Row() if row else nullcontext():
                    widgets |= {
                        option.name: option_widget(option, tr, values[option.name], factor) for option in options
                    }
        if of_hires:
            show = lambda on: gr.update(visible=on)
            listen(widgets["hires"].change, show, [widgets["hires"]], [column], queue=False)
    return widgets


def option_widget(option: Option, tr: Translate, value: Any, factor: int) -> Any:
    """Widgets that the extension's script looks for have the WebUI's ids."""
    kind = option.kind
    common = {"label": tr(option.label), "elem_id": option.element or f"clip_skip_app_{option.name}"}
    if isinstance(kind, Switch):
        return gr.Checkbox(value, **common)
    if isinstance(kind, Choice):
        none = [tr(kind.none)] if kind.none else []
        return gr.Dropdown([*none, *kind.names], value=value or none[0], min_width=130, **common)
    if isinstance(kind, Number):
        value = kind.none if value is None else value
        if not kind.slider:
            return gr.Number(value, min_width=130, **common)
        low, high, step = kind.slider
        return gr.Slider(low, high, value, step=step or factor, min_width=130, **common)
    return gr.Textbox(value, lines=kind.lines, **common)
