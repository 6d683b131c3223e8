"""Finished cells are used again, on the host's own processing object, options and scripts."""

import pytest

from .conftest import same
from .test_sweep import cells, sweep


@pytest.fixture
def reuse(webui):
    """A sweep with the memory for finished cells on; each answer says how many of its cells were made."""
    webui.call("/sdapi/v1/options", {"clip_skip_finished_cells": 64})

    def run(settings=None, **arguments):
        return sweep(webui, settings={"seed": 77, **(settings or {})}, **arguments)

    yield run
    webui.call("/sdapi/v1/options", {"clip_skip_finished_cells": 0})


def test_another_sweep_takes_the_cells_it_has_in_common(webui, reuse):
    first = reuse(clip_skips="1, 2", cfg_scales="4, 7")
    second = reuse(clip_skips="1, 2", cfg_scales="4, 8", cells_per_batch=1)
    assert all(same(one, other) for one, other in zip(cells(first)[:2], cells(second)[:2]))
    assert first["info"]["infotexts"][1:3] == second["info"]["infotexts"][1:3]
    again = reuse(clip_skips="1, 2", cfg_scales="4, 8", report=True)
    assert all(same(one, other) for one, other in zip(cells(second), cells(again)))
    assert again["info"]["infotexts"][-4:] == second["info"]["infotexts"][-4:]
    assert webui.call("/sdapi/v1/progress")["state"]["job_count"] <= 1


def test_an_option_that_changes_pixels_and_another_seed_make_others(webui, reuse):
    first = cells(reuse(clip_skips="1", cfg_scales="7", settings={"sampler_name": "Euler a"}))
    other = cells(reuse(clip_skips="1", cfg_scales="7", settings={"sampler_name": "Euler a", "seed": 78}))
    assert not same(first[0], other[0])
    before = webui.call("/sdapi/v1/options")["eta_ancestral"]
    webui.call("/sdapi/v1/options", {"eta_ancestral": 0.5})
    try:
        assert not same(first[0], cells(reuse(clip_skips="1", cfg_scales="7", settings={"sampler_name": "Euler a"}))[0])
    finally:
        webui.call("/sdapi/v1/options", {"eta_ancestral": before})
