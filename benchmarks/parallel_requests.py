"""Whether one hostile text holds up the page for others: `clip-skip app`, asked by 200 clients at once for what the
tags of a prompt mean, one of whom sends a text that is made to be slow to read.

    python benchmarks/parallel_requests.py [--clients 200] [--rounds 6]

The times of the other clients, to those in rounds without such a text, which take turns with them.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tables import print_table

STEPS = 1000
HOSTILE = {
    "a number of 30,000 digits": "<clipskip:" + "1" * 30_000 + "x>",
    "10,000 networks": "<a:" * 10_000,
    "6,600 networks": "<a:" * 6_600,
    "20,000 brackets": "[" * 20_000,
    "10,000 weights": "(a:" * 10_000,
    "6,600 weights": "(a:" * 6_600,
    "3,900 alternations": "[a|b]" * 3_900 + "<clipskip:2>",
    "900 tags in edits": "".join(f"[<clipskip:{step % 12 + 1}>::{step}]" for step in range(900)),
    "1,660 bad tags": "<clipskip:x>" * 1_660,
}


@contextmanager
def served(folder: str) -> Iterator[str]:
    """The address of the page's route."""
    command = [sys.executable, "-m", "clip_skip", "app", "--no-browser", "--out", folder]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    try:
        address = next(match[1] for line in process.stdout if (match := re.match(r"(http://\S+?)/? \(Ctrl", line)))
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield f"{address}/clip-skip/v1/read?checkpoint=clip-skip-demo"
    finally:
        process.terminate()
        process.wait(30)


def ask(address: str, prompt: str, steps: int) -> float:
    """Seconds until the answer is there."""
    request = json.dumps({"prompt": prompt, "negative": "", "steps": steps}).encode()
    began = time.perf_counter()
    urllib.request.urlopen(urllib.request.Request(address, request, {"Content-Type": "application/json"})).read()
    return time.perf_counter() - began


def ask_at_once(address: str, clients: int, name: str, hostile: str | None) -> list[float]:
    """The times of all clients but the first, who may send the hostile text."""
    everyone_is_there = threading.Barrier(clients)
    seconds = [0.0] * clients

    def client(index: int) -> None:
        prompt, steps = f"a red circle {name} {index} <clipskip:{index % 12 + 1}>, masterpiece", 20
        if hostile and index == 0:
            prompt, steps = hostile + name, STEPS
        everyone_is_there.wait()
        seconds[index] = ask(address, prompt, steps)

    threads = [threading.Thread(target=client, args=(index,)) for index in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seconds[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, served(folder) as address:
        usual: dict[str, list[float]] = {name: [] for name in HOSTILE}
        beside: dict[str, list[float]] = {name: [] for name in HOSTILE}
        ask_at_once(address, arguments.clients, "warm", None)
        for number in range(arguments.rounds):
            for name, text in HOSTILE.items():
                usual[name] += ask_at_once(address, arguments.clients, f"usual {number} {name}", None)
                beside[name] += ask_at_once(address, arguments.clients, f"beside {number} {name}", text)
    for name in HOSTILE:
        before, after = figures(usual[name]), figures(beside[name])
        ratios = (f"{new / old:.2f}" for old, new in zip(before, after))
        rows.append((name, *(f"{1000 * seconds:.0f}" for seconds in before), *ratios))
    print_table(("beside", *("usual median, ms", "95 %", "longest"), *("median, to that", "95 %", "longest")), rows)


def figures(seconds: list[float]) -> tuple[float, float, float]:
    """Median, 95th percentile, longest."""
    ordered = sorted(seconds)
    return statistics.median(ordered), ordered[int(0.95 * len(ordered))], ordered[-1]


if __name__ == "__main__":
    main()
