"""The tab of the sweep, its result, and how a reloaded window finds it again."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gradio as gr

from clip_skip.messages.message import Message, Template
from clip_skip.page.events import listen
from clip_skip.standalone.app import reading
from clip_skip.standalone.app.checkpoints import Checkpoint
from clip_skip.standalone.app.gradio_versions import PROGRESS, image
from clip_skip.standalone.app.routes import ROUTE_PREFIX
from clip_skip.standalone.app.studio import INTERRUPTED, Studio, Sweep
from clip_skip.standalone.app.voice import Voice
from clip_skip.standalone.app.windows import Windows
from clip_skip.standalone.sweep.job import ROWS
from clip_skip.standalone.sweep.run import Interrupted
from clip_skip.sweep.rows import CFG, ROW_KINDS
from clip_skip.sweep.settings import LABELS, PLACEHOLDERS, SweepSettings

__all__ = ["SHOWN", "SweepTab"]

CELLS_DONE = Template("Seed {seed}: {done} of {cells} cells are done, {now} of them now; they are in {folder}")
ALL_THERE = Template("Seed {seed}: all {cells} cells were there already, in {folder}")
WAITING = Template("This window's sweep waits.")

SHOWN = ("links", "figure")
"""The output of a sweep, by the names in `SweepTab.at`."""


class SweepTab:
    """The tab.

    fields: the widgets of a picture's options, "checkpoint" and "window" among them
    start_button: as `Page.start_button`
    """

    def __init__(
        self, studio: Studio, voice: Voice, fields: Mapping[str, Any], start_button: Callable[[str, str, str], Any]
    ) -> None:
        self.studio, self.voice = studio, voice
        self.windows = Windows()
        kinds = [ROW_KINDS[name] for name in ROWS]
        self.kinds = {voice.tr(kind.label): kind.name for kind in kinds}
        self.axes = ("clip_skips", "report", "rows", *(kind.field for kind in kinds))
        self.at: dict[str, Any] = {}
        with gr.Row():
            self._box("clip_skips", whole_range(studio.first))
            labels = self._labels(studio.first)
            rows = gr.Dropdown(labels, value=labels[0], label=voice.tr(LABELS["rows"]))
            texts = [self._box(kind.field, getattr(SweepSettings, kind.field), kind == CFG) for kind in kinds]
        show = lambda label: [gr.update(visible=self.kinds.get(label) == kind.name) for kind in kinds]
        listen(rows.change, show, [rows], texts, queue=False)
        report = gr.Checkbox(False, label=voice.tr(LABELS["report"]), elem_id="clip_skip_app_report")
        started = start_button("Sweep", "sweep", "clip_skip_app_sweep")
        links = gr.HTML(elem_id="clip_skip_app_links")
        figure = image(voice.tr("Report"), "clip_skip_app_figure", visible=False)
        self.at |= {"rows": rows, "report": report, "links": links, "figure": figure}
        self.all = {**fields, **self.at}
        inputs = {widget for name, widget in self.all.items() if name not in SHOWN}
        listen(started, self.sweep, inputs, {self.at[name] for name in SHOWN})

    def _box(self, name: str, value: str, visible: bool = True) -> Any:
        label = self.voice.tr(LABELS[name])
        self.at[name] = gr.Textbox(value, label=label, placeholder=PLACEHOLDERS[name], visible=visible)
        return self.at[name]

    def _labels(self, checkpoint: Checkpoint) -> list[str]:
        """The kinds of rows that a sweep of `checkpoint` may have, as the page calls them."""
        return [label for label, name in self.kinds.items() if name != "clip_g" or checkpoint.family == "SDXL"]

    def adapted(self, checkpoint: Checkpoint, clip_skips: str) -> list[Any]:
        """The clip skips, if they are a whole range, and the choice of rows, for another checkpoint."""
        whole = re.fullmatch(r"1-\d+", clip_skips or "")
        return [
            gr.update(value=whole_range(checkpoint)) if whole else gr.update(),
            gr.update(choices=self._labels(checkpoint)),
        ]

    def sweep(self, inputs: dict[Any, Any], progress: Any = PROGRESS) -> dict[Any, Any]:
        """What was made, with links to it and the place of its viewer, and the report's picture."""
        values = {name: inputs[widget] for name, widget in self.all.items() if widget in inputs}
        checkpoint = self.voice.show_errors(self.studio.checkpoints.find, values["checkpoint"])
        settings = self.voice.show_errors(reading.read_settings, values, checkpoint)
        rows = self.kinds.get(values["rows"], values["rows"])
        axes = SweepSettings.from_args([{**{name: values[name] for name in self.axes}, "rows": rows}])
        window = values.pop("window")
        started = self.windows.start(window, {**values, "seed": settings.seed})

        def on_step(done: int, total: int, what: Message | str) -> None:
            started.progress = what
            progress((done, total), desc=self.voice.translate(what), unit="steps")

        try:
            what = checkpoint, settings, axes, on_step, window, self.voice.language or "en", self.voice.translate
            started.answer = self._output(self.voice.show_errors(self.studio.sweep, *what), settings.seed)
        except Interrupted:
            started.answer = {"links": self.voice.notes([INTERRUPTED])}
        finally:
            started.ended.set()
        return {self.at[name]: value for name, value in started.answer.items()}

    def find_again(self, window: str) -> Iterator[tuple[bool, dict[Any, Any]]]:
        """Whether `window` has a sweep, and its output: the progress while it is being made."""
        started = self.windows.last(window)
        if started is None:
            yield False, {}
            return
        fields = {self.all[name]: value for name, value in started.values.items()}
        links = self.at["links"]
        while not started.ended.wait(0.5):
            yield True, {**fields, links: self.voice.notes([started.progress or WAITING])}
        yield True, {**fields, **{self.at[name]: value for name, value in started.answer.items()}}

    def _output(self, sweep: Sweep, seed: int) -> dict[str, Any]:
        figure = gr.update(value=sweep.report and str(sweep.report), visible=sweep.report is not None)
        now, before = sweep.figures["cells_made"], sweep.figures["cells_kept"]
        common: dict[str, Any] = {"seed": seed, "cells": sweep.cells, "folder": str(sweep.folder)}
        summary = ALL_THERE(**common) if before == sweep.cells else CELLS_DONE(**common, done=now + before, now=now)
        pages = self._pages(sweep) if now + before else ""
        return {"links": self.voice.notes([summary, *sweep.notes]) + pages, "figure": figure}

    def _pages(self, sweep: Sweep) -> str:
        """Links to the viewer's page and to the grid, and below them the place of the viewer, which app.js fills."""
        folder = f".{ROUTE_PREFIX}/sweeps/{sweep.folder.name}"
        viewer = f"{folder}/index.html"
        links = {viewer: self.voice.tr("Compare the pictures"), f"{folder}/{sweep.grid.name}": self.voice.tr("Grid")}
        anchors = [f'<a href="{url}" target="_blank">{html.escape(text)}</a>' for url, text in links.items()]
        return f'<div>{" · ".join(anchors)}</div><div class="clip-skip-viewer-here" data-source="{viewer}"></div>'


def whole_range(checkpoint: Checkpoint) -> str:
    """Every clip skip of its first text encoder."""
    return f"1-{checkpoint.encoders[0].layers}"
