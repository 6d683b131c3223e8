"""The header follows what is remembered for a checkpoint, on stand-ins for the hosts that load in different ways."""

import itertools
import json
import os
import sys
import threading

import pytest

from .follow_hosts import A1111, CHECKPOINT, OPTION, Forge, Generation, Neo

VALUES = {"two": 2, "three": 3, "none": 1, "other": 1}


@pytest.fixture(params=[A1111, Forge, Neo], ids=lambda host: host.__name__)
def host(request, standins, tmp_path):
    import modules.shared

    modules.shared.config_filename = str(tmp_path / "config.json")
    modules.shared.opts.data_labels = {**modules.shared.opts.data_labels, "clip_skip_follow": True}
    yield request.param(tmp_path)
    for name in ("modules_forge", "modules_forge.main_entry"):
        sys.modules.pop(name, None)


@pytest.fixture
def remembering(host):
    """2 and 3 are remembered for two of the checkpoints."""
    for name in ("two", "three"):
        host.remembering.remember({"checkpoint": name, "clip_skip": VALUES[name]})
    SAVED.clear()
    return host


def saved(host):
    host.shared.opts.save("config.json")
    return SAVED.pop()


SAVED = []


def on_another_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


@pytest.fixture(autouse=True)
def file_of_settings(standins, monkeypatch):
    """What the host writes, which it takes from the object that it is called with."""
    import modules.shared

    monkeypatch.setattr(modules.shared.Options, "save", lambda self, filename: SAVED.append(self.data[OPTION]))
    SAVED.clear()


def test_who_never_presses_sees_nothing_of_it(host):
    before = sorted(os.listdir(host.folder))
    for name in ("two", "none", "three"):
        host.choose(name)
        for overrides in ({}, {CHECKPOINT: "other"}, {OPTION: 4}, {OPTION: 4, CHECKPOINT: "other"}):
            p = host.make(overrides=overrides, refiner="two", n_iter=2)
            assert p.override_settings == overrides and {skip for _, skip in p.used} == {overrides.get(OPTION, 1)}
            assert p.extra_generation_params == {}
        host.opts[OPTION] = 5
        host.choose("other")
        assert host.shown == saved(host) == 5
        host.opts[OPTION] = 1
    assert sorted(os.listdir(host.folder)) == before and host.remembering.answer()["followed"] is False


def test_the_header_is_the_checkpoints_or_the_users_own(remembering):
    host = remembering
    host.opts[OPTION] = 5
    for name in ("two", "none", "three", "two", "other", "none", "three", "three", "other", "two"):
        host.choose(name)
        wanted = {"two": 2, "three": 3}.get(name, 5)
        assert host.shown == wanted and saved(host) == 5
        p = host.make()
        assert p.used == [(name, wanted)] and p.infotexts == [{"Clip skip": str(wanted)}] and host.shown == wanted


def test_a_slider_that_was_moved_stays_until_another_checkpoint(remembering):
    host = remembering
    host.choose("two")
    host.opts[OPTION] = 4
    assert host.make(n_iter=2).used == [("two", 4)] * 2 and host.shown == 4 and saved(host) == 1
    assert host.make(overrides={CHECKPOINT: "three"}).used == [("three", 3)] and host.shown == 4
    host.choose("none")
    assert host.shown == 1
    host.opts[OPTION] = 6
    host.choose("two")
    assert host.shown == 2 and saved(host) == 6
    host.choose("other")
    assert host.shown == 6


@pytest.mark.parametrize("selected", ["two", "none", "other"])
@pytest.mark.parametrize("override", ["two", "three", "none"])
def test_an_overrides_checkpoint_has_its_own_and_all_goes_back(remembering, selected, override):
    host = remembering
    host.choose(selected)
    for _ in range(3):
        p = host.make(overrides={CHECKPOINT: override}, n_iter=2, between=lambda: SAVED.append(saved(host)))
        assert p.used == [(override, VALUES[override])] * 2
        assert p.infotexts[0].get("Clip skip", "1") == str(VALUES[override])
        assert host.shown == VALUES[selected] and host.opts[CHECKPOINT] == selected
        assert SAVED == [1, 1]
        SAVED.clear()
        assert host.make().used == [(selected, VALUES[selected])]


