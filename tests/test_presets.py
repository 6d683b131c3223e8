"""Presets, the settings of the host's page, and a sweep of a picture."""

from types import SimpleNamespace

import pytest

from clip_skip.sweep import presets
from clip_skip.sweep.settings import SweepSettings


def test_the_reference_sweep_is_the_first_and_every_preset_can_be_planned():
    assert next(iter(presets.BUILT_IN.values())) == SweepSettings()
    for name, settings in presets.BUILT_IN.items():
        assert len(name) <= presets.LONGEST_PRESET_NAME and settings.plan({"l": 12}).cells


def test_saved_and_read_again():
    mine = SweepSettings(clip_skips="1, 2", rows="seed", seeds="1-3", report=True)
    saved = presets.with_preset(None, " mine ", mine)
    assert presets.all_presets(saved)["mine"] == mine
    assert list(presets.all_presets(saved)) == [*presets.BUILT_IN, "mine"]
    other = presets.with_preset(saved, "mine", SweepSettings())
    assert presets.all_presets(other)["mine"] == SweepSettings() and saved["mine"] != other["mine"]
    assert presets.without_preset(other, "mine") == {}


@pytest.mark.parametrize("name", ["", "  ", None, "x" * 61, next(iter(presets.BUILT_IN))])
def test_names_that_cannot_be(name):
    with pytest.raises(ValueError, match="Preset: "):
        presets.with_preset({}, name, SweepSettings())
    with pytest.raises(ValueError, match="Preset: "):
        presets.without_preset({}, name)
    with pytest.raises(ValueError, match='Preset: there is no "nobody"'):
        presets.without_preset({}, "nobody")


@pytest.mark.parametrize("saved", [None, 3, "x", {"a": 1}, {"a": {"clip_skips": 3}}, {"a": {"nothing": "1"}}])
def test_what_is_no_preset_does_not_get_in_the_way(saved):
    assert presets.all_presets(saved) == presets.BUILT_IN


def test_a_user_cannot_replace_what_is_built_in():
    name = next(iter(presets.BUILT_IN))
    assert presets.all_presets({name: {"clip_skips": "3"}})[name] == SweepSettings()


@pytest.fixture
def settings(standins):
    from clip_skip.webui import host_settings

    return host_settings


def test_every_default_is_what_there_is_without_the_section(settings):
    from modules import shared

    from clip_skip.panel import Panel

    assert settings.sweep_starts_with() == SweepSettings()
    assert settings.panel_starts_with() == vars(Panel())
    settings.add()
    assert all(info.section[0] == "clip_skip" for name, info in shared.opts.added.items() if name != settings.PRESETS)
    assert shared.opts.added[settings.PRESETS].section[0] is None
    assert settings.sweep_starts_with() == SweepSettings() and settings.panel_starts_with() == vars(Panel())


def test_what_is_set_is_what_they_start_with_and_nonsense_is_not(settings):
    from modules import shared

    shared.opts.data.update(clip_skip_sweep_clip_skips="1-4", clip_skip_sweep_report=True, clip_skip_sweep_legend="x")
    shared.opts.data.update(clip_skip_panel_enabled=True, clip_skip_panel_negative=2.5, clip_skip_panel_hires="abc")
    assert settings.sweep_starts_with() == SweepSettings(clip_skips="1-4", report=True)
    started = settings.panel_starts_with()
    assert started == {"enabled": True, "clip_skip": 1.0, "negative": 2.5, "hires": 0.0, "clip_g": 0.0}


def test_a_start_that_was_set_wins_over_the_hosts_saved_defaults(settings):
    class Component:
        value = 2

    assert not hasattr(settings.set_start(Component(), 2), "do_not_save_to_config")
    assert settings.set_start(Component(), 1).do_not_save_to_config


def test_suggestions_can_be_turned_off(settings, tmp_path, monkeypatch):
    from modules import shared

    from clip_skip.made_for import suggestions
    from clip_skip.webui import models_in_use

    asked = []
    sd1 = SimpleNamespace(kind="SD1", header_skip=1.0)
    monkeypatch.setattr(models_in_use, "describe_model", lambda model: sd1)
    monkeypatch.setattr(models_in_use, "loras", lambda prompt: {"a": "a.safetensors"})
    monkeypatch.setattr(suggestions, "suggest", lambda files, value, used, weights: asked.append(weights) or [])
    models_in_use.suggest(object(), "", 1.0)
    shared.opts.data["clip_skip_suggestions_from_weights"] = False
    models_in_use.suggest(object(), "", 1.0)
    shared.opts.data["clip_skip_suggestions"] = False
    models_in_use.suggest(object(), "", 1.0)
    assert asked == [True, False]


SAID = "a cow\nNegative prompt: bad\nSteps: 20, Sampler: Euler, CFG scale: 5.5, Seed: 7, Size: 64x64"


def test_a_sweep_of_a_picture(standins):
    from clip_skip.webui.page.from_picture import sweep_of

    filled = sweep_of({"infotext": f"{SAID}\n"})["infotext"]
    assert filled.startswith(SAID) and "Script: Clip skip sweep" in filled
    assert filled.endswith("Sweep clip skips: 1-12, Sweep CFG scales: 5.5, Sweep apply to: both")
    assert sweep_of({"infotext": filled})["infotext"] == filled
    for said in (
        f"{SAID}\nTemplate: a {{cow|dog}}\nSteps: 3\nNegative Template: x",
        SAID.replace("\n", " "),
        f"{SAID}\nx",
    ):
        assert sweep_of({"infotext": said})["infotext"] == filled
    for nothing in ("", None, "a cow", "Steps: many"):
        assert sweep_of({"infotext": nothing}) == {"error": "This picture has no settings in it."}


def test_presets_in_the_host(standins):
    from modules import shared

    from clip_skip.webui.widgets import preset_widgets

    values = vars(SweepSettings(clip_skips="2, 3")).values()
    shown, said = preset_widgets.save_preset("mine", *values)
    assert shown["value"] == "mine" and "mine" in shown["choices"] and said == "Preset &quot;mine&quot; was saved."
    assert shared.opts.saved[1]["clip_skip_sweep_presets"]["mine"]["clip_skips"] == "2, 3"
    assert preset_widgets.save_preset("", *values)[1] == f"Preset: {presets.NO_NAME}"
    assert preset_widgets.save_preset("<b>", *values)[1] == "Preset &quot;&lt;b&gt;&quot; was saved."
    assert preset_widgets.delete_preset("mine")[0]["value"] is None and "mine" not in preset_widgets.known_presets()
    shared.opts.save = lambda name: (_ for _ in ()).throw(AssertionError("changing settings is frozen"))
    assert "frozen" in preset_widgets.save_preset("other", *values)[1]
