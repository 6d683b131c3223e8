import json

import numpy as np
import pytest

from clip_skip.sweep import report, report_figure

ROWS, COLUMNS, SHAPE = 3, 5, (20, 24, 3)
random = np.random.default_rng(1)
BY_ROW = random.normal(size=(ROWS, 1, *SHAPE))
BY_COLUMN = random.normal(size=(1, COLUMNS, *SHAPE))


def shares(values):
    result = report.decompose(np.asarray(values, dtype=np.float64))
    return result.clip_skip, result.cfg, result.interaction


def test_additive_data_has_no_interaction():
    by_row = BY_ROW - BY_ROW.mean(0)
    by_column = BY_COLUMN - BY_COLUMN.mean(1)
    row, column = COLUMNS * (by_row**2).sum(), ROWS * (by_column**2).sum()
    expected = (column / (row + column), row / (row + column), 0)
    assert shares(BY_ROW + BY_COLUMN + 100) == pytest.approx(expected, abs=1e-12)


def test_one_factor_alone_has_it_all():
    ones = np.ones((ROWS, COLUMNS, 1, 1, 1))
    assert shares(BY_COLUMN * ones) == pytest.approx((1, 0, 0), abs=1e-12)
    assert shares(BY_ROW * ones) == pytest.approx((0, 1, 0), abs=1e-12)


def test_pure_interaction():
    signs = np.array([[1, -1, 0], [-1, 1, 0], [0, 0, 0]]).reshape(3, 3, 1, 1, 1)
    assert shares(signs * random.normal(size=SHAPE)) == pytest.approx((0, 0, 1), abs=1e-12)


def test_a_mixture_by_hand():
    # one element: rows +-1, columns +-2, interaction +-3: 4 * 1, 4 * 4, 4 * 9
    values = np.array([[1 + 2 + 3, 1 - 2 - 3], [-1 + 2 - 3, -1 - 2 + 3]]).reshape(2, 2, 1)
    assert shares(values) == pytest.approx((16 / 56, 4 / 56, 36 / 56), abs=1e-12)
    assert report.decompose(values).variation == pytest.approx(14**0.5)


@pytest.mark.parametrize("shape", [(3, 5, 4), (1, 5, 4), (3, 1, 4), (1, 1, 4)])
def test_a_constant_has_no_variation_and_single_lines_work(shape):
    assert report.decompose(np.full(shape, 7, np.uint8)) == report.Shares(0, 0, 0, 0)
    varied = report.decompose(random.normal(size=shape))
    total = varied.clip_skip + varied.cfg + varied.interaction
    assert total == pytest.approx(0 if shape[:2] == (1, 1) else 1)


def test_blocks_do_not_matter(monkeypatch):
    values = random.integers(0, 256, (3, 4, 1000), dtype=np.uint8)
    whole = report.decompose(values)
    monkeypatch.setattr(report, "_BLOCK", 7)
    assert vars(report.decompose(values)) == pytest.approx(vars(whole))


def pictures():
    return random.integers(0, 256, (ROWS, COLUMNS, *SHAPE), dtype=np.uint8)


def test_change_and_similarity():
    values = pictures()
    values[0, 1] = values[0, 0]
    values[1, 1] = values[1, 0] // 2 + 3
    measured = report.measure(values, [3, 1, 2, 4, 5], [4, 7, 11])
    assert measured.reference == 1
    assert measured.latents is None
    assert [row[1] for row in measured.similarity] == [1, 1, 1]
    assert measured.similarity[0][0] == 1 and measured.similarity[2][0] < 0.3
    assert measured.change[0][0] == 0
    expected = np.sqrt(((values[1, 1].astype(float) - values[1, 0]) ** 2).mean())
    assert measured.change[1][0] == pytest.approx(expected)
    assert len(measured.change) == ROWS and len(measured.change[0]) == COLUMNS - 1


def test_the_numbers_are_json_and_the_conclusion_says_them():
    measured = report.measure(pictures(), range(1, 6), [4, 7, 11], random.normal(size=(ROWS, COLUMNS, 4, 8, 8)))
    numbers = json.loads(json.dumps(measured.as_dict()))
    assert numbers["pixels"]["interaction"] == measured.pixels.interaction
    assert f"{measured.latents.interaction:.0%} with the two together" in report.conclusion(measured)
    same = report.measure(np.zeros_like(pictures()), range(1, 6), [4, 7, 11])
    assert report.conclusion(same) == "Nothing changes: all pictures are equal."


@pytest.mark.parametrize("part", [np.s_[:, :], np.s_[:1, :], np.s_[:, :1], np.s_[:1, :1]])
def test_the_figure_is_drawn_and_leaves_no_state(part):
    import matplotlib

    before = dict(matplotlib.rcParams)
    values = pictures()[part]
    drawn = report_figure.draw(
        report.measure(values, [1, 2, 3, 4, 5][: values.shape[1]], [4, 7, 11][: values.shape[0]])
    )
    assert drawn.mode == "RGB" and np.asarray(drawn).std() > 10
    assert dict(matplotlib.rcParams) == before
