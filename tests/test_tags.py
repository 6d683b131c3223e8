import gc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_skip.messages.message import reason
from clip_skip.panel import Panel
from clip_skip.prompt import markers, parsed, precedence, recent, tags, writing
from clip_skip.prompt.comments import strip_comments
from clip_skip.prompt.parsed import find_warnings, parse_negative, parse_prompt, read_marked
from clip_skip.skip import Skip, shorten

from .helpers import growth

MARKER = markers.write_marker({"l": 2})
HOSTILE = (Path(__file__).parent / "hostile_tags.txt").read_text(encoding="utf8").splitlines()
PIECES = ["<clipskip:", "clipskip", "<", ">", "2", "1.5", ":", "l=", "hires=", "[", "]", "\\", "AND", " ", "cow", "\n"]
PIECES += ["<clipskip:2>", "<clipskip:x>", "AND_PERP", "\u206a", "\u206f", MARKER, MARKER[:-3], MARKER[3:], "|", "0.5"]
texts = st.one_of(st.text(), st.sampled_from(HOSTILE), st.lists(st.sampled_from(PIECES), max_size=25).map("".join))


BOTH = {"l": 2, "g": 2, "h": 2, "t5": 3}


def show(text):
    """Markers as people can read them: {2} where all encoders get the same."""
    for value in (1, 1.5, 2, 3, 4, 5):
        text = text.replace(markers.write_marker(dict.fromkeys(parsed.CLIP, value)), f"{{{value}}}")
    for values in ({"l": 2}, {"l": 2, "g": 3, "h": 2}, {"t5": 3}, {"t5": 4}, {"qwen": 1.5}, BOTH, BOTH | {"t5": 4}):
        text = text.replace(
            markers.write_marker(values), f"{{{' '.join(f'{key}={value}' for key, value in values.items())}}}"
        )
    return text


def read(text):
    marked = read_marked(text)
    return marked.clean, marked.values


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
        ("<clipskip:t5=3>", Skip(t5=3)),
        ("<clipskip:2:t5=3.5>", Skip(2, t5=3.5)),
        ("<clipskip:ministral=4:gemma=3:QWEN=-2>", Skip(qwen=2, gemma=3, ministral=4)),
        ("<CLIPSKIP: L = 2 >", Skip(l=2)),
        ("< clipskip :2>", Skip(2)),
    ],
)
def test_good_tags(tag, skip):
    assert tags.scan(f"a {tag} cow") == ("a  cow", (tags.Tag(tag, 2, skip),))
    assert find_warnings([parse_prompt(tag)]) == []
    if tag.startswith("<clipskip:"):
        assert tags.scan(f"<clipskip:{skip}>")[1][0].skip == skip


@pytest.mark.parametrize(
    ("tag", "problem"),
    [
        ("<clipskip:>", "no value"),
        ("<clipskip>", "a tag is written <clipskip:2>"),
        ("<clipskip 2>", "a tag is written <clipskip:2>"),
        ("<clipskip:abc>", '"abc" is not a number'),
        ("<clipskip:0>", "below 1"),
        ("<clipskip:nan>", "not a number"),
        ("<clipskip:1e999>", "not a number"),
        ("<clipskip:m=2>", '"m" is not one of l, g, hires, t5, qwen, gemma, ministral'),
        ("<clipskip:t5=2:T5=3>", "t5 twice"),
        ("<clipskip:umt5=2>", '"umt5" is not one of'),
        ("<clipskip:gemma=0>", "below 1"),
        ("<clipskip:2:3>", "a value twice"),
        ("<clipskip:l=2:l=3>", "l twice"),
    ],
)
def test_bad_tags_are_removed_and_told(tag, problem):
    assert tags.strip(f"a {tag}cow") == "a cow"
    assert precedence.Texts(f"a {tag}cow", f"a {tag}cow").marked() == ("a cow", "a cow")
    (warning,) = find_warnings(map(parse_prompt, [f"a {tag} cow", tag]))
    assert f'"{tag}" was ignored' in str(warning) and problem in str(warning)


