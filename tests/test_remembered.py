"""What is remembered for a file: written whole or not at all, and nothing lost from the JSON that has it."""

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clip_skip.made_for import json_members, remembered
from clip_skip.made_for.reading import Problem
from clip_skip.messages.message import MessageError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text() | st.sampled_from([remembered.KEY, remembered.MARK, "notes"]), VALUES, max_size=6)
LAYOUTS = st.sampled_from([{"indent": 4}, {"indent": "\t", "ensure_ascii": False}, {}, {"separators": (",", ":")}])
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])


def exact(text):
    """The data in `text`, with every number as it is written, and every key as often as it is there."""
    return json.loads(text, object_pairs_hook=list, parse_int=str, parse_float=str, parse_constant=str)


def others(pairs):
    return [pair for pair in pairs if pair[0] not in (remembered.KEY, remembered.MARK)]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(OBJECTS, LAYOUTS, ENCODINGS, st.integers(1, 12))
def test_nothing_is_lost_from_json_that_can_be_parsed(data, layout, encoding, value):
    written = json.dumps(data, **layout).encode(encoding, "surrogatepass")
    after = remembered.edit_bytes(written, {remembered.KEY: value, remembered.MARK: True})
    assert after[:2] == written[:2] or not data
    text = lambda these: these.decode(json.detect_encoding(these), "surrogatepass")
    before, now = exact(text(written)), exact(text(after))
    assert others(now) == others(before)
    assert json.loads(after)[remembered.KEY] == value and json.loads(after)[remembered.MARK] is True
    gone = remembered.edit_bytes(after, {remembered.KEY: None, remembered.MARK: None})
    assert others(exact(text(gone))) == exact(text(gone)) == others(before)


def test_what_python_cannot_hold_and_what_is_there_twice_stays():
    text = (
        '{ "a": 1.00000000000000000000001, "a": 1e999,\n\t"big": '
        + "9" * 5000
        + ' , "z": [1,  {"b":0x}]}'.replace("0x", "-0.0")
    )
    after = json_members.edit_members(text, {"clip skip": 2})
    assert after == text[:-1] + ', "clip skip": 2}'
    assert json_members.edit_members(after, {"clip skip": None}) == text


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary(max_size=60)
    | VALUES.filter(lambda value: not isinstance(value, dict)).map(lambda v: json.dumps(v).encode())
)
def test_nothing_is_written_to_what_cannot_be_parsed_or_is_no_object(tmp_path_factory, data):
    try:
        if isinstance(json.loads(data), dict):
            return
    except ValueError:
        pass
    folder = tmp_path_factory.mktemp("models")
    beside = folder / "model.json"
    beside.write_bytes(data)
    with pytest.raises(Problem, match=r"model\.json"):
        remembered.remember(str(folder / "model.safetensors"), 2)
    assert beside.read_bytes() == data and os.listdir(folder) == ["model.json"]
    assert remembered.value_of(str(folder / "model.safetensors")) is None


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "models" / "model.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"weights")
    return str(path)


def test_remembered_moved_and_forgotten(model):
    assert remembered.value_of(model) is None
    beside = remembered.remember(model, 2)
    assert beside == remembered.json_beside(model) and remembered.value_of(model) == 2
    assert json.loads(Path(beside).read_text(encoding="utf-8")) == {"clip skip": 2, "clip skip remembered": True}
    remembered.remember(model, 11)
    assert remembered.value_of(model) == 11
    remembered.forget(model)
    assert remembered.value_of(model) is None and not os.path.exists(beside)  # nothing was in it but what we wrote


def test_what_a_downloader_wrote_is_not_followed(model):
    beside = remembered.json_beside(model)
    with open(beside, "w", encoding="utf-8") as file:
        json.dump({"clip skip": 2, "notes": "anime"}, file, indent=4)
    before = Path(beside).read_text(encoding="utf-8")
    assert remembered.value_of(model) is None
    remembered.forget(model)
    assert Path(beside).read_text(encoding="utf-8") == before
    remembered.remember(model, 3)
    assert remembered.value_of(model) == 3 and json.loads(Path(beside).read_text(encoding="utf-8"))["notes"] == "anime"


@pytest.mark.parametrize("value", [True, "2", 0, 13, 1.5, float("nan"), None, [2]])
def test_only_what_the_slider_can_be_is_remembered(value):
    with pytest.raises(MessageError) as caught:
        remembered.check_value(value)
    assert caught.value.message == remembered.NOT_A_VALUE(deepest=12)


@pytest.mark.parametrize(
    "text", ['{"clip skip": 99, "clip skip remembered": true}', '{"clip skip": 2', "[2]", "", "null"]
)
def test_what_cannot_be_meant_is_nothing(model, text):
    with open(remembered.json_beside(model), "w", encoding="utf-8") as file:
        file.write(text)
    assert remembered.value_of(model) is None


def cannot_write(monkeypatch, folder, number):
    real = remembered.replace_file

    def replace_file(path, data):
        if os.path.dirname(path) == os.path.realpath(folder):
            raise OSError(number, os.strerror(number), path)
        real(path, data)

    monkeypatch.setattr(remembered, "replace_file", replace_file)


