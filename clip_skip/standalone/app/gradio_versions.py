"""Differences between gradio 3.41 and 6, detected in the installed version."""

from __future__ import annotations

import html
import inspect
import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

import gradio as gr

THEME = {"theme": gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])}
"""Gradio's own, without the fonts that it would fetch."""

PROGRESS = gr.Progress()
"""Gradio finds it as the default of a function's last parameter."""


def page_error(message: str) -> gr.Error:
    """An error for the page, which some versions of gradio take for HTML."""
    if "HTML" in (gr.Error.__init__.__doc__ or ""):
        message = html.escape(message, quote=False)
    return gr.Error(message, **supported_options(gr.Error.__init__, print_exception=False))


def supported_options(function: Callable[..., Any], **options: Any) -> dict[str, Any]:
    """The `options` that this version of gradio accepts."""
    parameters = inspect.signature(function).parameters
    return {name: value for name, value in options.items() if name in parameters}


def image(label: str, name: str, visible: bool = True) -> Any:
    """A picture that is shown from its file, so that nothing in it is lost. Nothing is shared with other servers."""
    more = supported_options(
        gr.Image.__init__, alt_text=label, show_share_button=False, buttons=["download", "fullscreen"]
    )
    return gr.Image(
        label=label, show_label=False, type="filepath", interactive=False, visible=visible, elem_id=name, **more
    )
