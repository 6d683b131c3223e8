"""The extension's section of the host's Settings page. Every default is the behaviour without the option.

The host keeps the values in its own settings file; they are sent nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
from modules import shared

from clip_skip import panel
from clip_skip.sweep.settings import LABELS, SweepSettings

__all__ = [
    "FOLLOW",
    "PRESETS",
    "SECTION",
    "SETTINGS",
    "add",
    "finished_cells_limit",
    "panel_starts_with",
    "set_start",
    "sweep_starts_with",
    "value",
]

SECTION = ("clip_skip", "Clip Skip")

PRESETS = "clip_skip_sweep_presets"
"""The option, not on the page, that has the sweep's presets."""

FOLLOW = "clip_skip_follow"

FINISHED_CELLS = "clip_skip_finished_cells"

PANEL_ON, PANEL, SWEEP = "clip_skip_panel_enabled", "clip_skip_panel_", "clip_skip_sweep_"


@dataclass(frozen=True)
class Setting:
    """An option: its name, its label, its default, and whether a reload of the page is needed."""

    name: str
    label: str
    default: bool | int | float | str
    reload: bool = False


OF_SWEEP = {name: LABELS[name] for name in ("clip_skips", "cfg_scales", "report", "save_cells", "legend")}

SETTINGS = (
    Setting("clip_skip_completion", "Complete tags while a prompt is being written", True),
    Setting("clip_skip_readout", "Show below the slider which layer is used", True),
    Setting("clip_skip_suggestions", "Suggest the clip skip that LoRAs and checkpoints were made for", True),
    Setting("clip_skip_suggestions_from_weights", "Also read it from LoRA weights", True),
    Setting("clip_skip_follow", "Move the slider to what is remembered for a checkpoint when it is loaded", True),
    Setting("clip_skip_viewer", "Show the cells of a sweep below the pictures, to walk through", True),
    Setting(FINISHED_CELLS, "Memory for finished cells of sweeps, which are then used again, in MB (0 = off)", 512),
    Setting(PANEL_ON, "Panel default: ticked", False, True),
    *(Setting(f"{PANEL}{field.name}", f"Panel default: {field.label}", field.default, True) for field in panel.FIELDS),
    *(
        Setting(f"{SWEEP}{name}", f"Sweep default: {label}", getattr(SweepSettings, name), True)
        for name, label in OF_SWEEP.items()
    ),
)

DEFAULTS = {setting.name: setting.default for setting in SETTINGS}


def add() -> None:
    """Adds the section."""
    bounds = {f"{PANEL}{field.name}": field for field in panel.FIELDS}
    for setting in SETTINGS:
        component: type[gr.Component] | None = None
        arguments: dict[str, object] = {}
        if setting.name in bounds:
            field = bounds[setting.name]
            component, arguments = gr.Slider, {"minimum": field.minimum, "maximum": field.maximum, "step": 0.1}
        info = shared.OptionInfo(setting.default, setting.label, component, arguments, section=SECTION)
        shared.opts.add_option(setting.name, info.needs_reload_ui() if setting.reload else info)
    presets_option = shared.OptionInfo({}, "Presets of the sweep", section=(None, "Hidden options"))
    shared.opts.add_option(PRESETS, presets_option)


def value(name: str) -> Any:
    """The user's value of an option, or its default if it was never set."""
    return shared.opts.data.get(name, DEFAULTS.get(name))


def finished_cells_limit() -> int:
    """Bytes that the pictures of finished cells may take."""
    megabytes = value(FINISHED_CELLS)
    return max(0, int(megabytes * 2**20)) if isinstance(megabytes, (int, float)) else 0


def panel_starts_with() -> dict[str, Any]:
    """Initial values of the panel's widgets, by the names of `Panel`; the default replaces an invalid one."""
    start: dict[str, Any] = {"enabled": bool(value(PANEL_ON))}
    for field in panel.FIELDS:
        try:
            start[field.name] = panel.parse_field(field, value(f"{PANEL}{field.name}"))
        except ValueError:
            start[field.name] = field.default
    return start


def sweep_starts_with() -> SweepSettings:
    """Initial values of the sweep; the default replaces an invalid one."""
    default = SweepSettings()
    saved_values: dict[str, Any] = {name: value(f"{SWEEP}{name}") for name in OF_SWEEP}
    return replace(
        default, **{name: one for name, one in saved_values.items() if type(one) is type(getattr(default, name))}
    )


def set_start(component: gr.Component, default: object) -> gr.Component:
    """`component`, with the initial value of the Settings page where that differs from `default`.

    The host's own saved defaults (ui-config.json) would win over it, so they are left out then.
    """
    if component.value != default:
        accordion: gr.Component = getattr(component, "accordion", component)
        component.do_not_save_to_config = accordion.do_not_save_to_config = True
    return component