def test_where_the_folder_cannot_be_written_it_is_kept_by_hash(model, tmp_path, monkeypatch):
    store = remembered.Store(str(tmp_path / "own.json"), lambda path: "hash of " + os.path.basename(path))
    cannot_write(monkeypatch, os.path.dirname(model), 30)
    assert remembered.remember(model, 2, store) == store.path
    assert remembered.value_of(model, store) == 2 and remembered.value_of(model) is None
    assert json.loads(Path(store.path).read_text(encoding="utf-8")) == {"hash of model.safetensors": 2}
    other = os.path.join(os.path.dirname(model), "other.safetensors")
    assert remembered.value_of(other, store) is None
    remembered.remember(other, 3, store)
    remembered.forget(model, store)
    assert remembered.value_of(model, store) is None and remembered.value_of(other, store) == 3
    monkeypatch.undo()
    remembered.remember(other, 4, store)
    assert remembered.value_of(other, store) == 4 and not os.path.exists(store.path)


def test_a_full_disk_is_reported_and_leaves_everything(model, tmp_path, monkeypatch):
    store = remembered.Store(str(tmp_path / "own.json"), lambda path: "hash")
    remembered.remember(model, 2, store)
    cannot_write(monkeypatch, os.path.dirname(model), 28)
    with pytest.raises(Problem) as caught:
        remembered.remember(model, 3, store)
    assert caught.value.message == remembered.NOT_WRITTEN(file="model.json", reason=os.strerror(28))
    assert remembered.value_of(model, store) == 2 and not os.path.exists(store.path)


def test_a_link_stays_a_link_and_rights_stay(model, tmp_path):
    beside, real = remembered.json_beside(model), tmp_path / "real.json"
    real.write_text('{"notes": "x"}')
    real.chmod(0o640)
    os.symlink(real, beside)
    remembered.remember(model, 2)
    assert os.path.islink(beside) and json.loads(real.read_text())["clip skip"] == 2
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_clip_skip_of_the_size_of_a_decimal_stays(model):
    with open(remembered.json_beside(model), "w", encoding="utf-8") as file:
        file.write('{"preferred weight": 0.80000000000000000001}')
    remembered.remember(model, 2)
    data = json.loads(Path(remembered.json_beside(model)).read_text(encoding="utf-8"), parse_float=Decimal)
    assert data["preferred weight"] == Decimal("0.80000000000000000001")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "home"))


def test_the_command_remembers_and_forgets(model, home, capsys):
    from clip_skip.standalone.cli.main import main

    assert main(["inspect", "--remember", "2", model]) == 0
    assert remembered.value_of(model) == 2 and remembered.json_beside(model) in capsys.readouterr().out
    assert main(["inspect", "--forget", model]) == 0 and remembered.value_of(model) is None


@pytest.mark.parametrize("arguments", [["--remember", "13"], ["--remember", "2", "missing.safetensors"]])
def test_the_command_refuses_what_it_cannot_remember(model, home, arguments, capsys):
    from clip_skip.standalone.cli.main import main

    with pytest.raises(SystemExit, match="2"):
        main(["inspect", *arguments, model])
    assert remembered.value_of(model) is None


def test_the_command_leaves_json_that_cannot_be_parsed(model, home, capsys):
    from clip_skip.standalone.cli.main import main

    Path(remembered.json_beside(model)).write_text("{", encoding="utf-8")
    assert main(["inspect", "--remember", "2", model]) == 1
    assert (
        "model.json" in capsys.readouterr().err
        and Path(remembered.json_beside(model)).read_text(encoding="utf-8") == "{"
    )


def test_without_a_webui_it_is_kept_by_the_files_hash(model, home, monkeypatch):
    from clip_skip.standalone.remembering import own_store, remembered_value

    store = own_store()
    cannot_write(monkeypatch, os.path.dirname(model), 13)
    assert remembered.remember(model, 4, store) == store.path and remembered_value(Path(model)) == 4
    moved = Path(model).with_name("renamed.safetensors")
    os.rename(model, moved)
    assert remembered_value(moved) == 4


def test_a_remembered_value_is_what_is_suggested(model):
    from clip_skip.made_for import suggestions

    Path(model).write_bytes((8).to_bytes(8, "little") + b"{}      ")
    remembered.remember(model, 2)
    (found,) = suggestions.suggest([suggestions.File("LoRA", "model", model)], 1.0)
    assert found["value"] == 2 and found["text"].template == suggestions.REMEMBERED
    assert suggestions.suggest([suggestions.File("LoRA", "model", model)], 2.0) == []
    assert suggestions.suggest([suggestions.File("checkpoint", "model", model)], 1.0) == []


def test_a_sweep_marks_the_checkpoints_own_column(model, tmp_path):
    from clip_skip.page.own_column import RECOMMENDED, REMEMBERED, find_own_column
    from clip_skip.sweep.settings import SweepSettings

    Path(model).write_bytes((8).to_bytes(8, "little") + b"{}      ")
    store = remembered.Store(str(tmp_path / "own.json"), lambda path: None)
    plan = lambda text, **more: SweepSettings(clip_skips=text, **more).plan({"l": 12})
    assert find_own_column(plan("1-4"), model, store, True) is None
    Path(remembered.json_beside(model)).write_text('{"clip skip": 3}', encoding="utf-8")
    own = find_own_column(plan("1-4"), model, store, True)
    assert own.sentence == RECOMMENDED(value=3, file="model.json")
    assert find_own_column(plan("1-4"), model, store, False) is None
    remembered.remember(model, 2, store)
    own = find_own_column(plan("1-3 (+0.5)"), model, store, False)
    assert own.sentence == REMEMBERED(value=2) and own.mark(["1", "1.5", "2", "2.5"]) == ["1", "1.5", "[2]", "2.5"]
    assert find_own_column(plan("3, 4"), model, store, True) is None
    assert find_own_column(plan("1-4"), None, store, True) is None
