"""Messages as data: values, nesting, errors, and rendering in another language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_skip.messages.message import FIELD_PROBLEM, Message, MessageError, Template, join, reason, render

DEEP = Template("{skip} is deeper than the {layers} layers of {encoder}")
WORD = Template("Clip skip")
GERMAN = {DEEP: "{encoder}: {skip} > {layers}", WORD: "Clip-Skip", FIELD_PROBLEM: "{field} - {problem}"}


def test_a_message_renders_its_values_in_any_order():
    message = DEEP(skip="14", layers=12, encoder="CLIP ViT-L/14")
    assert str(message) == "14 is deeper than the 12 layers of CLIP ViT-L/14"
    assert render(message, GERMAN) == "CLIP ViT-L/14: 14 > 12"


def test_messages_and_templates_among_the_values_are_translated_and_texts_are_not():
    message = FIELD_PROBLEM(field=WORD, problem=DEEP(skip="14", layers=12, encoder="Clip skip"))
    assert render(message, GERMAN) == "Clip-Skip - Clip skip: 14 > 12"
    assert str(message) == "Clip skip: 14 is deeper than the 12 layers of Clip skip"


@given(st.text(), st.text())
def test_what_a_value_says_is_never_read_as_a_template(one, other):
    template = Template("{one} and {other}")
    assert str(template(one=one, other=other)) == f"{one} and {other}"


def test_wrong_names_are_refused():
    with pytest.raises(TypeError, match="layers"):
        DEEP(skip="14")


def test_errors_carry_messages():
    error = MessageError(DEEP(skip="14", layers=12, encoder="it"))
    assert isinstance(error, ValueError) and str(error).startswith("14 is deeper")
    assert reason(error) is error.message and reason(OSError("no")) == "no"


def test_joined_messages_are_one():
    both = join([WORD, DEEP(skip="2", layers=1, encoder="it")], "; ")
    assert render(both, GERMAN) == "Clip-Skip; it: 2 > 1"
    assert len({both, join([WORD, DEEP(skip="2", layers=1, encoder="it")], "; ")}) == 1
    assert isinstance(both, Message)
