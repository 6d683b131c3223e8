"""The presets of the sweep: chosen, saved and deleted; the host's settings keep the user's."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from typing import Any

import gradio as gr
from modules import shared

from clip_skip.messages.message import Message, Template, reason
from clip_skip.skip import shorten
from clip_skip.sweep import presets
from clip_skip.sweep.settings import SweepSettings
from clip_skip.webui import host_settings
from clip_skip.webui.host_language import translate

__all__ = ["Presets", "offer_when_loaded"]

PRESET_SAVED = Template("Preset {name} was saved.")
PRESET_DELETED = Template("Preset {name} was deleted.")
NOT_SAVED = Template("The settings could not be saved.")


class Presets:
    """The widgets, built before the sweep's own; `connect` is called when those exist."""

    def __init__(self, script: Any) -> None:
        with gr.Row(elem_classes=["clip-skip-presets"]):
            self.name = gr.Dropdown(
                [*known_presets()],
                value=None,
                label="Preset",
                elem_id=script.elem_id("preset"),
                allow_custom_value=True,
                scale=4,
            )
            with gr.Row(elem_classes=["clip-skip-buttons"]):
                self.save = gr.Button("Save preset", elem_id=script.elem_id("preset_save"), size="sm")
                self.delete = gr.Button("Delete preset", elem_id=script.elem_id("preset_delete"), size="sm")
        self.message = gr.HTML("", elem_id=script.elem_id("preset_told"))
        self.name.do_not_save_to_config = True

    def connect(self, components: list[Any], page_value: Callable[[str, Any], Any]) -> None:
        """components: those of the fields of SweepSettings, in order. page_value: a field as the page shows it."""
        names = [field.name for field in fields(SweepSettings)]

        def apply(name: str | None) -> list[Any]:
            settings = known_presets().get(name or "")
            if settings is None:
                return [gr.update() for _ in names]
            return [page_value(field, value) for field, value in asdict(settings).items()]

        quiet = {"show_progress": False}
        event = getattr(self.name, "input", self.name.change)
        event(apply, inputs=[self.name], outputs=components, **quiet)
        self.save.click(save_preset, inputs=[self.name, *components], outputs=[self.name, self.message], **quiet)
        self.delete.click(delete_preset, inputs=[self.name], outputs=[self.name, self.message], **quiet)


def offer_when_loaded(page: gr.Blocks, lists: Sequence[Presets]) -> None:
    """Fills every list with the presets saved when the page is loaded, not when it was built.

    page: the Blocks being built, after those of all `lists`.
    """
    for one in lists:
        page.load(lambda: gr.update(choices=[*known_presets()]), outputs=[one.name], show_progress=False)


def known_presets() -> dict[str, SweepSettings]:
    return presets.all_presets(host_settings.value(host_settings.PRESETS))


def save_preset(name: str | None, *values: Any) -> tuple[Any, str]:
    """Saves the sweep's settings under `name`; returns the updates of the list and of the message."""
    add = lambda user_presets: presets.with_preset(user_presets, name or "", SweepSettings.from_args(values))
    return change_presets(add, PRESET_SAVED(name=quoted_name(name)), (name or "").strip())


def delete_preset(name: str | None) -> tuple[Any, str]:
    """Deletes the preset `name`; returns the updates of the list and of the message."""
    remove = lambda user_presets: presets.without_preset(user_presets, name or "")
    return change_presets(remove, PRESET_DELETED(name=quoted_name(name)), None)


def change_presets(change: Callable[[Any], dict[str, Any]], message: Message, value: str | None) -> tuple[Any, str]:
    try:
        shared.opts.data[host_settings.PRESETS] = change(host_settings.value(host_settings.PRESETS))
        shared.opts.save(shared.config_filename)
    except (ValueError, AssertionError, OSError) as error:
        return gr.update(), html.escape(translate(reason(error) or NOT_SAVED))
    return gr.update(choices=[*known_presets()], value=value), html.escape(translate(message))


def quoted_name(name: str | None) -> str:
    name = (name or "").strip()
    return shorten(name, len(name))
