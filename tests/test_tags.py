import gc
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_skip import tags
from clip_skip.skip import Skip

HOSTILE = (Path(__file__).parent / "hostile_tags.txt").read_text(encoding="utf8").splitlines()
PIECES = ["<clipskip:", "clipskip", "<", ">", "2", "1.5", ":", "l=", "hires=", "[", "]", "\\", "AND", " ", "cow", "\n"]
PIECES += ["<clipskip:2>", "<clipskip:x>", "\ue0c0", "\ue0c1", "\ue0c0l=2\ue0c1", "|", "0.5"]
texts = st.one_of(st.text(), st.sampled_from(HOSTILE), st.lists(st.sampled_from(PIECES), max_size=25).map("".join))


def show(text):
    """Markers as people can read them: {2} where all encoders get the same."""
    for value in ("1", "1.5", "2", "3", "4", "5"):
        text = text.replace(f"\ue0c0l={value} g={value} h={value}\ue0c1", f"{{{value}}}")
    return text.replace("\ue0c0", "{").replace("\ue0c1", "}")


def resolved(prompt, negative="", **more):
    return tuple(show(text) for text in tags.resolve(prompt, negative, **more))


@pytest.mark.parametrize(
    ("tag", "skip"),
    [
        ("<clipskip:2>", Skip(2)),
        ("<clipskip:1.5>", Skip(1.5)),
        ("<clipskip:-2>", Skip(2)),
        ("<clipskip:l=2:g=3>", Skip(l=2, g=3)),
        ("<clipskip:2:hires=1>", Skip(2, hires=1)),
        ("<clipskip:hires=1:2:g=3>", Skip(2, g=3, hires=1)),
        ("<CLIPSKIP: L = 2 >", Skip(l=2)),
        ("< clipskip :2>", Skip(2)),
    ],
)
def test_good_tags(tag, skip):
    assert tags.scan(f"a {tag} cow") == ("a  cow", [tags.Tag(tag, 2, skip)])
    assert tags.warnings([tag]) == []
    if tag.startswith("<clipskip:"):
        assert tags.scan(f"<clipskip:{skip}>")[1][0].skip == skip


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("<clipskip:>", "no value"),
        ("<clipskip>", "a tag is written <clipskip:2>"),
        ("<clipskip 2>", "a tag is written <clipskip:2>"),
        ("<clipskip:abc>", '"abc" is not a number'),
        ("<clipskip:0>", "below 1"),
        ("<clipskip:nan>", "not a number"),
        ("<clipskip:1e999>", "not a number"),
        ("<clipskip:m=2>", '"m" is not one of l, g, hires'),
        ("<clipskip:2:3>", "a value twice"),
        ("<clipskip:l=2:l=3>", "l twice"),
    ],
)
def test_bad_tags_are_removed_and_told(tag, reason):
    assert tags.strip(f"a {tag}cow") == "a cow"
    assert tags.resolve(f"a {tag}cow", f"a {tag}cow") == ("a cow", "a cow")
    (warning,) = tags.warnings([f"a {tag} cow", tag])
    assert f'"{tag}" was ignored' in warning and reason in warning


def test_not_our_tags():
    for text in ("<lora:x:1>", "<clipskips:2>", "<clipskip-lora:2>", "<clipskip_2:1>", "clipskip:2", "<clipskip:2"):
        assert tags.scan(text) == (text, [])


def test_warnings_are_counted_not_listed_without_end():
    told = tags.warnings(f"<clipskip:{letter}{digit}>" for letter in "abcd" for digit in range(10))
    assert len(told) == 11 and told[-1] == "30 more bad tags were ignored."
    assert len(tags.warnings(["<clipskip:" + "x" * 10000 + ">"])[0]) < 150


