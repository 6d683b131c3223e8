"""Fonts for the words of pictures, with and without one that has Chinese, Japanese and Korean, and lines of them."""

import warnings
from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest
from matplotlib.font_manager import findSystemFonts, fontManager
from PIL import Image

from clip_skip.messages import catalogues, lines
from clip_skip.messages import fonts as lettering
from clip_skip.messages.catalogues import translator
from clip_skip.sweep import grid, report, report_figure
from clip_skip.sweep.plan import SweepPlan
from clip_skip.sweep.rows import ROW_KINDS, Rows

from .helpers import growth

LANGUAGES = ("ja_JP", "ko_KR", "zh_CN", "zh_TW")
CJK = ("CJK", "Noto Sans JP", "Noto Sans KR", "Noto Sans SC", "Gothic", "PingFang", "YaHei", "WenQuanYi", "SimHei")
pictures = np.random.default_rng(0).integers(0, 256, (3, 4, 24, 24, 3), dtype=np.uint8)


def has_cjk():
    return any(word in font.name for font in fontManager.ttflist for word in CJK)


needs_cjk = pytest.mark.skipif(
    not has_cjk(), reason="no font with Chinese, Japanese and Korean (Debian: fonts-noto-cjk)"
)


@pytest.fixture
def no_cjk(monkeypatch):
    """As on a machine where no font has those letters."""
    monkeypatch.setattr(lettering, "findSystemFonts", list)
    with fonts_of_matplotlib(monkeypatch):
        yield


@contextmanager
def fonts_of_matplotlib(monkeypatch):
    """matplotlib's list of fonts as it was before others were installed."""
    caches = (lettering.font_with_most, lettering.font_letters, lettering.add_new_fonts)
    plain = [font for font in fontManager.ttflist if font.name.startswith(("DejaVu", "STIX", "cm"))]
    with monkeypatch.context() as patch:
        patch.setattr(fontManager, "ttflist", plain)
        for function in caches:
            function.cache_clear()
        yield
    for function in caches:
        function.cache_clear()


@needs_cjk
def test_fonts_that_were_installed_a_minute_ago_are_found(monkeypatch):
    searches = []
    monkeypatch.setattr(lettering, "findSystemFonts", lambda: searches.append(1) or findSystemFonts())
    with fonts_of_matplotlib(monkeypatch):
        assert not has_cjk()
        chinese = translator("zh_CN")
        assert catalogues.translate_for_picture("seed", chinese) == chinese("seed")
        assert lettering.font_families("a cow") == [lettering.OWN]
        assert lettering.replace_missing_letters("\U00010000\U00012000") and len(searches) == 1


def figures(translate):
    """A report of CFG scales, one of seeds, and the layers, all drawn; a letter that a font lacks is an error."""
    from clip_skip.layers import figure

    from .test_layers import made_up

    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph")
        cells = [Image.fromarray(picture) for picture in pictures[1]]
        for rows in (
            Rows((4, 7, 11)),
            Rows((4, 7, 11), ROW_KINDS["seed"]),
            Rows(("牛", "🐄", "猫"), ROW_KINDS["prompt"]),
        ):
            measured = report.measure_grid(pictures, SweepPlan((1, 2, 3, 4), rows), pictures)
            yield report_figure.draw_report(measured, ["赤い牛 붉은 소 红色的牛 🐄"], cells, translate)
        yield figure.draw_layers(made_up(0.98, 0.95, 0.42), translate=translate, sentences=True)


@pytest.fixture(scope="module")
def english():
    return [*figures(str)]


@needs_cjk
@pytest.mark.parametrize("language", LANGUAGES)
def test_figures_in_every_language_have_no_boxes(language, english):
    for drawn, other in zip(figures(translator(language)), english):
        assert drawn.size != other.size or drawn.tobytes() != other.tobytes()


def test_without_a_font_the_words_stay_english_and_no_box_is_drawn(no_cjk):
    for drawn, english in zip(figures(translator("zh_CN")), figures(str)):
        assert drawn.size == english.size and drawn.tobytes() == english.tobytes()
    assert catalogues.translate_for_picture("seed", translator("ja_JP")) == "seed"
    assert lettering.replace_missing_letters("a 牛") == "a \ufffd"


@needs_cjk
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_has_a_font(language):
    words = catalogues.catalogue(language).values()
    assert [text for text in words if not lettering.has_letters(text)] == []


def cells():
    return [[Image.new("RGB", (128, 128), "teal") for _ in range(3)]]


@needs_cjk
def test_a_grid_with_a_chinese_prompt():
    titles = (
        "漂亮的女孩，坐在窗边，阳光照进房间里，背景是一片绿色的田野",
        "漂亮的女孩，坐在山边，阳光照进房间里，背景是一片绿色的田野",
    )
    one, other = (grid.draw_grid(cells(), ["1", "2", "3"], ["7"], title=[title]) for title in titles)
    assert one.size == other.size and one.tobytes() != other.tobytes()  # two letters differ, and are not both a box


def test_a_grid_without_a_font_has_question_marks(no_cjk):
    one, other = (grid.draw_grid(cells(), ["1", "2", "3"], ["7"], title=[title]) for title in ("漂亮的女孩", "?????"))
    assert np.asarray(one).mean() > 0 and lettering.single_font("漂亮") == lettering.OWN
    assert one.size == other.size


@needs_cjk
def test_letters_have_the_shapes_that_readers_expect():
    found = [lettering.font_families(text)[-1] for text in ("红色的牛", "赤い牛", "붉은 소")]
    assert len(set(found)) == 3 or "Noto Sans CJK JP" not in {font.name for font in fontManager.ttflist}
    assert lettering.font_families("a cow, café") == [lettering.OWN]


def test_a_font_of_boxes_is_never_taken():
    assert not any("Last Resort" in name for name in lettering.fonts_in_order(frozenset({0x4E00})))


WRAPPED = [
    ("one two three", 8, ["one two", "three"]),
    ("これは、長い文です。", 8, ["これは、", "長い文で", "す。"]),
    ("clip skip 2で 変わる", 8, ["clip", "skip 2で", "変わる"]),
    ("x" * 10, 4, ["xxxx", "xxxx", "xx"]),
    ("", 4, []),
]


@pytest.mark.parametrize("text, width, wanted", WRAPPED)
def test_lines(text, width, wanted):
    assert lines.wrap(text, width) == wanted
    assert all(lines.columns(line) <= width for line in lines.wrap(text, width))


def test_cut():
    assert lines.cut("a cow", 5) == "a cow" and lines.cut("a cow!", 5) == "a co…"
    assert lines.cut("赤い牛の絵", 6) == "赤い…"


LONG = {
    "a word": lambda count: "x" * count,
    "words": lambda count: "word " * (count // 5),
    "spaces": lambda count: " " * count,
    "Japanese": lambda count: "牛" * count,
    "letters without width": lambda count: "\u0301" * count,
    "spaces and a word": lambda count: "x" + " " * count + "y",
}


@pytest.mark.parametrize("kind", LONG)
def test_lines_of_a_long_text_take_time_in_proportion_to_its_length(kind):
    for function in (lambda text: lines.cut(text, 150), lambda text: lines.cut(text, len(text) - 1)):
        assert growth(function, LONG[kind]) < 3
    assert growth(lambda text: lines.wrap(text, 80), LONG[kind]) < 3
    width = cache(grid._font(12).getlength)
    assert growth(lambda text: lines.wrap(text, 200, width), LONG[kind]) < 3
