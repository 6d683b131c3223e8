"""The part of the tab that shows which clip skip a LoRA or a checkpoint was made for."""

from __future__ import annotations

import inspect
from typing import Any

import gradio as gr
from modules import shared

from clip_skip.page import made_for
from clip_skip.page.events import listen
from clip_skip.webui import model_files
from clip_skip.webui.host_language import translate

__all__ = ["all_loras", "build_made_for_tab", "show_file"]

PROGRESS = gr.Progress()
"""Gradio finds it as the default of a function's last parameter."""


def build_made_for_tab() -> None:
    with gr.Row():
        file = gr.Dropdown(names(), label="LoRA or checkpoint", elem_id="clip_skip_made_for_file", scale=4)
        base = gr.Dropdown(
            bases(),
            value=bases()[0],
            label="Base that a checkpoint was made from",
            elem_id="clip_skip_made_for_base",
            scale=4,
        )
        again = gr.Button("Refresh the lists", elem_id="clip_skip_made_for_refresh")
        button = gr.Button("Inspect", variant="primary", elem_id="clip_skip_made_for_look")
    verdict = gr.Textbox(label="Summary", interactive=False, elem_id="clip_skip_made_for_verdict")
    picture = gr.Image(
        label="Blocks of the text encoder",
        show_label=False,
        type="pil",
        interactive=False,
        elem_id="clip_skip_made_for_picture",
    )
    every = gr.Button("All LoRAs", elem_id="clip_skip_made_for_all")
    link = gr.HTML("", elem_id="clip_skip_made_for_csv")
    table = gr.Dataframe(
        headers=made_for.heads(translate),
        datatype=[*made_for.COLUMN_TYPES],
        interactive=False,
        wrap=True,
        visible=False,  # without rows, gradio shows one of zeros
        **widths(),
        elem_id="clip_skip_made_for_table",
    )
    dark = gr.Checkbox(visible=False)  # set by made_for.IS_DARK
    listen(button.click, show_file, [file, base, dark], [verdict, picture], made_for.ADD_THEME_TO_FILE)
    again.click(refreshed, [], [file, base])
    every.click(all_loras if queued() else all_at_once, [], [table, link])


def widths() -> dict[str, list[str]]:
    """The columns' widths, if this gradio has the parameter; 3.41 fits columns to their texts."""
    parameters = inspect.signature(gr.Dataframe.__init__).parameters
    return {"column_widths": [*made_for.COLUMN_WIDTHS]} if "column_widths" in parameters else {}


def queued() -> bool:
    """Whether gradio has a queue here; without one it refuses to start with a function that shows progress."""
    return not getattr(getattr(shared, "cmd_opts", None), "no_gradio_queue", False)


def names() -> list[str]:
    return [*made_for.choices(model_files.loras(), model_files.checkpoints())]


def bases() -> list[str]:
    return [translate(made_for.NO_BASE), *model_files.checkpoints()]


def refreshed() -> list[Any]:
    model_files.refresh()
    return [gr.update(choices=names()), gr.update(choices=bases())]


def show_file(file: str | None, base: str | None, dark: bool) -> tuple[str, Any]:
    """The findings on the chosen file in sentences, and the picture of its blocks."""
    checkpoints = model_files.checkpoints()
    path = made_for.choices(model_files.loras(), checkpoints).get(file or "")
    return made_for.explain_file(path, checkpoints.get(base or ""), dark, translate)


def all_loras(progress: Any = PROGRESS) -> tuple[Any, str]:
    """A row for each LoRA of the host, and a link to download the table."""
    return all_at_once(lambda loras: progress.tqdm(loras, unit="LoRAs"))


def all_at_once(each: made_for.Each = list) -> tuple[Any, str]:
    rows, link = made_for.table(model_files.loras(), translate, each)
    return gr.update(value=rows, visible=True) if rows else gr.update(visible=False), link
