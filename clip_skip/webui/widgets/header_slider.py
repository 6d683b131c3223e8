"""Puts the host's own clip-skip slider into its header, once."""

from __future__ import annotations

from clip_skip.webui.host_types import Options
from clip_skip.webui.saved_settings import ADDED_SLIDER, HEADER, SLIDER

__all__ = ["add_slider"]


def add_slider(opts: Options, has_own: bool = False) -> None:
    """Adds the slider to the quick settings of `opts`, unless that was done before
    or the host has one in the header that is its own.

    A note is saved with the host's settings whenever these are saved, so it is not
    re-added once the user removes it: True if it was added, False if it was there
    already. The list is replaced, not changed: its default is one object shared by
    the whole host.
    """
    if SLIDER in opts.data_labels:
        # The host doesn't restore an overridden option that is missing from `opts.data`.
        opts.data.setdefault(SLIDER, opts.get_default(SLIDER))
    if has_own or ADDED_SLIDER in opts.data or SLIDER not in opts.data_labels:
        return
    opts.data[ADDED_SLIDER] = SLIDER not in opts.quicksettings_list
    if opts.data[ADDED_SLIDER]:
        opts.data[HEADER] = [*opts.quicksettings_list, SLIDER]
