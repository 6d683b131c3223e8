"""The result of gpu.py: measurements by table, what was left out and why, as JSON and as Markdown."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from tables import table

Value = str | float | int | None


@dataclass
class Report:
    """folder: where gpu.json and gpu.md are written, after every table

    seconds: in all; a measurement begins only where it is likely to end in time
    """

    folder: Path
    seconds: float
    about: dict[str, Value]
    tables: dict[str, list[dict[str, Value]]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    until: float = 1.0
    """The share of `seconds` after which nothing begins: what comes later has the rest."""

    def affords(self, what: str, estimate: float) -> bool:
        """Whether there is time for what takes about `estimate` seconds; if not, it is noted as left out."""
        left = self.seconds * self.until - (time.monotonic() - self.began)
        if estimate > left:
            self.left_out.append(f"{what}: would take about {estimate:.0f} s, of {max(left, 0):.0f} s left")
        return estimate <= left

    def add(self, title: str, rows: list[dict[str, Value]]) -> None:
        self.tables[title] = rows
        self.write()

    def write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        spent = round(time.monotonic() - self.began, 1)
        parts = {"about": {**self.about, "seconds": spent}, "tables": self.tables}
        record = {**parts, "left_out": self.left_out, "failed": self.failed}
        (self.folder / "gpu.json").write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")
        (self.folder / "gpu.md").write_text(self.markdown(), encoding="utf-8")

    def markdown(self) -> str:
        parts = [", ".join(str(value) for value in self.about.values())]
        for title, rows in self.tables.items():
            heads = list(dict.fromkeys(head for row in rows for head in row))
            parts += [f"### {title}", table(heads, [[shown(row.get(head)) for head in heads] for row in rows])]
        for title, lines in (("Left out", self.left_out), ("Failed", self.failed)):
            if lines:
                parts.append(f"### {title}\n\n" + "\n".join(f"- {line}" for line in lines))
        return "\n\n".join(parts) + "\n"


def shown(value: Value) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
