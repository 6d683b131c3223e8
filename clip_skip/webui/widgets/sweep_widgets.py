"""The widgets of the sweep."""

from __future__ import annotations

from typing import Any

import gradio as gr
from modules.infotext_utils import PasteField

from clip_skip.sweep.settings import APPLY_TO, INFOTEXT, LABELS, REFERENCE, SweepSettings

__all__ = ["build"]


def build(script: Any, host: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """The components in the order of SweepSettings, and what an infotext restores.

    host: the host's own components of this tab by their elem_id, which the
    button for the reference sweep fills in too.
    """
    default = SweepSettings()

    def named(name: str) -> dict[str, Any]:
        return {"label": LABELS[name], "elem_id": script.elem_id(name)}

    with gr.Row():
        skips = gr.Textbox(value=default.clip_skips, placeholder="1-12, 1-3 (+0.5), 1-12 [4]", **named("clip_skips"))
        scales = gr.Textbox(value=default.cfg_scales, placeholder="4, 7, 11", **named("cfg_scales"))
    apply_to = gr.Radio(list(APPLY_TO.values()), value=APPLY_TO[default.apply_to], **named("apply_to"))
    with gr.Row():
        cells = gr.Slider(minimum=0, maximum=64, step=1, value=default.cells_per_batch, **named("cells_per_batch"))
        margin = gr.Slider(minimum=0, maximum=500, step=2, value=default.margin, **named("margin"))
    with gr.Row():
        legend = gr.Checkbox(value=default.legend, **named("legend"))
        include_cells = gr.Checkbox(value=default.include_cells, **named("include_cells"))
        save_cells = gr.Checkbox(value=default.save_cells, **named("save_cells"))
        report = gr.Checkbox(value=default.report, **named("report"))
    reference: dict[Any, object] = {
        skips: default.clip_skips,
        scales: default.cfg_scales,
        apply_to: APPLY_TO[default.apply_to],
    }
    for name, value in REFERENCE.items():
        component = host.get(f"{'img2img' if script.is_img2img else 'txt2img'}_{name}")
        if component is not None:
            reference[component] = value
    gr.Button("Fill in the reference sweep", elem_id=script.elem_id("reference")).click(
        lambda: list(reference.values()), inputs=[], outputs=list(reference), show_progress=False
    )
    components = [skips, scales, apply_to, cells, legend, include_cells, save_cells, margin, report]
    restored = [
        PasteField(skips, INFOTEXT["clip_skips"]),
        PasteField(scales, INFOTEXT["cfg_scales"]),
        PasteField(apply_to, lambda infotext: APPLY_TO.get(infotext.get(INFOTEXT["apply_to"], ""))),
    ]
    return components, restored
