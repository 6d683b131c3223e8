"""The standalone page, in gradio 3.41 to 6: the features of the WebUI's extension, without a WebUI."""

from __future__ import annotations

import gc
import webbrowser
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from clip_skip.messages.message import reason
from clip_skip.page.events import listen
from clip_skip.page.layers import LAYERS, SHOW_LAYERS, SUMMARY, WORDS_TO_SHOW
from clip_skip.pictures.facts import facts_of, sentences
from clip_skip.standalone.app import assets, reading
from clip_skip.standalone.app.access import ONLY_THIS_MACHINE, Access, Gate, in_brackets
from clip_skip.standalone.app.fields import option_widgets
from clip_skip.standalone.app.gradio_versions import PROGRESS, THEME, image, supported_options
from clip_skip.standalone.app.made_for_tab import MadeForTab
from clip_skip.standalone.app.routes import add_routes
from clip_skip.standalone.app.studio import INTERRUPTED, Studio
from clip_skip.standalone.app.sweep_tab import SweepTab
from clip_skip.standalone.app.voice import Voice
from clip_skip.standalone.app.windows import WINDOW_NAME
from clip_skip.standalone.options import SAME_SAMPLER
from clip_skip.standalone.pictures import recipe
from clip_skip.standalone.pictures.infotext import read as read_infotext
from clip_skip.standalone.sweep.run import Interrupted

ADD_THEME = "(name, prompt, words, dark) => [name, prompt, words, Boolean(document.querySelector('.dark'))]"
NOTIFY_OF_CHOICE = "(name, skips) => { window.clipSkipApp.choose(name); return [name, skips]; }"

WINDOWS = 16
"""The number of events that gradio 3 handles at once; jobs wait for their turn in the `Studio`."""

WidgetValues = dict[Any, Any]
"""Inputs or outputs of a function in gradio's form for sets: the value of each widget."""


