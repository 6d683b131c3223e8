"""The tab that tells which clip skip a LoRA or a checkpoint was made for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gradio as gr

from clip_skip.page import made_for
from clip_skip.standalone.app.gradio_versions import image, listen
from clip_skip.standalone.files import save_picture

__all__ = ["MadeForTab", "files"]

IS_DARK = "(file, base, dark) => [file, base, Boolean(document.querySelector('.dark'))]"

PROGRESS = gr.Progress()
"""Gradio finds it as the default of a function's last parameter."""


def files(folder: Path | None) -> dict[str, str]:
    """The .safetensors files in and below `folder`, by their names in it."""
    if folder is None:
        return {}
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() == ".safetensors" and file.is_file())
    return {file.relative_to(folder).with_suffix("").as_posix(): str(file) for file in found}


class MadeForTab:
    """The tab for the LoRAs and the checkpoints of two folders; pictures go to `out`.

    tr:        a text of the page in its language
    translate: a sentence of the library in that
    """

    def __init__(
        self,
        loras: Path | None,
        checkpoints: Path | None,
        out: Path,
        tr: Callable[[str], str],
        translate: Callable[[str], str],
    ) -> None:
        self.folders, self.out, self.tr, self.translate = (loras, checkpoints), out, tr, translate
        with gr.Row():
            names, label = [*self.choices()], tr("LoRA or checkpoint")
            file = gr.Dropdown(names, value=None, label=label, elem_id="clip_skip_app_made_for_file")
            label = tr("Base that a checkpoint was made from")
            base = gr.Dropdown(self.bases(), value=made_for.NO_BASE, label=label, elem_id="clip_skip_app_made_for_base")
        self.lists = [file, base]
        button = gr.Button(tr("Look"), variant="primary", elem_id="clip_skip_app_look")
        verdict = gr.Textbox(label=tr("In a sentence"), interactive=False, elem_id="clip_skip_app_verdict")
        picture = image(tr("Blocks"), "clip_skip_app_blocks")
        every = gr.Button(tr("All LoRAs"), elem_id="clip_skip_app_all_loras")
        link = gr.HTML(elem_id="clip_skip_app_csv")
        table = gr.Dataframe(headers=self.heads(), interactive=False, wrap=True, elem_id="clip_skip_app_table")
        dark = gr.Checkbox(visible=False)  # set by IS_DARK
        listen(button.click, self.look, [file, base, dark], [verdict, picture], IS_DARK)
        listen(every.click, self.all_loras, [], [table, link])

    def heads(self) -> list[str]:
        return [self.tr(head) for head in made_for.HEADS]

    def choices(self) -> dict[str, str]:
        loras, checkpoints = self.folders
        return made_for.choices(files(loras), files(checkpoints))

    def bases(self) -> list[str]:
        return [made_for.NO_BASE, *files(self.folders[1])]

    def refreshed(self) -> list[Any]:
        """What there is now to choose from in `lists`."""
        return [gr.update(choices=[*self.choices()]), gr.update(choices=self.bases())]

    def look(self, file: str | None, base: str | None, dark: bool) -> tuple[str, str | None]:
        """What is known of the chosen file in sentences, and the path of the picture of its blocks."""
        path, other = self.choices().get(file or ""), files(self.folders[1]).get(base or "")
        sentences, drawn = made_for.look(path, other, dark, self.translate)
        if drawn is None:
            return sentences, None
        save_picture(drawn, self.out / "made_for.png")
        return sentences, str(self.out / "made_for.png")

    def all_loras(self, progress: Any = PROGRESS) -> tuple[list[list[str]], str]:
        """A row for each LoRA of the folder, and a link to have them as a file."""

        def each(found: Iterable[str]) -> Iterable[str]:
            listed: Iterable[str] = progress.tqdm(found, unit="LoRAs")
            return listed

        found = made_for.rows(files(self.folders[0]), self.translate, each)
        return found, made_for.link(self.heads(), found, self.tr("Download as CSV"))
