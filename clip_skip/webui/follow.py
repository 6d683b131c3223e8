"""The header's slider is set to the value remembered for the loaded checkpoint.

There is one truth, the host's own option, which the slider shows. `Header.follow` moves it when another checkpoint is
loaded or, in the Forge family, selected: to the value remembered for that one, else back to what the user had set. It
is called after the host's own functions, which are wrapped, so that checkpoints count which come back from memory too.

What the user had set for all others is kept here while another value is followed, and it is what `opts.save` writes.

In a generation:

    before_process   The host stores the options that `override_settings` replaces, and puts them back at the end. A
                     checkpoint among these gets its clip skip among these as well, so the header need not follow.
                     Where the request has a clip skip of its own, that wins, and nothing follows until the end.
    running          A refiner or a hires checkpoint moves the header for as long as it is used.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

from clip_skip.webui.host_types import Options, Processing
from clip_skip.webui.hosts.header_option import OPTION
from clip_skip.webui.infotext import KEY, note_header

__all__ = ["SECOND", "ExtendedOverrides", "Header"]

CHECKPOINT = "sd_model_checkpoint"

SECOND = "Second checkpoint clip skip"
"""The infotext's key for the value of a refiner or a hires checkpoint, where that differs."""

Setting = tuple[str, str, Any]
"""Of an infotext: its key, the option, and the option's value."""


@dataclass(frozen=True)
class Standing:
    """The header's value, and where it came from.

    path:     the checkpoint's
    value:    what was remembered for it
    own:      what the user had set for all checkpoints without a value; without `value`, when this one was loaded
    is_on:    whether the settings say to follow
    """

    path: str | None = None
    value: int | None = None
    own: Any = None
    is_on: bool = True


@dataclass(frozen=True)
class Running:
    """A generation that may load other checkpoints: its thread, and how the header stood when it began."""

    thread: int
    standing: Standing
    header_value: Any
    p: Processing


@dataclass(frozen=True)
class Pin:
    """A generation with overrides: its thread, whether its request has a clip skip of its own, and its checkpoint.

    own: what the user had set, before the overrides
    p:   the generation; None once it is gone, which it also is where it failed before it began
    """

    thread: int
    has_own: bool
    path: str | None
    own: Any
    p: Callable[[], object]


class ExtendedOverrides(dict[str, Any]):
    """A request's `override_settings`, to which the checkpoint's clip skip was added: it may be used for another
    generation, in which a script has put another checkpoint."""

    added_value: Any = None

    def as_requested(self) -> dict[str, Any]:
        return {key: value for key, value in self.items() if key != OPTION or value != self.added_value}