@pytest.mark.parametrize("restore", [True, False])
@pytest.mark.parametrize("order", [[OPTION, CHECKPOINT], [CHECKPOINT, OPTION]], ids=["skip first", "checkpoint first"])
def test_an_overrides_clip_skip_wins(remembering, order, restore):
    host = remembering
    host.choose("three")
    both = {OPTION: 7, CHECKPOINT: "two"}
    p = host.make(overrides={key: both[key] for key in order}, n_iter=2, refiner="three", restore=restore)
    assert {skip for _, skip in p.used} == {7} and p.used[0][0] == "two"
    assert p.infotexts == [{"Clip skip": "7"}] * 2
    assert (host.opts[CHECKPOINT], host.shown) == (("three", 3) if restore else ("two", 7))
    assert saved(host) == 1
    host.choose("none")
    assert host.shown == 1
    assert host.make(overrides={OPTION: 1}).used == [("none", 1)] and host.shown == 1


def test_overrides_that_stay_move_the_header(remembering):
    host = remembering
    assert host.make(overrides={CHECKPOINT: "two"}, restore=False).used == [("two", 2)]
    assert host.shown == 2 and saved(host) == 1
    assert host.make(overrides={CHECKPOINT: "none"}, restore=False).used == [("none", 1)] and host.shown == 1


def test_an_axis_puts_one_checkpoint_after_the_other_into_the_same_overrides(remembering):
    """As X/Y/Z plot does: all cells' copies of `p` share one dictionary."""
    host, shared = remembering, {}
    for name in ("two", "none", "three", "none", "two"):
        shared[CHECKPOINT] = name
        p = host.make()
        p.override_settings, p.used, p.infotexts = shared, [], []
        assert host.process_images(p).used == [(name, VALUES[name])]
        assert shared == {CHECKPOINT: name}
    assert host.shown == 1


def test_a_plot_over_checkpoints_leaves_the_header_as_it_was(remembering):
    host = remembering
    for selected in ("none", "two"):
        host.choose(selected)
        p = host.plot(["two", "two", "none", "three"])
        assert p.used == [(name, VALUES[name]) for name in ("two", "two", "none", "three")]
        assert (host.opts[CHECKPOINT], host.shown, saved(host)) == (selected, VALUES[selected], 1)


def test_a_script_may_use_one_generation_for_several_checkpoints(remembering):
    host = remembering
    p = host.make(overrides={CHECKPOINT: "two"})
    for name in ("three", "none", "two"):
        p.override_settings[CHECKPOINT], p.used = name, []
        assert host.process_images(p).used == [(name, VALUES[name])]
    p.override_settings[OPTION], p.used = 9, []
    assert host.process_images(p).used == [("two", 9)] and host.shown == 1


@pytest.mark.parametrize(("first", "second"), [*itertools.permutations(VALUES, 2)])
def test_a_second_checkpoint_moves_the_header_while_it_is_used(remembering, first, second):
    host = remembering
    host.choose(first)
    p = host.make(refiner=second, n_iter=2)
    # Forge selects the first one again before it encodes for the second
    values = [(first, VALUES[first]), (second, VALUES[first if isinstance(host, Forge) else second])]
    assert p.used == values * 2
    assert all(text.get("Clip skip", "1") == str(VALUES[first]) for text in p.infotexts)
    assert host.shown == VALUES[first] and saved(host) == 1
    noted = {text.get("Second checkpoint clip skip", values[1][1]) for text in p.infotexts}
    assert {str(one) for one in noted} == {str(values[1][1])}
    assert host.make().used == [(first, VALUES[first])]


def test_a_second_checkpoint_leaves_a_moved_slider(remembering):
    host = remembering
    host.choose("two")
    host.opts[OPTION] = 5
    p = host.make(refiner="none", n_iter=2)
    assert p.used[0] == p.used[2] == ("two", 5) and host.shown == 5 and saved(host) == 1


def test_a_generation_within_another(remembering):
    """As ADetailer makes one, with a checkpoint or a clip skip of its own, and without."""
    host = remembering
    host.choose("three")
    for overrides, wanted in (({}, 3), ({CHECKPOINT: "two"}, 2), ({OPTION: 8}, 8), ({CHECKPOINT: "two", OPTION: 8}, 8)):
        inner = []
        between = lambda overrides=overrides, inner=inner: inner.append(host.make(overrides=overrides).used[0][1])
        assert [skip for _, skip in host.make(n_iter=2, between=between).used] == [3, 3]
        assert inner == [wanted, wanted] and host.shown == 3
    inner = []
    between = lambda: inner.append(host.make(overrides={CHECKPOINT: "none"}).used[0])
    p = host.make(overrides={OPTION: 9, CHECKPOINT: "two"}, n_iter=2, between=between)
    assert [skip for _, skip in p.used] == [9, 9] and host.shown == 3 and host.opts[CHECKPOINT] == "three"


