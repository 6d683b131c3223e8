"""Registers the extension with the WebUI. This file runs again on Reload UI."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modules import script_callbacks, scripts, shared

if TYPE_CHECKING:
    from modules.processing import Processed

    from clip_skip.messages.message import Message
    from clip_skip.webui.host_types import Processing

for module in [name for name in sys.modules if name.partition(".")[0] == "clip_skip"]:
    del sys.modules[module]  # on Reload UI after an update these are still the old version's

from clip_skip.webui.hosts import sdnext  # noqa: E402

if sdnext.runs():
    from clip_skip.webui.hosts.sdnext_script import SDNextScript  # noqa: F401

    print(sdnext.ONLY_TAGS)
    script_callbacks.on_script_unloaded(sdnext.Encoding().remove)
else:
    from clip_skip import panel
    from clip_skip.prompt import tags
    from clip_skip.sweep import settings as sweep_settings
    from clip_skip.sweep.cell_store import CellStore
    from clip_skip.webui import generation, host_settings, models_in_use, second_pass
    from clip_skip.webui.conditioning import Conditioning
    from clip_skip.webui.hosts import cfg, forge, loading
    from clip_skip.webui.page import routes
    from clip_skip.webui.page.remembering import Remembering
    from clip_skip.webui.sweep import batch as sweep_batch
    from clip_skip.webui.sweep.checks import sweep_arguments
    from clip_skip.webui.sweep.run import run_sweep
    from clip_skip.webui.widgets import header_slider, panel_widgets, preset_widgets, sweep_widgets, tab, xyz_axes

    conditioning = Conditioning()
    remembering = Remembering()
    finished_cells = CellStore(host_settings.finished_cells_limit)
    problems_told: set[Message | str] = set()
    presets: list[preset_widgets.Presets] = []

    class ClipSkipScript(scripts.Script):
        """The panel, and what happens to every generation."""

        def __init__(self) -> None:
            self.under_way: Callable[[], Processing | None] = lambda: None

        def title(self) -> str:
            return panel.TITLE

        def show(self, is_img2img: bool) -> object:
            return scripts.AlwaysVisible

        def ui(self, is_img2img: bool) -> list[Any]:
            enabled, sliders = panel_widgets.build_panel(self)
            self.infotext_fields = panel_widgets.restored(enabled, sliders)
            return [enabled, *sliders]

        def before_process(self, p: Processing, *args: object) -> None:
            conditioning.forget()
            remembering.header.prepare(p)
            sweep_batch.remember_host_texts(p)

        def process(self, p: Processing, *args: object) -> None:
            if not generation.begin(p, args):
                return
            if second_pass.is_second_pass(p):
                second_pass.inherit(p, self.under_way())
            else:
                self.under_way = weakref.ref(p)
            sweep_batch.prepare_generation(p)

        def before_process_batch(self, p: Processing, *args: object, **kwargs: object) -> None:
            if generation.mark_prompts(p):
                conditioning.follow(p)

        def after_extra_networks_activate(
            self, p: Processing, *args: object, extra_network_data: Any = None, **kwargs: object
        ) -> None:
            conditioning.networks = str({k: [v.items for v in vs] for k, vs in (extra_network_data or {}).items()})

        def process_batch(self, p: Processing, *args: object, **kwargs: object) -> None:
            generation.keep_hires_prompts(p)
            if p.iteration == 0:
                generation.warn(p, models_in_use.find_messages(p, problems_told))

        def process_before_every_sampling(self, p: Processing, *args: object, **kwargs: object) -> None:
            cfg.apply_cfg_scales(p)

        def postprocess(self, p: Processing, processed: Processed, *args: object) -> None:
            generation.end(p, processed)

    class ClipSkipSweepScript(scripts.Script):
        """The sweep, in the list of scripts."""

        def __init__(self) -> None:
            self.host_components: dict[str, Any] = {}

        def title(self) -> str:
            return sweep_settings.SWEEP_TITLE

        def after_component(self, component: Any, elem_id: str | None = None, **kwargs: object) -> None:
            if elem_id:
                self.host_components[elem_id] = component

        def ui(self, is_img2img: bool) -> list[Any]:
            presets.append(preset_widgets.Presets(self))
            components, self.infotext_fields = sweep_widgets.build_sweep_widgets(
                self, self.host_components, presets[-1]
            )
            return components

        def run(self, p: Processing, *args: object) -> object:
            remembering.header.prepare(p)
            arguments = sweep_arguments(self, p, args)
            return run_sweep(p, arguments, conditioning.remember, finished_cells)

    def strip_for_token_counter(params: Any) -> None:
        params.prompt = tags.strip(params.prompt)

    def before_ui() -> None:
        header_slider.add_slider(shared.opts, forge.has_slider())
        xyz_axes.add_axes()
        undo.extend(loading.follow_plots(remembering.header))
        remembering.header.settle()

    def ui_settings() -> None:
        host_settings.add()
        second_pass.admit(shared.opts)

    def build_tab() -> list[tuple[Any, str, str]]:
        return tab.build_tab(presets, remembering.keep)

    def add_routes(demo: Any, app: Any) -> None:
        routes.add_routes(demo, app)
        remembering.add_routes(demo, app)

    def put_back() -> None:
        for function in reversed(undo):
            function()

    conditioning.install()
    undo = [conditioning.remove, forge.keep_slider(), loading.install(remembering.header)]
    script_callbacks.on_script_unloaded(put_back)
    script_callbacks.on_before_ui(before_ui)
    script_callbacks.on_ui_settings(ui_settings)
    script_callbacks.on_before_token_counter(strip_for_token_counter)
    script_callbacks.on_ui_tabs(build_tab)
    script_callbacks.on_app_started(add_routes)