def test_not_our_tags():
    for text in ("<lora:x:1>", "<clipskips:2>", "<clipskip-lora:2>", "<clipskip_2:1>", "clipskip:2", "<clipskip:2"):
        assert tags.scan(text) == (text, ())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a <clipskip:2 cow", ['"<clipskip:2 cow" is not a tag: the closing > is missing.']),
        ("<clip_skip:2><clip-skip:2><Clip Skip:2>", ["<clip_skip:2>", "<clip-skip:2>", "<Clip Skip:2>"]),
        ("<clipskip:2 a <lora:x:1> <clipskip:y>", ['"<clipskip:2 a" is not a tag', '"<clipskip:y>" was ignored']),
        ("<clipskip:y><clipskip:x>", ['"<clipskip:y>" was ignored', '"<clipskip:x>" was ignored']),
        ("<lora:clip_skip:1> clipskip:2 <clipskipper:2> <clip>", []),
    ],
)
def test_near_misses_are_told_in_order(text, told):
    warnings = find_warnings([parse_prompt(text)])
    assert len(warnings) == len(told) and all(part in str(warning) for part, warning in zip(told, warnings))


@pytest.mark.parametrize(
    ("text", "tag", "negative", "written"),
    [
        ("a cow", "<clipskip:2>", False, "a cow <clipskip:2>"),
        ("", "<clipskip:2>", False, "<clipskip:2>"),
        ("a <clipskip:4> cow", "<clipskip:2>", False, "a <clipskip:2> cow"),
        ("<clipskip:4> a AND <clipskip:5> b", "<clipskip:2>", False, "<clipskip:2> a AND <clipskip:5> b"),
        ("a AND <clipskip:5> b", "<clipskip:2>", False, "a <clipskip:2> AND <clipskip:5> b"),
        ("a AND <clipskip:5> b", "<clipskip:2>", True, "a AND <clipskip:2> b"),
        ("a AND b", "<clipskip:2>", True, "a AND b <clipskip:2>"),
        ("(a)AND b", "<clipskip:2>", False, "(a) <clipskip:2> AND b"),
        ("[<clipskip:1>:x:0.5]", "<clipskip:2>", False, "[<clipskip:1>:x:0.5] <clipskip:2>"),
        ("<clip<clipskip:2>skip:3> a", "<clipskip:4>", False, "<clip<clipskip:2>skip:3> a <clipskip:4>"),
        ("a <clipskip:2> cow", "", True, "a cow"),
        ("a cow", "nonsense", False, None),
    ],
)
def test_a_tag_is_put_in_the_place_of_the_texts_own(text, tag, negative, written):
    if written is None:
        with pytest.raises(ValueError, match="a tag is written"):
            writing.put_tag(text, tag, negative)
    else:
        assert writing.put_tag(text, tag, negative) == written
        assert writing.put_tag(written, tag, negative) == written


def test_warnings_are_counted_not_listed_without_end():
    warnings = find_warnings(parse_prompt(f"<clipskip:{letter}{digit}>") for letter in "abcd" for digit in range(10))
    assert len(warnings) == 11 and warnings[-1] == parsed.MORE_IGNORED(count=30)
    assert len(str(find_warnings([parse_prompt("<clipskip:" + "x" * 10000 + ">")])[0])) < 150


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
        ("[<clipskip:3><clipskip:1>a::0.5] cow", "bad", "[{3}{1}a::0.5] cow", "bad"),
        ("<clipskip:2>[<clipskip:3>::0.5]", "bad", "{2}[{3}::0.5]", "{2}bad"),
        ("[<clipskip:3>::0.5]<clipskip:2>", "bad", "{2}[::0.5]", "{2}bad"),
        ("[a:b:0.5<clipskip:2>] cow", "", "{2}[a:b:0.5] cow", "{2}"),
        ("[a:<clipskip:2>10] cow", "", "{2}[a:10] cow", "{2}"),
        ("[a <clipskip:2>", "", "{2}[a ", "{2}"),
        (r"\[a <clipskip:2>\]", "", r"{2}\[a \]", "{2}"),
        ("(a <clipskip:2>:1.2)", "", "{2}(a :1.2)", "{2}"),
        ("<clipskip:2>", "a AND <clipskip:3> b", "{2}", "{3}a AND  b"),
        ("cow<clipskip:l=2>", "", "{l=2}cow", "{l=2}"),
        ("cow<clipskip:t5=3>", "bad", "{t5=3}cow", "{t5=3}bad"),
        ("cow<clipskip:t5=3>", "bad<clipskip:t5=4>", "{t5=3}cow", "{t5=4}bad"),
        (
            "<clipskip:2:t5=3>a AND <clipskip:t5=4>b",
            "",
            "{l=2 g=2 h=2 t5=3}a AND{l=2 g=2 h=2 t5=4} b",
            "{l=2 g=2 h=2 t5=3}",
        ),
        ("[<clipskip:qwen=1.5>::0.5] cow", "", "[{qwen=1.5}::0.5] cow", ""),
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


