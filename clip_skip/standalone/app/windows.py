"""The windows of the standalone page: each has its own sweep, and finds it again after a reload."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from clip_skip.messages.message import Message

__all__ = ["WINDOW_NAME", "WindowSweep", "Windows"]

WINDOW_NAME = """() => {
    const name = sessionStorage.getItem("clip-skip-window") || Math.random().toString(36).slice(2);
    sessionStorage.setItem("clip-skip-window", name);
    return [name];
}"""
"""A window's name, which it keeps when it is loaded again."""

MOST_WINDOWS = 32
"""The number of windows whose sweeps are remembered."""


@dataclass
class WindowSweep:
    """A sweep that a window has started: its fields, its progress, and its final output."""

    values: dict[str, Any]
    progress: Message | str = ""
    answer: dict[str, Any] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)


class Windows:
    """The last sweep of each window."""

    def __init__(self) -> None:
        self._last: dict[str, WindowSweep] = {}

    def start(self, window: str, values: dict[str, Any]) -> WindowSweep:
        self._last.pop(window, None)
        sweep = self._last[window] = WindowSweep(values)
        while len(self._last) > MOST_WINDOWS:
            del self._last[next(iter(self._last))]
        return sweep

    def last(self, window: str) -> WindowSweep | None:
        return self._last.get(window)
