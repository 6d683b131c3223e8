"""The widgets of the sweep."""

from __future__ import annotations

import html
from dataclasses import fields, replace
from functools import partial
from typing import Any

import gradio as gr
from modules.infotext_utils import PasteField

from clip_skip.messages.message import Template, reason
from clip_skip.sweep.rows import CFG, KINDS, random_seeds
from clip_skip.sweep.settings import CHOICES, LABELS, PASTED, PLACEHOLDERS, REFERENCE, SweepSettings
from clip_skip.webui.host_language import translate
from clip_skip.webui.host_settings import set_start, sweep_starts_with
from clip_skip.webui.widgets.preset_widgets import Presets

__all__ = ["build", "counted"]

PICTURES = Template("{count} pictures ({columns} × {rows})")
PICTURES_OF_SEEDS = Template("{count} pictures ({columns} × {rows}, {seeds} seeds)")
ONE_BATCH = Template("in 1 batch")
BATCHES = Template("in {batches} batches")
FIT_MEMORY = Template("batched to fit memory")
SIZE_AND_BATCHES = Template("{size}, {batches}")


def build(script: Any, host: dict[str, Any], presets: Presets) -> tuple[list[Any], list[Any]]:
    """The components in the order of SweepSettings, and what an infotext restores.

    host: the host's own components of this tab by their elem_id, which the
    button for the example fills in too. presets: of this tab, above these.
    """
    builtin, default = SweepSettings(), sweep_starts_with()
    made: dict[str, Any] = {}

    def add(kind: Any, name: str, **more: Any) -> None:
        more.setdefault("value", getattr(default, name))
        component = kind(label=LABELS[name], elem_id=script.elem_id(name), **more)
        made[name] = set_start(component, called(name, getattr(builtin, name)))

    def choose(kind: Any, name: str, without: str = "") -> None:
        labels = [label for value, label in CHOICES[name].items() if value != without]
        add(kind, name, choices=labels, value=CHOICES[name][getattr(default, name)])

    with gr.Row():
        choose(gr.Dropdown, "columns")
        add(gr.Textbox, "clip_skips", placeholder=PLACEHOLDERS["clip_skips"])
    with gr.Row():
        choose(gr.Dropdown, "rows", without="hires" if script.is_img2img else "")
        for kind in KINDS.values():
            add(gr.Textbox, kind.field, placeholder=PLACEHOLDERS[kind.field], visible=kind == CFG)
    count = gr.HTML("", elem_id=script.elem_id("count"), elem_classes=["clip-skip-count"])
    choose(gr.Radio, "apply_to")
    with gr.Row():
        add(gr.Slider, "cells_per_batch", minimum=0, maximum=64, step=1)
        add(gr.Slider, "margin", minimum=0, maximum=500, step=2)
    with gr.Row():
        for name in ("legend", "include_cells", "save_cells", "report"):
            add(gr.Checkbox, name)
    boxes = [made[kind.field] for kind in KINDS.values()]
    made["rows"].change(shown, inputs=[made["rows"]], outputs=boxes, show_progress=False)
    made["rows"].init_field = lambda label: start_with(label, boxes)
    components = [made[field.name] for field in fields(SweepSettings)]
    tell_count(components, host.get(f"{host_tab(script)}_batch_count"), count)
    presets.connect(components, called)
    names = ("clip_skips", "cfg_scales", "apply_to", "rows", "columns")
    fill_in(script, {made[name]: called(name, getattr(builtin, name)) for name in names}, host)
    return components, [PasteField(made[name], partial(pasted, name)) for name in PASTED]


def start_with(label: str, boxes: list[Any]) -> None:
    """The host calls it with the kind that the user has saved as the default."""
    for kind, box in zip(KINDS.values(), boxes):
        box.visible = kind.label == label


def shown(label: str) -> list[Any]:
    """Each kind's box, of which only that of the chosen kind is to be seen; each keeps its text."""
    return [gr.update(visible=kind.label == label) for kind in KINDS.values()]


def called(name: str, value: Any) -> Any:
    """`value` of the field `name` as the page has it."""
    return CHOICES[name].get(value) if name in CHOICES else value


def pasted(name: str, infotext: dict[str, Any]) -> Any:
    """What an infotext restores of the field `name`; None where it says nothing of it."""
    return called(name, SweepSettings.pasted(infotext).get(name))


def fill_in(script: Any, axes: dict[Any, Any], host: dict[str, Any]) -> None:
    """Buttons for all of the reference sweep, with its prompt and settings, and the way back."""
    everything: dict[Any, Any] = dict(axes)
    for name, value in REFERENCE.items():
        component = host.get(f"{host_tab(script)}_{name}")
        if component is not None:
            everything[component] = value
    before = gr.State(None)
    with gr.Row():
        example = gr.Button("Replace prompt and settings by the example", elem_id=script.elem_id("example"), size="sm")
        back = gr.Button("Take that back", elem_id=script.elem_id("take_back"), size="sm", interactive=False)

    def replace(*values: Any) -> list[Any]:
        return [*everything.values(), list(values), gr.update(interactive=True)]

    def restore(values: list[Any] | None) -> list[Any]:
        kept = [gr.update() for _ in everything] if values is None else values
        return [*kept, None, gr.update(interactive=False)]

    quiet = {"show_progress": False}
    example.click(replace, inputs=list(everything), outputs=[*everything, before, back], **quiet)
    back.click(restore, inputs=[before], outputs=[*everything, before, back], **quiet)


def host_tab(script: Any) -> str:
    return "img2img" if script.is_img2img else "txt2img"


def tell_count(components: list[Any], grids: Any, count: Any) -> None:
    """Keeps `count` true, whatever is changed that it depends on."""
    inputs = [*components, *([grids] if grids is not None else [])]
    about = {*(kind.field for kind in KINDS.values()), "clip_skips", "cells_per_batch", "rows"}
    told = [one for one, field in zip(components, fields(SweepSettings)) if field.name in about]
    for component in [*told, *inputs[len(components) :]]:
        component.change(counted, inputs=inputs, outputs=[count], show_progress=False)


def counted(*values: Any) -> str:
    """How many pictures the settings make, or what is wrong with them.

    values: those of all fields, and the batch count, that of grids with a seed each
    """
    count = len(fields(SweepSettings))
    try:
        settings = SweepSettings.from_args(values[:count])
        plan = replace(settings, seeds=random_seeds(settings.seeds)).plan()
    except ValueError as error:
        return html.escape(translate(reason(error)))
    seeds = int(values[count]) if len(values) > count and settings.rows != "seed" else 1
    cells, limit = len(plan.cells), settings.cells_per_batch
    values_of = {"count": cells * seeds, "columns": len(plan.clip_skips), "rows": len(plan.rows)}
    size = PICTURES(**values_of) if seeds == 1 else PICTURES_OF_SEEDS(**values_of, seeds=seeds)
    batches = -(-cells // limit) * seeds if limit else 0
    how = ONE_BATCH if batches == 1 else BATCHES(batches=batches) if batches else FIT_MEMORY
    return html.escape(translate(SIZE_AND_BATCHES(size=size, batches=how)))