def test_a_piece_without_a_marker_has_the_values_of_its_prompt():
    texts = lambda negative, **more: precedence.Texts("<clipskip:2:hires=3>a", negative, **more)
    for hires, value in ((False, 2), (True, 3)):
        assert texts("b", hires=hires).unmarked(False) == dict.fromkeys("lgh", value)
        assert texts("b", hires=hires).unmarked(True) == dict.fromkeys("lgh", value)
        assert texts("b<clipskip:5>", hires=hires, towers="l").unmarked(True) == {"l": 5}
    panels = {"panel": Skip(4), "panel_negative": Skip(5)}
    plain = precedence.Texts("a", "b", **panels, towers="l")
    assert (plain.unmarked(False), plain.unmarked(True)) == ({"l": 4}, {"l": 5})


def test_all_values_of_a_pass():
    texts = lambda hires: precedence.Texts(
        "<clipskip:2:hires=3>a AND <clipskip:4>[<clipskip:5>::0.5]", "b<clipskip:g=6:hires=7>", hires=hires, towers="lg"
    )
    both = lambda value: {"l": value, "g": value}
    assert texts(False).values() == [both(2), both(4), both(5), {"l": 2, "g": 6}]
    assert texts(True).values() == [both(3), both(4), both(5), both(7)]
    assert precedence.Texts("a", "b", Skip(4), Skip(5), towers="l").values() == [{"l": 4}, {"l": 5}]


def test_read():
    marked, negative = precedence.Texts("<clipskip:2:g=3> cow", "").marked()
    assert read(marked) == (" cow", {"l": 2, "g": 3, "h": 2})
    assert read(negative) == ("", {"l": 2, "g": 3, "h": 2})
    assert read("cow") == ("cow", None)
    assert read("<clipskip:2>cow") == ("cow", {"l": 2, "g": 2, "h": 2})
    assert [values["g"] for text in (marked, "<clipskip:5>") for values in read_marked(text).each] == [3, 5]
    assert not read_marked(marked).is_plain and not read_marked("<clipskip:x>").is_plain
    assert read_marked("<lora:x:1>").is_plain


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
    assert read(text) == (text, None) and read_marked(text).is_plain
    marked, _ = precedence.Texts(f"<clipskip:3>{text}", "").marked()
    assert read(marked) == (text, dict.fromkeys("lgh", 3))


@given(st.text(alphabet="\u206a\u206b\u206c\u206d\u206e\u206f0=lgh."))
def test_reading_a_marker_cannot_fail(inside):
    for text in (MARKER[:12] + inside + "\u206f", MARKER[:12] + inside, inside):
        values = read_marked(text).values or {}
        assert all(tower in parsed.TOWERS and value >= 0 for tower, value in values.items())


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
        assert all(texts.values())
        assert [read_marked(text).clean for text in marked] == [
            markers.strip(tags.strip(text)) for text in (prompt, negative)
        ]
    assert precedence.prompt_tag(precedence.without_prompt_tag(prompt)) is None
    if not found and not tags.scan(negative)[1]:
        assert precedence.Texts(prompt, negative).marked() == (prompt, negative)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile(text):
    for prompt in (text, f"a {text} b", text * 3):
        assert "clipskip:2>" not in tags.strip(prompt).replace(" ", "")
        precedence.Texts(prompt, prompt).marked()
        assert all(str(warning).isprintable() for warning in find_warnings([parse_prompt(prompt)]))


@pytest.mark.parametrize(
    ("prompt", "last"),
    [
        ("<clipskip:2>a <clipskip:3>cow", "<clipskip:3>"),
        ("<clipskip:2> <clipskip:hires=1>", "<clipskip:hires=1>"),
        ("[<clipskip:2>::0.5]<clipskip:3>", "<clipskip:3>"),
        ("a AND <clipskip:2>b<clipskip:4>", "<clipskip:4>"),
    ],
)
def test_a_tag_that_another_one_replaces_is_told(prompt, last):
    first = parse_prompt(prompt).tags[0].text
    assert find_warnings([parse_prompt(prompt)]) == [parsed.TAG_OVERRIDDEN(tag=shorten(first), last=shorten(last))]


