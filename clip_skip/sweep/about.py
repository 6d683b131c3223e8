"""The lines with the settings of all pictures of a sweep: above the grid, in the report, in the viewer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from clip_skip.messages.catalogues import translate_for_picture
from clip_skip.messages.lines import cut
from clip_skip.messages.message import Template, Translate
from clip_skip.prompt.precedence import without_prompt_tag
from clip_skip.sweep.rows import Rows

__all__ = ["describe_pictures"]

STEP_COUNT = Template("{count} steps")
CFG_SCALE = Template("CFG scale {value}")
SEED = Template("seed {value}")
SEEDS = Template("seeds {values}")
NEGATIVE_PROMPT = Template("Negative prompt")

LONGEST_LINE = 300
"""Characters of a line."""


def describe_pictures(
    rows: Rows,
    prompt: str,
    negative: str,
    model: str,
    sampler: str,
    steps: int,
    cfg_scale: str,
    seeds: Sequence[int],
    translate: Translate,
) -> list[str]:
    """A line for the prompt, one for the negative prompt if there is one, and one for the rest.

    cfg_scale, seeds: of all pictures; they are left out where the rows are CFG scales or seeds
    """
    say = partial(translate_for_picture, translate=translate)
    how = [*([model] if model else []), sampler, say(STEP_COUNT(count=steps))]
    how += [say(CFG_SCALE(value=cfg_scale))] if rows.kind.name != "cfg" else []
    if rows.kind.name != "seed":
        how.append(say(SEED(value=seeds[0]) if len(seeds) == 1 else SEEDS(values=", ".join(map(str, seeds)))))
    lines = [
        without_prompt_tag(prompt),
        *([f"{say(NEGATIVE_PROMPT)}: {negative}"] if negative else []),
        ", ".join(how),
    ]
    return [cut(" ".join(line.split()), LONGEST_LINE) for line in lines]
