"""What is known of many files, as a table."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence

from clip_skip.made_for.findings import Finding

__all__ = ["HEADS", "as_csv", "row"]

HEADS = ("file", "model", "metadata", "weights", "verdict")


def row(finding: Finding) -> tuple[str, ...]:
    """A cell for each of HEADS; what is not known is "-"."""
    metadata, weights, verdict = finding.metadata, finding.weights, finding.verdict
    trained = None
    if weights and weights.clip_skip:
        count = len(next(iter(weights.blocks.values())))
        trained = f"{count - (weights.untouched or 0)} of {count} blocks"
    certain = "" if verdict.certainty == "exact" else f" ({verdict.certainty})"
    return (
        os.path.basename(finding.file),
        f"{finding.model or 'unknown model'}, {finding.kind}",
        str(metadata.value) if metadata else "-",
        trained or "-",
        f"{verdict.clip_skip}{certain}" if verdict.clip_skip else "-",
    )


def as_csv(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([heads, *rows])
    return text.getvalue()