def test_tags_that_all_have_an_effect_are_not_told():
    for prompt in ("<clipskip:2>a AND <clipskip:3>b", "<clipskip:2>[<clipskip:3>::0.5]", "<clipskip:2>a<clipskip:2>"):
        assert find_warnings([parse_prompt(prompt)]) == []
    (warning,) = find_warnings([parse_negative("<clipskip:2>a AND <clipskip:3>b")])  # AND is a word there
    assert warning == parsed.TAG_OVERRIDDEN(tag='"<clipskip:2>"', last='"<clipskip:3>"')


@pytest.mark.parametrize(
    ("written", "ascii"),
    [
        ("＜clipskip:2＞", "<clipskip:2>"),
        ("<clipskip:2＞", "<clipskip:2>"),
        ("＜clipskip：２>", "<clipskip:2>"),
        ("＜ＣｌｉｐＳｋｉｐ：ｌ＝２＞", "<ClipSkip:l=2>"),
        ("《clipskip：２》", "<clipskip:2>"),
        ("〈clipskip:2〉", "<clipskip:2>"),
        ("‹clipskip:2>", "<clipskip:2>"),
        ("﹤clipskip:2﹥", "<clipskip:2>"),
    ],
)
def test_full_width_signs_are_named(written, ascii):
    text = f"a {written} cow"
    assert tags.scan(text) == (text, ())
    problem = tags.NOT_ASCII(tag=shorten(ascii))
    assert find_warnings([parse_prompt(text)]) == [tags.NOT_A_TAG(tag=shorten(written), reason=problem)]


def test_full_width_signs_in_other_near_misses():
    for text, problem in (
        ("＜clip_skip:2＞", tags.HOW_TO_WRITE),
        ("＜clipskip:2", tags.NOT_CLOSED),
        ("<clip＿skip:2>", tags.HOW_TO_WRITE),
    ):
        assert find_warnings([parse_prompt(text)]) == [tags.NOT_A_TAG(tag=shorten(text), reason=problem)]
    for tag in ("<clipskip：2>", "<clipskip:l＝2>"):  # within a tag they are errors of the tag
        (warning,) = find_warnings([parse_prompt(tag)])
        assert warning.template == parsed.IGNORED


def test_what_the_host_has_a_tag_of_that_name_for_is_no_mistake():
    networks = {"lora", "clip_skip"}
    assert find_warnings([parse_prompt("<clip_skip:2>a cow")], networks) == []
    assert len(find_warnings([parse_prompt("<clip-skip:2><clip_skip:2>")], networks)) == 1
    assert len(find_warnings([parse_prompt("＜clip_skip:2＞")], networks)) == 1


def test_the_reason_of_a_bad_tag_is_a_message():
    assert tags.scan("<clipskip:l=1:l=2>")[1][0].error == tags.GIVEN_TWICE(name="l")
    with pytest.raises(ValueError) as error:
        writing.put_tag("a", "b")
    assert reason(error.value) is tags.HOW_TO_WRITE


def test_networks_are_found_as_the_host_finds_them():
    text = "<lora:x:1> a <b> <c:> <d:e <f:g> > <h:i"
    assert [match[0] for match in tags.find_networks(text)] == ["<lora:x:1>", "<d:e <f:g>"]
    assert tags.strip_networks(text) == " a <b> <c:>  > <h:i" == tags.NETWORK.sub("", text)


@pytest.mark.parametrize(
    ("part", "text"),
    [(" a :1.2", " a"), ("a : -.5 ", "a"), ("a:", "a:"), (":1", ""), ("a:1:2", "a:1"), ("a :x", "a :x"), ("a", "a")],
)
def test_the_weight_at_the_end_of_a_sub_prompt(part, text):
    from clip_skip.prompt.sub_prompts import without_weight

    assert without_weight(part) == text


@pytest.mark.parametrize(
    ("text", "without"), [("a # b\nc", "a \nc"), ("#a\nb", "\nb"), ("a\n#b", "a\n"), ("a # b", "a \n"), ("a", "a")]
)
def test_comments(text, without):
    assert strip_comments(text) == without


