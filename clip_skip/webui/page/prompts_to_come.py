"""Processes texts that are still being written as the host will: styles, prompt editing, AND."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from modules import extra_networks, prompt_parser, shared

from clip_skip.page.answers import BOXES
from clip_skip.page.by_step import Parts, TooMuchPromptEditing, step_counts, values_by_step
from clip_skip.prompt import comments
from clip_skip.prompt.precedence import Texts
from clip_skip.prompt.sub_prompts import split_sub_prompts

__all__ = ["parts_by_step", "styled", "without_comments"]

log = logging.getLogger("clip_skip")


def without_comments(request: Mapping[str, Any]) -> dict[str, Any]:
    """`request` with its texts as the host will process them, which may strip comments."""
    return {**request, **{box: strip_comments(str(request.get(box) or "")) for box in BOXES}}


def strip_comments(text: str) -> str:
    """`text` as the host will have it."""
    return comments.strip_comments(text) if getattr(shared.opts, "enable_prompt_comments", False) else text


def styled(text: str, negative: bool, styles: list[str]) -> str:
    """`text` with the host's `styles`; unchanged if that fails."""
    try:
        database = shared.prompt_styles
        apply = database.apply_negative_styles_to_prompt if negative else database.apply_styles_to_prompt
        return strip_comments(str(apply(text, styles)))
    except Exception:
        log.exception("Clip skip: the styles could not be read")
        return text


def parts_by_step(texts: Texts, negative: bool, request: Mapping[str, Any]) -> Parts:
    """The values of each sub-prompt from step to step, by the host's own parser.

    request: as `step_counts` takes it. Raises `TooMuchPromptEditing`.
    """
    steps, hires = step_counts(request, texts.hires)
    old = {"use_old_scheduling": True} if getattr(shared.opts, "use_old_scheduling", False) else {}  # not in Neo
    cut = lambda marked: split_sub_prompts(extra_networks.parse_prompt(marked)[0])
    schedules = lambda parts: prompt_parser.get_learned_conditioning_prompt_schedules(parts, steps, hires, **old)
    try:
        return values_by_step(texts, negative, hires or steps, cut, schedules)
    except TooMuchPromptEditing:
        raise
    except Exception:  # half-written prompts may not be parseable
        log.debug("Clip skip: the host cannot read a prompt that is being written", exc_info=True)
        return [[texts.unmarked(negative)]]
