"""Japanese, Korean and Chinese: complete, with their placeholders, and reached by every message."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clip_skip import panel
from clip_skip.messages.catalogues import HOST_WORDS, catalogue, languages, translator
from clip_skip.messages.message import Template
from clip_skip.page import made_for
from clip_skip.prompt.parsed import find_warnings, parse_prompt
from clip_skip.sweep import settings as sweep_settings
from clip_skip.sweep.presets import BUILT_IN
from clip_skip.sweep.rows import CFG, ROW_KINDS

from .templates import words_of_scripts

ROOT = Path(__file__).parents[1]
WEBUI = ROOT / "clip_skip" / "webui"
LANGUAGES = ("ja_JP", "ko_KR", "zh_CN", "zh_TW")
SENTENCES = {name: catalogue(name) for name in LANGUAGES}
SAME = {
    "Clip Skip",
    "Clip skip",
    "LoRA",
    "LoRA {name}",
    "clip skip",
    "clip skip {values}: {stops}",
    "{field}: {problem}",
}
SAME |= {"DoRA", "Eta", "GLoRA", "IA3", "LoHa", "LoKr", "OFT"}


def placeholders(text):
    return sorted(re.findall(r"\{\w+\}", text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_translated_with_its_placeholders(language):
    assert SENTENCES[language].keys() == SENTENCES["ja_JP"].keys()
    for text, translation in SENTENCES[language].items():
        assert placeholders(text) == placeholders(translation), text
        assert translation != text or text in SAME, text


OF_THE_HOST = """
Checkpoint|Clip Skip|Clip skip|Close|Denoising strength|Draw legend|Generate|Height|Hires negative prompt|Hires prompt
Hires sampler|Hires steps|Hires. fix|Infotext|Interrupt|Negative prompt|Preset|Prompt|Prompt S/R|Sampler|Seed|Steps
Upscale by|Upscaler|Use same sampler|Width
"""
"""Texts on the pages of AUTOMATIC1111 v1.10.1 or Forge Neo that are ours as well."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_webui_is_given_no_translation_of_its_own_texts(language):
    given = json.loads((ROOT / "localizations" / f"{language}.json").read_text(encoding="utf8"))
    words = json.loads((HOST_WORDS / f"{language}.json").read_text(encoding="utf8"))
    assert given.keys() & {*re.split(r"[|\n]", OF_THE_HOST)} == set()
    assert given.keys() & words.keys() == set()
    assert list(given) == sorted(given) and list(words) == sorted(words)
    assert languages() == list(LANGUAGES)


def test_every_label_of_the_page_has_a_translation():
    labels = {
        panel.TITLE,
        sweep_settings.SWEEP_TITLE,
        *(text for field in panel.FIELDS for text in (field.label, field.info) if text),
    }
    labels |= {
        *made_for.COLUMN_HEADINGS,
        "Download as CSV",
        made_for.NO_BASE,
        *sweep_settings.LABELS.values(),
        *(label for choices in sweep_settings.CHOICES.values() for label in choices.values()),
        *(kind.factor for kind in ROW_KINDS.values() if kind != CFG),
    }
    widgets = [file.read_text() for file in (WEBUI / "widgets").glob("*.py")]
    labels |= {*BUILT_IN, *re.findall(r'Setting\("\w+", "([^"]+)"', (WEBUI / "host_settings.py").read_text())}
    labels |= {f"Panel default: {field.label}" for field in panel.FIELDS} | {"Panel default: ticked"}
    labels |= {f"Sweep default: {sweep_settings.LABELS[name]}" for name in ("clip_skips", "cfg_scales", "report")}
    labels |= {f"Sweep default: {sweep_settings.LABELS[name]}" for name in ("save_cells", "legend")}
    labels |= {text for source in widgets for text in re.findall(r'(?:label=|Button\()"([^"]+)"', source)}
    standalone = (ROOT / "clip_skip" / "standalone" / "app" / "made_for_tab.py").read_text()
    labels |= {*re.findall(r'(?:translate\(|NO_FOLDER = )"([^"]+)"', standalone)}
    labels -= {"Depths"}  # never to be seen
    assert labels - SENTENCES["ja_JP"].keys() == set()


ENGLISH_ONLY = {
    "clip_skip.standalone.cli": "the command line speaks English",
    "clip_skip.standalone.cluster": "only commands run on a cluster",
    "clip_skip.standalone.study": "a study is made by a command",
    "clip_skip.study": "and its page is written by it",
    "clip_skip.standalone.sweep.folder": "only a command is given a folder",
    "clip_skip.standalone.demo": "captions are checked by commands",
}
"""Packages whose texts no page shows."""


@pytest.fixture(scope="module")
def templates():
    """The modules of every template, found in a process of its own: stand-ins for a WebUI's modules stay in there."""
    pytest.importorskip("gradio", reason="gradio is not installed, which the modules of the page need")
    pytest.importorskip("ray", reason="ray is not installed, which the modules of a cluster need")
    command = [sys.executable, "-m", "tests.templates"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf8", check=True).stdout
    return json.loads(printed.splitlines()[-1])["templates"]


def is_shown(modules):
    """Whether a page may show a template of these modules."""
    packages = tuple(f"{package}." for package in ENGLISH_ONLY)
    return not all(f"{module}.".startswith(packages) for module in modules)


def test_every_template_and_every_word_of_a_script_has_a_translation(templates):
    shown = {text for text, modules in templates.items() if is_shown(modules)}
    assert len(shown) > 30 and len(words_of_scripts()) > 60
    assert (shown | words_of_scripts()) - SENTENCES["ja_JP"].keys() == set()


def constants(files):
    """Every text that stands in a source, as one piece."""
    trees = [ast.parse(file.read_text(encoding="utf8")) for file in files]
    return {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}


def test_no_translation_is_left_over(templates):
    """What is not a template is a label: a whole text in a source, or of a setting."""
    left = SENTENCES["ja_JP"].keys() - templates.keys() - words_of_scripts()
    labels = constants((ROOT / "clip_skip").rglob("*.py"))
    assert {
        text for text in left - labels if not text.startswith(("Panel default: ", "Sweep default: ", "0 = "))
    } == set()


def test_every_template_keeps_its_values_in_every_language(templates):
    for text in filter(placeholders, templates):
        template = Template(text)
        message = template(**{name: f"<{name}>" for name in template.names})
        for language in LANGUAGES:
            assert all(f"<{name}>" in translator(language)(message) for name in template.names), (language, text)


def test_other_languages_and_other_texts_stay_as_they_are(standins):
    from clip_skip.webui.host_language import translate

    wrong = find_warnings([parse_prompt("<clipskip:>")])[0]
    assert translate(wrong) == str(wrong)
    for language in ("None", None, "xx_XX", "../../etc/passwd"):
        assert translator(language)(wrong) == str(wrong) != translator("ja_JP")(wrong)
    assert translator("ja_JP")("a text of nobody") == "a text of nobody"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["girl to woman", "pixels", "a value", "x; now it is 3", "{name}", "\\1 (.+)* $"])
def test_names_and_what_was_typed_stay_as_they_are(language, name):
    for message in find_warnings([parse_prompt(f"<clipskip:{name}>")]):
        shown, english = translator(language)(message), str(message)
        assert shown != english and all(text in shown for text in re.findall(r'"[^"]*"', english)), shown