class Page:
    """The page of a `Studio`, in a language of `localizations`."""

    def __init__(self, studio: Studio, values: Mapping[str, Any], language: str | None = None) -> None:
        """values: the initial values of the options"""
        self.studio, self.voice = studio, Voice(language)
        self.blocks = gr.Blocks(
            **supported_options(gr.Blocks.__init__, title="Clip Skip", analytics_enabled=False, **THEME)
        )
        self.at: dict[str, Any] = {}
        """The options' widgets by their names, and "window", "checkpoint", "slider"."""
        tr = self.voice.tr
        with self.blocks:
            self.at["window"] = gr.Textbox(visible=False)
            self._header()
            with gr.Row():
                with gr.Column(scale=2, min_width=320):
                    self._fields(values)
                with gr.Column(scale=3, min_width=320), gr.Tabs() as tabs:
                    with gr.Tab(tr("Picture"), id="picture"):
                        self._picture_tab()
                    with gr.Tab(tr("Sweep"), id="sweep"):
                        self.sweeps = SweepTab(studio, self.voice, self.at, self.start_button)
                    with gr.Tab(tr(LAYERS), id="layers"):
                        self._layers_tab()
                    with gr.Tab(tr("Made for"), id="made_for"):
                        folder = studio.loading.loras
                        made_for = MadeForTab(folder, studio.checkpoints, studio.out, self.voice.translate)
            self._listen(tabs)
            listen(self.blocks.load, made_for.refreshed, None, made_for.lists)
        # later versions have a queue for each event
        self.blocks.queue(**supported_options(self.blocks.queue, concurrency_count=WINDOWS))

    def _data(self) -> dict[str, Any]:
        opts = {
            "CLIP_stop_at_last_layers": self.studio.first.remembered or 1,
            "sd_model_checkpoint": self.studio.first.name,
        }
        lang = (self.voice.language or "en").replace("_", "-")
        return {"opts": opts, "localization": self.voice.words, "lang": lang}

    def _header(self) -> None:
        first, tr = self.studio.first, self.voice.tr
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                gr.HTML("<h1>Clip Skip</h1>", elem_id="clip_skip_app_title")
                names, more = [*self.studio.checkpoints.paths()], {"elem_id": "clip_skip_app_checkpoint"}
                self.at["checkpoint"] = gr.Dropdown(names, value=first.name, label=tr("Checkpoint"), **more)
            with gr.Column(scale=3, min_width=320):
                most, more = first.encoders[0].layers, {"elem_id": "setting_CLIP_stop_at_last_layers"}
                self.at["slider"] = gr.Slider(1, most, first.remembered or 1, step=1, label=tr("Clip skip"), **more)
                self.own = gr.Number(1 if first.remembered else 0, visible=False)  # as `follow` takes it

    def _fields(self, values: Mapping[str, Any]) -> None:
        label, more = self.voice.tr("Drop a picture here to make it again"), supported_options(gr.File, height=110)
        self.dropped_file = gr.File(label=label, file_types=["image", ".txt"], elem_id="clip_skip_app_like", **more)
        self.like_notes = gr.HTML(elem_id="clip_skip_app_like_notes")
        factor = self.studio.first.sizes.vae_factor
        self.at |= option_widgets(self.voice.tr, values, factor)

    def start_button(self, label: str, kind: str, name: str) -> Any:
        """A button that starts a job, and one beside it that stops it; `kind` is as in `Studio.interrupt`.

        Returns the event to listen to: it fires only after the studio has been notified.
        """
        tr, window = self.voice.tr, self.at["window"]
        with gr.Row():
            start = gr.Button(tr(label), variant="primary", elem_id=name)
            stop = gr.Button(tr("Interrupt"), elem_id=f"{name}_interrupt")
        announcement = listen(start.click, lambda window: self.studio.announce(kind, window), [window], queue=False)
        end = lambda window: self.studio.interrupt(kind, window)
        listen(stop.click, end, [window], queue=False)  # the job that it ends occupies the queue
        return announcement.then

    def _picture_tab(self) -> None:
        tr = self.voice.tr
        start_event = self.start_button("Generate", "picture", "clip_skip_app_generate")
        picture = image(tr("Picture"), "clip_skip_app_picture")
        notes = gr.HTML(elem_id="clip_skip_app_notes")
        infotext = gr.Textbox(label=tr("Infotext"), lines=3, interactive=False, elem_id="clip_skip_app_infotext")
        listen(start_event, self.generate, set(self.at.values()), [picture, infotext, notes])

    def _layers_tab(self) -> None:
        tr = self.voice.tr
        dark = gr.Checkbox(visible=False)  # set by IS_DARK
        button = gr.Button(tr(SHOW_LAYERS), variant="primary", elem_id="clip_skip_app_show_layers")
        sentences = gr.Textbox(label=tr(SUMMARY), interactive=False, elem_id="clip_skip_app_sentences")
        picture = image(tr(LAYERS), "clip_skip_app_layers")
        words = gr.Textbox(label=tr(WORDS_TO_SHOW), elem_id="clip_skip_app_layers_words")
        inputs = [self.at["checkpoint"], self.at["prompt"], words, dark]
        for event in (button.click, words.submit):
            listen(event, self.layers, inputs, [sentences, picture], ADD_THEME)

    def _listen(self, tabs: Any) -> None:
        """Connects the events: a checkpoint is chosen, a picture is dropped, the page is reloaded."""
        at, axes, self.tabs = self.at, self.sweeps.at, tabs
        checkpoint_fields = [axes["clip_skips"], axes["rows"], at["slider"], at["width"], at["height"]]
        listen(
            at["checkpoint"].change,
            self.choose,
            [at["checkpoint"], axes["clip_skips"]],
            checkpoint_fields,
            NOTIFY_OF_CHOICE,
        )
        slider_fields = [at["slider"], self.own]
        # not when a picture is dropped
        listen(at["checkpoint"].input, self.follow, [at["checkpoint"], *slider_fields], slider_fields)
        inputs, outputs = {self.dropped_file, at["checkpoint"]}, {*at.values(), self.dropped_file, self.like_notes}
        listen(self.dropped_file.upload, self.like, inputs, outputs)
        load = self.blocks.load
        listen(load, None, None, None, assets.script(self._data()))
        listen(load, self.refreshed, [at["checkpoint"]], [at["checkpoint"]])
        listen(load, None, None, [at["window"]], WINDOW_NAME)  # in the browser, so before the events that may wait
        many = supported_options(load, concurrency_limit=None)  # else a window would wait for another's sweep
        listen(load, self.find_again, [at["window"]], {tabs, *at.values(), *axes.values()}, WINDOW_NAME, **many)

    def refreshed(self, current: str) -> Any:
        """The checkpoints that are there now."""
        names = [*self.studio.checkpoints.paths()]
        return gr.update(choices=names) if current in names else gr.update(choices=names, value=names[0])

    def choose(self, name: str, clip_skips: str) -> list[Any]:
        """The page's updates for another checkpoint, which is loaded when it is first used."""
        checkpoint = self.voice.show_errors(self.studio.checkpoints.find, name)
        step = gr.update(step=checkpoint.sizes.vae_factor)
        deepest = gr.update(maximum=checkpoint.encoders[0].layers)
        return [*self.sweeps.adapted(checkpoint, clip_skips), deepest, step, step]

    def follow(self, name: str, slider: float, own: float) -> list[Any]:
        """The slider's position for another checkpoint: the value remembered for it, else back to `own`.

        own: what the user had set, while the slider is at a remembered value; 0 while it is not
        """
        value = self.voice.show_errors(self.studio.checkpoints.find, name).remembered
        if value:
            return [gr.update(value=value), own or slider]
        return [gr.update(value=own) if own else gr.update(), 0]

    def like(self, inputs: WidgetValues, progress: Any = PROGRESS) -> WidgetValues:
        """The fields as the infotext of the dropped picture has them, and what can't be reproduced.

        If it has none, or its checkpoint cannot be used, the fields stay as they are.
        """
        dropped_file = inputs[self.dropped_file]
        path = Path(str(getattr(dropped_file, "name", dropped_file)))
        each = lambda files: progress.tqdm(files, unit="files")
        try:
            infotext = read_infotext(path)
            picture_recipe = recipe.of(infotext)
            checkpoint, sentence = self.studio.checkpoints.like(infotext, inputs[self.at["checkpoint"]], each)
        except (ValueError, OSError) as error:
            problem = self.voice.translate(reason(error)).replace(str(path), path.name)
            return {self.dropped_file: None, self.like_notes: self.voice.notes([problem])}
        values, more = reading.fields_of(picture_recipe, checkpoint.family)
        if values.get("hires_sampler") == "":
            values["hires_sampler"] = self.voice.tr(SAME_SAMPLER)
        values["checkpoint"] = checkpoint.name
        about = sentences(facts_of(infotext))
        warnings = [*about, *picture_recipe.warnings, *([sentence] if sentence else []), *more]
        updates = {self.at[name]: value for name, value in values.items()}
        return {**updates, self.dropped_file: None, self.like_notes: self.voice.notes(warnings)}

    def generate(self, inputs: WidgetValues, progress: Any = PROGRESS) -> tuple[Any, ...]:
        """The picture's path, its infotext, and messages; nothing changes if it is interrupted."""
        values, show_errors = {name: inputs[widget] for name, widget in self.at.items()}, self.voice.show_errors
        checkpoint = show_errors(self.studio.checkpoints.find, values["checkpoint"])
        settings = show_errors(reading.read_settings, values, checkpoint)
        step_numbers = iter(range(1, settings.all_steps + 1))
        on_step = lambda: progress((next(step_numbers, settings.all_steps), settings.all_steps), unit="steps")
        try:
            result = show_errors(self.studio.picture, checkpoint, settings, values["slider"], on_step, values["window"])
        except Interrupted:
            return gr.update(), gr.update(), self.voice.notes([INTERRUPTED])
        return str(result.path), result.infotext, self.voice.notes(result.notes)

    def find_again(self, window: str) -> Iterator[WidgetValues]:
        """The contents of a reloaded window: its last sweep, if there is one."""
        for there, contents in self.sweeps.find_again(window):
            tab = {self.tabs: gr.update(selected="sweep")} if there else {}
            yield {self.at["window"]: window, **tab, **contents}

    def layers(self, name: str, prompt: str, words: str, dark: bool) -> tuple[str, str]:
        """Sentences, and the picture's path."""
        checkpoint = self.voice.show_errors(self.studio.checkpoints.find, name)
        path, sentences = self.voice.show_errors(
            self.studio.layers, checkpoint, prompt, dark, self.voice.translate, words
        )
        return "\n".join(map(self.voice.translate, sentences)), str(path)


def main(page: Page, port: int | None = None, browser: bool = True, access: Access = ONLY_THIS_MACHINE) -> None:
    """Serve `page` until Ctrl+C. Raises OSError if `port`, or any port, is not free."""
    launch = page.blocks.launch
    options = supported_options(launch, allowed_paths=[str(page.studio.out)], ssr_mode=False, **THEME)
    options["app_kwargs"] = {"middleware": [Middleware(Gate, access=access)]}
    options["server_name"] = in_brackets(access.listen)  # else the environment would decide (GRADIO_SERVER_NAME)
    app, address, _ = launch(server_port=port, share=False, prevent_thread_lock=True, quiet=True, **options)
    studio = page.studio
    add_routes(app, studio.checkpoints, studio.sweeps, page.voice.translate, studio.loading.loras)
    gc.freeze()  # else each full collection goes through all of torch, and every answer waits for it
    if browser:
        webbrowser.open(address)
    print(f"{address} (Ctrl+C ends it)", flush=True)
    page.blocks.block_thread()
    studio.close()
