"""ADetailer's passes over a finished picture: each is a generation of its own, within the picture's.

They run with the scripts in ADetailer's setting only, and don't get the picture's panel.
"""

from __future__ import annotations

from clip_skip.panel import Panel
from clip_skip.webui import generation
from clip_skip.webui.host_types import Options, Processing
from clip_skip.webui.hosts.header_option import OPTION as HEADER_OPTION
from clip_skip.webui.saved_settings import ADDED_TO_ADETAILER, ADETAILER_SCRIPTS, SCRIPT
from clip_skip.webui.state import state_of

__all__ = ["admit", "inherit", "is_second_pass"]


def admit(opts: Options) -> None:
    """Adds our script to those that ADetailer runs in its passes, once: it is not re-added once the user removes it.

    Called after ADetailer's settings are registered and before the page is built.
    """
    names = opts.data.get(ADETAILER_SCRIPTS)
    if not isinstance(names, str) or ADDED_TO_ADETAILER in opts.data:
        return
    opts.data[ADDED_TO_ADETAILER] = SCRIPT not in [name.strip() for name in names.split(",")]
    if opts.data[ADDED_TO_ADETAILER]:
        opts.data[ADETAILER_SCRIPTS] = f"{names},{SCRIPT}"


def is_second_pass(p: Processing) -> bool:
    """Whether `p` is one of ADetailer's passes over a picture of another generation."""
    return bool(getattr(p, "_ad_inner", False))


def inherit(p: Processing, outer: Processing | None) -> None:
    """Gives the pass `p` the panel of the picture of `outer` that it is for; one set in ADetailer itself is kept."""
    if outer is None or not hasattr(outer, "batch_index"):
        return
    if HEADER_OPTION in (getattr(p, "override_settings", None) or {}):
        state_of(p).panels = [Panel()]
        return
    picture = outer.iteration * outer.batch_size + outer.batch_index
    state_of(p).panels = [generation.panel_of(outer, picture)]
