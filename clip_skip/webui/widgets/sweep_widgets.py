"""The widgets of the sweep."""

from __future__ import annotations

import html
from dataclasses import astuple, fields, replace
from functools import partial
from typing import Any

import gradio as gr
from modules import sd_models
from modules.infotext_utils import PasteField

from clip_skip.messages.message import Message, Template, reason
from clip_skip.sweep.rows import CFG, ROW_KINDS, random_seeds
from clip_skip.sweep.settings import CHOICES, LABELS, PASTED, PLACEHOLDERS, REFERENCE, SweepSettings
from clip_skip.webui.host_language import translate
from clip_skip.webui.host_settings import set_start, sweep_starts_with
from clip_skip.webui.host_types import Script
from clip_skip.webui.hosts.encoders import describe_model
from clip_skip.webui.widgets.preset_widgets import Presets

__all__ = ["build_sweep_widgets", "count_text"]

ONE_PICTURE = Template("1 picture")
PICTURE_COUNT = Template("{count} pictures ({columns} × {rows})")
PICTURES_OF_SEEDS = Template("{count} pictures ({columns} × {rows}, {seeds} seeds)")
ONE_BATCH = Template("in 1 batch")
BATCHES = Template("in {batches} batches")
FIT_MEMORY = Template("batched to fit memory")
SIZE_AND_BATCHES = Template("{size}, {batches}")
SAME_PICTURE = Template("Clip skips {values} give the same picture on this model, so it is made once.")
LOAD_EXAMPLE = "Load the example (replaces your prompt and settings)"


def build_sweep_widgets(
    script: Script, host: dict[str, gr.Component], presets: Presets
) -> tuple[list[gr.Component], list[PasteField]]:
    """The components in the order of SweepSettings, and the fields that an infotext restores.

    host: the host's own components of this tab by their elem_id, for the example. presets: those of this tab.
    """
    builtin, default = SweepSettings(), sweep_starts_with()
    made: dict[str, gr.Component] = {}

    def add(kind: type[gr.Component], name: str, **more: Any) -> None:
        more.setdefault("value", getattr(default, name))
        component = kind(label=LABELS[name], elem_id=script.elem_id(name), **more)
        made[name] = set_start(component, page_value(name, getattr(builtin, name)))

    def choose(kind: type[gr.Component], name: str, without: str = "") -> None:
        labels = [label for value, label in CHOICES[name].items() if value != without]
        add(kind, name, choices=labels, value=CHOICES[name][getattr(default, name)])

    with gr.Row():
        choose(gr.Dropdown, "columns")
        add(gr.Textbox, "clip_skips", placeholder=PLACEHOLDERS["clip_skips"])
    with gr.Row():
        choose(gr.Dropdown, "rows", without="hires" if script.is_img2img else "")
        for kind in ROW_KINDS.values():
            add(gr.Textbox, kind.field, placeholder=PLACEHOLDERS[kind.field], visible=kind == CFG)
    count = gr.HTML(count_text(*astuple(default)), elem_id=script.elem_id("count"), elem_classes=["clip-skip-count"])
    choose(gr.Radio, "apply_to")
    with gr.Row():
        add(gr.Slider, "cells_per_batch", minimum=0, maximum=64, step=1)
        add(gr.Slider, "margin", minimum=0, maximum=500, step=2)
    with gr.Row():
        for name in ("legend", "include_cells", "save_cells", "report"):
            add(gr.Checkbox, name)
    boxes = [made[kind.field] for kind in ROW_KINDS.values()]
    made["rows"].change(row_box_updates, inputs=[made["rows"]], outputs=boxes, show_progress=False)
    made["rows"].init_field = lambda label: show_row_box(label, boxes)
    components = [made[field.name] for field in fields(SweepSettings)]
    keep_count_current(components, host.get(f"{host_tab(script)}_batch_count"), count)
    presets.connect(components, page_value)
    names = ("clip_skips", "cfg_scales", "apply_to", "rows", "columns")
    add_example_buttons(script, {made[name]: page_value(name, getattr(builtin, name)) for name in names}, host)
    return components, [PasteField(made[name], partial(pasted_value, name)) for name in PASTED]


def show_row_box(label: str, boxes: list[gr.Component]) -> None:
    """Shows the box of the kind that the user has saved as the default; the host calls this."""
    for kind, box in zip(ROW_KINDS.values(), boxes):
        box.visible = kind.label == label


