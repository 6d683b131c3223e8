"""The standalone page, in gradio 3.41 to 6: what the WebUI's extension shows, with a model and no WebUI."""

from __future__ import annotations

import html
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from clip_skip.page.events import listen
from clip_skip.page.language import translated
from clip_skip.standalone.app import assets
from clip_skip.standalone.app.gradio_versions import PROGRESS, THEME, image, taken, told
from clip_skip.standalone.app.made_for_tab import MadeForTab
from clip_skip.standalone.app.routes import PREFIX, add_routes
from clip_skip.standalone.app.studio import FieldError, Studio, Sweep
from clip_skip.standalone.app.windows import NAME, Windows
from clip_skip.standalone.engine import is_out_of_memory
from clip_skip.standalone.prompts.networks import LoraError
from clip_skip.standalone.samplers import SAMPLERS
from clip_skip.standalone.sweep.job import ROWS, Settings
from clip_skip.standalone.sweep.run import Interrupted
from clip_skip.sweep.axis import SweepError
from clip_skip.sweep.rows import CFG, KINDS
from clip_skip.sweep.settings import LABELS, PLACEHOLDERS, SweepSettings

HERE = [name for name in ROWS if name != "hires"]
"""The kinds of rows that the page has; it has no hires pass."""

IS_DARK = "(prompt, dark) => [prompt, Boolean(document.querySelector('.dark'))]"