def test_a_generation_that_fails_leaves_the_header(remembering):
    host = remembering
    host.choose("two")
    for overrides, refiner in (({CHECKPOINT: "three"}, None), ({OPTION: 9}, "none"), ({}, "three")):
        p = Generation(overrides, refiner)
        p.fails = True
        with pytest.raises(RuntimeError):
            host.process_images(p)
        assert host.shown == 2 and saved(host) == 1
        assert host.make().used == [("two", 2)]
        host.choose("none")
        assert host.shown == 1
        host.choose("two")


def test_a_checkpoint_that_cannot_be_loaded_does_not_move_the_header(remembering):
    host = remembering
    host.choose("two")
    host.broken.add("three")
    if isinstance(host, A1111):
        host.choose("three")
        assert (host.loaded, host.opts[CHECKPOINT], host.shown) == ("two", "two", 2)
    with pytest.raises(OSError):
        host.make(overrides={CHECKPOINT: "three"})
    assert (host.opts[CHECKPOINT], host.shown, saved(host)) == ("two", 2, 1)
    on_another_thread(lambda: host.choose("none"))  # Forge makes pictures on a thread of their own
    assert host.shown == 1


def test_a_choice_on_another_thread_meanwhile(remembering):
    """On the page of Forge, which lets it; AUTOMATIC1111 waits until the picture is made."""
    host = remembering
    host.choose("none")
    host.make(between=lambda: on_another_thread(lambda: host.choose("two")))
    assert host.opts[CHECKPOINT] == "two" and host.shown == 2 and saved(host) == 1
    assert host.make().used == [("two", 2)]


def test_a_pasted_clip_skip_wins(remembering):
    host = remembering
    host.choose("none")
    pasted = host.paste(Clip_skip="1", Model="two")
    assert pasted == {OPTION: 1, CHECKPOINT: "two"}  # the host alone leaves out what the header is at
    assert host.make(overrides=pasted).used == [("two", 1)]
    assert host.paste(Clip_skip="2", Model="two") == {OPTION: 2, CHECKPOINT: "two"}
    assert host.paste(Clip_skip="1", Model="other") == {CHECKPOINT: "other"}
    assert host.paste(Model="two") == {CHECKPOINT: "two"}
    host.choose("two")
    assert host.paste(Clip_skip="2", Model="none") == {OPTION: 2, CHECKPOINT: "none"}
    assert host.paste(Clip_skip="1", Model="two") == {OPTION: 1}
    assert host.paste(Clip_skip="2", Model="two") == {}


def test_remember_and_forget_move_the_header(host):
    host.choose("two")
    host.opts[OPTION] = 2
    assert saved(host) == 2
    answer = host.remembering.remember({"clip_skip": 2})
    assert (answer["checkpoint"], answer["remembered"], answer["header"]) == ("two", 2, 2)
    assert SAVED.pop() == saved(host) == 1  # what it was at when the checkpoint was loaded is the others'
    host.choose("none")
    assert host.shown == 1
    host.choose("two")
    host.opts[OPTION] = 4
    assert host.remembering.remember({"clip_skip": 4})["header"] == 4
    answer = host.remembering.remember({"clip_skip": None})
    assert (answer["remembered"], answer["header"]) == (None, 1) and saved(host) == 1
    assert not [name for name in os.listdir(host.folder) if name.endswith(".json")]


def test_a_value_for_a_checkpoint_that_is_not_selected_waits(host):
    host.remembering.remember({"checkpoint": "three", "clip_skip": 3})
    assert host.shown == 1
    host.choose("three")
    assert host.shown == 3


def test_what_was_written_into_the_json_by_hand_is_followed(remembering):
    host = remembering
    host.choose("two")
    path = host.folder / "two.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "clip skip": 11}))
    assert host.remembering.answer()["header"] == 11 == host.shown and saved(host) == 1


@pytest.mark.parametrize(
    "request_",
    [
        {"clip_skip": 0},
        {"clip_skip": "2"},
        {"clip_skip": True},
        {"clip_skip": 2, "checkpoint": "../../etc/passwd"},
        {"clip_skip": 2, "checkpoint": 7},
        {"clip_skip": 2, "lora": "two"},
    ],
)
def test_what_cannot_be_remembered_is_refused(host, request_):
    from fastapi import HTTPException

    before = sorted(os.listdir(host.folder))
    with pytest.raises(HTTPException) as caught:
        host.remembering.remember(request_)
    assert caught.value.status_code == 422 and sorted(os.listdir(host.folder)) == before and host.shown == 1


def test_json_that_cannot_be_parsed_is_left_and_reported(host):
    from fastapi import HTTPException

    host.choose("two")
    beside = host.folder / "two.json"
    beside.write_text('{"notes": ')
    with pytest.raises(HTTPException, match=r"two\.json"):
        host.remembering.remember({"clip_skip": 2})
    assert beside.read_text() == '{"notes": ' and host.shown == 1