@pytest.mark.parametrize(
    ("prompt", "negative", "marked", "marked_negative"),
    [
        ("cow", "bad", "cow", "bad"),
        ("<clipskip:2> cow", "bad", "{2} cow", "{2}bad"),
        ("cow <clipskip:2>", "bad", "{2}cow ", "{2}bad"),
        ("cow", "bad <clipskip:3>", "cow", "{3}bad "),
        ("<clipskip:2>cow", "<clipskip:3>", "{2}cow", "{3}"),
        ("<clipskip:2>cow<clipskip:4>", "", "{4}cow", "{4}"),
        ("<clipskip:2>a AND b", "bad", "{2}a AND{2} b", "{2}bad"),
        ("<clipskip:2>a AND <clipskip:4>b", "bad", "{2}a AND{4} b", "{2}bad"),
        ("a AND <clipskip:4>b", "bad", "a AND{4} b", "bad"),
        ("a BREAK <clipskip:2> b", "", "{2}a BREAK  b", "{2}"),
        ("a cow :1.2 <clipskip:2>", "", "{2}a cow :1.2 ", "{2}"),
        ("[<clipskip:1>:<clipskip:3>:0.5] cow", "bad", "[{1}:{3}:0.5] cow", "bad"),
        ("[<clipskip:1>|<clipskip:3>] cow", "bad", "[{1}|{3}] cow", "bad"),
        ("<clipskip:2>[<clipskip:3>::0.5]", "bad", "{2}[{3}::0.5]", "{2}bad"),
        ("[<clipskip:3>::0.5]<clipskip:2>", "bad", "{2}[::0.5]", "{2}bad"),
        ("[a:b:0.5<clipskip:2>] cow", "", "{2}[a:b:0.5] cow", "{2}"),
        ("[a:<clipskip:2>10] cow", "", "{2}[a:10] cow", "{2}"),
        ("[a <clipskip:2>", "", "{2}[a ", "{2}"),
        (r"\[a <clipskip:2>\]", "", r"{2}\[a \]", "{2}"),
        ("(a <clipskip:2>:1.2)", "", "{2}(a :1.2)", "{2}"),
        ("<clipskip:2>", "a AND <clipskip:3> b", "{2}", "{3}a AND  b"),
        ("cow<clipskip:l=2>", "", "{l=2}cow", "{l=2}"),
        ("cow<clipskip:2:g=3>", "", "{l=2 g=3 h=2}cow", "{l=2 g=3 h=2}"),
        ("<lora:x:1><clipskip:2>", "", "{2}<lora:x:1>", "{2}"),
        (" <clipskip:2> ", " <clipskip:3> ", "{2}", "{3}"),
    ],
)
def test_who_follows_whom(prompt, negative, marked, marked_negative):
    assert resolved(prompt, negative) == (marked, marked_negative)


def test_levels():
    panel, negative = Skip(2), Skip(3)
    assert resolved("cow", "bad", panel=panel, panel_negative=negative) == ("{2}cow", "{3}bad")
    assert resolved("<clipskip:4>cow", "bad", panel=panel, panel_negative=negative) == ("{4}cow", "{4}bad")
    assert resolved("cow", "<clipskip:4>bad", panel=panel) == ("{2}cow", "{4}bad")
    assert resolved("a<clipskip:g=3>", "", panel=panel) == ("{l=2 g=3 h=2}a", "{l=2 g=3 h=2}")
    assert resolved("a AND b<clipskip:4>", "", panel=panel) == ("{2}a AND{4} b", "{2}")


def test_hires_pass():
    assert resolved("<clipskip:2:hires=1>cow", "bad", hires=True) == ("{1}cow", "{1}bad")
    assert resolved("<clipskip:2>cow", "bad", hires=True) == ("{2}cow", "{2}bad")
    assert resolved("<clipskip:hires=1>cow", "bad") == ("cow", "bad")
    assert resolved("<clipskip:hires=1>cow", "", panel=Skip(3)) == ("{3}cow", "{3}")
    assert resolved("cow", "bad", hires=True, first_pass="<clipskip:2:hires=1>x") == ("{1}cow", "{1}bad")
    assert resolved("<clipskip:3>cow", "bad", hires=True, first_pass="<clipskip:2:hires=1>x") == ("{3}cow", "{3}bad")
    assert resolved("<clipskip:2>cow", "", panel=Skip(3, hires=1), hires=True) == ("{2}cow", "{2}")


