"""Puts the host's own clip-skip slider into its header, once."""

from __future__ import annotations

from typing import Any

__all__ = ["add_slider"]

OPTION = "CLIP_stop_at_last_layers"
ADDED = "clip_skip_slider_added"


def add_slider(opts: Any, has_own: bool = False) -> None:
    """Adds the slider to the quick settings of `opts`, unless that was done before
    or the host has one in the header that is its own.

    The note that it was done is saved with the host's settings whenever these
    are saved, so a user who takes the slider out is not given it back. The list
    is replaced, not changed: its default is one object shared by the whole host.
    """
    if OPTION in opts.data_labels:
        # The host forgets to take an override of an option back that was never set.
        opts.data.setdefault(OPTION, opts.get_default(OPTION))
    if has_own or opts.data.get(ADDED) or OPTION not in opts.data_labels:
        return
    opts.data[ADDED] = True
    if OPTION not in opts.quicksettings_list:
        opts.data["quicksettings_list"] = [*opts.quicksettings_list, OPTION]
