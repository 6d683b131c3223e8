"""What a cell was made of, in the words that AUTOMATIC1111 writes into its pictures and reads when pasted."""

from __future__ import annotations

from dataclasses import dataclass

from clip_skip import skip, tags
from clip_skip.sweep import Cell


@dataclass(frozen=True)
class Settings:
    """What all cells of a sweep have in common."""

    model: str
    prompt: str
    negative: str
    seed: int
    steps: int
    width: int
    height: int
    sampler: str


def clip_skips(prompt: str, negative: str, clip_skip: float | None) -> tuple[float, float]:
    """The values of prompt and negative prompt.

    With `clip_skip` given it takes the place of the prompt's tag, and a negative prompt without a tag follows it.
    """
    if clip_skip is None:
        return tags.prompt_values(prompt, negative, 1.0)
    return tags.prompt_values(tags.strip(prompt), negative, clip_skip)


def infotext(settings: Settings, cell: Cell) -> str:
    """The infotext that gives `cell` again when pasted.

    `Clip skip` is an integer, because a WebUI without this extension reads no other; a fraction is a tag in the prompt.
    """
    prompt = tags.strip(settings.prompt)
    whole = cell.clip_skip.is_integer()
    lines = [prompt if whole else f"<clipskip:{skip.format(cell.clip_skip)}>{prompt}"]
    if settings.negative:
        lines.append(f"Negative prompt: {settings.negative}")
    values = {
        "Steps": settings.steps,
        "Sampler": settings.sampler,
        "CFG scale": f"{cell.cfg_scale:g}",
        "Seed": settings.seed,
        "Size": f"{settings.width}x{settings.height}",
        "Model": settings.model,
    }
    if whole:
        values["Clip skip"] = skip.format(cell.clip_skip)
    return "\n".join([*lines, ", ".join(f"{key}: {value}" for key, value in values.items())])
