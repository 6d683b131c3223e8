"""Labels of the layers' view, for both pages."""

from __future__ import annotations

from clip_skip.messages.message import Template

__all__ = ["LAYERS", "SHOW_LAYERS", "SUMMARY", "WORDS_TO_SHOW"]

LAYERS = Template("Layers")
SHOW_LAYERS = Template("Show layers")
SUMMARY = Template("Summary")
WORDS_TO_SHOW = Template("Words to compare, as in: cow, red (empty: the three tokens that change most)")
