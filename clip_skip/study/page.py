"""A study's page: the sentence, the plots, the prompts on which clip skip matters most, the settings.

The pictures stay in files beside it, and are loaded when they are looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import pandas as pd

from clip_skip.study import statistics
from clip_skip.study.plan import StudyPlan
from clip_skip.study.plot import Line, lines
from clip_skip.study.statistics import Compared, Measure

__all__ = ["page"]

MOST = 6
"""How many prompts are shown by themselves."""

Found = Mapping[Measure, Sequence[Compared]]


def page(
    cells: pd.DataFrame, found: Found, plan: StudyPlan, sentences: Sequence[str], settings: Mapping[str, object]
) -> str:
    """The page as text, to be written in UTF-8 beside the folder of pictures.

    cells: a row for each picture; found: what is compared by each measure, the first the main one
    """
    parts = {
        "<!--SENTENCES-->": "".join(f"<p class=sentence>{escape(sentence)}</p>" for sentence in sentences),
        "<!--PLOTS-->": "".join(section(cells, measure, list(some)) for measure, some in found.items() if some),
        "<!--SETTINGS-->": settings_list(plan, settings),
        "/*STYLE*/": source(".css"),
        "/*SCRIPT*/": source(".js"),
        "/*DATA*/": json.dumps(data(cells, found, plan)).replace("<", "\\u003c"),
    }
    return re.sub("|".join(map(re.escape, parts)), lambda place: parts[place[0]], source(".html"))


def source(ending: str) -> str:
    """A part of the page: the file beside this one that has the same name."""
    return Path(__file__).with_suffix(ending).read_text(encoding="utf-8")


def section(cells: pd.DataFrame, measure: Measure, found: list[Compared]) -> str:
    """The plots and the table of one measure."""
    drawn = []
    for model, of_model in cells.groupby("model", sort=False):
        some = [one for one in found if one.model == model]
        if not some:
            continue
        over = Line("", [(one.clip_skip, one.mean, one.mean_low, one.mean_high) for one in some])
        drawn.append(figure(str(model), lines([over], "clip skip", measure.label)))
        if of_model["cfg_scale"].nunique() > 1:
            table = statistics.by_cfg(of_model, measure.name, some[0].published)
            each = [
                Line(f"CFG {scale:g}", [(float(skip), value, value, value) for skip, value in row.items()])
                for scale, row in table.iterrows()
            ]
            title = f"{model}: difference from clip skip {some[0].published:g}, at each CFG scale"
            drawn.append(figure(title, lines(each, "clip skip", "difference")))
        parts = statistics.shares(of_model, measure.name)
        told = ", ".join(f"{share:.1%} {name}" for name, share in parts.items())
        drawn.append(
            f"<p>Of the variance of the scores of {escape(str(model))}: {escape(told or 'there is none')}.</p>"
        )
    summary = f"<details><summary>The numbers</summary>{numbers(found)}</details>"
    return (
        f"<section><h2>{escape(measure.label[0].upper() + measure.label[1:])}</h2>{''.join(drawn)}{summary}</section>"
    )


def figure(title: str, svg: str) -> str:
    return f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>"


def numbers(found: Sequence[Compared]) -> str:
    heads = ("checkpoint", "clip skip", "mean", "difference", "95% interval", "p (Holm)", "prompts", "pairs")
    rows = "".join(
        "<tr>"
        + f"<th scope=row>{escape(one.model)}</th>"
        + "".join(
            f"<td>{value}</td>"
            for value in (
                f"{one.clip_skip:g}",
                f"{one.mean:.4g}",
                f"{one.difference:+.4g}",
                f"{one.low:+.4g} to {one.high:+.4g}",
                f"{one.p:.3g}",
                one.prompts,
                one.pairs,
            )
        )
        + "</tr>"
        for one in found
    )
    head = "".join(f"<th scope=col>{name}</th>" for name in heads)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<div class=wide tabindex=0 role=region aria-label='The numbers'>{table}</div>"


def settings_list(plan: StudyPlan, settings: Mapping[str, object]) -> str:
    known = {
        "checkpoints": ", ".join(plan.skips),
        "prompts": len(plan.prompts),
        "seeds": ", ".join(map(str, plan.seeds)),
        "CFG scales": ", ".join(f"{scale:g}" for scale in plan.cfg_scales),
        **settings,
    }
    return "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value)) or '(none)'}</dd>" for name, value in known.items())


def data(cells: pd.DataFrame, found: Found, plan: StudyPlan) -> dict[str, object]:
    """What the script reads: the pictures of each prompt, and which prompts are shown first."""
    main = next(iter(found), None)
    pictures: dict[str, list[list[object]]] = {}
    for cell in cells.to_dict("records"):
        score = cell[main.name] if main else None
        known = [cell[name] for name in ("model", "seed", "cfg_scale", "clip_skip", "file")]
        pictures.setdefault(str(cell["prompt"]), []).append([*known, None if score != score else score])
    most = []
    if main:
        for _, of_model in cells.groupby("model", sort=False):
            most += statistics.telling_prompts(of_model, main.name, MOST)
    return {
        "label": main.label if main else "",
        "most": list(dict.fromkeys(most))[:MOST],
        "prompts": [prompt for prompt in plan.prompts if prompt in pictures],
        "pictures": pictures,
    }
