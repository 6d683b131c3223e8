"""The WebUI's prompt syntax without a WebUI. `prompts.json` holds what AUTOMATIC1111 v1.10.1 makes of prompts, most of
them random: texts by step (of 10, and of 6 in a hires pass after 10), pieces with weights, sub-prompts with weights."""

import json
import math
from contextlib import suppress
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from hypothesis import example, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from clip_skip.prompt.comments import strip_comments  # noqa: E402
from clip_skip.standalone.engine.engine import Engine  # noqa: E402
from clip_skip.standalone.engine.loading import EMPHASES  # noqa: E402
from clip_skip.standalone.engine.shots import Batch, Shot  # noqa: E402
from clip_skip.standalone.models import checkpoint  # noqa: E402
from clip_skip.standalone.prompts import emphasis, tokens  # noqa: E402
from clip_skip.standalone.prompts.chunks import EMPTY, chunks  # noqa: E402
from clip_skip.standalone.prompts.conditioning import sub_prompts  # noqa: E402
from clip_skip.standalone.prompts.emphasis import BREAK, pieces  # noqa: E402
from clip_skip.standalone.prompts.networks import LoraError, read_networks  # noqa: E402
from clip_skip.standalone.prompts.open_clip_tokens import open_clip_encode  # noqa: E402
from clip_skip.standalone.prompts.schedule import schedule  # noqa: E402
from tests.helpers import growth  # noqa: E402
from tests.random_model import SMALL, random_weights  # noqa: E402

RECORDED = json.loads(Path(__file__).with_name("prompts.json").read_text(encoding="utf-8"))

TEXTS = st.lists(
    st.sampled_from(["a", "cow", " ", ",", *"()[]:|\\", "0.5", "5", "BREAK", " AND ", "[a:b:3]", "(x:1.3)", "\n", "é"]),
    max_size=14,
).map("".join) | st.text(max_size=30)


@pytest.fixture(scope="module")
def engine():
    torch.set_num_threads(1)
    weights = dict(random_weights(SMALL))
    return Engine(checkpoint.build_models(weights, SMALL, "cpu", torch.float32))


def encode(text):
    """A token for each word, and the comma's."""
    return [tokens.COMMA if word == "," else 1000 + len(word) for word in text.replace(",", " , ").split()]


# What a prompt says


@pytest.mark.parametrize("known", RECORDED, ids=lambda known: repr(known["prompt"]))
def test_a_prompt_says_what_it_says_in_the_webui(known):
    prompt = known["prompt"]
    assert [list(change) for change in schedule(prompt, 10)] == known["steps"]
    assert [list(change) for change in schedule(prompt, 6, 10)] == known["hires"]
    if known["pieces"] is not None:  # v1.10.1 ends with an error there
        assert [list(piece) for piece in pieces(prompt)] == known["pieces"]
    assert [[text, weight] for weight, text in sub_prompts(prompt)] == known["parts"]


SYNTAX = st.lists(
    st.sampled_from(
        ["a", " ", *"()[]:|\\", "[", "]", ":", "|", "0.5", " 3 ", "[a:b:3]", "(x:1.3)", "\n", "\\(", "1e400", "-1e400"]
    ),
    max_size=16,
).map("".join)


@settings(max_examples=300)
@given(SYNTAX, st.sampled_from([0, 10]))
@example("[a|b:0.5] [c:3]", 0)
@example("([a|(b]:3)|c)]", 0)
@example("[a:b:c:3][[d:5]", 10)
@example("[a:b:\x1d8\n]", 0)
def test_prompt_editing_is_what_a_grammar_makes_of_it(text, first_pass):
    lark_schedule = pytest.importorskip("tests.lark_schedule", reason="lark is not installed")
    assert schedule(text, 6, first_pass) == lark_schedule.schedule(text, 6, first_pass)


def read_without_errors(text):
    with suppress(LoraError):
        return read_networks(text)


REPEATED = {
    "letters": "a",
    "words": "cow ",
    "spaces": " ",
    "x": "x ",
    "colons": ":",
    "spaces and colons": "  :  ",
    "digits": ":1",
    "weights": ": 1.1.1",
    "square": "[",
    "round": "(",
    "closing": ")",
    "nested": "(a[",
    "pairs": "([a:b:3])",
    "edits": "[a:b:0.5] ",
    "alternations": "[a|b]",
    "broken edits": "[a:b:0.5",
    "breaks": "a BREAK  ",
    "ands": "a AND  ",
    "backslashes": "\\\\",
    "networks": "<a:",
    "LoRAs": "<lora:a:1",
    "comments": "#",
}


