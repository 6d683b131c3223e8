"""Japanese, Korean and Chinese: complete, with their placeholders, and reached by every message."""

import importlib
import json
import re
import time
from pathlib import Path

import pytest

from clip_skip import panel, skip
from clip_skip.encoder import TextEncoder
from clip_skip.layers.measure import notes_on, notes_on_prompt
from clip_skip.messages.catalogues import HOST_WORDS, catalogue, languages, translated
from clip_skip.messages.message import Template
from clip_skip.page import made_for
from clip_skip.page.remarks import beyond
from clip_skip.prompt.override import warn_replaced
from clip_skip.prompt.parsed import find_warnings, parse
from clip_skip.prompt.tags import scan
from clip_skip.sweep import settings as sweep_settings
from clip_skip.sweep import viewer
from clip_skip.sweep.presets import BUILT_IN
from clip_skip.sweep.rows import CFG, ROW_KINDS

ROOT = Path(__file__).parents[1]
WEBUI = ROOT / "clip_skip" / "webui"
LANGUAGES = ("ja_JP", "ko_KR", "zh_CN", "zh_TW")
SENTENCES = {name: catalogue(name) for name in LANGUAGES}
SAME = {"Clip Skip", "Clip skip", "LoRA", "LoRA {name}"}


def placeholders(text):
    return sorted(re.findall(r"\{\w+\}", text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_translated_with_its_placeholders(language):
    assert SENTENCES[language].keys() == SENTENCES["ja_JP"].keys()
    for text, translation in SENTENCES[language].items():
        assert placeholders(text) == placeholders(translation), text
        assert len({*placeholders(text)}) == len(placeholders(text)) and "}{" not in text, text
        assert (translation != text) == (text not in SAME), text


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


def test_every_text_of_the_page_has_a_translation():
    sources = [file.read_text(encoding="utf8") for file in (ROOT / "javascript").glob("*.js")]
    asked = {text for source in sources for text in re.findall(r'\btr\(\s*"([^"]+)"', source)}
    assert len(asked) > 8
    labels = {
        panel.TITLE,
        sweep_settings.SWEEP_TITLE,
        *(text for field in panel.FIELDS for text in (field.label, field.info) if text),
    }
    labels |= {
        *made_for.HEADS,
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
    assert (asked | labels) - SENTENCES["ja_JP"].keys() == set()


def test_every_word_of_the_viewer_and_of_the_figures_has_a_translation():
    words = {*viewer.WORD.findall(viewer.viewer_source(".js")), *viewer.PLACE.findall(viewer.viewer_source(".html"))}
    assert len(words) > 25
    figures = [ROOT / "clip_skip" / part for part in ("layers/figure.py", "sweep/report_figure.py")]
    said = {text for file in figures for text in re.findall(r'say\("([^"]+)"\)', file.read_text())}
    assert len(said) > 8
    assert (words | said) - {"clip skip"} - SENTENCES["ja_JP"].keys() == set()


HOSTILE = ["<clipskip:>", "<clipskip:abc>", "<clipskip:0>", "<clipskip:nan>", "<clipskip:1e999>", "<clipskip:x=2>"]
HOSTILE += ["<clipskip>", "<clipskip:2:3>", "<clipskip:l=1:l=2>", "<clipskip:{tag}>", "<clipskip:(.*)+[a-z]{2}\\d>"]
MESSAGES = [
    "The pictures could not be saved: [Errno 28] No space left on device",
    "The grid could not be saved: [Errno 28] No space left on device",
    *find_warnings(map(parse, HOSTILE[:8])),
    *find_warnings(map(parse, HOSTILE[8:])),
    *find_warnings(parse(f"<clipskip:a{n}>") for n in range(30))[-1:],
    *find_warnings(map(parse, ["<clipskip:2 a cow", "<clip_skip:2>", "＜clipskip:2＞", "<clipskip:2><clipskip:3>"])),
    *beyond(scan("<clipskip:99:g=3>")[1][0], [TextEncoder("CLIP ViT-L/14", "l", [0] * 12, None)], "SD1"),
    *TextEncoder("CLIP ViT-L/14", "l", [0] * 12, None).too_deep(99),
    *warn_replaced("<clipskip:2>a cow"),
    "Another extension encodes pieces of the prompt by itself: cells of different clip skips share no batch.",
    "The report is of 2 of 3 seeds: the others lack cells.",
    "The rows are seeds, so the batch count made no more grids.",
    "How far each token is from itself at the last layer (1 - cosine similarity); "
    "a row is 0.42 high; dotted: the mean of all tokens",
    'Preset "mine" was saved.',
    "30 steps",
    "seed 7",
    "CFG scale 7.5",
]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_comes_out_translated(language):
    for message in MESSAGES:
        told, message = translated(message, language), str(message)
        assert told != message, message
        assert not re.search(r"\b(ignored|number|deeper|trained|could)\b", told), told
        assert all(text in told for text in re.findall(r'"[^"]*"', message)), (message, told)
        assert {*re.findall(r"\d+(?:\.\d+)?", message)} <= {*re.findall(r"\d+(?:\.\d+)?", told)}, told


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_layers_sentences_come_out_translated(language):
    from .test_layers import made_up

    notes = (*notes_on_prompt(3, 2, True, True), *notes_on(TextEncoder("", "l", [0] * 12, None, 2), 1))
    notes += tuple(note for highest in (2, 3) for note in notes_on(TextEncoder("", "l", [0] * 12, None, 2), highest))
    assert len(notes) == 7
    steps = [(0.98, 0.95, 0.42), (0.42, 0.98, 0.95), (0.42, 0.98, 0.985), (0.4, 0.5), (0.9, 0.3), (0.5,), ()]
    for sentence in [sentence for one in steps for sentence in made_up(*one).sentences()] + [*notes]:
        told = translated(sentence, language)
        assert not re.search(r"\b(layers?|to|has|the|of|is)\b", told), told
        assert {*re.findall(r"\d+(?:\.\d+)?", sentence)} <= {*re.findall(r"\d+(?:\.\d+)?", told)}, told


def test_other_languages_and_other_texts_stay_as_they_are(standins):
    from clip_skip.webui.host_language import translate

    assert translate(MESSAGES[0]) == MESSAGES[0]
    for language in ("None", None, "xx_XX", "../../etc/passwd"):
        assert translated(MESSAGES[0], language) == MESSAGES[0]
    assert translated("a text of nobody", "ja_JP") == "a text of nobody"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["girl to woman", "pixels", "a value", "x; now it is 3", "{name}", "\\1 (.+)* $"])
def test_names_and_what_was_typed_stay_as_they_are(language, name):
    messages = [
        f'"{name}.safetensors" could not be read: failed to open the file.',
        *find_warnings([parse(f"<clipskip:{name}>")]),
    ]
    for message in messages:
        told, message = translated(message, language), str(message)
        assert told != message and all(text in told for text in re.findall(r'"[^"]*"', message)), told
    assert "failed to open the file" in translated(messages[0], language)


TEMPLATES = ["skip", "panel", "encoder", "prompt.tags", "prompt.parsed", "prompt.override", "page.remarks"]
TEMPLATES += [f"webui.{name}" for name in ("generation", "hosts.encoders", "page.from_picture")]
TEMPLATES += [f"standalone.models.{name}" for name in ("errors", "header", "heads", "config_files", "text_encoders")]
TEMPLATES += [f"standalone.models.{name}" for name in ("loras", "lora_files", "lycoris")]
TEMPLATES += [f"standalone.prompts.{name}" for name in ("networks", "embeddings")]
TEMPLATES += [f"webui.widgets.{name}" for name in ("layers_tab", "preset_widgets", "sweep_widgets")]


def test_every_template_is_translated(standins):
    modules = [importlib.import_module(f"clip_skip.{name}") for name in TEMPLATES]
    values = [value for module in modules for value in vars(module).values()]
    values += [entry for value in values if isinstance(value, dict) for entry in value.values()]
    found = {value for value in values if isinstance(value, Template)}
    unseen = {skip.IGNORED_BY_KOHYA, skip.UNKNOWN_TOOL}  # said of other tools' numbers, by no page
    assert len(found) > 30
    for language in LANGUAGES:
        assert found - unseen - SENTENCES[language].keys() == set()


def test_a_long_message_is_quick():
    start = time.perf_counter()
    translated("clip skip " * 1000 + "; used was used", "ja_JP")
    for text in SENTENCES["ja_JP"]:  # many places at which each piece of a sentence may stand, and no end to it
        first, *others = re.split(r"\{\w+\}", text)
        translated(first + " ".join(others) * (10_000 // len(text)) + "!", "ja_JP")
    assert time.perf_counter() - start < 5
