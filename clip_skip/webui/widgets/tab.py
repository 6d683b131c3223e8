"""The extension's tab and its parts."""

from __future__ import annotations

from typing import Any

import gradio as gr

from clip_skip.webui.widgets import layers_tab, made_for_tab

__all__ = ["build"]

TITLE = "Clip Skip"


def build() -> list[tuple[Any, str, str]]:
    """The tab, as the host wants it."""
    with gr.Blocks(analytics_enabled=False) as tab, gr.Tabs(elem_id="clip_skip_parts"):
        with gr.Tab(label="Layers"):
            layers_tab.build()
        with gr.Tab(label="Made for"):
            made_for_tab.build()
    return [(tab, TITLE, "clip_skip")]
