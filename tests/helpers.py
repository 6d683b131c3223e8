"""What several tests check in the same way."""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clip_skip.pictures.infotext import Infotext, parse_infotext
from clip_skip.pictures.webui_tools import identified
from clip_skip.prompt import markers, recent

MARKER_LETTERS = re.compile("[\u206a-\u206f]")
"""What markers are made of; see clip_skip/prompt/markers.py."""


def find_marker(value: Any) -> str:
    """The first letter of a marker in `value`, text or data; empty where there is none."""
    assert MARKER_LETTERS.search(markers.write_marker({"l": 2})), (
        "markers are made of other letters: this check must follow"
    )
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    found = MARKER_LETTERS.search(text)
    return found[0] if found else ""


def identify_infotext(text: str) -> Infotext:
    """The infotext in `text`, with the tool that wrote it, as they are read from a picture."""
    return identified(parse_infotext(text))


def growth(
    function: Callable[[Any], object], make: Callable[[int], Any], small: int = 10_000, large: int = 100_000
) -> float:
    """How many times longer `function` takes for `make(large)` than for `make(small)`, relative to their sizes.

    About 1 where the time is linear, `large / small` and more where it is quadratic. The best of several runs of each,
    taken in turn, so that other work on the machine matters little; a small input is repeated until it can be measured.
    """
    inputs = {size: make(size) for size in (small, large)}
    longest, recent.LONG = recent.LONG, 0  # the small input would be parsed once, the large one each time
    best = dict.fromkeys(inputs, float("inf"))
    repeats = {small: max(large // small, 1), large: 1}  # as much work in each, if the time is linear
    gc.disable()  # a collection takes the longer, the more other tests have left in memory
    try:
        for _ in range(3):
            for size, value in inputs.items():
                begin = time.process_time()
                for _ in range(repeats[size]):
                    function(value)
                best[size] = min(best[size], time.process_time() - begin)
            if best[large] < 3 * best[small]:
                break
    finally:
        gc.enable()
        recent.LONG = longest
    return best[large] / best[small]


def imported_by(arguments: list[str], modules: set[str]) -> set[str]:
    """Which of `modules` the command with these arguments imports, in a Python of its own."""
    program = "import sys; from clip_skip.standalone.cli.main import main; code = main(sys.argv[1:]); "
    program += f"print(*({modules} & sys.modules.keys())); sys.exit(code)"
    command = [sys.executable, "-c", program, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.splitlines()[-1].split())
