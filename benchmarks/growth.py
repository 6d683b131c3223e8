"""What grows with the number of things: seconds and memory for each at three sizes, and the slope, which shall be flat.

    python benchmarks/growth.py [NAME ...]

Pictures are not computed: what is measured is what surrounds them. Each size runs in a process of its own, after the
smallest in the same process, so that imports do not count. Seconds are the processor's, on one thread; memory is what
the process's peak grows by. The slope is that of the last two sizes: 1 where the whole grows as the number does, so
that each thing costs the same, 2 where each costs as much more as there are more.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tables import print_table

Work = Callable[[], object]


def main() -> None:
    from growth_works import WORKS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(WORKS)}; default: all")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(*WORKS[arguments.names[0]][:2], arguments.one)))
        return
    rows = []
    for name in arguments.names or WORKS:
        sizes = WORKS[name][1]
        points = [in_a_process(name, size) for size in sizes]
        each = [[point[column] / size for point, size in zip(points, sizes)] for column in range(2)]
        slope = [math.log(max(b, 1e-9) / max(a, 1e-9)) / math.log(sizes[2] / sizes[1]) for _, a, b in zip(*points)]
        cells = [f"{1e3 * value:.3g}" for value in each[0]] + [f"{slope[0]:.2f}"]
        cells += [f"{value / 1e3:.3g}" for value in each[1]] + [f"{slope[1]:.2f}"]
        rows.append((name, ", ".join(map(str, sizes)), WORKS[name][2], *cells))
    heads = ["what", "sizes", "each is", *(f"ms, {size}" for size in ("small", "middle", "large")), "slope"]
    print_table([*heads, *(f"kB, {size}" for size in ("small", "middle", "large")), "slope"], rows)


def in_a_process(name: str, size: int) -> tuple[float, float]:
    command = [sys.executable, __file__, name, "--one", str(size)]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    seconds, memory = json.loads(ended.stdout.splitlines()[-1])
    return seconds, memory


def measured(make: Callable[[int, Path], Work], sizes: tuple[int, ...], size: int) -> tuple[float, float]:
    """Seconds of the processor, and bytes, that the work of this size takes after that of the smallest size."""
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        make(sizes[0], Path(first))()
        work = make(size, Path(second))
        gc.collect()
        gc.freeze()  # else one collection, through all of torch, comes at some size
        before, began = peak(), time.process_time()
        work()
        return time.process_time() - began, peak() - before


def peak() -> float:
    """The most memory that this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


if __name__ == "__main__":
    main()