READERS = {
    "schedule": lambda text: schedule(text, 4),
    "pieces": pieces,
    "sub_prompts": sub_prompts,
    "networks": read_without_errors,
    "comments": strip_comments,
    "OpenCLIP": open_clip_encode(tokens.tokenizer()),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("repeated", REPEATED.values(), ids=REPEATED)
def test_the_time_grows_with_the_length_of_a_prompt(read, repeated):
    """Ten times the length takes about ten times as long; a hundred times as long, if it were quadratic."""

    def read_anew(text):
        schedule.cache_clear()
        read(text)

    make = lambda length: (repeated * (length // len(repeated) + 1))[: length - 1] + "z"
    assert growth(read_anew, make) < 5


@given(TEXTS, st.integers(1, 30))
@example("(" * 500 + "[" * 500, 5)
@example("[" * 500 + "a" + "]" * 500, 5)
@example("[a:" * 2000 + "b" + ":3]" * 2000, 5)
@example("[a:b:1e400]", 5)
@example("(a:1.2.3)", 5)
@example("(a:" + "9" * 400 + ")", 5)
def test_any_text_parses(text, steps):
    changes = schedule(text, steps)
    ends = [end for end, _ in changes]
    assert ends == sorted(set(ends)) and ends[-1] == steps and ends[0] >= 1
    for _, part in changes:
        for _, one in sub_prompts(part):
            found = pieces(one)
            assert found and all(math.isfinite(weight) for _, weight in found)
            rows = chunks(one, encode)
            assert all(len(row.tokens) == len(row.weights) == 77 for row in rows)


@given(st.text(st.characters(exclude_characters="()[]:|\\", exclude_categories=["Cs"])))
def test_a_text_without_syntax_comes_back_unchanged(text):
    assert schedule(text, 20) == ((20, text),)
    if "BREAK" not in text:
        assert pieces(text) == [(text, 1.0)]
    if "AND" not in text:
        ((weight, part),) = sub_prompts(text)
        assert weight == 1 and part == text.rstrip()


@pytest.mark.parametrize("mode", EMPHASES)
def test_modes_of_emphasis(mode):
    assert pieces("a (b)", mode) == ([("a (b)", 1.0)] if mode == "None" else [("a ", 1.0), ("b", 1.1)])
    states, weights = torch.rand(2, 77, 8) + 1, torch.ones(2, 77)
    weights[0, 3] = 1.5
    made = emphasis.apply_emphasis(states, weights, mode)
    if mode in ("Ignore", "None"):
        assert torch.equal(made, states)
    elif mode == "No norm":
        assert torch.equal(made[0, 3], states[0, 3] * 1.5) and torch.equal(made[1], states[1])
    else:
        assert torch.isclose(made.mean(), states.mean()) and not torch.allclose(made[1], states[1])


def test_a_comment_is_not_read():
    shot = Shot("a cow # <clipskip:3> <lora:x>\n#all of it\non a field", "dark #", None, 7, 1)
    assert [text.split() for text in shot.texts()] == [["a", "cow", "on", "a", "field"], ["dark"]]
    assert shot.loras() == () and shot.clip_skips() == (1, 1)


# Chunks


def words(row):
    return [token for token in row.tokens[1:] if token != tokens.END]


def test_a_long_text_is_cut_after_the_last_comma_that_is_near():
    first, second = chunks("a " * 60 + ", " + "bb " * 20, encode)
    assert (len(words(first)), len(words(second))) == (61, 20)
    first, second = chunks("a " * 50 + ", " + "bb " * 30, encode)
    assert (len(words(first)), len(words(second))) == (75, 6)
    assert [len(words(row)) for row in chunks("a " * 75 + ", b", encode)] == [75, 2]
    assert chunks("a " * 75, encode)[0].tokens[-2] == encode("a")[0]


def test_what_moves_to_the_next_chunk_keeps_its_weight():
    _, second = chunks("a " * 70 + ", (bb bb bb bb bb bb:1.5)", encode)
    assert second.weights[1:7] == (1.5,) * 6


def test_break_ends_a_chunk_except_in_round_brackets():
    assert [words(row) for row in chunks("a BREAK bb", encode)] == [encode("a"), encode("bb")]
    assert len(chunks("(a BREAK bb)", encode)) == 1
    assert chunks("", encode) == [EMPTY] and len(chunks("BREAK", encode)) == 1 and BREAK in pieces("BREAK")


# Pictures


def latents(engine, prompt, negative="", sampler="Euler", steps=4, **more):
    shot = Shot(prompt, negative, None, 5, 1, **more)
    return engine.make(Batch((shot,), steps, 64, 64, sampler)).latents


def test_syntax_is_not_read_as_words(engine):
    plain = latents(engine, "a cow")
    for prompt in ("a (cow:1.3)", "a [cow:horse:0.5]", "a [cow|horse]", "a BREAK cow", "a cow AND a field :0.5"):
        assert not torch.allclose(latents(engine, prompt), plain, atol=1e-3)


def test_the_same_thing_said_in_two_ways(engine):
    for one, other in (
        ("a (cow)", "a (cow:1.1)"),
        ("a [cow:cow:2]", "a cow"),
        ("a cow AND a cow", "a cow AND a cow :1"),
        ("a \\(cow\\)", "a \\(cow\\) :1.0"),
        ("[<clipskip:3>:<clipskip:3>:2]a cow", "<clipskip:3>a cow"),
    ):
        dark = "<clipskip:1>dark"
        assert torch.allclose(latents(engine, one, dark), latents(engine, other, dark), atol=1e-3)


def test_an_edit_holds_from_its_step_on(engine):
    """An edit after the last step changes nothing, and none is made before the step it names."""
    assert torch.equal(latents(engine, "a [cow:horse:4]"), latents(engine, "a cow"))
    assert torch.equal(latents(engine, "a [cow:horse:0]"), latents(engine, "a horse"))
    assert not torch.equal(latents(engine, "a [cow:horse:2]"), latents(engine, "a cow"))


def test_each_text_that_a_prompt_becomes_is_encoded_once(engine):
    fresh = Engine(engine.models)
    prompt = "a (cow:1.2) in a [field:barn:0.5] AND a [red|green] cow"
    shots = [Shot(prompt, "dark AND dull", skip, 5, 1) for skip in (1, 2, 3.5)]
    fresh.prepare(shots, 4, "DPM++ SDE")
    for shot in shots:
        fresh.make(Batch((shot,), 4, 64, 64, "DPM++ SDE"))
    assert fresh.conditioner.passes == 5


def test_sub_prompts_pull_by_their_weights(engine):
    once, twice = latents(engine, "a cow :2"), latents(engine, "a cow AND a cow")
    assert (once - twice).abs().max() < 1e-4 * once.abs().max()  # the sums are taken in another order


def test_each_picture_of_a_batch_is_the_one_made_alone(engine):
    prompts = ["a cow", "a (cow:1.2) AND a field", "a cow, " * 30, "a [cow|horse] BREAK b", "<clipskip:4>a cow"]
    shots = [Shot(prompt, "dark, " * index * 10, None, 4 + index, index) for index, prompt in enumerate(prompts)]
    together = engine.make(Batch(tuple(shots), 3, 64, 64, "Euler a")).latents
    for index, shot in enumerate(shots):
        alone = engine.make(Batch((shot,), 3, 64, 64, "Euler a")).latents[0]
        assert torch.allclose(alone, together[index], atol=0.05, rtol=1e-3)


def test_a_tag_in_another_sub_prompt_stays_where_the_sweep_sets_a_value():
    prompt, _ = Shot("<clipskip:2>a AND <clipskip:5>b", "", 3, 7, 1).texts()
    tagged, _ = Shot("<clipskip:3>a AND <clipskip:5>b", "", None, 7, 1).texts()
    assert prompt == tagged


def test_the_negative_prompt_may_have_its_own_value():
    shot = Shot("a cow", "dark", 2, 7, 1, negative_clip_skip=4)
    assert shot.clip_skips() == (2, 4)
    assert shot.texts() == Shot("<clipskip:2>a cow", "<clipskip:4>dark", None, 7, 1).texts()


def test_white_space_that_float_does_not_know_is_white_space():
    """`\\s` and `str.strip` take the separators U+001C to U+001F for white space, `float` does not."""
    assert sub_prompts("a :\x1d1.5\x1f") == [(1.5, "a")]
    assert emphasis.pieces("(a:\x1c1.5\x1e)") == emphasis.pieces("(a:1.5)")