def row_box_updates(label: str) -> list[Any]:
    """Shows the box of the chosen kind and hides the others; each keeps its text."""
    return [gr.update(visible=kind.label == label) for kind in ROW_KINDS.values()]


def page_value(name: str, value: Any) -> object:
    """`value` of the field `name` as the page shows it."""
    return CHOICES[name].get(value) if name in CHOICES else value


def pasted_value(name: str, infotext: dict[str, Any]) -> object:
    """The value of the field `name` that an infotext restores; None if it has none."""
    return page_value(name, SweepSettings.pasted(infotext).get(name))


def add_example_buttons(script: Script, axes: dict[gr.Component, object], host: dict[str, gr.Component]) -> None:
    """A button that loads the reference sweep with its prompt and settings, and one that undoes it."""
    everything = dict(axes)
    for name, value in REFERENCE.items():
        component = host.get(f"{host_tab(script)}_{name}")
        if component is not None:
            everything[component] = value
    before = gr.State(None)
    with gr.Row():
        example = gr.Button(LOAD_EXAMPLE, elem_id=script.elem_id("example"), size="sm")
        back = gr.Button("Undo", elem_id=script.elem_id("take_back"), size="sm", interactive=False)

    def replace(*values: object) -> list[object]:
        return [*everything.values(), list(values), gr.update(interactive=True)]

    def restore(values: list[object] | None) -> list[object]:
        kept: list[object] = [gr.update() for _ in everything] if values is None else values
        return [*kept, None, gr.update(interactive=False)]

    quiet = {"show_progress": False}
    example.click(replace, inputs=list(everything), outputs=[*everything, before, back], **quiet)
    back.click(restore, inputs=[before], outputs=[*everything, before, back], **quiet)


def host_tab(script: Script) -> str:
    return "img2img" if script.is_img2img else "txt2img"


def keep_count_current(components: list[gr.Component], grids: gr.Component | None, count: gr.Component) -> None:
    """Counts again whenever a field changes that the count depends on."""
    inputs = [*components, *([grids] if grids is not None else [])]
    names = {*(kind.field for kind in ROW_KINDS.values()), "clip_skips", "cells_per_batch", "rows", "columns"}
    watched = [one for one, field in zip(components, fields(SweepSettings)) if field.name in names]
    for component in [*watched, *inputs[len(components) :]]:
        component.change(count_text, inputs=inputs, outputs=[count], show_progress=False)


def count_text(*values: Any) -> str:
    """The number of pictures of these settings, or the problem with them, as HTML.

    values: those of all fields, and the batch count, the number of grids with a seed each
    """
    count = len(fields(SweepSettings))
    model = describe_model(sd_models.model_data.sd_model)
    encoders = [*(host.encoder for host in model.hosts), *(named.encoder for named in model.named)]
    towers = {encoder.tower: encoder for encoder in encoders}
    try:
        settings = SweepSettings.from_args(values[:count])
        layers = {tower: encoder.deepest for tower, encoder in towers.items()}
        plan = replace(settings, seeds=random_seeds(settings.seeds)).plan(layers or None)
    except ValueError as error:
        return html.escape(translate(reason(error)))
    seeds = int(values[count]) if len(values) > count and settings.rows != "seed" else 1
    cells, limit = len(plan.cells), settings.cells_per_batch
    counts = {"count": cells * seeds, "columns": len(plan.clip_skips), "rows": len(plan.rows)}
    size = PICTURE_COUNT(**counts) if seeds == 1 else PICTURES_OF_SEEDS(**counts, seeds=seeds)
    batches = -(-cells // limit) * seeds if limit else 0
    how = ONE_BATCH if batches == 1 else BATCHES(batches=batches) if batches else FIT_MEMORY
    sentences: list[Message | str] = [ONE_PICTURE if cells * seeds == 1 else SIZE_AND_BATCHES(size=size, batches=how)]
    same = settings.same_skips(plan, {tower: encoder.native for tower, encoder in towers.items()})
    sentences += [SAME_PICTURE(values=", ".join(f"{skip:g}" for skip in skips)) for skips in same]
    return "<br>".join(html.escape(translate(sentence)) for sentence in sentences)
