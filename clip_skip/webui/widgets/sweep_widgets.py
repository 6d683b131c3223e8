"""The widgets of the sweep."""

from __future__ import annotations

import html
from dataclasses import astuple, fields, replace
from functools import partial
from typing import Any

import gradio as gr
from modules import sd_models
from modules.infotext_utils import PasteField

from clip_skip.messages.message import FIELD_PROBLEM, Message, Template, reason
from clip_skip.sweep.rows import CFG, ROW_KINDS, random_seeds
from clip_skip.sweep.settings import CHOICES, LABELS, PASTED_FIELDS, PLACEHOLDERS, REFERENCE, SweepSettings
from clip_skip.webui.host_language import translate
from clip_skip.webui.host_settings import set_start, sweep_starts_with
from clip_skip.webui.host_types import Script
from clip_skip.webui.hosts.encoders import describe_model
from clip_skip.webui.widgets.preset_widgets import Presets

__all__ = ["build_sweep_widgets", "count_text"]

UNDER_MORE = ("columns", "apply_to")
"""Choices that are hidden while "More" is closed; the line with the count names those that differ from the default."""

ONE_PICTURE = Template("1 picture")
PICTURE_COUNT = Template("{count} pictures ({columns} × {rows})")
PICTURES_OF_SEEDS = Template("{count} pictures ({columns} × {rows}, {seeds} seeds)")
ONE_BATCH = Template("in 1 batch")
BATCHES = Template("in {batches} batches")
FIT_MEMORY = Template("batched to fit memory")
SIZE_AND_BATCHES = Template("{size}, {batches}")
SAME_PICTURE = Template("Clip skips {values} give the same picture on this model, so it is made once.")
EXAMPLE = Template(
    "The example is the README's grid: clip skip 1 to 12 by CFG 4, 7 and 11 for one anime prompt, "
    "with seed {seed}, {steps} steps of DPM++ 2M Karras."
)
LOAD_EXAMPLE = "Load the example (replaces your prompt and settings)"


