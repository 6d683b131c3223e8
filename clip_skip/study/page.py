"""A study's page: the sentence, the plots, the prompts on which clip skip matters most, the settings.

The pictures stay in files beside it, and are loaded when they are looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

from clip_skip.extension_files import page_part
from clip_skip.messages.message import Message, Template
from clip_skip.study import statistics
from clip_skip.study.plan import StudyPlan
from clip_skip.study.plot import Line, lines
from clip_skip.study.statistics import Comparison, Measure

__all__ = ["study_page"]

MOST_PROMPTS = 6
"""The number of prompts that are shown separately."""

Comparisons = Mapping[Measure, Sequence[Comparison]]

CLIP_SKIP_LABEL = Template("clip skip")
DIFFERENCE = Template("difference")
AT_EACH_CFG = Template("{model}: difference from clip skip {published}, at each CFG scale")
CFG = Template("CFG {scale}")
SHARES = Template("Of the variance of the scores of {model}: {shares}.")
NO_VARIANCE = Template("The scores of {model} do not vary.")
NUMBERS = Template("The numbers")
STUDY_HEADINGS = tuple(
    map(Template, ("checkpoint", "clip skip", "mean", "difference", "95% interval", "p (Holm)", "prompts", "pairs"))
)
INTERVAL = Template("{low} to {high}")
PUBLISHED = Template("published")
NO_TEXT = Template("(none)")


def study_page(
    cells: pd.DataFrame,
    comparisons: Comparisons,
    plan: StudyPlan,
    sentences: Sequence[Message | str],
    settings: Mapping[str, object],
    viewer: str,
) -> str:
    """The page as text, to be written in UTF-8 beside the folder of pictures.

    cells: a row for each picture; comparisons: those of each measure, the main one first
    """
    parts = {
        "<!--SENTENCES-->": "".join(f"<p class=sentence>{escape(str(sentence))}</p>" for sentence in sentences),
        "<!--PLOTS-->": "".join(section(cells, measure, list(some)) for measure, some in comparisons.items() if some),
        "<!--SETTINGS-->": settings_list(plan, settings),
        "/*STYLE*/": page_part(__file__, ".css"),
        "/*SCRIPT*/": page_part(__file__, ".js"),
        "/*DATA*/": json.dumps({**data(cells, comparisons, plan), "viewer": viewer}).replace("<", "\\u003c"),
    }
    return re.sub("|".join(map(re.escape, parts)), lambda place: parts[place[0]], page_part(__file__, ".html"))


def section(cells: pd.DataFrame, measure: Measure, comparisons: list[Comparison]) -> str:
    """The plots and the table of one measure."""
    parts = [
        of_model(str(model), table, measure, [one for one in comparisons if one.model == model])
        for model, table in cells.groupby("model", sort=False)
    ]
    summary = f"<details><summary>{NUMBERS}</summary>{numbers(comparisons)}</details>"
    return f"<section><h2>{escape(measure.label)}</h2>{''.join(parts)}{summary}</section>"


def of_model(model: str, cells: pd.DataFrame, measure: Measure, comparisons: list[Comparison]) -> str:
    """The plots of one checkpoint, and the shares of the variance; "" if nothing was compared."""
    if not comparisons:
        return ""
    line = Line("", [(one.clip_skip, one.mean, one.mean_low, one.mean_high) for one in comparisons])
    figures = [figure(model, lines([line], CLIP_SKIP_LABEL, measure.label))]
    if cells["cfg_scale"].nunique() > 1:
        table = statistics.by_cfg(cells, measure.name, comparisons[0].published)
        of_cfg = [
            Line(str(CFG(scale=f"{scale:g}")), [(float(skip), value, value, value) for skip, value in row.items()])
            for scale, row in table.iterrows()
        ]
        title = AT_EACH_CFG(model=model, published=f"{comparisons[0].published:g}")
        figures.append(figure(str(title), lines(of_cfg, CLIP_SKIP_LABEL, DIFFERENCE)))
    parts = statistics.shares(cells, measure.name)
    shares = ", ".join(f"{share:.1%} {name}" for name, share in parts.items())
    text = SHARES(model=model, shares=shares) if parts else NO_VARIANCE(model=model)
    return f"{''.join(figures)}<p>{escape(str(text))}</p>"


def figure(title: str, svg: str) -> str:
    return f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>"


def numbers(comparisons: Sequence[Comparison]) -> str:
    """The table of a measure; a head sorts it."""
    rows = "".join(
        f"<tr><th scope=row>{escape(one.model)}</th>{''.join(map(table_cell, comparison_row(one)))}</tr>"
        for one in comparisons
    )
    head = "".join(
        f"<th scope=col aria-sort=none><button type=button>{escape(name)}</button></th>" for name in STUDY_HEADINGS
    )
    table = f"<table class=numbers><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<div class=wide tabindex=0 role=region aria-label='{NUMBERS}'>{table}</div>"


def comparison_row(one: Comparison) -> list[tuple[str, float]]:
    """The texts of a row, and the values that it is sorted by."""
    is_published = one.clip_skip == one.published
    low, high = (round(bound, 12) + 0.0 for bound in (one.low, one.high))  # no 5.6e-17, no -0
    interval = INTERVAL(low=f"{low:+.4g}", high=f"{high:+.4g}")
    return [
        (f"{one.clip_skip:g}", one.clip_skip),
        (f"{one.mean:.4g}", one.mean),
        (PUBLISHED if is_published else f"{one.difference:+.4g}", one.difference),
        ("" if is_published else str(interval), one.low),
        ("" if is_published else f"{one.p:.3g}", one.p),
        (str(one.prompts), one.prompts),
        (str(one.pairs), one.pairs),
    ]


def table_cell(cell: tuple[str, float]) -> str:
    text, value = cell
    return f'<td data-value="{value:.12g}">{escape(text)}</td>'


def settings_list(plan: StudyPlan, settings: Mapping[str, object]) -> str:
    entries = {
        "checkpoints": ", ".join(plan.skips),
        "prompts": len(plan.prompts),
        "seeds": ", ".join(map(str, plan.seeds)),
        "CFG scales": ", ".join(f"{scale:g}" for scale in plan.cfg_scales),
        **settings,
    }
    return "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value)) or NO_TEXT}</dd>" for name, value in entries.items()
    )


def data(cells: pd.DataFrame, comparisons: Comparisons, plan: StudyPlan) -> dict[str, object]:
    """The data for the script: the pictures of each prompt, and the prompts that are shown first."""
    main = next(iter(comparisons), None)
    pictures: dict[str, list[list[object]]] = {}
    for cell in cells.to_dict("records"):
        score = cell[main.name] if main else None
        record = [cell[name] for name in ("model", "seed", "cfg_scale", "clip_skip", "file")]
        pictures.setdefault(str(cell["prompt"]), []).append([*record, None if score != score else score])
    most = []
    if main:
        for _, of_model in cells.groupby("model", sort=False):
            most += statistics.telling_prompts(of_model, main.name, MOST_PROMPTS)
    return {
        "label": main.label if main else "",
        "most": list(dict.fromkeys(most))[:MOST_PROMPTS],
        "prompts": [prompt for prompt in plan.prompts if prompt in pictures],
        "pictures": pictures,
        "published": plan.published,
    }