def everything(text):
    """All that a prompt can be asked for, as for one that is not kept."""
    from clip_skip.prompt.sub_prompts import split_sub_prompts

    strip_comments(text)
    prompt = parse_prompt(text)
    prompt.find_problems(), prompt.mark(), prompt.without_own_tag, prompt.without_bad_tags
    precedence.Texts(text, text).marked()
    read_marked(text)
    split_sub_prompts(text)
    list(tags.find_networks(text)), tags.strip_networks(text)
    for tag in ("<clipskip:2>", ""):
        writing.put_tag(text, tag), writing.put_tag(text, tag, negative=True)


REPEATED = ["<clipskip:", "<clipskip:2>", "<clip", "[", "AND ", "AND_", "[<clipskip:2>", "<", ">", "< ", "<clipskip:x>"]
REPEATED += ["AND_PERP [", "\u206a", MARKER, MARKER[:12], "a", "<a:", "a:", "：", "＜clipskip", "#", "\n#", "1", "a :1"]
SHAPES = {
    **{part: lambda n, part=part: part * (n // len(part)) for part in REPEATED},
    "digits": lambda n: "<clipskip:" + "1" * n + "x>",
    "a long number": lambda n: "<clipskip:" + "1" * n + ">",
    "a long fraction": lambda n: "<clipskip:0." + "1" * n + ">",
    "a weight": lambda n: "a:" + "1" * n + "x",
    "spaces": lambda n: "x" + " " * n + ":",
    "spaces before": lambda n: " " * n + "x AND",
    "spaces within": lambda n: "<clipskip:2>x" + " " * n + "y",
    "a near miss": lambda n: "<" + " " * n + "clip_skip",
}


@pytest.mark.parametrize(
    "shape",
    SHAPES.values(),
    ids=[ascii(name)[:30] if MARKER[:12] not in name else f"marker {len(name)}" for name in SHAPES],
)
def test_time_is_linear(shape):
    """Ten times the text takes well under a hundred times the time, the mark of a quadratic parser."""
    gc.disable()  # its full collections are not linear
    try:
        assert growth(everything, shape, 5_000, 50_000) < 4
    finally:
        gc.enable()


def test_texts_of_strangers_do_not_fill_the_memory():
    calls = []
    function = recent.keep_recent(lambda text: calls.append(text) or len(text))
    for text in ("a", "a", "b" * recent.SHORT, "b" * recent.SHORT, "c" * recent.LONG, "c" * recent.LONG):
        assert function(text) == len(text)
    assert len(calls) == 3
    for text in ("d" * (recent.LONG + 1),) * 2:
        function(text)
    assert len(calls) == 5
    for number in range(8):
        function("c" * (recent.SHORT + 1 + number))
    function("c" * recent.LONG)
    assert len(calls) == 14, "long texts are kept for ever"
    calls.clear()
    for text in ("d", *map(str, range(512)), "d"):
        function(text)
    assert calls.count("d") == 2  # only the last 512 are kept


@pytest.mark.parametrize("values", [{"t5": 3.0}, {"qwen": 1.5, "gemma": 2.0, "ministral": 36.0, "l": 2.0}])
def test_markers_carry_the_names_of_language_models(values):
    assert markers.find_values(markers.write_marker(values) + "a cow") == [values]


@pytest.mark.parametrize("name", ["t5", "qwen", "gemma", "ministral"])
@pytest.mark.parametrize("tag", ["2", "l=2", "g=2", "hires=2", "2:l=3:g=4:hires=5"])
def test_only_its_own_name_reaches_a_language_model(name, tag):
    skip = parse_prompt(f"<clipskip:{tag}>").tag
    panel = Panel(True, 2, 3, 4, 5).skips()
    assert skip.at(name, False) is skip.at(name, True) is None and skip.acts_on_clip
    assert all(one.at(name, hires) is None for one in panel for hires in (False, True))
    named = parse_prompt(f"<clipskip:{name}=3>").tag
    assert not named.acts_on_clip
    assert all(named.at(tower, hires) is None for tower in parsed.CLIP for hires in (False, True))


def test_what_is_asked_of_towers_that_a_model_lacks_is_left_out():
    marked = resolved("<clipskip:2:t5=3>cow", "bad", towers=("t5",))
    assert marked == ("{t5=3}cow", "{t5=3}bad")
    assert resolved("<clipskip:2>cow", "bad", towers=("t5",)) == ("cow", "bad")