class Page:
    """The page of a `Studio`, in a language of `localizations`."""

    def __init__(
        self,
        studio: Studio,
        prompt: str,
        seed: int,
        size: int,
        language: str | None = None,
        loras: Path | None = None,
        checkpoints: Path | None = None,
    ) -> None:
        self.studio = studio
        self.language = language
        self.words = assets.words(language)
        self.sentences = assets.root() / "localizations"
        self.blocks = gr.Blocks(**taken(gr.Blocks.__init__, title="Clip Skip", analytics_enabled=False, **THEME))
        self.windows = Windows()
        with self.blocks:
            self.window = gr.Textbox(visible=False)
            slider = self._header()
            with gr.Row():
                with gr.Column(scale=2, min_width=320):
                    fields = self._fields(prompt, seed, size)
                with gr.Column(scale=3, min_width=320), gr.Tabs() as tabs:
                    with gr.Tab(self.tr("Picture"), id="picture"):
                        self._picture_tab(fields, slider)
                    with gr.Tab(self.tr("Sweep"), id="sweep"):
                        found = self._sweep_tab(fields)
                    with gr.Tab(self.tr("Layers"), id="layers"):
                        self._layers_tab(fields[0])
                    with gr.Tab(self.tr("Made for"), id="made_for"):
                        folders = loras, checkpoints, studio.path.parent, studio.out
                        made_for = MadeForTab(*folders, self.translate)
            listen(self.blocks.load, None, None, None, assets.script(self._data()))
            listen(self.blocks.load, made_for.refreshed, None, made_for.lists)
            listen(self.blocks.load, self.find_again, [self.window], [self.window, tabs, *fields, *found], NAME)
            self.restored = 1 + len(fields) + len(found)
        self.blocks.queue()

    def tr(self, text: str, **values: object) -> str:
        """`text` in the page's language, with {name} replaced by values["name"]."""
        return self.words.get(text, text).format(**values)

    def translate(self, sentence: str) -> str:
        """A sentence of the library in the page's language."""
        return translated(sentence, self.language, folder=self.sentences) if self.language else sentence

    def _data(self) -> dict[str, Any]:
        opts = {"CLIP_stop_at_last_layers": 1, "sd_model_checkpoint": self.studio.path.stem}
        return {"opts": opts, "localization": self.words, "lang": (self.language or "en").replace("_", "-")}

    def _header(self) -> Any:
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                name = html.escape(self.studio.path.name)
                gr.HTML(f"<h1>Clip Skip</h1><p>{name}</p>", elem_id="clip_skip_app_title")
            with gr.Column(scale=3, min_width=320):
                most, label = self.studio.encoder.layers, self.tr("Clip skip")
                return gr.Slider(1, most, 1, step=1, label=label, elem_id="setting_CLIP_stop_at_last_layers")

    def _fields(self, prompt: str, seed: int, size: int) -> list[Any]:
        """The widgets of `Studio.settings`, in its order."""
        factor = self.studio.engine.models.sizes.vae_factor
        texts = [
            gr.Textbox(prompt, label=self.tr("Prompt"), lines=4, elem_id="txt2img_prompt"),
            gr.Textbox("", label=self.tr("Negative prompt"), lines=2, elem_id="txt2img_neg_prompt"),
        ]
        with gr.Row():
            run = [
                gr.Number(seed, label=self.tr("Seed (-1 = random)"), min_width=130),
                gr.Slider(1, 100, 20, step=1, label=self.tr("Steps"), min_width=130, elem_id="clip_skip_app_steps"),
            ]
        with gr.Row():
            shape = [
                gr.Slider(64, 1024, size, step=factor, label=self.tr(label), min_width=130)
                for label in ("Width", "Height")
            ]
        sampler = gr.Dropdown(list(SAMPLERS), value=next(iter(SAMPLERS)), label=self.tr("Sampler"))
        cfg_scale = gr.Slider(0, 30, Settings.cfg_scale, step=0.5, label=self.tr("CFG scale"))
        return [*texts, *run, *shape, sampler, cfg_scale]

    def _start_button(self, label: str, kind: str, name: str) -> Any:
        """The button that starts something, and beside it the one that ends it; `kind` is `Studio.interrupt`'s."""
        with gr.Row():
            start = gr.Button(self.tr(label), variant="primary", elem_id=name)
            stop = gr.Button(self.tr("Interrupt"), elem_id=f"{name}_interrupt")
        listen(start.click, lambda window: self.studio.announce(kind, window), [self.window], queue=False)
        end = lambda window: self.studio.interrupt(kind, window)
        listen(stop.click, end, [self.window], queue=False)  # the queue is where what it ends runs
        return start

    def _picture_tab(self, fields: list[Any], slider: Any) -> None:
        button = self._start_button("Generate", "picture", "clip_skip_app_generate")
        picture = image(self.tr("Picture"), "clip_skip_app_picture")
        notes = gr.HTML(elem_id="clip_skip_app_notes")
        infotext = gr.Textbox(label=self.tr("Infotext"), lines=3, interactive=False, elem_id="clip_skip_app_infotext")
        listen(button.click, self.generate, [*fields, slider, self.window], [picture, infotext, notes])

    def _sweep_tab(self, fields: list[Any]) -> list[Any]:
        """The tab; what a sweep that is found again fills in of it."""
        kinds = [KINDS[name] for name in HERE]
        labels = {
            self.tr(kind.label): kind.name for kind in kinds if self.studio.family == "SDXL" or kind.name != "clip_g"
        }

        def box(name: str, value: str, shown: bool = True) -> Any:
            return gr.Textbox(value, label=self.tr(LABELS[name]), placeholder=PLACEHOLDERS[name], visible=shown)

        with gr.Row():
            clip_skips = box("clip_skips", f"1-{self.studio.encoder.layers}")
            rows = gr.Dropdown([*labels], value=next(iter(labels)), label=self.tr(LABELS["rows"]))
            texts = [box(kind.field, getattr(SweepSettings, kind.field), kind == CFG) for kind in kinds]
        self.kinds = labels
        seen = lambda label: [gr.update(visible=labels.get(label) == kind.name) for kind in kinds]
        listen(rows.change, seen, [rows], texts, queue=False)
        report = gr.Checkbox(False, label=self.tr(LABELS["report"]), elem_id="clip_skip_app_report")
        button = self._start_button("Sweep", "sweep", "clip_skip_app_sweep")
        grid = image(self.tr("Grid"), "clip_skip_app_grid")
        links = gr.HTML(elem_id="clip_skip_app_links")
        figure = image(self.tr("Report"), "clip_skip_app_figure", visible=False)
        axes, shown = [clip_skips, report, rows, *texts], [grid, links, figure]
        listen(button.click, self.sweep, [*fields, *axes, self.window], shown)
        return [*axes, *shown]

    def _layers_tab(self, prompt: Any) -> None:
        dark = gr.Checkbox(visible=False)  # set by IS_DARK
        button = gr.Button(self.tr("Show layers"), variant="primary", elem_id="clip_skip_app_show_layers")
        sentences = gr.Textbox(label=self.tr("In a sentence"), interactive=False, elem_id="clip_skip_app_sentences")
        picture = image(self.tr("Layers"), "clip_skip_app_layers")
        listen(button.click, self.layers, [prompt, dark], [sentences, picture], IS_DARK)

    def generate(
        self,
        prompt: str,
        negative: str,
        seed: float,
        steps: float,
        width: float,
        height: float,
        sampler: str,
        cfg_scale: float,
        slider: float,
        window: str = "",
        progress: Any = PROGRESS,
    ) -> tuple[Any, ...]:
        """The picture's path, its infotext, and what there is to say; an interrupted one changes nothing."""
        settings = self._told(self.studio.settings, prompt, negative, seed, steps, width, height, sampler, cfg_scale)
        done = iter(range(1, settings.steps + 1))
        on_step = lambda: progress((next(done, settings.steps), settings.steps), unit="steps")
        try:
            made = self._told(self.studio.picture, settings, slider, on_step, window)
        except Interrupted as interrupted:
            return gr.update(), gr.update(), self._notes([str(interrupted)])
        return str(made.path), made.infotext, self._notes(made.notes)

    def sweep(
        self,
        prompt: str,
        negative: str,
        seed: float,
        steps: float,
        width: float,
        height: float,
        sampler: str,
        cfg_scale: float,
        clip_skips: str,
        report: bool,
        rows: str,
        cfg_scales: str,
        seeds: str,
        negative_skips: str,
        clip_g_skips: str,
        replacements: str,
        lora_weights: str,
        window: str = "",
        progress: Any = PROGRESS,
    ) -> tuple[Any, ...]:
        """The grid's path, links to the sweep's page, and the report's picture."""
        settings = self._told(self.studio.settings, prompt, negative, seed, steps, width, height, sampler, cfg_scale)
        texts = [cfg_scales, seeds, negative_skips, clip_g_skips, replacements, lora_weights]
        given = dict(zip((KINDS[name].field for name in HERE), texts))
        axes = SweepSettings.from_args(
            [{"clip_skips": clip_skips, "report": report, "rows": self.kinds.get(rows, rows), **given}]
        )
        fields = [prompt, negative, settings.seed, steps, width, height, sampler, cfg_scale]
        started = self.windows.start(window, [*fields, clip_skips, report, rows, *texts])

        def on_step(done: int, total: int, what: str) -> None:
            started.said = what
            progress((done, total), desc=self.translate(what), unit="steps")

        try:
            made = self._told(self.studio.sweep, settings, axes, on_step, window, self.language or "en", self.translate)
            started.answer = self._shown(made, settings.seed)
        except Interrupted as interrupted:
            started.answer = gr.update(), self._notes([str(interrupted)]), gr.update()
        finally:
            started.ended.set()
        return started.answer

    def _shown(self, made: Sweep, seed: int) -> tuple[Any, ...]:
        figure = gr.update(value=made.report and str(made.report), visible=made.report is not None)
        some = made.figures["cells_made"] + made.figures["cells_kept"]
        return str(made.folder / "grid.png") if some else gr.update(), self._links(made, seed), figure

    def find_again(self, window: str) -> Iterator[list[Any]]:
        """What a window shows that is loaded anew: its last sweep, and while that is being made, how far it is."""
        started = self.windows.last(window)
        if started is None:
            yield [window, *[gr.update()] * self.restored]
            return
        found = [window, gr.update(selected="sweep"), *started.values]
        while not started.ended.wait(0.5):
            yield [*found, gr.update(), self._notes([started.said or "This window's sweep waits."]), gr.update()]
        yield [*found, *(started.answer or [gr.update()] * 3)]

    def layers(self, prompt: str, dark: bool) -> tuple[str, str]:
        """Sentences, and the picture's path."""
        path, sentences = self.studio.layers(prompt, dark, self.translate)
        return "\n".join(map(self.translate, sentences)), str(path)

    def _links(self, made: Sweep, seed: int) -> str:
        now, before = made.figures["cells_made"], made.figures["cells_kept"]
        text = "Seed {seed}: {done} of {cells} cells are made, {now} of them now; they are in {folder}"
        said = [self.tr(text, seed=seed, folder=made.folder, done=now + before, cells=made.cells, now=now)]
        address = f".{PREFIX}/sweeps/{made.folder.name}/index.html"
        link = f'<a href="{address}" target="_blank">{html.escape(self.tr("Compare the pictures"))}</a>'
        return f"{f'<div>{link}</div>' if now + before else ''}{self._notes([*said, *made.notes])}"

    def _notes(self, sentences: list[str]) -> str:
        """The sentences in the page's language, as HTML."""
        return "".join(f"<div>{html.escape(self.translate(sentence))}</div>" for sentence in sentences)

    def _told(self, function: Callable[..., Any], *args: Any) -> Any:
        """What `function` returns; what is wrong with a field is told in the page."""
        try:
            return function(*args)
        except (FieldError, LoraError, SweepError) as error:
            raise told(self.translate(str(error))) from error
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise told(self.translate("Out of memory. A smaller width and height may help.")) from error


def main(page: Page, port: int | None = None, browser: bool = True) -> None:
    """Serve `page` until Ctrl+C. Raises OSError if `port`, or any port, is not free."""
    launch = page.blocks.launch
    options = taken(launch, show_error=True, allowed_paths=[str(page.studio.out)], ssr_mode=False, **THEME)
    app, address, _ = launch(server_port=port, share=False, prevent_thread_lock=True, quiet=True, **options)
    studio = page.studio
    add_routes(app, studio.encoders, studio.path.stem, studio.sweeps, page.translate, studio.family)
    if browser:
        webbrowser.open(address)
    print(f"{address} (Ctrl+C ends it)", flush=True)
    page.blocks.block_thread()
    studio.close()
