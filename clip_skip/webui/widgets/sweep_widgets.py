"""The widgets of the sweep."""

from __future__ import annotations

import html
from typing import Any

import gradio as gr
from modules.infotext_utils import PasteField

from clip_skip.sweep.settings import APPLY_TO, INFOTEXT, LABELS, REFERENCE, SweepSettings
from clip_skip.webui.host_language import translate

__all__ = ["build", "counted"]


def build(script: Any, host: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """The components in the order of SweepSettings, and what an infotext restores.

    host: the host's own components of this tab by their elem_id, which the
    button for the example fills in too.
    """
    default = SweepSettings()

    def named(name: str) -> dict[str, Any]:
        return {"label": LABELS[name], "elem_id": script.elem_id(name)}

    with gr.Row():
        skips = gr.Textbox(value=default.clip_skips, placeholder="1-12, 1-3 (+0.5), 1-12 [4]", **named("clip_skips"))
        scales = gr.Textbox(value=default.cfg_scales, placeholder="4, 7, 11", **named("cfg_scales"))
    count = gr.HTML("", elem_id=script.elem_id("count"), elem_classes=["clip-skip-count"])
    apply_to = gr.Radio(list(APPLY_TO.values()), value=APPLY_TO[default.apply_to], **named("apply_to"))
    with gr.Row():
        cells = gr.Slider(minimum=0, maximum=64, step=1, value=default.cells_per_batch, **named("cells_per_batch"))
        margin = gr.Slider(minimum=0, maximum=500, step=2, value=default.margin, **named("margin"))
    with gr.Row():
        legend = gr.Checkbox(value=default.legend, **named("legend"))
        include_cells = gr.Checkbox(value=default.include_cells, **named("include_cells"))
        save_cells = gr.Checkbox(value=default.save_cells, **named("save_cells"))
        report = gr.Checkbox(value=default.report, **named("report"))
    grids = host.get(f"{host_tab(script)}_batch_count")
    told = [skips, scales, cells, *([grids] if grids is not None else [])]
    for component in told:
        component.change(counted, inputs=told, outputs=[count], show_progress=False)
    axes = {skips: default.clip_skips, scales: default.cfg_scales, apply_to: APPLY_TO[default.apply_to]}
    fill_in(script, axes, host)
    components = [skips, scales, apply_to, cells, legend, include_cells, save_cells, margin, report]
    restored = [
        PasteField(skips, INFOTEXT["clip_skips"]),
        PasteField(scales, INFOTEXT["cfg_scales"]),
        PasteField(apply_to, lambda infotext: APPLY_TO.get(infotext.get(INFOTEXT["apply_to"], ""))),
    ]
    return components, restored


def fill_in(script: Any, axes: dict[Any, Any], host: dict[str, Any]) -> None:
    """Buttons for the reference sweep: its axes alone, all of it, and the way back."""
    everything: dict[Any, Any] = dict(axes)
    for name, value in REFERENCE.items():
        component = host.get(f"{host_tab(script)}_{name}")
        if component is not None:
            everything[component] = value
    before = gr.State(None)
    with gr.Row():
        alone = gr.Button("Reference axes: 1-12 by CFG 4, 7, 11", elem_id=script.elem_id("reference"), size="sm")
        example = gr.Button("Replace prompt and settings by the example", elem_id=script.elem_id("example"), size="sm")
        back = gr.Button("Take that back", elem_id=script.elem_id("take_back"), size="sm", interactive=False)

    def replace(*values: Any) -> list[Any]:
        return [*everything.values(), list(values), gr.update(interactive=True)]

    def restore(values: list[Any] | None) -> list[Any]:
        kept = [gr.update() for _ in everything] if values is None else values
        return [*kept, None, gr.update(interactive=False)]

    quiet = {"show_progress": False}
    alone.click(lambda: list(axes.values()), inputs=[], outputs=list(axes), **quiet)
    example.click(replace, inputs=list(everything), outputs=[*everything, before, back], **quiet)
    back.click(restore, inputs=[before], outputs=[*everything, before, back], **quiet)


def host_tab(script: Any) -> str:
    return "img2img" if script.is_img2img else "txt2img"


def counted(clip_skips: str, cfg_scales: str, cells_per_batch: float, grids: float = 1) -> str:
    """How many pictures the axes make in that many grids, each with its own seed, or what is wrong with them."""
    try:
        plan = SweepSettings(clip_skips, cfg_scales).plan()
    except ValueError as error:
        return html.escape(translate(str(error)))
    cells, limit, seeds = len(plan.cells), int(cells_per_batch), int(grids)
    text = f"{cells * seeds} pictures: {len(plan.clip_skips)} by {len(plan.cfg_scales)}"
    text += f", for {seeds} seeds" if seeds > 1 else ""
    text += f", in {-(-cells // limit) * seeds} batches" if limit else ", as many at once as fit"
    return html.escape(translate(text))
