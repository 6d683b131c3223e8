"""The tab that shows which clip skip a LoRA or a checkpoint was made for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from clip_skip.messages.message import Template, Translate
from clip_skip.page import made_for
from clip_skip.page.events import listen
from clip_skip.standalone.app.checkpoints import Checkpoints, files
from clip_skip.standalone.app.gradio_versions import PROGRESS, image, supported_options
from clip_skip.standalone.files import save_picture

__all__ = ["MadeForTab"]

NO_FOLDER = Template("Start the page with --loras DIR to inspect LoRAs.")


class MadeForTab:
    """The tab; pictures go to `out`.

    loras: their folder, with its subfolders
    translate: into the page's language
    """

    def __init__(
        self,
        loras: Path | None,
        checkpoints: Checkpoints,
        out: Path,
        translate: Translate,
    ) -> None:
        self.folder, self.all_checkpoints, self.out, self.translate = loras, checkpoints, out, translate
        self.loras: dict[str, str] = {}  # filled when the page is loaded
        self.checkpoints: dict[str, str] = {}
        with gr.Row():
            label = translate("LoRA or checkpoint")
            file = gr.Dropdown([], value=None, label=label, elem_id="clip_skip_app_made_for_file")
            bases, label = self.bases(), translate("Base that a checkpoint was made from")
            base = gr.Dropdown(bases, value=bases[0], label=label, elem_id="clip_skip_app_made_for_base")
        self.lists = [file, base]
        button = gr.Button(translate("Inspect"), variant="primary", elem_id="clip_skip_app_look")
        verdict = gr.Textbox(label=translate("Summary"), interactive=False, elem_id="clip_skip_app_verdict")
        picture = image(translate("Blocks of the text encoder"), "clip_skip_app_blocks")
        every = gr.Button(translate("All LoRAs"), elem_id="clip_skip_app_all_loras")
        link = gr.HTML(elem_id="clip_skip_app_csv")
        types = [*made_for.COLUMN_TYPES]
        table = gr.Dataframe(
            headers=made_for.heads(translate),
            datatype=types,
            interactive=False,
            wrap=True,
            visible=False,  # without rows, gradio shows one of zeros
            **supported_options(gr.Dataframe.__init__, column_widths=[*made_for.COLUMN_WIDTHS]),
            elem_id="clip_skip_app_table",
        )
        dark = gr.Checkbox(visible=False)  # set by made_for.IS_DARK
        listen(button.click, self.look, [file, base, dark], [verdict, picture], made_for.ADD_THEME_TO_FILE)
        listen(every.click, self.all_loras, [], [table, link])

    def choices(self) -> dict[str, str]:
        return made_for.choices(self.loras, self.checkpoints)

    def bases(self) -> list[str]:
        return [self.translate(made_for.NO_BASE), *self.checkpoints]

    def refreshed(self) -> list[Any]:
        """The current choices of `lists`."""
        self.loras = files(self.folder, True)
        self.checkpoints = {name: str(path) for name, path in self.all_checkpoints.paths().items()}
        return [gr.update(choices=[*self.choices()]), gr.update(choices=self.bases())]

    def look(self, file: str | None, base: str | None, dark: bool) -> tuple[str, str | None]:
        """The findings on the chosen file in sentences, and the path of the picture of its blocks."""
        path, other = self.choices().get(file or ""), self.checkpoints.get(base or "")
        sentences, figure = made_for.explain_file(path, other, dark, self.translate)
        if figure is None:
            return sentences, None
        return sentences, str(save_picture(figure, self.out / "made_for.png"))

    def all_loras(self, progress: Any = PROGRESS) -> tuple[Any, str]:
        """A row for each LoRA of the folder, and a link to download the table."""
        each = lambda names: progress.tqdm(names, unit="LoRAs")
        rows, link = made_for.table(self.loras, self.translate, each, made_for.NONE if self.folder else NO_FOLDER)
        return gr.update(value=rows, visible=True) if rows else gr.update(visible=False), link