def build_sweep_widgets(
    script: Script, host: dict[str, gr.Component], presets: Presets
) -> tuple[list[gr.Component], list[PasteField]]:
    """The components in the order of SweepSettings, and the fields that an infotext restores.

    host: the host's own components of this tab by their elem_id, for the example. presets: those of this tab.
    """
    builtin, default = SweepSettings(), sweep_starts_with()
    widgets: dict[str, gr.Component] = {}

    def add(kind: type[gr.Component], name: str, **more: Any) -> None:
        more.setdefault("value", getattr(default, name))
        component = kind(label=LABELS[name], elem_id=script.elem_id(name), **more)
        widgets[name] = set_start(component, page_value(name, getattr(builtin, name)))

    def choose(kind: type[gr.Component], name: str, without: str = "") -> None:
        labels = [label for value, label in CHOICES[name].items() if value != without]
        add(kind, name, choices=labels, value=CHOICES[name][getattr(default, name)])

    with gr.Row():
        add(gr.Textbox, "clip_skips", placeholder=PLACEHOLDERS["clip_skips"])
        choose(gr.Dropdown, "rows", without="hires" if script.is_img2img else "")
        for kind in ROW_KINDS.values():
            add(gr.Textbox, kind.field, placeholder=PLACEHOLDERS[kind.field], visible=kind == CFG)
    add(gr.Checkbox, "report")
    count = gr.HTML(count_text(*astuple(default)), elem_id=script.elem_id("count"), elem_classes=["clip-skip-count"])
    with gr.Accordion("More", open=False, elem_id=script.elem_id("more")):
        with gr.Row():
            choose(gr.Dropdown, "columns")
            choose(gr.Radio, "apply_to")
        add(gr.Slider, "cells_per_batch", minimum=0, maximum=64, step=1)
        for name in ("legend", "include_cells", "save_cells"):
            add(gr.Checkbox, name)
        add(gr.Slider, "margin", minimum=0, maximum=500, step=2, visible=False)  # only the API's
        names = ("clip_skips", "cfg_scales", "apply_to", "rows", "columns")
        add_example_buttons(script, {widgets[name]: page_value(name, getattr(builtin, name)) for name in names}, host)
    add_off_button(script, host.get("script_list"))
    boxes = [widgets[kind.field] for kind in ROW_KINDS.values()]
    widgets["rows"].change(row_box_updates, inputs=[widgets["rows"]], outputs=boxes, show_progress=False)
    widgets["rows"].init_field = lambda label: show_row_box(label, boxes)
    components = [widgets[field.name] for field in fields(SweepSettings)]
    keep_count_current(components, host.get(f"{host_tab(script)}_batch_count"), count)
    presets.connect(components, page_value)
    return components, [PasteField(widgets[name], partial(pasted_value, name)) for name in PASTED_FIELDS]


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
    about = EXAMPLE(seed=str(REFERENCE["seed"]), steps=str(REFERENCE["steps"]))
    gr.HTML(html.escape(translate(about)), elem_id=script.elem_id("about_example"))
    with gr.Row(elem_classes=["clip-skip-buttons"]):
        example = gr.Button(LOAD_EXAMPLE, elem_id=script.elem_id("example"), size="sm")
        back = gr.Button("Undo", elem_id=script.elem_id("take_back"), size="sm", interactive=False)

    def replace(*values: object) -> list[object]:
        return [*everything.values(), list(values), gr.update(interactive=True)]

    def restore(values: list[object] | None) -> list[object]:
        contents: list[object] = [gr.update() for _ in everything] if values is None else values
        return [*contents, None, gr.update(interactive=False)]

    quiet = {"show_progress": False}
    example.click(replace, inputs=list(everything), outputs=[*everything, before, back], **quiet)
    back.click(restore, inputs=[before], outputs=[*everything, before, back], **quiet)


def add_off_button(script: Script, scripts: gr.Component | None) -> None:
    """A button that the page clicks to select no script, because it cannot set gradio's list itself.

    scripts: the host's list of scripts
    """
    if scripts is not None:
        off = gr.Button("Off", elem_id=script.elem_id("off"), elem_classes=["clip-skip-hidden"])
        off.click(lambda: "None", outputs=[scripts], show_progress=False)


def host_tab(script: Script) -> str:
    return "img2img" if script.is_img2img else "txt2img"


def keep_count_current(components: list[gr.Component], grids: gr.Component | None, count: gr.Component) -> None:
    """Updates the count whenever one of its fields changes."""
    inputs = [*components, *([grids] if grids is not None else [])]
    names = {*(kind.field for kind in ROW_KINDS.values()), "clip_skips", "cells_per_batch", "rows", *UNDER_MORE}
    watched_components = [one for one, field in zip(components, fields(SweepSettings)) if field.name in names]
    for component in [*watched_components, *inputs[len(components) :]]:
        component.change(count_text, inputs=inputs, outputs=[count], show_progress=False)


def count_text(*values: Any) -> str:
    """The number of pictures of these settings, or the problem with them, as HTML.

    values: those of all fields, and the batch count, the number of grids with a seed each
    """
    count = len(fields(SweepSettings))
    model = describe_model(sd_models.model_data.sd_model)
    encoders = [*(host.encoder for host in model.hosts), *(one.encoder for one in model.named_encoders)]
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
    sentences += [
        FIELD_PROBLEM(field=LABELS[name], problem=Template(CHOICES[name][getattr(settings, name)]))
        for name in UNDER_MORE
        if getattr(settings, name) != getattr(SweepSettings, name)
    ]
    sentences += [SAME_PICTURE(values=", ".join(f"{skip:g}" for skip in skips)) for skips in same]
    return "<br>".join(html.escape(translate(sentence)) for sentence in sentences)
