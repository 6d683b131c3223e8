"""The commands' output: each line is safe for a terminal, whatever names and prompts it contains."""

from __future__ import annotations

import sys

from clip_skip.messages.safe_text import printable

__all__ = ["print_lines", "warn"]


def print_lines(*lines: object) -> None:
    """Each of `lines` on a line of its own, on standard output."""
    for line in lines:
        print(printable(line))


def warn(*lines: object) -> None:
    """The same, on standard error."""
    for line in lines:
        print(printable(line), file=sys.stderr)
