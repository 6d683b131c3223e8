from collections.abc import Callable

import gradio as gr

ui_clip_skip: gr.Component
on_preset_change: Callable[..., list[object]]
