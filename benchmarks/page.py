"""What the extension adds to the load of a running WebUI's page, in Chromium driven by Playwright.

    python benchmarks/page.py http://127.0.0.1:7860 --plain http://127.0.0.1:7861

`--plain` is the address of the same WebUI without this extension (--disable-extra-extensions). The pages are loaded in
turn, each in a new context (empty cache). Counted are the seconds until the host calls its page loaded, and the seconds
for which the page kept its main thread busy until SETTLE seconds later. The plain page is loaded twice in each round:
what its second load is to its first says how far ratios stray by themselves. A load in which the requests for our
scripts are refused says what these have to do with it. Elements and requests are those of the last round.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics

from playwright.sync_api import Browser, sync_playwright

SETTLE = 3.0
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


OUR_SCRIPTS = re.compile(r"/javascript/clip_skip")
COUNTS = "[document.querySelectorAll('*').length, performance.getEntriesByType('resource').length]"


def load(browser: Browser, url: str, scripts: bool = True) -> tuple[float, float, int, int]:
    """Seconds until the page is loaded, seconds of work on its main thread, its elements and its requests.

    scripts: whether ours are loaded
    """
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    metrics = context.new_cdp_session(page)
    metrics.send("Performance.enable")
    if not scripts:
        context.route(OUR_SCRIPTS, lambda route: route.abort())
    page.goto(url, wait_until="commit")
    page.wait_for_function("typeof executedOnLoaded !== 'undefined' && executedOnLoaded", polling=20, timeout=120_000)
    loaded = page.evaluate("performance.now() / 1000")
    page.wait_for_timeout(SETTLE * 1000)
    values = {one["name"]: one["value"] for one in metrics.send("Performance.getMetrics")["metrics"]}
    elements, requests = page.evaluate(COUNTS)
    context.close()
    return loaded, values["TaskDuration"], elements, requests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--plain", required=True)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    ways = {
        "plain": (arguments.plain, True),
        "with the extension": (arguments.url, True),
        "without its scripts": (arguments.url, False),
        "plain again": (arguments.plain, True),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for way in ways.values():
            load(browser, *way)
        rounds = [{name: load(browser, *way) for name, way in ways.items()} for _ in range(arguments.rounds)]
        browser.close()
    print(f"median of {arguments.rounds} rounds; in brackets the quartiles of the ratios")
    print(f"{'way':<20}{'loaded, s':>10}{'ratio':>24}{'busy, s':>10}{'ratio':>24}{'elements':>10}{'requests':>10}")
    for name in ways:
        row = f"{name:<20}"
        for column in range(2):
            ratios = [one[name][column] / one["plain"][column] for one in rounds]
            low, middle, high = statistics.quantiles(ratios, n=4)
            seconds = statistics.median(one[name][column] for one in rounds)
            row += f"{seconds:>10.3f}{f'{middle:.3f} ({low:.3f} to {high:.3f})':>24}"
        print(row + "".join(f"{count:>10}" for count in rounds[-1][name][2:]))


if __name__ == "__main__":
    main()
