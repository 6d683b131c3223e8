"""Everything that reads what a person, a file or another program says: it raises its own error and no other, in time
that grows with the length. Bounded; nothing leaves this machine.
"""

from __future__ import annotations

import contextlib
import json
import struct
import threading
import time
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clip_skip import panel, skip
from clip_skip.encoder import not_loaded
from clip_skip.made_for import descriptions, findings
from clip_skip.made_for.reading import Problem
from clip_skip.messages import lines, safe_text
from clip_skip.messages.message import MessageError
from clip_skip.page import answers, live_viewer
from clip_skip.pictures import container, facts, infotext, reader, user_comment
from clip_skip.pictures.errors import PictureError
from clip_skip.prompt import comments, markers, override, parsed, precedence, sub_prompts, tags, writing
from clip_skip.sweep import presets
from clip_skip.sweep.axis import SweepError, parse_axis
from clip_skip.sweep.rows import ROW_KINDS, parse_rows, random_seeds
from clip_skip.sweep.settings import SweepSettings
from tests.helpers import growth

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers", reason="without a WebUI nothing is read")

from clip_skip.standalone import files, options  # noqa: E402
from clip_skip.standalone.cli import study  # noqa: E402
from clip_skip.standalone.cli.errors import ArgumentError  # noqa: E402
from clip_skip.standalone.demo import captions  # noqa: E402
from clip_skip.standalone.models import header  # noqa: E402
from clip_skip.standalone.models.config_files import ConfigError, json_file, yaml_scalars  # noqa: E402
from clip_skip.standalone.pictures import checkpoint, recipe  # noqa: E402
from clip_skip.standalone.prompts import embeddings, emphasis, networks  # noqa: E402
from clip_skip.standalone.prompts.conditioning import sub_prompts as weighted  # noqa: E402
from clip_skip.standalone.prompts.schedule import schedule  # noqa: E402

PARTS = [
    *("<clipskip:", "<clip_skip:", "</clipskip>", "<lora:a:1>", "<lyco:a", "<a:", "<:", ">", ":l=", ":g=", ":hires="),
    *(
        ":",
        "::",
        "[",
        "]",
        "(",
        ")",
        "((a",
        "[a|b]",
        "[a:b:0.5]",
        "\\(",
        "\\",
        "BREAK",
        "AND",
        "a:",
        "x",
        "xx",
        "#",
        "##",
    ),
    *("1", "1.5", "1e400", "nan", "-1", "-", "--", "1-12", "1-3(+0.5)", "[4]", "(0)", ",", ",,", "１２", "١", "²"),
    *("\n", "\r", "\t", "\0", "\x1b", "\x1d", "\u200b", "\u202e", "\u3000", " ", "＃", "牛", "😀", "\ud800", "\udfff"),
    *("Steps: ", "Seed: ", "Size: 8x8", "Model: ", "Negative prompt: ", "Clip skip: ", '"', '""', "{", "}", '{"a":['),
    *("a large red circle", "left of"),
]
TEXTS = st.lists(st.sampled_from(PARTS) | st.text(max_size=8), max_size=40).map("".join)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
ENCODERS = [not_loaded("l", 12, 1), not_loaded("g", 32, 2)]
bounded = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Reader(NamedTuple):
    """errors: those that it may raise; is_short: what a longer text is refused as a whole"""

    read: Any
    errors: tuple[type[Exception], ...] = ()


def read_schedule(text):
    schedule.cache_clear()
    return schedule(text, 20)


def read_picture_text(text):
    found = infotext.parse_infotext(text)
    return facts.sentences(facts.facts_of(found)), recipe.of(found)