def test_off_in_the_settings(remembering):
    host = remembering
    host.choose("two")
    host.opts["clip_skip_follow"] = False
    assert host.remembering.answer()["header"] == 1 == host.shown
    host.choose("three")
    assert host.shown == 1 and host.make(overrides={CHECKPOINT: "two"}).used == [("two", 1)]
    host.opts["clip_skip_follow"] = True
    assert host.make().used == [("three", 3)] and host.shown == 3 and saved(host) == 1


def test_reload_ui_and_unload(remembering):
    host = remembering
    functions = lambda: (host.processing.process_images_inner, host.infotext_utils.get_override_settings)
    host.choose("two")
    for _ in range(3):
        host.stop()
        assert host.shown == 1 and functions() == (host.process_images_inner, host.get_override_settings)
        assert "save" not in vars(host.shared.opts)
        host.start()
        assert host.shown == 2 and saved(host) == 1
    host.stop()
    host.choose("three")
    assert host.shown == 1


def test_another_extensions_wrapper_stays(remembering):
    host = remembering
    ours = host.processing.process_images_inner
    theirs = lambda p: ours(p)
    host.processing.process_images_inner = theirs
    host.stop()
    assert host.processing.process_images_inner is theirs
    host.choose("two")
    assert theirs(Generation()).used == [(host.loaded, 1)] and host.shown == 1


def test_the_hosts_editor_of_cards_reads_the_json_again(host, monkeypatch):
    """It writes back all that it has read before, and would lose what was remembered since."""
    from types import SimpleNamespace

    read, told = [], []
    item = {"filename": host.path("two"), "user_metadata": {"notes": "old"}}
    page = SimpleNamespace(
        items={"two": item, "none": {"filename": host.path("none")}},
        lister=SimpleNamespace(update_file_entry=told.append),
        read_user_metadata=lambda item, use_cache: read.append((item, use_cache)),
    )
    monkeypatch.setitem(sys.modules, "modules.ui_extra_networks", SimpleNamespace(extra_pages=[page]))
    host.remembering.remember({"checkpoint": "two", "clip_skip": 2})
    assert read == [(item, False)] and told == [str(host.folder / "two.json")]


def test_a_lora_has_its_own_which_is_suggested_as_today(host, monkeypatch):
    from types import SimpleNamespace

    from clip_skip.made_for.metadata import find_recommendation

    path = host.folder / "lora.safetensors"
    header = b"{}      "
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    networks = SimpleNamespace(available_networks={"lora": SimpleNamespace(filename=str(path))})
    monkeypatch.setitem(sys.modules, "networks", networks)
    host.remembering.remember({"lora": "lora", "clip_skip": 2})
    assert host.shown == 1 and find_recommendation(str(path)).value == 2


def test_the_table_of_checkpoints_shows_before_it_writes(host):
    from clip_skip.page import own_values
    from clip_skip.webui.widgets.own_values_table import CHOOSE, DONE, FORGOTTEN, OwnValuesTable

    header = (8).to_bytes(8, "little") + b"{}      "
    for name in VALUES:
        (host.folder / f"{name}.safetensors").write_bytes(header)
    (host.folder / "two.json").write_text('{"clip skip": 2, "notes": "x"}')
    (host.folder / "three.json").write_text('{"clip skip": 3')
    table = OwnValuesTable(host.remembering.keep)
    table.build()
    before = {file.name: file.read_bytes() for file in host.folder.glob("*.json")}
    rows = {row[0]: row[1:] for row in table.show()[0]["value"]}
    assert rows["two"] == ["", 2, "two.json", ""] and rows["none"] == ["", "", "", own_values.LOADED]
    assert "three.json" in rows["three"][2] and rows["three"][:2] == ["", ""]
    *_, summary, write = table.preview()
    assert "two: 2 (two.json)" in summary["value"] and write["visible"]
    assert {file.name: file.read_bytes() for file in host.folder.glob("*.json")} == before
    shown = table.write()
    assert shown[3]["value"] == str(DONE(count=1)) and not shown[4]["visible"] and shown[1]["choices"] == ["two"]
    assert json.loads((host.folder / "two.json").read_text())["notes"] == "x"
    host.choose("two")
    assert host.shown == 2
    assert table.preview()[3]["value"] == own_values.NOTHING_TO_REMEMBER
    assert table.forget(None)[3]["value"] == CHOOSE
    assert table.forget("two")[3]["value"] == str(FORGOTTEN(name="two")) and host.shown == 1
