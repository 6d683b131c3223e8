import pytest

from clip_skip.panel import Panel
from clip_skip.prompt.override import REPLACED, Override, warn_replaced


def made(override, prompt="a", panel=None, header=1.0):
    return override.panel(panel or Panel(), prompt, header)


def test_both():
    assert made(Override(2, 2)) == Panel(True, 2)
    assert made(Override(2, 2), "<clipskip:4>a", header=3.0) == Panel(True, 2)
    assert made(Override(2, 2), panel=Panel(True, 5, 6)) == Panel(True, 2)


def test_one_side_leaves_the_other_as_it_was():
    assert made(Override(prompt=2)) == Panel(True, 2, 1)
    assert made(Override(negative=2)) == Panel(True, 1, 2)
    assert made(Override(negative=2), header=3.0) == Panel(True, 3, 2)
    assert made(Override(prompt=2), "<clipskip:4>a") == Panel(True, 2, 4)
    assert made(Override(negative=2), "<clipskip:4>a") == Panel(True, 4, 2)
    assert made(Override(prompt=2), panel=Panel(True, 5, 6)) == Panel(True, 2, 6)
    assert made(Override(prompt=2), panel=Panel(True, 5)) == Panel(True, 2, 5)


def test_hires_and_clip_g():
    assert made(Override(hires=3)) == Panel(True, 1, 0, 3)
    assert made(Override(2, 2), "<clipskip:4:g=6:hires=5>a") == Panel(True, 2, 0, 5, 6)
    assert made(Override(2, 2, 1), panel=Panel(True, 2, 0, 5, 7)) == Panel(True, 2, 0, 1, 7)


def test_a_value_that_follows_another_anyway_is_left_out():
    assert made(Override(2, 2), "<clipskip:4:g=2>a") == Panel(True, 2)
    assert made(Override(2, 2), "<clipskip:4:hires=2>a") == Panel(True, 2)
    assert made(Override(2, 2), "<clipskip:4:g=5:hires=2>a") == Panel(True, 2, 0, 2, 5)


def test_the_tag_of_clip_l_counts_for_the_side_that_stays():
    assert made(Override(negative=2), "<clipskip:4:l=3>a") == Panel(True, 3, 2)
    assert made(Override(prompt=2), "<clipskip:4:l=3>a") == Panel(True, 2, 3)
    assert made(Override(negative=2), "<clipskip:4:hires=5>a") == Panel(True, 4, 2, 5)
    assert made(Override(prompt=2), "<clipskip:4:hires=5>a") == Panel(True, 2, 4, 5)


@pytest.mark.parametrize(
    ("prompt", "clip_g"),
    [("a", 7), ("<clipskip:4>a", 4), ("<clipskip:4:g=6>a", 6), ("<clipskip:4:hires=5>a", 4), ("<clipskip:l=4>a", 7)],
)
def test_columns_of_clip_l_alone_leave_clip_g_where_it_is(prompt, clip_g):
    assert Override(2, 2, keep_g=True).panel(Panel(), prompt, 1.0, 7.0).clip_g == clip_g
    assert Override(2, 2).panel(Panel(), prompt, 1.0, 7.0).clip_g == (6 if "g=6" in prompt else 0)


def test_the_tag_that_a_sweep_replaces_is_named():
    assert warn_replaced("a <clipskip:2:G=3>") == [REPLACED(tag='"<clipskip:2:g=3>"')]
    assert warn_replaced("a") == []


def test_texts():
    prompt, negative = "<clipskip:2>a AND <clipskip:4>b", "<clipskip:3>bad"
    assert Override(prompt=5).texts(prompt, negative) == ("a AND <clipskip:4>b", negative)
    assert Override(5, 5).texts(prompt, negative) == ("a AND <clipskip:4>b", "bad")


T5 = Override(named_prompt=3, named_negative=3, tower="t5")
T5_PROMPT = Override(named_prompt=3, tower="t5")
LOADED = Override(named_prompt=4, named_negative=4)  # of the loaded model, whose Qwen was published at 2


@pytest.mark.parametrize(
    ("override", "prompt", "negative", "want", "want_negative"),
    [
        (T5, "cow", "bad", "cow <clipskip:t5=3>", "bad"),
        (T5, "cow", "<clipskip:t5=2>bad", "cow <clipskip:t5=3>", "<clipskip:t5=3>bad"),
        (T5, "<clipskip:2:t5=5>cow", "bad", "<clipskip:2:t5=3>cow", "bad"),
        (T5, "a AND <clipskip:t5=9>b", "", "a <clipskip:t5=3> AND <clipskip:t5=9>b", ""),
        (Override(named_prompt=3, named_negative=5, tower="t5"), "a", "b", "a <clipskip:t5=3>", "b <clipskip:t5=5>"),
        (T5_PROMPT, "cow", "bad", "cow <clipskip:t5=3>", "bad <clipskip:t5=1>"),
        (T5_PROMPT, "<clipskip:t5=4>cow", "bad", "<clipskip:t5=3>cow", "bad <clipskip:t5=4>"),
        (T5_PROMPT, "cow", "bad <clipskip:t5=2>", "cow <clipskip:t5=3>", "bad <clipskip:t5=2>"),
        (Override(named_negative=3, tower="t5"), "cow", "bad", "cow", "bad <clipskip:t5=3>"),
        (Override(named_negative=5, tower="t5"), "a", "b AND c", "a", "b AND c <clipskip:t5=5>"),
        (LOADED, "cow", "bad", "cow <clipskip:qwen=4>", "bad"),
        (Override(named_prompt=4), "cow", "bad", "cow <clipskip:qwen=4>", "bad <clipskip:qwen=2>"),
        (Override(2, 2), "<clipskip:5:t5=3>a AND b", "c", "a <clipskip:t5=3> AND b", "c"),
        (Override(2, 2), "a <clipskip:5:t5=3>", "b <clipskip:4:t5=2>", "a  <clipskip:t5=3>", "b  <clipskip:t5=2>"),
        (
            Override(2, 2, named_prompt=4, named_negative=4),
            "a<clipskip:5>",
            "b<clipskip:3>",
            "a <clipskip:qwen=4>",
            "b",
        ),
    ],
)
def test_the_value_of_a_named_encoder_is_written_as_a_tag(override, prompt, negative, want, want_negative):
    texts = override.texts(prompt, negative, {"qwen": 2})
    assert [" ".join(text.split()) for text in texts] == [" ".join(text.split()) for text in (want, want_negative)]


def test_an_override_of_a_named_encoder_leaves_the_panel_alone():
    assert not Override(named_prompt=3, tower="t5").acts_on_clip and not Override(named_negative=3).acts_on_clip
    assert Override().acts_on_clip and Override(2).acts_on_clip and Override(hires=2, named_prompt=3).acts_on_clip
