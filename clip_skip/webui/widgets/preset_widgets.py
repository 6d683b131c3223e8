"""The presets of the sweep: chosen, saved and deleted; the host's settings keep the user's."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from typing import Any

import gradio as gr
from modules import shared

from clip_skip.messages.message import Template, reason
from clip_skip.skip import shorten
from clip_skip.sweep import presets
from clip_skip.sweep.settings import SweepSettings
from clip_skip.webui import host_settings
from clip_skip.webui.host_language import translate

__all__ = ["Presets", "offer_when_loaded"]


class Presets:
    """The widgets, made before the sweep's own; `connect` follows when these are there."""

    def __init__(self, script: Any) -> None:
        with gr.Row(elem_classes=["clip-skip-presets"]):
            self.name = gr.Dropdown(
                [*known()],
                value=None,
                label="Preset",
                elem_id=script.elem_id("preset"),
                allow_custom_value=True,
                scale=4,
            )
            self.save = gr.Button("Save preset", elem_id=script.elem_id("preset_save"), size="sm")
            self.delete = gr.Button("Delete preset", elem_id=script.elem_id("preset_delete"), size="sm")
        self.told = gr.HTML("", elem_id=script.elem_id("preset_told"))
        self.name.do_not_save_to_config = True

    def connect(self, components: list[Any], called: Callable[[str, Any], Any]) -> None:
        """components: those of the fields of SweepSettings, in order; called: a field's value as the page has it."""
        names = [field.name for field in fields(SweepSettings)]

        def apply(name: str | None) -> list[Any]:
            chosen = known().get(name or "")
            if chosen is None:
                return [gr.update() for _ in names]
            return [called(field, value) for field, value in asdict(chosen).items()]

        quiet = {"show_progress": False}
        event = getattr(self.name, "input", self.name.change)
        event(apply, inputs=[self.name], outputs=components, **quiet)
        self.save.click(save, inputs=[self.name, *components], outputs=[self.name, self.told], **quiet)
        self.delete.click(delete, inputs=[self.name], outputs=[self.name, self.told], **quiet)


def offer_when_loaded(page: gr.Blocks, shown: Sequence[Presets]) -> None:
    """Offers in every list what is saved at the time when the page is loaded, not when it was made.

    page: the Blocks that are being made, after those of all `shown`.
    """
    for one in shown:
        page.load(lambda: gr.update(choices=[*known()]), outputs=[one.name], show_progress=False)


def known() -> dict[str, SweepSettings]:
    return presets.all_of(host_settings.value(host_settings.PRESETS))


def save(name: str | None, *values: Any) -> tuple[Any, str]:
    """Saves what the sweep is set to under `name`; what the page shows then."""
    return changed(name, lambda own: presets.with_preset(own, name or "", SweepSettings.from_args(values)), SAVED)


def delete(name: str | None) -> tuple[Any, str]:
    return changed(name, lambda own: presets.without_preset(own, name or ""), DELETED, None)


KEEP = object()
SAVED = Template("Preset {name} was saved.")
DELETED = Template("Preset {name} was deleted.")
NOT_SAVED = Template("The settings could not be saved.")


def changed(
    name: str | None, change: Callable[[Any], dict[str, Any]], done: Template, value: Any = KEEP
) -> tuple[Any, str]:
    try:
        shared.opts.data[host_settings.PRESETS] = change(host_settings.value(host_settings.PRESETS))
        shared.opts.save(shared.config_filename)
    except (ValueError, AssertionError, OSError) as error:
        return gr.update(), html.escape(translate(reason(error) or NOT_SAVED))
    name = (name or "").strip()
    shown = gr.update(choices=[*known()], value=name if value is KEEP else value)
    return shown, html.escape(translate(done(name=shorten(name, len(name)))))
