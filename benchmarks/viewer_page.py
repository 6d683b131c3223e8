"""What a sweep's page of many pictures costs a browser: Chromium, driven by Playwright, opens pages of 48 to
5,040 pictures.

    python benchmarks/viewer_page.py

For each: seconds until the table is there, those for which the page kept its main thread busy, and the
memory of its script and of its tab; each divided by the number of pictures, and the slope as in growth.py.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import shutil
import tempfile
import time
from pathlib import Path

import psutil
from growth_works import page as page_of
from page import FLAGS
from playwright.sync_api import Browser, sync_playwright
from tables import print_table

RENDERER = "--type=renderer"
ALL_THERE = "n => {const all = [...document.querySelectorAll('#grid img')]; return all.length === n && all[0].complete}"


def open_page(browser: Browser, path: Path, pictures: int, settle: float) -> tuple[float, float, float, float]:
    """Seconds until it is there, seconds of work, and bytes of the script and of the tab."""
    tabs = renderers()
    page = browser.new_page()
    metrics = page.context.new_cdp_session(page)
    metrics.send("Performance.enable")
    began = time.perf_counter()
    page.goto(path.as_uri())
    page.wait_for_function(ALL_THERE, arg=pictures, timeout=120_000)
    loaded = time.perf_counter() - began
    page.wait_for_timeout(settle * 1000)
    values = {one["name"]: one["value"] for one in metrics.send("Performance.getMetrics")["metrics"]}
    memory = max(process.memory_info().rss for process in renderers() - tabs)
    page.close()
    return loaded, values["TaskDuration"], values["JSHeapUsedSize"], memory


def renderers() -> set[psutil.Process]:
    """The processes of the browser's tabs."""
    tabs = set()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            if RENDERER in child.cmdline():
                tabs.add(child)
    return tabs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", nargs=3, type=int, default=(48, 504, 5040), metavar="N", help="twelve in a row")
    parser.add_argument("--settle", type=float, default=2.0, metavar="SECONDS", help="until its memory is read")
    arguments = parser.parse_args()
    sizes, settle = arguments.pictures, arguments.settle
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        paths = {size: Path(folder, f"{size}.html") for size in sizes}
        for size, path in paths.items():
            path.write_text(str(page_of(size, path)()), encoding="utf-8")
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        open_page(browser, paths[sizes[0]], sizes[0], settle)
        measured = {size: open_page(browser, path, size, settle) for size, path in paths.items()}
        browser.close()
    rows = []
    for column, (what, unit) in enumerate(
        (
            ("until it is there, ms", 1e-3),
            ("work, ms", 1e-3),
            ("its script's memory, kB", 1e3),
            ("its tab's memory, kB", 1e3),
        )
    ):
        each = [measured[size][column] / size / unit for size in sizes]
        slope = math.log(measured[sizes[2]][column] / measured[sizes[1]][column]) / math.log(sizes[2] / sizes[1])
        rows.append((what, *(f"{value:.3g}" for value in each), f"{slope:.2f}"))
    print_table(("a picture", *map(str, sizes), "slope"), rows)


if __name__ == "__main__":
    main()
