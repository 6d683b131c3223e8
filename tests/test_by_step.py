"""What the page tells of a prompt that is being written, from step to step."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_skip.encoder import not_loaded
from clip_skip.page import answers, by_step
from clip_skip.prompt.parsed import read_marked
from clip_skip.prompt.precedence import Texts
from clip_skip.standalone.app.routes import parts_by_step
from clip_skip.standalone.prompts.conditioning import sub_prompts
from clip_skip.standalone.prompts.schedule import schedule

ENCODER = not_loaded("l", 12, 1)
TAGS = ["<clipskip:2>", "<clipskip:3>", "<clipskip:1.5:hires=4>"]
PIECES = [*TAGS, *TAGS, *"()[]:|\\", "[a:b:", "0.5]", ":5]", "1e1", "cow, grass", " ", "AND", "\n", "\u206a", "[", "]"]
PROMPTS = st.lists(st.sampled_from(PIECES), max_size=24).map("".join)


@settings(max_examples=400, deadline=None)
@given(PROMPTS, st.integers(1, 30), st.sampled_from([0, 10]))
def test_an_outline_has_the_values_of_its_text_at_each_step(prompt, steps, before):
    marked, _ = Texts(prompt, "").marked()
    for _, part in sub_prompts(marked):
        by_text, by_outline = (
            [(last, read_marked(text).values or {}) for last, text in schedule(version, steps, before)]
            for version in (part, by_step.outline(part))
        )
        at = lambda values, step: next(value for last, value in values if step <= last)
        last = max(last for last, _ in (*by_text, *by_outline))
        each = range(1, last + 1)
        assert [at(by_text, step) for step in each] == [at(by_outline, step) for step in each]
        assert len(by_step.outline(part)) <= len(part)


def host(request):
    return answers.Host([ENCODER], "SD1", str, lambda texts, negative: parts_by_step(texts, negative, request))


def read(**request):
    return answers.read_prompts(request, host(request))


HOSTILE = {
    "alternation": "[<clipskip:2>|<clipskip:3>]" * 600,
    "alternation without tags": "[a|b]" * 3900 + "<clipskip:2>",
    "edits": "".join(f"[<clipskip:{step % 12 + 1}>::{step}]" for step in range(900)),
    "long words": "[" + "word " * 3000 + "<clipskip:2>:<clipskip:3>:0.5]",
    "brackets": "[<clipskip:2>" * 1400,
    "sub-prompts": "<clipskip:2> [a|b] AND " * 800,
}


@pytest.mark.parametrize("steps", [20, 1000])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_work_of_a_request_has_a_limit(text, steps, monkeypatch):
    letters = []
    monkeypatch.setattr(by_step, "read_marked", lambda text: letters.append(len(text)) or read_marked(text))
    read(prompt=text, steps=steps)
    assert sum(letters) <= 2 * (by_step.MOST_WORK + by_step.LONGEST_OUTLINE)  # the first and the hires pass


@pytest.mark.parametrize(("brackets", "steps", "is_read"), [(1000, 20, True), (4200, 20, False), (1000, 1000, False)])
def test_both_the_length_and_the_work_have_a_limit(brackets, steps, is_read):
    said = read(prompt="<clipskip:2>" + "[" * brackets, steps=steps)["boxes"]["prompt"]
    assert (str(answers.TOO_MUCH_EDITING()) not in said) is is_read


def test_what_is_not_read_step_by_step_says_so_and_tells_the_value_of_the_whole():
    answer = read(prompt="<clipskip:4> " + HOSTILE["edits"], steps=1000)
    assert answer["passes"]["first"]["prompt"] == [[{"l": 4, "g": 4, "h": 4}]]
    assert answer["boxes"]["prompt"][-1] == str(answers.TOO_MUCH_EDITING())
    assert read(prompt="[a|b]" * 3900, negative="<clipskip:3>", steps=1000)["warnings"] == []
    assert read(prompt=HOSTILE["long words"])["passes"]["first"]["prompt"] == [
        [{"l": 2, "g": 2, "h": 2}, {"l": 3, "g": 3, "h": 3}]
    ]


def test_a_text_that_is_too_long_is_not_read_and_says_so():
    longest = "<clipskip:2>".ljust(answers.MOST_LETTERS, "a")
    assert read(prompt=longest)["tag"] == "<clipskip:2>"
    answer = read(prompt=longest + "a", negative="<clipskip:3>")
    assert answer["tag"] is None and answer["boxes"]["prompt"] == [str(answers.TOO_LONG(most=answers.MOST_LETTERS))]
    assert answer["passes"]["first"]["negative"] == [[{"l": 3, "g": 3, "h": 3}]]
    json.dumps(answer["passes"])
