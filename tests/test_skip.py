import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_skip import skip
from clip_skip.pictures import numbering
from clip_skip.skip import Skip


@pytest.mark.parametrize(
    ("text", "value"),
    [("2", 2.0), ("1.5", 1.5), ("-2", 2.0), (" 12 ", 12.0), ("+3", 3.0), ("2.", 2.0), ("1.00004", 1.0), ("999", 999.0)],
)
def test_parse(text, value):
    assert skip.parse_skip(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no value"),
        ("abc", '"abc" is not a number'),
        ("nan", "not a number"),
        ("inf", "not a number"),
        ("1e3", "not a number"),
        ("0", "0 is below 1"),
        ("0.5", "0.5 is below 1"),
        ("-0", "below 1"),
        ("1" * 400, "not a finite number"),
        ("1,5", "not a number"),
        ("--2", "not a number"),
        ("2" * 50 + "x", "…"),
        ("a\x1b[31m\n", "not a number"),
    ],
)
def test_parse_names_what_is_wrong(text, reason):
    with pytest.raises(ValueError) as error:
        skip.parse_skip(text)
    assert reason in str(error.value)
    assert str(error.value).isprintable()


def test_a_number_may_be_written_at_any_length():
    assert skip.parse_skip(f"2.{'0' * 30_000}") == 2 and skip.parse_skip(f"{'0' * 30_000}3") == 3
    with pytest.raises(ValueError, match="not a finite number"):
        skip.parse_skip("1" * 30_000)


@given(st.text())
def test_parse_raises_nothing_else(text):
    with contextlib.suppress(ValueError):
        assert skip.parse_skip(text) >= 1


@given(st.floats(min_value=1, max_value=1e6))
def test_format_and_parse_round_trip(value):
    checked = skip.check(value)
    assert skip.parse_skip(skip.format_skip(checked)) == checked
    assert skip.format_skip(skip.parse_skip(skip.format_skip(checked))) == skip.format_skip(checked)


def test_a_value_in_a_message_is_exact_unless_it_is_absurdly_large():
    assert [skip.shorten_skip(value) for value in (2.0, 1234.5, 1e6, 3e9)] == ["2", "1234.5", "1e+06", "3e+09"]


def test_a_quoted_text_is_cut_and_printable():
    assert skip.shorten("a" * 40) == f'"{"a" * 40}"'
    assert skip.shorten("a" * 41) == f'"{"a" * 40}…"'
    assert skip.shorten("a\x1b\n") == '"a\ufffd\ufffd"'


@pytest.mark.parametrize(
    ("value", "told"),
    [
        *((value, "is not a number") for value in (None, "2", True, [2])),
        *((value, "is not a finite number") for value in (float("nan"), float("inf"), 10**400)),
        (0, "0"),
        (0.99, "0.99"),
    ],
)
def test_check_refuses(value, told):
    with pytest.raises(ValueError, match=told):
        skip.check(value)


@pytest.mark.parametrize(
    ("tool", "number", "family", "ours"),
    [
        ("ComfyUI", "-2", "SD1", 2),
        ("diffusers", "1", "SD1", 2),
        ("diffusers", "1", "SDXL", 3),
        ("SD.Next", "2", "SD1", 2),
        ("SD.Next", "2", "SDXL", 3),
    ],
)
def test_other_tools(tool, number, family, ours):
    assert numbering.convert(tool, number, family)[0] == ours


def test_another_tool_has_no_answer():
    assert numbering.convert("paint", "2", "SD1") == (None, numbering.UNKNOWN_TOOL(tool="paint"))


def test_skip_by_tower_and_pass():
    assert [Skip(2).at(tower, hires) for tower in "lgh" for hires in (False, True)] == [2] * 6
    mixed = Skip(2, l=3, g=4, hires=5)
    assert [mixed.at(tower, False) for tower in "lgh"] == [3, 4, 2]
    assert [mixed.at(tower, True) for tower in "lgh"] == [5, 5, 5]
    assert Skip(g=4).at("l", False) is None


def test_what_is_set_for_clip_and_what_for_language_models():
    assert Skip(2, l=3, g=4, hires=5, t5=6).without_clip == Skip(t5=6)
    assert all(Skip(**{name: 2.0}).acts_on_clip for name in ("value", "l", "g", "hires"))
    assert not Skip(t5=2.0).acts_on_clip