class Header:
    """The host's own clip-skip option.

    read_value:    the value remembered for the checkpoint at a path
    find:          the path of the checkpoint that an option or an infotext names
    find_selected: the path of the checkpoint that the next picture is made with
    is_on:         whether the settings say to follow
    """

    def __init__(
        self,
        opts: Options,
        read_value: Callable[[str], int | None],
        find: Callable[[Any], str | None],
        find_selected: Callable[[], str | None],
        is_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self.opts, self.read_value, self.find = opts, read_value, find
        self.find_selected, self.is_on = find_selected, is_on
        self.standing = Standing()
        self.waiting: Pin | None = None
        """Of a generation that has been prepared, and not yet begun."""
        self.pin: Pin | None = None
        self.running: Running | None = None
        self.has_followed = False
        self.lock = threading.RLock()

    @property
    def value(self) -> Any:
        """The option, whatever a client has put there."""
        return self.opts.data.get(OPTION, self.opts.get_default(OPTION))

    def show(self, value: Any) -> None:
        self.opts.data[OPTION] = value

    @property
    def own(self) -> Any:
        """What the user has set for all checkpoints without a value."""
        return self.value if self.standing.value is None else self.standing.own

    def value_of(self, path: str) -> int | None:
        return self.read_value(path) if self.is_on() else None

    def follow(self, path: str | None) -> None:
        """The checkpoint at `path` was loaded or selected. Calls for the same one change nothing."""
        thread = threading.get_ident()
        with self.lock:
            if self.waiting is not None and self.waiting.p() is None:
                self.waiting = None
            if path is None or any(pin is not None and pin.thread == thread for pin in (self.waiting, self.pin)):
                return
            if self.running and self.running.thread != thread:
                self.running = None  # chosen on the page of Forge meanwhile, for all that follows
            running = self.running
            if (path, self.is_on()) == (self.standing.path, self.standing.is_on):
                if running is None and self.value_of(path) != self.standing.value:
                    self.move(path)
            elif running and path == running.standing.path:
                self.standing = running.standing
                self.show(running.header_value)
                running.p.extra_generation_params.pop(SECOND, None)
            else:
                main = self.value
                self.move(path)
                if running and self.value != main:
                    note_second(running.p, main, self.value)

    def loading_failed(self) -> None:
        """A generation that has been prepared on this thread does not begin."""
        with self.lock:
            if self.waiting is not None and self.waiting.thread == threading.get_ident():
                self.waiting = None

    def move(self, path: str) -> None:
        own, value = self.own, self.value_of(path)
        if value is not None or self.standing.value is not None:
            self.has_followed = True
            self.show(own if value is None else value)
        self.standing = Standing(path, value, own, self.is_on())

    def settle(self) -> None:
        """Follows what is selected, where nothing runs: the settings, or the file beside it, may have changed."""
        with self.lock:
            is_waiting = self.waiting is not None and self.waiting.p() is not None
            if not is_waiting and self.running is None and self.pin is None:
                self.follow(self.find_selected())

    def set_remembered(self, path: str, value: int | None) -> None:
        """`value` was remembered for the checkpoint at `path`, or forgotten where it is None.

        What the user had set for all others is what the header stood at when the checkpoint was loaded.
        """
        with self.lock:
            self.running = None
            if path != self.standing.path or not self.is_on():
                return
            before = self.standing
            if value is not None:
                self.has_followed = True
                self.show(value)
            elif before.value is not None:
                self.show(before.own)
            self.standing = replace(before, value=value)

    def prepare(self, p: Processing) -> None:
        """Before the host stores the options that `override_settings` of `p` replaces."""
        with self.lock:
            self.waiting = None
            self.follow(self.find_selected())
            overrides: Any = getattr(p, "override_settings", None) or {}
            settings = overrides.as_requested() if isinstance(overrides, ExtendedOverrides) else dict(overrides)
            path = self.find(settings[CHECKPOINT]) if CHECKPOINT in settings else None
            if path is not None:  # first, because loading it may move the header
                settings = {CHECKPOINT: settings[CHECKPOINT], **settings}
            has_own = OPTION in settings
            if not getattr(p, "override_settings_restore_afterwards", True):
                self.follow(path)
                self.waiting = Pin(threading.get_ident(), has_own, None, self.own, weakref.ref(p)) if has_own else None
            elif has_own or path is not None:
                self.waiting = Pin(threading.get_ident(), has_own, path, self.own, weakref.ref(p))
                if path is not None and not has_own and path != self.standing.path:
                    value = self.value_of(path)
                    settings = self.with_value(settings, self.own if value is None else value)
            if [*settings.items()] != [*overrides.items()]:
                cast(Any, p).override_settings = settings

    def with_value(self, settings: dict[str, Any], value: Any) -> dict[str, Any]:
        """`settings` with the header's `value`, unless it is at that."""
        if value == self.value:
            return settings
        self.has_followed = True
        overrides = ExtendedOverrides({**settings, OPTION: value})
        overrides.added_value = value
        return overrides

    @contextmanager
    def generation(self, p: Processing) -> Iterator[None]:
        """While open, `p` is made, whose overrides are in effect."""
        with self.lock:
            before, outer, outer_pin = self.standing, self.running, self.pin
            pin, self.waiting = self.waiting, None
            if pin and pin.has_own:
                self.pin = pin
            elif pin and pin.path is not None and pin.path != before.path:
                self.standing = Standing(pin.path, self.value_of(pin.path), pin.own, self.is_on())
            mine = self.running = Running(threading.get_ident(), self.standing, self.value, p)
        try:
            yield
        finally:
            with self.lock:
                self.pin = outer_pin
                if self.running is mine:
                    if self.standing != mine.standing:
                        self.show(mine.header_value)
                    self.standing, self.running = before, outer

    def saved(self) -> dict[str, Any]:
        """The options as they are saved: the user's own."""
        with self.lock:
            if self.standing.value is None:
                return self.opts.data
            return {**self.opts.data, OPTION: self.standing.own}

    def give_back(self) -> None:
        """The header is the user's own again."""
        with self.lock:
            if self.standing.value is not None:
                self.show(self.standing.own)
            self.standing = Standing()

    def with_pasted(self, overrides: list[Setting], params: dict[str, Any]) -> list[Setting]:
        """`overrides`, which the host makes of an infotext, with its clip skip where the host leaves that out.

        It does where the header is at that value already; but the infotext's checkpoint would move the header.
        """
        named = {setting: value for _, setting, value in overrides}
        path = self.find(named[CHECKPOINT]) if CHECKPOINT in named and OPTION not in named else None
        if path is None:
            return overrides
        value = self.value_of(path)
        header_value = self.own if value is None else value
        try:
            infotext_value = int(params.get(KEY, 0))
        except (TypeError, ValueError):
            return overrides
        if infotext_value in (0, header_value):
            return overrides
        return [*overrides, (KEY, OPTION, infotext_value)]


def note_second(p: Processing, main: Any, second: Any) -> None:
    """The infotext's `Clip skip` is that of the checkpoint that the picture was begun with; the other's is noted."""
    note_header(p, main)
    p.extra_generation_params[SECOND] = second
