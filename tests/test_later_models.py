"""Models after SDXL in Forge Neo: a tag is taken out, its writer is told once, and nothing fails."""

import pytest

from .helpers import find_marker
from .host_models import LATER
from .test_webui import host  # noqa: F401  (the fixture)


def no_effect(model):
    from clip_skip.webui import generation

    return generation.NO_EFFECT(model=type(model).__name__)


@pytest.fixture(params=LATER)
def model(request, host):  # noqa: F811
    """The host with such a model loaded."""
    host.shared.sd_model = host.model = LATER[request.param]()
    return host.model


def test_tags_are_taken_out_and_told_once(host, model):  # noqa: F811
    prompts = ["a <clipskip:2>cow AND <clipskip:3>a field", "[<clipskip:1>:<clipskip:4>:0.5] a hen"]
    p = host.generate(prompts, ["bad<clipskip:2>", "<clipskip:l=2:g=3>worse"])
    assert model.seen and not [text for text in model.seen if "clipskip" in text or find_marker(text)]
    assert p.clip_skip_state.warnings == [no_effect(model)]


def test_the_panel_is_told_of_too(host, model):  # noqa: F811
    p = host.generate(["a cow"], args=[{"enabled": True, "clip_skip": 2}])
    assert p.clip_skip_state.warnings == [no_effect(model)]
    assert set(model.seen) == {"a cow", ""}


def test_without_us_nothing_is_told(host, model):  # noqa: F811
    assert host.generate(["a cow"]).clip_skip_state.warnings == []


def test_what_the_page_says_of_the_model(host, model):  # noqa: F811
    from clip_skip.webui.hosts.encoders import describe_model

    described = describe_model(model)
    assert not described.hosts and not described.header_acts and described.kind == type(model).__name__
