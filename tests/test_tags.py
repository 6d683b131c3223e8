import gc
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_skip.prompt import markers, precedence, tags, writing
from clip_skip.skip import Skip

MARKER = markers.write({"l": 2})
HOSTILE = (Path(__file__).parent / "hostile_tags.txt").read_text(encoding="utf8").splitlines()
PIECES = ["<clipskip:", "clipskip", "<", ">", "2", "1.5", ":", "l=", "hires=", "[", "]", "\\", "AND", " ", "cow", "\n"]
PIECES += ["<clipskip:2>", "<clipskip:x>", "AND_PERP", "\u206a", "\u206f", MARKER, MARKER[:-3], MARKER[3:], "|", "0.5"]
texts = st.one_of(st.text(), st.sampled_from(HOSTILE), st.lists(st.sampled_from(PIECES), max_size=25).map("".join))


def show(text):
    """Markers as people can read them: {2} where all encoders get the same."""
    for value in (1, 1.5, 2, 3, 4, 5):
        text = text.replace(markers.write(dict.fromkeys(precedence.TOWERS, value)), f"{{{value}}}")
    for values in ({"l": 2}, {"l": 2, "g": 3, "h": 2}):
        text = text.replace(markers.write(values), f"{{{' '.join(f'{key}={value}' for key, value in values.items())}}}")
    return text


def resolved(prompt, negative="", **more):
    return tuple(show(text) for text in precedence.Texts(prompt, negative, **more).marked())


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
    assert precedence.Texts(f"a {tag}cow", f"a {tag}cow").marked() == ("a cow", "a cow")
    (warning,) = tags.warnings([f"a {tag} cow", tag])
    assert f'"{tag}" was ignored' in warning and reason in warning


def test_not_our_tags():
    for text in ("<lora:x:1>", "<clipskips:2>", "<clipskip-lora:2>", "<clipskip_2:1>", "clipskip:2", "<clipskip:2"):
        assert tags.scan(text) == (text, [])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a <clipskip:2 cow", ['"<clipskip:2 cow" is no tag: its > is missing.']),
        ("<clip_skip:2><clip-skip:2><Clip Skip:2>", ["<clip_skip:2>", "<clip-skip:2>", "<Clip Skip:2>"]),
        ("<clipskip:2 a <lora:x:1> <clipskip:y>", ['"<clipskip:2 a" is no tag', '"<clipskip:y>" was ignored']),
        ("<lora:clip_skip:1> clipskip:2 <clipskipper:2> <clip>", []),
    ],
)
def test_near_misses_are_told_in_order(text, told):
    warnings = tags.warnings([text])
    assert len(warnings) == len(told) and all(part in warning for part, warning in zip(told, warnings))


@pytest.mark.parametrize(
    ("text", "tag", "negative", "written"),
    [
        ("a cow", "<clipskip:2>", False, "a cow <clipskip:2>"),
        ("", "<clipskip:2>", False, "<clipskip:2>"),
        ("a <clipskip:4> cow", "<clipskip:2>", False, "a <clipskip:2> cow"),
        ("<clipskip:4> a AND <clipskip:5> b", "<clipskip:2>", False, "<clipskip:2> a AND <clipskip:5> b"),
        ("a AND <clipskip:5> b", "<clipskip:2>", False, "a <clipskip:2> AND <clipskip:5> b"),
        ("a AND <clipskip:5> b", "<clipskip:2>", True, "a AND <clipskip:2> b"),
        ("[<clipskip:1>:x:0.5]", "<clipskip:2>", False, "[<clipskip:1>:x:0.5] <clipskip:2>"),
        ("<clip<clipskip:2>skip:3> a", "<clipskip:4>", False, "<clip<clipskip:2>skip:3> a <clipskip:4>"),
        ("a <clipskip:2> cow", "", True, "a cow"),
        ("a cow", "nonsense", False, None),
    ],
)
def test_a_tag_is_put_in_the_place_of_the_texts_own(text, tag, negative, written):
    if written is None:
        with pytest.raises(ValueError, match="a tag is written"):
            writing.put(text, tag, negative)
    else:
        assert writing.put(text, tag, negative) == written
        assert writing.put(written, tag, negative) == written


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
        ("<clipskip:2>a AND_PERP b AND_SALT_2 c", "bad", "{2}a AND_PERP{2} b AND_SALT_2{2} c", "{2}bad"),
        ("<clipskip:2>a AND_TOPK <clipskip:4>b", "", "{2}a AND_TOPK{4} b", "{2}"),
        ("<clipskip:2>a ANDROID, BAND_A, AND-B", "", "{2}a ANDROID, BAND_A, AND{2}-B", "{2}"),
        ("<clipskip:2>[a AND_PERP b] :2 AND c", "", "[{2}a AND_PERP{2} b] :2 AND{2} c", "{2}"),
        ("<clipskip:2>a AND [ [b AND c] AND_SALT d]", "", "{2}a AND [ [{2}b AND{2} c] AND_SALT{2} d]", "{2}"),
        ("<clipskip:2>[a:b:0.5] AND_PERP [c]", "", "{2}[a:b:0.5] AND_PERP{2} [c]", "{2}"),
        ("<clipskip:2>", "a AND_PERP <clipskip:3> b", "{2}", "{3}a AND_PERP  b"),
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
    marked, negative = precedence.Texts("<clipskip:2:g=3> cow", "").marked()
    assert precedence.read(marked) == (" cow", {"l": 2, "g": 3, "h": 2})
    assert precedence.read(negative) == ("", {"l": 2, "g": 3, "h": 2})
    assert precedence.read("cow") == ("cow", None)
    assert precedence.read("<clipskip:2>cow") == ("cow", {"l": 2, "g": 2, "h": 2})
    assert precedence.values([marked, "<clipskip:5>"], "g") == {3, 5}
    assert precedence.asks(marked) and precedence.asks("<clipskip:x>") and not precedence.asks("<lora:x:1>")


