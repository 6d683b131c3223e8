"""The script that SD.Next gets."""

from __future__ import annotations

from typing import Any

from modules import scripts

from clip_skip import panel
from clip_skip.webui.hosts import sdnext

__all__ = ["SDNextScript"]


class SDNextScript(scripts.Script):
    """Marks each batch's prompts; it has no fields."""

    def title(self) -> str:
        return panel.TITLE

    def show(self, is_img2img: bool) -> Any:
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        return []

    def before_process_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
        sdnext.mark(p)
