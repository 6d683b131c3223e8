from types import TracebackType
from typing import Any

import gradio as gr

class InputAccordion(gr.Component):
    accordion: gr.Component
    def __init__(self, value: bool, **settings: Any) -> None: ...
    def __enter__(self) -> InputAccordion: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