READERS = {
    "a clip skip": Reader(skip.parse_skip, (MessageError,)),
    "a prompt": Reader(lambda text: parsed.find_warnings([parsed.parse_prompt.__wrapped__(text)], ["lora"])),
    "a negative prompt": Reader(lambda text: parsed.parse_negative.__wrapped__(text)),
    "tags": Reader(tags.scan),
    "networks": Reader(lambda text: list(tags.find_networks(text))),
    "sub-prompts": Reader(sub_prompts.split_sub_prompts),
    "markers": Reader(markers.find_values),
    "comments": Reader(comments.strip_comments),
    "the prompt's tag": Reader(lambda text: precedence.prompt_values(text, text, 1.0)),
    "what a sweep replaces": Reader(override.warn_replaced),
    "a tag that is put": Reader(lambda text: writing.put_tag(text, "<clipskip:2>", True), (MessageError,)),
    "a tag": Reader(lambda text: writing.put_tag("a cow", text), (MessageError,)),
    "an axis": Reader(lambda text: parse_axis(text, "x", 1, 100), (SweepError,)),
    "a picture's model": Reader(lambda text: checkpoint.model_name(infotext.Infotext("", "", {"Model": text}))),
    "seeds": Reader(lambda text: random_seeds(text)),
    "a picture's text": Reader(read_picture_text, (PictureError,)),
    "settings": Reader(infotext.parse_settings),
    "a text file": Reader(lambda text: reader.read_infotext(text.encode("utf-8", "surrogatepass")), (PictureError,)),
    "a description": Reader(descriptions.mentioned),
    "prompt editing": Reader(read_schedule),
    "emphasis": Reader(emphasis.pieces),
    "weights": Reader(weighted),
    "LoRAs": Reader(networks.read_networks, (networks.LoraError,)),
    "warnings on networks": Reader(lambda text: networks.network_warnings([text])),
    "a caption": Reader(captions.read_caption, (captions.CaptionError,)),
    "lines": Reader(lambda text: lines.wrap(text, 80)),
    "a cut line": Reader(lambda text: lines.cut(text, 80)),
    "the console": Reader(safe_text.printable),
    "JSON for the console": Reader(safe_text.json_text),
    "a cell of a table": Reader(safe_text.table_cell),
}
READERS |= {
    f"rows of {name}": Reader(lambda text, kind=kind: parse_rows(kind, text, "x", {"l": 12, "g": 32}), (SweepError,))
    for name, kind in ROW_KINDS.items()
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@bounded
@given(text=TEXTS)
def test_any_text_is_read_or_refused(reader, text):
    with contextlib.suppress(*reader.errors):
        reader.read(text)


REPEATED = [
    *("1", "<clipskip:", "<a:", "a:", "x :", "( ", "[a:", "[", "\\", "AND ", "# ", ", a", "\n", '{"', "牛"),
    *("<lora:a:1", "\ud800", " ", "\n ", ", ", "[aaaaaaaa]"),
]


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_ten_times_the_text_takes_ten_times_as_long(reader):
    def read(text):
        with contextlib.suppress(*reader.errors):
            reader.read(text)

    def slope(part, size):
        return growth(read, lambda length: (part * (length // len(part) + 1))[: length - 1] + "z", size, 10 * size)

    steep = [part for part in REPEATED if slope(part, 500) > 4]  # what is short is kept, which misleads
    assert [part for part in steep if slope(part, 30_000) > 4] == []


# What other programs send

HOST = answers.Host(ENCODERS, "SDXL", str, lambda texts, negative: [])
NAMES = [
    *answers.BOXES,
    *("styles", "steps", "hires_steps", "value", "text", "tag", "negative"),
    *("grid", "sources", "infotexts", "dark", "picture", "infotext"),
]
REQUEST = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, ANY))


def sendable(value):
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")


@bounded
@given(REQUEST)
def test_any_request_of_a_page_has_an_answer_that_can_be_sent(request):
    sendable(answers.read_prompts(request, HOST))
    sendable(answers.put_tag_into(request))
    live_viewer.live_viewer_page(request, "en", str)


GRID = st.fixed_dictionaries(
    {
        "grid": st.fixed_dictionaries(dict.fromkeys(("columns", "rows", "cells", "size", "reference", "about"), ANY)),
        "sources": ANY,
        "infotexts": ANY,
    }
)


@bounded
@given(GRID)
def test_any_grid_is_a_page_or_a_reason(request):
    answer = live_viewer.live_viewer_page(request, "en", str)
    assert set(answer) in ({"page"}, {"error"})


@bounded
@given(ANY)
def test_any_value_is_an_option_or_named(value):
    for option in options.OPTIONS:
        with contextlib.suppress(MessageError):
            option.check(value, option.flag or option.name)


@bounded
@given(st.lists(ANY, max_size=3) | st.lists(REQUEST, max_size=2))
def test_any_arguments_of_the_api_are_settings_or_refused(arguments):
    with contextlib.suppress(MessageError):
        SweepSettings.from_args(arguments)
    with contextlib.suppress(MessageError):
        panel.settled(arguments)


@bounded
@given(ANY)
def test_any_saved_presets_are_presets_or_left_out(saved):
    presets.all_presets(saved)
    with contextlib.suppress(MessageError):
        presets.with_preset(saved, "a", SweepSettings())
    with contextlib.suppress(MessageError):
        presets.without_preset(saved, "a")


@bounded
@given(st.binary(max_size=200))
def test_any_bytes_are_a_picture_or_refused(content):
    with contextlib.suppress(PictureError):
        reader.read_infotext(content)
    with contextlib.suppress(PictureError):
        container.texts_of(b"\x89PNG\r\n\x1a\n" + content)
    user_comment.decode(content)


# Files

BYTES = (
    st.binary(max_size=300)
    | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | ANY.map(lambda value: json.dumps(value).encode())
)


def as_safetensors(content):
    return struct.pack("<Q", len(content)) + content + bytes(16)


FILES = {
    ".safetensors": ((lambda path: header.inspect(path), (header.CheckpointError,)),),
    ".yaml": ((yaml_scalars, (ConfigError,)),),
    ".json": (
        (json_file, (ConfigError,)),
        (files.read_made_with, ()),
        (lambda path: reader.read_infotext(path), (PictureError,)),
    ),
    ".toml": ((study.read_toml, (ArgumentError,)),),
    ".txt": (
        (lambda path: study.prompts_of(str(path), False), (ArgumentError,)),
        (lambda path: reader.read_infotext(path), (PictureError,)),
    ),
    ".pt": ((embeddings.read_embedding, (embeddings.EmbeddingError,)),),
}


@pytest.mark.parametrize("suffix", FILES)
@bounded
@given(content=BYTES)
def test_any_file_is_read_or_refused_in_words(suffix, content, tmp_path):
    path = tmp_path / f"file{suffix}"
    for written in (content, as_safetensors(content)) if suffix == ".safetensors" else (content,):
        path.write_bytes(written)
        for read, errors in FILES[suffix]:
            with contextlib.suppress(*errors):
                read(path)
        for read, errors in ((findings.inspect, Problem), (embeddings.read_embedding, embeddings.EmbeddingError)):
            with contextlib.suppress(errors):
                read(str(path) if read is findings.inspect else path)


# Many at once

MANY, PATIENCE = 200, 120


def test_one_hostile_request_among_many_holds_up_no_other(tmp_path):
    """The processor time of all, with the hostile one and without it: a ratio in one run, on a machine at work too."""
    fastapi = pytest.importorskip("fastapi")
    testclient = pytest.importorskip("fastapi.testclient")
    from clip_skip.standalone.app.checkpoints import Checkpoints
    from clip_skip.standalone.app.routes import add_routes
    from clip_skip.standalone.demo.model import CHECKPOINT

    app = fastapi.FastAPI()
    checkpoints = Checkpoints(CHECKPOINT)
    add_routes(app, checkpoints, tmp_path)
    client = testclient.TestClient(app)
    path = f"/clip-skip/v1/read?checkpoint={CHECKPOINT.stem}"
    hostile = [
        "<clipskip:" + "1" * 30_000 + "x>",
        "<a:" * 10_000,
        "[" * 10_000 + "]" * 10_000,
        "(a:" * 10_000,
        "#" * 30_000,
    ]

    def ask(prompt):
        answer = client.post(path, json={"prompt": prompt, "negative": prompt})
        assert answer.status_code == 200
        return answer

    def took(prompts):
        """Seconds of processor time that the requests take, each in a thread of its own."""
        threads = [threading.Thread(target=ask, args=(prompt,)) for prompt in prompts]
        began = time.process_time()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in threads)
        return time.process_time() - began

    ordinary = [f"a red cow {number} <clipskip:2> [a:b:0.5] (c:1.2)" for number in range(MANY)]
    ask("a")
    usual = min(took([f"{prompt} {turn}" for prompt in ordinary]) for turn in range(2))
    for attack in hostile:
        turns = (took([*(f"{prompt} {turn} {attack[:4]}" for prompt in ordinary), attack]) for turn in range(2))
        assert any(attacked < 2 * usual for attacked in turns), (attack[:20], usual)