@pytest.mark.parametrize(
    "text",
    [
        "\ue0c0l=5\ue0c1a cow",
        "\ue0c0l=x\ue0c1a cow",
        "\u206a" * 12 + "\u206f a cow",
        MARKER[1:] + "a cow",
        MARKER[:-1] + "a cow",
        MARKER.replace("\u206f", "") + "\u206e\u206e a cow",
    ],
    ids=["private use", "private use, no number", "no secret", "cut at the start", "cut at the end", "not ended"],
)
def test_a_persons_text_is_never_a_marker(text):
    assert precedence.read(text) == (text, None) and not precedence.asks(text)
    marked, _ = precedence.Texts(f"<clipskip:3>{text}", "").marked()
    assert precedence.read(marked) == (text, dict.fromkeys("lgh", 3))


@given(st.text(alphabet="\u206a\u206b\u206c\u206d\u206e\u206f0=lgh."))
def test_reading_a_marker_cannot_fail(inside):
    for text in (MARKER[:12] + inside + "\u206f", MARKER[:12] + inside, inside):
        values = precedence.read(text)[1] or {}
        assert all(tower in "lgh" and value >= 0 for tower, value in values.items())


def test_a_marker_is_no_token():
    from clip_skip.standalone.prompts.tokens import tokenizer

    ftfy = pytest.importorskip("ftfy", reason="ftfy, which CLIP's own tokenizers use, is not installed")
    assert ftfy.fix_text(f"{MARKER}a {MARKER}cow") == "a cow"
    assert tokenizer().encode("a cow", add_special_tokens=False).ids


def test_prompt_values():
    assert precedence.prompt_values("<clipskip:2>a", "b", 1) == (2, 2)
    assert precedence.prompt_values("a", "b<clipskip:3>", 1) == (1, 3)
    assert precedence.prompt_values("a", "b", 5) == (5, 5)


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
    assert precedence.without_prompt_tag(prompt) == without
    assert precedence.prompt_tag(without) is None


@given(texts, texts)
def test_any_text(prompt, negative):
    """No text raises; no tag is left; what has no tag is as it was."""
    clean, found = tags.scan(prompt)
    assert tags.strip(clean) == clean
    assert found or clean == prompt
    assert [tag.position for tag in found] == sorted(tag.position for tag in found)
    assert all(0 <= tag.position <= len(clean) for tag in found)
    for hires in (False, True):
        texts = precedence.Texts(prompt, negative, Skip(2, hires=3), hires=hires)
        marked = texts.marked()
        assert all(texts.asked())
        assert [precedence.read(text)[0] for text in marked] == [
            markers.read(tags.strip(text))[0] for text in (prompt, negative)
        ]
    assert precedence.prompt_tag(precedence.without_prompt_tag(prompt)) is None
    if not found and not tags.scan(negative)[1]:
        assert precedence.Texts(prompt, negative).marked() == (prompt, negative)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile(text):
    for prompt in (text, f"a {text} b", text * 3):
        assert "clipskip:2>" not in tags.strip(prompt).replace(" ", "")
        precedence.Texts(prompt, prompt).marked()
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
        "AND_PERP [",
        "\u206a",
        pytest.param(MARKER, id="marker"),
        "a",
    ],
)
def test_time_is_linear(part):
    """Eight times the text takes well under 64 times the time, the mark of a quadratic parser."""

    def seconds(length):
        text = part * (length // len(part))
        start = time.process_time()
        precedence.Texts(text, text).marked()
        return time.process_time() - start

    gc.disable()  # its full collections are not linear
    try:
        short = min(seconds(30_000) for _ in range(3))
        assert min(seconds(240_000) for _ in range(2)) < 40 * short + 0.1
    finally:
        gc.enable()
