"""The sweep's messages in Japanese, Korean and Chinese."""

import ast
import re
from pathlib import Path

import pytest

from clip_skip.messages.catalogues import catalogue, languages, translator
from clip_skip.sweep import axis, over_seeds, report, rows
from clip_skip.sweep import settings as sweep_settings
from clip_skip.sweep.rows import ROW_KINDS

ROOT = Path(__file__).parents[1]
LANGUAGES = languages()

SWEEP_MESSAGES = [
    axis.COLUMN_TOO_DEEP(value=13, layers=12),
    axis.COLUMN_TOO_DEEP_FOR(value=33, encoder="CLIP-G", layers=32),
    axis.SweepError.in_field(sweep_settings.LABELS["rows"], sweep_settings.NEEDS_SDXL).message,
    axis.SweepError.in_field(sweep_settings.LABELS["apply_to"], sweep_settings.NEGATIVE_TWICE).message,
    axis.SweepError.in_field(sweep_settings.LABELS["rows"], rows.HIRES_PASS_NEEDED).message,
    axis.SweepError.in_field(sweep_settings.LABELS["seeds"], rows.ROW_NOT_WHOLE(text='"1.5"')).message,
    rows.WHICH_LORA(example='"one: 0, 0.5, 1"'),
    report.SHARES_OF_PIXELS(skip="80%", factor=ROW_KINDS["cfg"].factor, rows="15%", both="5%"),
    report.SHARES_OF_LATENTS(skip="80%", factor=ROW_KINDS["hires"].factor, rows="15%", both="5%"),
    report.BIGGEST_STEP(one="2", other="12", change="35.0"),
    report.STEPS_OVER_SEEDS(
        count=6,
        one="11",
        other="12",
        change=report.CHANGE(change="134.5", low="87.2", high="181.7"),
        first="6",
        second="7",
        least=report.CHANGE(change="3.0", low="1.3", high="4.8"),
    ),
    over_seeds.SHARES_OVER_SEEDS(
        count=6,
        skip=over_seeds.SHARE(share="80%", low="71%", high="89%"),
        factor=ROW_KINDS["cfg"].factor,
        rows=over_seeds.SHARE(share="15%", low="12%", high="18%"),
        both=over_seeds.SHARE(share="5%", low="0%", high="11%"),
    ),
]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_of_a_sweep_comes_out_translated(language):
    for message in SWEEP_MESSAGES:
        shown = translator(language)(message)
        assert not re.search(r"\b(the|layers|from|explains|rows|whole)\b", shown), shown
        assert {*re.findall(r"\d+(?:\.\d+)?", str(message))} <= {*re.findall(r"\d+(?:\.\d+)?", shown)}, shown


def templates_in(folder):
    """The templates that the modules of a folder have, and those of the kinds of rows."""
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf8"))):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) == "Template"
                and isinstance(node.args[0], ast.Constant)
            ):
                yield node.args[0].value


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_template_of_a_sweep_is_in_the_catalogue(language):
    found = {text for folder in ("sweep", "webui/sweep") for text in templates_in(ROOT / "clip_skip" / folder)}
    found |= {text for kind in ROW_KINDS.values() for text in (kind.label, kind.factor, kind.short) if text}
    assert len(found) > 80
    assert found - catalogue(language).keys() <= {"clip skip"}
