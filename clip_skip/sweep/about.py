"""What all the pictures of a sweep were made of, in words: above the grid, in the report and on the viewer's page."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from clip_skip.messages.catalogues import translate_for_picture
from clip_skip.messages.lines import cut
from clip_skip.messages.message import Translate
from clip_skip.prompt.precedence import without_prompt_tag

__all__ = ["about"]

LONGEST = 300
"""Characters of a line."""


def about(
    prompt: str,
    negative: str,
    model: str,
    sampler: str,
    steps: int,
    cfg_scale: str | None,
    seeds: Sequence[int],
    translate: Translate,
) -> list[str]:
    """A line for the prompt, one for the negative prompt if there is one, and one for the rest.

    cfg_scale, seeds: None and none where the rows are of several
    """
    say = partial(translate_for_picture, translate=translate)
    how = [*([model] if model else []), sampler, say(f"{steps} steps")]
    how += [say(f"CFG scale {cfg_scale}")] if cfg_scale is not None else []
    if seeds:
        word = "seeds" if len(seeds) > 1 else "seed"
        how.append(say(f"{word} {', '.join(map(str, seeds))}"))
    lines = [
        without_prompt_tag(prompt),
        *([f"{say('Negative prompt')}: {negative}"] if negative else []),
        ", ".join(how),
    ]
    return [cut(" ".join(line.split()), LONGEST) for line in lines]
