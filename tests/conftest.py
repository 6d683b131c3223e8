import sys
from pathlib import Path

import pytest

STANDINS = Path(__file__).parent / "standins"


@pytest.fixture
def standins(monkeypatch):
    """The host's modules, stood in for, fresh for each test."""

    def forget():
        for name in list(sys.modules):
            if name.split(".")[0] in ("modules", "gradio") or name.startswith("clip_skip.webui"):
                del sys.modules[name]

    forget()
    monkeypatch.syspath_prepend(str(STANDINS))
    yield
    forget()
