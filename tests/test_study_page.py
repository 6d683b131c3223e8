"""The page of a study of 5,040 pictures in a real browser, opened from disk."""

import json

import numpy as np
import pytest
from PIL import Image

pd = pytest.importorskip("pandas")
expect = pytest.importorskip("playwright.sync_api").expect
pytest.importorskip("statsmodels")

from clip_skip.study import page as study_page  # noqa: E402
from clip_skip.study import statistics  # noqa: E402
from clip_skip.study.plan import StudyPlan  # noqa: E402
from clip_skip.sweep import viewer  # noqa: E402
from clip_skip.sweep.axis import Axis  # noqa: E402

EMPTY = viewer.viewer_page("", "", Axis("", ()), Axis("", ()), [], 8)
MEASURE = statistics.Measure("right", "what is right in the picture")
PROMPTS = tuple(f"<b>prompt</b> {number}" for number in range(35))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a study")
    Image.new("RGB", (8, 8)).save(folder / "one #1.png")
    plan = StudyPlan({"model": tuple(range(1, 13))}, {"model": 1}, PROMPTS, (1, 2, 3, 4), (4.0, 7.0, 11.0))
    cells = pd.DataFrame(vars(cell) for cell in plan.cells)
    noise = np.random.default_rng(0).normal(0, 0.01, len(cells))
    cells["right"] = 0.5 + noise - 0.02 * cells["clip_skip"] * (cells["prompt"] == PROMPTS[7])
    cells["file"] = "one #1.png"
    found = {MEASURE: statistics.compare(cells, "right", plan.published)}
    text = study_page.study_page(cells, found, plan, ["<i>A sentence</i> & more."], {"steps": 20}, EMPTY)
    (folder / "index.html").write_text(text, encoding="utf8")
    return folder / "index.html"


@pytest.fixture
def page(browser, file, request):
    scheme = getattr(request, "param", "light")
    page = browser.new_page(color_scheme=scheme)
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    page.scheme = scheme
    yield page
    page.close()
    assert errors == []


in_both_schemes = pytest.mark.parametrize("page", ["light", "dark"], indirect=True)


@in_both_schemes
def test_it_says_the_sentence_and_shows_few_pictures_at_a_time(page):
    assert page.inner_text(".sentence") == "<i>A sentence</i> & more."
    assert page.locator("#most h3").first.inner_text() == PROMPTS[7]  # that on which it matters most
    all_pictures = page.frame_locator("#viewer").locator("#grid img")
    all_pictures.first.wait_for()
    assert all_pictures.count() == 12 * 4 * 3
    assert page.locator("img").count() <= 6 * 12
    for place in (page, page.frame_locator("#viewer")):
        assert place.locator('img:not([loading="lazy"]):not(#picture)').count() == 0
    assert page.locator("figure svg").count() == 2  # over clip skip, and at each CFG scale
    light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light == (page.scheme == "light")


def test_of_a_prompt_on_which_it_matters_the_seed_is_shown_that_differs_most(page):
    scores = {}
    for _, seed, scale, _, _, score in json.loads(page.inner_text("#data"))["pictures"][PROMPTS[7]]:
        scores.setdefault(f"seed {seed}, CFG {scale:g}", []).append(score)
    apart = {name: max(values) - min(values) for name, values in scores.items()}
    assert page.locator("#most tbody th").first.inner_text() == max(apart, key=apart.get)


def test_the_keys_walk_from_prompt_to_prompt(page):
    for key, prompt in (("p", 0), ("n", 1), ("n", 2), ("p", 1)):
        page.keyboard.press(key)
        assert page.input_value("#prompt") == PROMPTS[prompt]
    frame = page.locator("#viewer")
    frame.scroll_into_view_if_needed()
    expect(frame.content_frame.locator("#title")).to_have_text(PROMPTS[1])
    expect(frame.content_frame.locator("#grid img").first).to_have_js_property("naturalWidth", 8)


def test_a_picture_opens_large_and_is_compared_with_the_published_one(page):
    page.locator("#most button.open").nth(4).click()
    frame = page.locator("#viewer").content_frame
    expect(frame.locator("#view")).to_be_visible()
    expect(frame.locator("#name")).to_contain_text("clip skip 5")
    expect(frame.locator("#infotext")).to_contain_text(f"{PROMPTS[7]}\n")
    expect(frame.locator("#infotext")).to_contain_text("what is right in the picture: 0.")
    expect(frame.locator("#picture")).to_have_js_property("naturalWidth", 8)
    frame.locator("#compare").click()
    expect(frame.locator("#name")).to_contain_text("clip skip 1,")
    assert page.input_value("#prompt") == PROMPTS[7]


def test_prompts_are_sorted_by_score(page):
    scores = {
        prompt: np.mean([picture[5] for picture in pictures])
        for prompt, pictures in json.loads(page.inner_text("#data"))["pictures"].items()
    }
    options = lambda: [option.inner_text() for option in page.locator("#prompt option").all()]
    assert options() == list(PROMPTS)
    for order, wanted in (
        ("best", sorted(scores, key=scores.get, reverse=True)),
        ("worst", sorted(scores, key=scores.get)),
    ):
        page.select_option("#order", order)
        assert options() == wanted and page.input_value("#prompt") == wanted[0]
    page.select_option("#order", "change")
    assert options()[0] == PROMPTS[7]


def test_the_numbers_are_sorted_by_any_column_and_the_published_row_has_no_difference(page):
    page.locator("summary").first.click()
    cells = lambda column: [row.inner_text() for row in page.locator(f".numbers tbody tr > :nth-child({column})").all()]
    assert cells(4)[0] == study_page.PUBLISHED and cells(5)[0] == cells(6)[0] == ""
    for wanted in ("ascending", "descending"):
        page.get_by_role("button", name="mean").click()
        means = [float(text) for text in cells(3)]
        assert means == sorted(means, reverse=wanted == "descending")
        assert page.locator(f'.numbers th[aria-sort="{wanted}"]').inner_text().startswith("mean")


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@in_both_schemes
def test_nothing_is_wrong_for_screen_readers_and_weak_eyes(page, violations):
    assert violations(page, "body, body *") == []
