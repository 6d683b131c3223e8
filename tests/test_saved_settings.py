"""What is written into the host's saved settings can be taken back, also when the extension is removed."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_skip.webui.saved_settings import SLIDER, undo, without_clip_skip

ROOT = Path(__file__).parents[1]
MODELS = "sd_model_checkpoint"


class Options(SimpleNamespace):
    """The host's options, as it saves them."""

    @property
    def quicksettings_list(self):
        return self.data.get("quicksettings_list", [MODELS])

    def get_default(self, name):
        return 1


def used(saved):
    """`saved` settings after a start of the WebUI with this extension and ADetailer."""
    from clip_skip.webui.second_pass import admit
    from clip_skip.webui.widgets.header_slider import add_slider

    options = Options(data=dict(saved), data_labels={SLIDER: None})
    add_slider(options)
    admit(options)
    return options.data


@pytest.mark.parametrize("scripts", ["dynamic_prompting,wildcards", "", "a, clip_skip_of_mine"])
def test_the_way_back_leads_to_the_settings_before(standins, scripts):
    before = {SLIDER: 2, "quicksettings_list": [MODELS, "sd_vae"], "ad_script_names": scripts, "samples_save": True}
    after = {**used(before), "clip_skip_viewer": False, "clip_skip_sweep_presets": {"mine": {}}}
    assert after["quicksettings_list"][-1] == SLIDER and "clip_skip" in after["ad_script_names"].split(",")
    assert without_clip_skip(after) == before
    assert without_clip_skip(before) == before


def test_a_slider_and_a_script_that_the_user_has_put_there_stay(standins):
    before = {SLIDER: 2, "quicksettings_list": [MODELS, SLIDER], "ad_script_names": "wildcards,clip_skip"}
    assert without_clip_skip(before) == before
    assert without_clip_skip(used(before)) == before
    removed = {**used(before), "quicksettings_list": [MODELS], "ad_script_names": "wildcards"}
    assert used(removed) == removed, "added again after the user has removed it"


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists)))
def test_other_settings_are_never_changed(settings):
    kept = without_clip_skip({**settings, "clip_skip_slider_added": True, "clip_skip_in_adetailer": True})
    others = {name: value for name, value in settings.items() if not name.startswith("clip_skip_")}
    assert {name: kept[name] for name in others if name not in ("quicksettings_list", "ad_script_names")} == {
        name: value for name, value in others.items() if name not in ("quicksettings_list", "ad_script_names")
    }


def run_install(*arguments):
    command = [sys.executable, str(ROOT / "install.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8")


def test_the_command(tmp_path):
    file = tmp_path / "config.json"
    saved = {"quicksettings_list": [MODELS, SLIDER], "clip_skip_slider_added": True, "name": "ünïcödé"}
    file.write_text(json.dumps(saved), encoding="utf-8")
    ended = run_install("--undo", file)
    assert ended.returncode == 0 and "quicksettings_list" in ended.stdout
    assert json.loads(file.read_text(encoding="utf-8")) == {"quicksettings_list": [MODELS], "name": "ünïcödé"}
    assert undo(file) == [] and [*tmp_path.iterdir()] == [file]


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff"])
def test_a_broken_file_stays_as_it_is(tmp_path, content):
    file = tmp_path / "config.json"
    file.write_bytes(content)
    ended = run_install("--undo", file)
    assert ended.returncode == 1 and "config.json" in ended.stderr and "Traceback" not in ended.stderr
    assert file.read_bytes() == content


def test_the_webuis_own_call_does_nothing():
    ended = run_install()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
