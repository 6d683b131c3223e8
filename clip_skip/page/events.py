"""Events of gradio 3 to 6."""

from __future__ import annotations

import inspect
from typing import Any

__all__ = ["listen"]


def listen(
    event: Any, function: Any, inputs: Any = None, outputs: Any = None, script: str | None = None, **more: Any
) -> Any:
    """Calls `function` at `event`. script: JavaScript whose return value becomes its inputs (`_js` in gradio 3).

    Returns what gradio does: the event has a `then`, for the next function.
    """
    name = "js" if "js" in inspect.signature(event).parameters else "_js"
    return event(function, inputs, outputs, **{name: script}, **more)
