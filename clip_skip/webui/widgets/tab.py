"""The extension's tab and its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from clip_skip.panel import TITLE
from clip_skip.webui.widgets import layers_tab, made_for_tab
from clip_skip.webui.widgets.own_values_table import OwnValuesTable, Remember
from clip_skip.webui.widgets.preset_widgets import Presets, offer_when_loaded

__all__ = ["build_tab"]


def build_tab(presets: Sequence[Presets] = (), remember: Remember | None = None) -> list[tuple[Any, str, str]]:
    """The tab, as the host wants it. presets: those of the other tabs, which are made before.

    remember: saves a checkpoint's own value
    """
    with gr.Blocks(analytics_enabled=False) as tab:
        with gr.Tabs(elem_id="clip_skip_parts"):
            with gr.Tab(label="Layers"):
                layers_tab.build_layers_tab()
            with gr.Tab(label="Made for"):
                made_for_tab.build_made_for_tab()
                if remember:
                    OwnValuesTable(remember).build()
        offer_when_loaded(tab, presets)
    return [(tab, TITLE, "clip_skip")]
