"""The widgets of the panel."""

from __future__ import annotations

from functools import partial

import gradio as gr
from modules import shared
from modules.infotext_utils import PasteField
from modules.ui_components import InputAccordion

from clip_skip import panel
from clip_skip.webui.host_settings import panel_starts_with, set_start
from clip_skip.webui.host_types import Script
from clip_skip.webui.hosts.encoders import describe_model

__all__ = ["build_panel", "restored"]


def build_panel(script: Script) -> tuple[gr.Component, list[gr.Component]]:
    """The accordion with its check box, and the sliders in the order of FIELDS.

    The page fills the element `tools`, and clicks `depths` when another model is loaded.
    """
    start = panel_starts_with()
    with InputAccordion(start["enabled"], label=panel.TITLE, elem_id=script.elem_id("enabled")) as enabled:
        sliders: list[gr.Component] = [
            gr.Slider(
                minimum=field.minimum,
                maximum=field.slider_end,
                step=0.1,
                value=start[field.name],
                label=field.label,
                info=field.info or None,
                elem_id=script.elem_id(field.name),
            )
            for field in panel.FIELDS
        ]
        gr.HTML("", elem_id=script.elem_id("tools"))
        depths = gr.Button("Depths", elem_id=script.elem_id("depths"), elem_classes=["clip-skip-hidden"])
        depths.click(lambda: [gr.update(maximum=end) for end in ends()], [], sliders, show_progress=False)
    for component, default in (
        (enabled, False),
        *((slider, field.default) for slider, field in zip(sliders, panel.FIELDS)),
    ):
        set_start(component, default)
    return enabled, sliders


def ends() -> list[float]:
    """The maximum of each slider: the layers of the loaded model's encoders."""
    layers = describe_model(shared.sd_model).towers
    main = layers.get("l") or layers.get("h") or layers.get("g")
    return [float(main or field.slider_end) if field.name != "clip_g" else field.slider_end for field in panel.FIELDS]


def restored(enabled: gr.Component, sliders: list[gr.Component]) -> list[PasteField]:
    """The fields that an infotext restores."""
    values = [PasteField(slider, partial(panel.restored, field)) for slider, field in zip(sliders, panel.FIELDS)]
    return [PasteField(enabled, lambda infotext: panel.FIELDS[0].infotext in infotext), *values]
