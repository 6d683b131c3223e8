"""The part of the tab with all checkpoints: what is remembered, what their files say, and buttons for both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from clip_skip.messages.message import Message, MessageError, Template, join, reason
from clip_skip.page import own_values
from clip_skip.webui import model_files
from clip_skip.webui.host_language import translate
from clip_skip.webui.hosts import loading
from clip_skip.webui.own_store import own_store

__all__ = ["OwnValuesTable"]

DONE = Template("{count} remembered.")
FORGOTTEN = Template("Forgotten: {name}.")
CHOOSE = Template("Choose a checkpoint for which a value is remembered.")

Remember = Callable[[str, "int | None"], None]
"""Remembers a value for the checkpoint at a path, or forgets it if it is None. Raises MessageError."""


class OwnValuesTable:
    def __init__(self, remember: Remember) -> None:
        self.remember = remember

    def build(self) -> None:
        with gr.Row():
            every = gr.Button("All checkpoints", elem_id="clip_skip_own_all")
            look = gr.Button("Remember all recommended values", elem_id="clip_skip_own_look")
            write = gr.Button("Remember these", variant="primary", visible=False, elem_id="clip_skip_own_write")
        summary = gr.Textbox(
            label="Remembered values", interactive=False, visible=False, elem_id="clip_skip_own_summary"
        )
        table = gr.Dataframe(
            headers=[translate(head) for head in own_values.HEADS],
            datatype=["str", "number", "number", "str", "str"],
            interactive=False,
            wrap=True,
            visible=False,
            elem_id="clip_skip_own_table",
        )
        with gr.Row():
            name = gr.Dropdown([], label="Remembered for", visible=False, elem_id="clip_skip_own_name")
            forget = gr.Button("Forget", visible=False, elem_id="clip_skip_own_forget")
        outputs = [table, name, forget, summary, write]
        every.click(self.show, [], outputs)
        look.click(self.preview, [], outputs)
        write.click(self.write, [], outputs)
        forget.click(self.forget, [name], outputs)

    def values(self) -> list[own_values.OwnValue]:
        return own_values.list_values(model_files.checkpoints(), own_store(), loading.selected_checkpoint())

    def show(self, message: Message | str = "", can_write: bool = False) -> list[Any]:
        """The current table, the choice of checkpoints to forget, and `message` above it."""
        values = self.values()
        names = [one.name for one in values if one.remembered_value]
        return [
            gr.update(value=own_values.table(values, translate), visible=bool(values)),
            gr.update(choices=names, value=None, visible=bool(names)),
            gr.update(visible=bool(names)),
            gr.update(value=translate(message), visible=bool(message)),
            gr.update(visible=can_write),
        ]

    def preview(self) -> list[Any]:
        """The values that would be remembered, for the user to check before they are written."""
        values = self.values()
        return self.show(own_values.preview(values), bool(own_values.to_remember(values)))

    def write(self) -> list[Any]:
        problems: list[Message | str] = []
        waiting = own_values.to_remember(self.values())
        for one in waiting:
            with collected(problems):
                self.remember(one.path, one.recommendation)
        return self.show(join([DONE(count=len(waiting) - len(problems)), *problems], "\n"))

    def forget(self, name: str | None) -> list[Any]:
        path = model_files.checkpoints().get(name or "")
        if path is None:
            return self.show(CHOOSE)
        problems: list[Message | str] = []
        with collected(problems):
            self.remember(path, None)
        return self.show(join(problems, "\n") if problems else FORGOTTEN(name=str(name)))


@contextmanager
def collected(problems: list[Message | str]) -> Iterator[None]:
    try:
        yield
    except MessageError as error:
        problems.append(reason(error))