def test_read():
    marked, negative = tags.resolve("<clipskip:2:g=3> cow", "")
    assert tags.read(marked) == (" cow", {"l": 2, "g": 3, "h": 2})
    assert tags.read(negative) == ("", {"l": 2, "g": 3, "h": 2})
    assert tags.read("cow") == ("cow", {})
    assert tags.read("<clipskip:2>cow") == ("cow", {"l": 2, "g": 2, "h": 2})
    assert tags.values([marked, "<clipskip:5>"], "g") == {3, 5}
    assert tags.asks(marked) and tags.asks("<clipskip:x>") and not tags.asks("<lora:x:1>")


def test_prompt_values():
    assert tags.prompt_values("<clipskip:2>a", "b", 1) == (2, 2)
    assert tags.prompt_values("a", "b<clipskip:3>", 1) == (1, 3)
    assert tags.prompt_values("a", "b", 5) == (5, 5)


@pytest.mark.parametrize(
    ("prompt", "without"),
    [
        ("a cow", "a cow"),
        ("<clipskip:2> a <clipskip:3>cow", " a cow"),
        ("<clipskip:2>a AND <clipskip:4>b", "a AND <clipskip:4>b"),
        ("<clipskip:2>[<clipskip:3>::0.5] a <clipskip:x>", "[<clipskip:3>::0.5] a <clipskip:x>"),
        ("[<clipskip:3>::0.5] a <clipskip:2>", "[::0.5] a "),
        ("<clipskip:2>", ""),
    ],
)
def test_without_prompt_tag(prompt, without):
    assert tags.without_prompt_tag(prompt) == without
    assert tags.prompt_tag(without) is None


@given(texts, texts)
def test_any_text(prompt, negative):
    """No text raises; no tag is left; what has no tag is as it was."""
    clean, found = tags.scan(prompt)
    assert tags.strip(clean) == clean
    assert found or clean == prompt
    assert [tag.position for tag in found] == sorted(tag.position for tag in found)
    assert all(0 <= tag.position <= len(clean) for tag in found)
    for hires in (False, True):
        marked = tags.resolve(prompt, negative, Skip(2, hires=3), hires=hires)
        assert [tags.read(text)[0] for text in marked] == [
            tags.MARKER.sub("", tags.strip(t)) for t in (prompt, negative)
        ]
    assert tags.prompt_tag(tags.without_prompt_tag(prompt)) is None
    if not found and not tags.scan(negative)[1]:
        assert tags.resolve(prompt, negative) == (prompt, negative)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile(text):
    for prompt in (text, f"a {text} b", text * 3):
        assert "clipskip:2>" not in tags.strip(prompt).replace(" ", "")
        tags.resolve(prompt, prompt)
        assert all(warning.isprintable() for warning in tags.warnings([prompt]))


@pytest.mark.parametrize(
    "part",
    [
        "<clipskip:",
        "<clipskip:2>",
        "<clip",
        "[",
        "AND ",
        "[<clipskip:2>",
        "<",
        ">",
        "< ",
        "<clipskip:x>",
        "\ue0c0l=1 ",
        "a",
    ],
)
def test_time_is_linear(part):
    """Eight times the text takes well under 64 times the time, the mark of a quadratic parser."""

    def seconds(length):
        text = part * (length // len(part))
        start = time.process_time()
        tags.resolve(text, text)
        return time.process_time() - start

    gc.disable()  # its full collections are not linear
    try:
        short = min(seconds(30_000) for _ in range(3))
        assert min(seconds(240_000) for _ in range(2)) < 40 * short + 0.1
    finally:
        gc.enable()
