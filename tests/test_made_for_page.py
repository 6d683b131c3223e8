"""What LoRAs were made for, told from their weights on the pages: suggestions, the tab, and the table."""

import base64
import csv
import io
import pkgutil
import re
import sys
from importlib import import_module
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

pytest.importorskip("lycoris")

import clip_skip.made_for as package
from clip_skip.made_for import findings, reading, suggestions, verdict
from clip_skip.made_for.suggestions import NOW, File, suggest
from clip_skip.messages.catalogues import catalogue, translator
from clip_skip.messages.message import Template
from clip_skip.page import made_for
from clip_skip.skip import shorten
from clip_skip.standalone.demo.model import CHECKPOINT

from .test_inspect import trained, tuned

SD1 = {"ss_base_model_version": "sd_v1"}


@pytest.fixture(autouse=True)
def forget():
    reading.once.cache_clear()


@pytest.fixture
def lora(tmp_path):
    """Saves a LoRA that was trained at a clip skip; its metadata says what is given."""

    def save(name, clip_skip, scale=1.0, **said):
        state = {key: (one * scale).half().contiguous() for key, one in trained("lora", clip_skip).items()}
        path = tmp_path / f"{name}.safetensors"
        save_file(state, path, metadata={**SD1, **said})
        return str(path)

    return save


def suggested(path, in_effect):
    return [(one["value"], one["source"], one["text"]) for one in suggest([File("LoRA", "x", path)], in_effect, NOW)]


def sentence(template, value, in_effect, **others):
    """What is said of the LoRA "x"."""
    file = suggestions.FILES["LoRA"](name='"x"')
    return template(file=file, value=value, comparison=NOW(value=in_effect), **others)


def test_a_lora_without_metadata_is_suggested_by_its_weights(lora):
    text = sentence(suggestions.BY_WEIGHTS, 2, "1")
    assert str(text) == 'LoRA "x" was trained at clip skip 2, according to its weights; you are using 1.'
    assert suggested(lora("two", 2), 1.0) == [(2, "weights", text)]
    assert suggested(lora("two", 2), 2.0) == []
    assert suggested(lora("one", 1), 1.0) == []
    (likely,) = suggested(lora("one", 1), 2.0)
    assert likely[2] == sentence(suggestions.IN_PART, 1, "2")
    assert suggested(lora("none", 2, ss_clip_skip="None"), 1.0) == [(2, "weights", text)]


def test_weights_go_before_metadata_that_contradicts_them(lora):
    path = lora("liar", 2, ss_clip_skip="1")
    (told,) = suggested(path, 1.0)
    assert told == (2, "weights", sentence(suggestions.CONTRADICTS, 2, "1", stated=1))
    assert suggested(path, 2.0) == []
    (agreed,) = suggested(lora("honest", 2, ss_clip_skip="2"), 1.0)
    assert agreed[1:] == ("ss_clip_skip in honest.safetensors", sentence(suggestions.TRAINED, 2, "1"))


def test_nothing_is_suggested_where_blocks_changed_that_the_metadata_says_were_not_trained(lora):
    """Either is possible: an extraction or another start than zero touches all blocks (docs/made-for.md), and
    sd-scripts before its pull request 580 ignored the clip skip of weighted captions."""
    path = lora("touched", 1, ss_clip_skip="2")
    for in_effect in (1.0, 2.0, 3.0):
        assert suggested(path, in_effect) == []


def test_metadata_goes_before_blocks_that_a_tool_may_have_cleared(lora, tmp_path):
    path = lora("cleared", 1, ss_clip_skip="1")
    state = {name: one * ("layers_11_" not in name) for name, one in load_file(path).items()}
    save_file(state, path, metadata={**SD1, "ss_clip_skip": "1"})
    assert suggested(path, 1.0) == []
    assert suggested(path, 2.0) == [(1, "ss_clip_skip in cleared.safetensors", sentence(suggestions.TRAINED, 1, "2"))]


