"""The page of a study of 5,040 pictures in a real browser, opened from disk."""

import json

import numpy as np
import pytest
from PIL import Image

pd = pytest.importorskip("pandas")
pytest.importorskip("statsmodels")

from clip_skip.study import page as study_page  # noqa: E402
from clip_skip.study import statistics  # noqa: E402
from clip_skip.study.plan import StudyPlan  # noqa: E402

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
    text = study_page.page(cells, found, plan, ["<i>A sentence</i> & more."], {"steps": 20})
    (folder / "index.html").write_text(text, encoding="utf8")
    return folder / "index.html"


@pytest.fixture(params=["light", "dark"])
def page(browser, file, request):
    page = browser.new_page(color_scheme=request.param)
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    page.scheme = request.param
    yield page
    page.close()
    assert errors == []


def test_it_says_the_sentence_and_shows_few_pictures_at_a_time(page):
    assert page.inner_text(".sentence") == "<i>A sentence</i> & more."
    assert page.locator("#most h3").first.inner_text() == PROMPTS[7]  # that on which it matters most
    assert page.locator("#pictures img").count() == 12 * 4 * 3
    assert page.locator("img").count() <= 12 * 4 * 3 + 6 * 12
    assert page.locator('img:not([loading="lazy"])').count() == 0
    assert page.locator("figure svg").count() == 2  # over clip skip, and at each CFG scale
    light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light == (page.scheme == "light")


def test_of_a_prompt_on_which_it_matters_the_seed_is_shown_that_differs_most(page):
    scores = {}
    for _, seed, scale, _, _, score in json.loads(page.inner_text("#data"))["pictures"][PROMPTS[7]]:
        scores.setdefault(f"model, seed {seed}, CFG {scale:g}", []).append(score)
    apart = {name: max(values) - min(values) for name, values in scores.items()}
    assert page.locator("#most tbody th").first.inner_text() == max(apart, key=apart.get)


def test_the_keys_walk_from_prompt_to_prompt(page):
    for key, prompt in (("p", 0), ("n", 1), ("n", 2), ("p", 1)):
        page.keyboard.press(key)
        assert page.input_value("#prompt") == PROMPTS[prompt]
    picture = page.locator("#pictures img").first
    picture.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('#pictures img').naturalWidth === 8", timeout=10_000)


def test_nothing_is_wrong_for_screen_readers_and_weak_eyes(page, violations):
    assert violations(page, "body, body *") == []
