import gc
import importlib.abc
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
"""Small matrices are faster with one thread, and other tests may be running; torch, and what tests start, reads it."""

CACHE = tempfile.TemporaryDirectory(prefix="clip-skip-tests-", ignore_cleanup_errors=True)
os.environ["CLIP_SKIP_CACHE"] = CACHE.name
"""What is kept of files between commands: not the user's own."""

os.environ["RAY_AUTH_MODE"] = "disabled"
"""Where it is not set, a local Ray sets it, in this process and for good, and the next test's nodes have no token."""

sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
"""Beside stand-ins the library is imported anew for each test, and must not be compiled anew each time."""

try:
    import hypothesis
except ModuleNotFoundError:  # the tests that need it say so
    pass
else:
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")

STANDINS = Path(__file__).parent / "standins"


def pytest_configure(config):
    config.add_cleanup(CACHE.cleanup)


def pytest_collection_finish():
    gc.freeze()  # collections between tests need not go through torch each time


class HostFree(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives those modules of the library that import nothing of a host as they were first imported.

    The script drops all of them, for Reload UI, and importing all of them anew for each test takes long.
    """

    def __init__(self):
        self.modules = {}

    def keep(self, modules):
        for name, module in modules.copy().items():  # a thread of an earlier test may be importing
            if name.split(".")[0] == "clip_skip" and not name.startswith("clip_skip.webui"):
                self.modules.setdefault(name, (module, module.__spec__))

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name in self.modules else None

    def create_module(self, spec):
        return self.modules[spec.name][0]

    def exec_module(self, module):
        module.__spec__ = self.modules[module.__name__][1]  # importing has replaced it


HOST_FREE = HostFree()


@pytest.fixture
def standins(monkeypatch):
    """The host's modules, stood in for, fresh for each test, and so is what of the library imports them."""

    def forget(*names):
        for name in list(sys.modules):
            if name.split(".")[0] in names or name.startswith("clip_skip.webui"):
                del sys.modules[name]

    gradio = {name: module for name, module in sys.modules.copy().items() if name.split(".")[0] == "gradio"}
    forget("modules", "gradio")
    HOST_FREE.keep(sys.modules)
    monkeypatch.setattr(sys, "meta_path", [HOST_FREE, *sys.meta_path])
    monkeypatch.syspath_prepend(str(STANDINS))
    yield
    HOST_FREE.keep(sys.modules)
    forget("modules", "gradio", "clip_skip")
    sys.modules.update({name: module for name, (module, _) in HOST_FREE.modules.items()} | gradio)


QUIET = ("background-networking", "component-update", "sync", "gpu", "quic")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser():
    """Chromium, driven by Playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    arguments = ["--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in QUIET)]
    with sync_api.sync_playwright() as playwright:
        if not CHROMIUM and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no browser to test with: no chromium, no google-chrome, none of Playwright's, no CHROMIUM")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def axe():
    """axe-core, in a page of Playwright's."""
    module = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    )
    return module.Axe()


HOSTS = ".table-wrap, .disable_click, table *, [role=tab], button.label-wrap, input[role=listbox]"
HOSTS += ", [aria-label='Empty value']"
"""What a host and its gradio make and axe-core finds wrong: gradio 3's cells without names, gradio 4's roles of tables
and lists and names of empty pictures, the colour of a tab's name, a check box in the button of an accordion."""


@pytest.fixture
def violations(axe):
    """Checks a whole page with all of axe-core's rules; returns what it found wrong in what matches `ours`.

    A host's page has no landmarks, which is the rule "region".
    """

    def check(page, ours="[id*=clip_skip], [id*=clip_skip] *, [class*=clip-skip], [class*=clip-skip] *"):
        ours = f":is({ours}):not({HOSTS})"
        found = axe.run(page).response["violations"]
        matches = lambda target: page.locator(target).first.evaluate("(it, ours) => it.matches(ours)", ours)
        is_ours = lambda node: len(node["target"]) > 1 or matches(node["target"][-1])  # in a frame everything is
        return [
            (one["id"], node["html"], node["failureSummary"])
            for one in found
            if one["id"] != "region"
            for node in one["nodes"]
            if is_ours(node)
        ]

    return check


@pytest.fixture
def contrast(axe):
    """Checks the contrast of what matches `selector` with axe-core; returns what it found wrong."""

    def check(page, selector):
        options = {"runOnly": ["color-contrast", "button-name", "label", "aria-valid-attr-value"]}
        found = axe.run(page, context=selector, options=options).response["violations"]
        return [(one["id"], node["html"], node["failureSummary"]) for one in found for node in one["nodes"]]

    return check


@pytest.fixture
def moving():
    """What of ours moves on a page although its browser asks for reduced motion."""

    def check(page):
        page.emulate_media(reduced_motion="reduce")
        return page.evaluate("""() => [...document.querySelectorAll(
            "[id*=clip_skip], [id*=clip_skip] *, [class*=clip-skip]"
        )].filter((one) => {
            const style = getComputedStyle(one);
            const seconds = (text) => Math.max(...text.split(",").map(parseFloat));
            const moves = style.animationName !== "none" && seconds(style.animationDuration) > 0.01;
            return moves || seconds(style.transitionDuration) > 0.01;
        }).map((one) => one.outerHTML.slice(0, 80))""")

    return check