def test_metadata_speaks_where_the_weights_are_silent(lora, tmp_path):
    path = str(tmp_path / "unet.safetensors")
    save_file({"lora_unet_a.lora_up.weight": torch.ones(2, 2)}, path, metadata={**SD1, "ss_clip_skip": "2"})
    assert [value for value, *_ in suggested(path, 1.0)] == [2]
    empty = lora("zero", 2, 0.0)
    assert suggested(empty, 1.0) == []


def test_no_suggestion_from_the_weights_of_another_model(tmp_path):
    wide = {f"lora_te_text_model_encoder_layers_{n}_mlp_fc1.lora_up.weight": torch.ones(4096, 2) for n in range(23)}
    wide |= {name.replace("up", "down"): torch.ones(2, 1024) for name in wide}
    save_file(wide, tmp_path / "sd2.safetensors")
    assert suggested(str(tmp_path / "sd2.safetensors"), 1.0) == []


def test_the_verdict_and_the_picture_of_one_file(lora, tmp_path):
    sentences, picture = made_for.explain_file(lora("two", 2, ss_clip_skip="1"), None, False, str)
    assert sentences.splitlines() == [
        str(verdict.CHANGED(edge=11, count=12, value=2)),
        str(verdict.BUT_SAYS(value=1, source="ss_clip_skip, two.safetensors")),
    ]
    dark = made_for.explain_file(str(tmp_path / "two.safetensors"), None, True, str)[1]
    assert picture.size == dark.size and sum(dark.getpixel((1, 1))) < 150 < sum(picture.getpixel((1, 1)))
    path = str(tmp_path / "tuned.safetensors")
    save_file({name: one.contiguous() for name, one in tuned(2).items()}, path)
    assert made_for.explain_file(path, None, False, str)[1] is None
    sentences, picture = made_for.explain_file(path, str(CHECKPOINT), False, str)
    assert "trained at clip skip 2" in sentences and picture is not None
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    said, picture = made_for.explain_file(str(tmp_path / "junk.safetensors"), None, False, str)
    assert '"junk.safetensors" could not be read' in said and picture is None
    assert made_for.explain_file(None, None, False, str) == (made_for.CHOOSE, None)


def test_the_table_and_its_file(lora, tmp_path):
    (tmp_path / "old.pt").write_bytes(b"")
    files = {"one": lora("one", 1), "=two": lora("two", 2, ss_clip_skip="2"), "old": str(tmp_path / "old.pt")}
    asked = []
    found, link = made_for.table(files, str, lambda names: asked.extend(names) or names)
    assert asked == ["one", "=two", "old"] and all(len(row) == len(made_for.COLUMN_HEADINGS) for row in found)
    assert [row[:5] for row in found] == [
        ["one", "SD1, LoRA", "", 12, 1],
        ["=two", "SD1, LoRA", 2, 11, 2],
        ["old", "", "", "", ""],
    ]
    assert findings.NEVER_A_PICKLE in found[2][5]
    assert link == made_for.link(made_for.COLUMN_HEADINGS, found, made_for.DOWNLOAD)
    address = re.search(
        r'href="data:text/csv;charset=utf-8;base64,([^"]+)"', made_for.link(made_for.COLUMN_HEADINGS, found, "a<b")
    )
    text = base64.b64decode(address[1]).decode("utf-8-sig")
    in_table = [list(map(str, row)) for row in found]
    in_table[1][0] = "'=two"  # else a spreadsheet would take it for a formula
    assert list(csv.reader(io.StringIO(text))) == [[*made_for.COLUMN_HEADINGS], *in_table]
    assert ">a&lt;b</a>" in made_for.link(made_for.COLUMN_HEADINGS, found, "a<b")


