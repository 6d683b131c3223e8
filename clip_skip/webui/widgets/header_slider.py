"""Puts the host's own clip-skip slider into its header, once."""

from __future__ import annotations

from clip_skip.webui.host_types import Options
from clip_skip.webui.hosts.header_option import OPTION

__all__ = ["add_slider"]

ADDED = "clip_skip_slider_added"


def add_slider(opts: Options, has_own: bool = False) -> None:
    """Adds the slider to the quick settings of `opts`, unless that was done before
    or the host has one in the header that is its own.

    The note that it was done is saved with the host's settings whenever these
    are saved, so it is not re-added once the user removes it. The list
    is replaced, not changed: its default is one object shared by the whole host.
    """
    if OPTION in opts.data_labels:
        # The host doesn't restore an overridden option that is missing from `opts.data`.
        opts.data.setdefault(OPTION, opts.get_default(OPTION))
    if has_own or opts.data.get(ADDED) or OPTION not in opts.data_labels:
        return
    opts.data[ADDED] = True
    if OPTION not in opts.quicksettings_list:
        opts.data["quicksettings_list"] = [*opts.quicksettings_list, OPTION]