def test_the_part_of_the_webuis_tab(standins, monkeypatch, lora, tmp_path):
    from modules import sd_models

    entries = {name: SimpleNamespace(filename=lora(name, skip)) for name, skip in (("zwei", 2), ("Eins", 1))}
    looked = []
    networks = SimpleNamespace(available_networks=entries, list_available_networks=lambda: looked.append("LoRAs"))
    monkeypatch.setitem(sys.modules, "networks", networks)
    demo = SimpleNamespace(name="demo.safetensors", filename=str(CHECKPOINT))
    monkeypatch.setattr(sd_models, "checkpoints_list", {"demo.safetensors [0]": demo})
    from clip_skip.webui.widgets import made_for_tab, tab

    assert [(title, name) for _, title, name in tab.build_tab()] == [("Clip Skip", "clip_skip")]
    assert made_for_tab.names() == ["LoRA: Eins", "LoRA: zwei", "Checkpoint: demo.safetensors"]
    assert made_for_tab.queued()
    sentences, picture = made_for_tab.show_file("LoRA: zwei", made_for.NO_BASE, False)
    assert sentences == str(verdict.CHANGED(edge=11, count=12, value=2)) and picture.width > 100
    sentences, picture = made_for_tab.show_file("Checkpoint: demo.safetensors", "demo.safetensors", False)
    assert (sentences, picture) == (findings.BASE_ITSELF, None)
    assert made_for_tab.show_file("gone", None, False) == (made_for.CHOOSE, None)
    table, link = made_for_tab.all_loras()
    assert table["visible"] and [row[0] for row in table["value"]] == ["Eins", "zwei"] and made_for.DOWNLOAD in link
    refreshed = made_for_tab.refreshed()
    assert looked == ["LoRAs"] and refreshed[1]["choices"] == ["No base", "demo.safetensors"]
    entries.clear()
    table, link = made_for_tab.all_at_once()
    assert (table["visible"], link) == (False, made_for.NONE)


@pytest.mark.parametrize("queue", [True, False])
def test_without_a_queue_nothing_shows_progress(standins, monkeypatch, queue):
    """Gradio 3 does not start then: "Progress tracking requires queuing to be enabled"."""
    import gradio
    from modules import shared

    clicked = []
    monkeypatch.setattr(gradio.Button, "click", lambda button, function, *inputs, **settings: clicked.append(function))
    monkeypatch.setattr(shared, "cmd_opts", SimpleNamespace(no_gradio_queue=not queue), raising=False)
    from clip_skip.webui.widgets import made_for_tab

    made_for_tab.build_made_for_tab()
    defaults = [default for function in clicked for default in function.__defaults__ or ()]
    assert any(isinstance(default, gradio.Progress) for default in defaults) == queue


LANGUAGES = ("ja_JP", "ko_KR", "zh_CN", "zh_TW")


def templates():
    """Every template of the room and of its page, by where it is."""
    rooms = [import_module(f"clip_skip.made_for.{found.name}") for found in pkgutil.iter_modules(package.__path__)]
    for room in (*rooms, made_for):
        for name, value in vars(room).items():
            for one in value.values() if isinstance(value, dict) else [value]:
                if isinstance(one, Template):
                    yield f"{room.__name__}.{name}", one


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_template_is_translated_and_keeps_its_values(language):
    known, values = catalogue(language), {"count": 12, "edge": 11, "value": 2}
    found = dict(templates())
    assert len(found) > 40
    for place, template in found.items():
        assert template in known, place
        message = template(**{name: values.get(name, f"{name}7") for name in template.names})
        text = translator(language)(message)
        assert text != str(message) or template == suggestions.FILES["LoRA"], place
        assert not re.search(r"\b(blocks?|changed|trained|model|of|is|the)\b", text), text
        assert all(str(value) in text for _, value in message.values), text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["girl to woman", "a value", "x; you are using 3", "{name}", "\\1 (.+)* $"])
def test_a_name_stays_as_it_is(language, name):
    file = suggestions.FILES["checkpoint"](name=shorten(name))
    text = translator(language)(suggestions.RECOMMENDS(file=file, value=2, comparison=NOW(value="1.5")))
    assert f'"{name}"' in text and "1.5" in text and "recommends" not in text
