import json

import numpy as np
import pytest
from PIL import Image

from clip_skip.sweep import over_seeds, over_seeds_figure, report, report_figure
from clip_skip.sweep.plan import Plan
from clip_skip.sweep.rows import KINDS, Rows

ROWS, COLUMNS, SHAPE = 3, 5, (20, 24, 3)
random = np.random.default_rng(1)
BY_ROW = random.normal(size=(ROWS, 1, *SHAPE))
BY_COLUMN = random.normal(size=(1, COLUMNS, *SHAPE))


CFGS = Rows((4, 7, 11))
PLAN = Plan((1, 2, 3, 4, 5), CFGS)


def shares(values):
    result = report.decompose(np.asarray(values, dtype=np.float64))
    return result.clip_skip, result.rows, result.interaction


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
    total = varied.clip_skip + varied.rows + varied.interaction
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
    measured = report.measure(values, Plan((3, 1, 2, 4, 5), CFGS))
    assert measured.reference == 1
    assert measured.latents is None
    assert [row[1] for row in measured.similarity] == [1, 1, 1]
    assert measured.similarity[0][0] == 1 and measured.similarity[2][0] < 0.3
    assert measured.change[0][0] == 0
    expected = np.sqrt(((values[1, 1].astype(float) - values[1, 0]) ** 2).mean())
    assert measured.change[1][0] == pytest.approx(expected)
    assert len(measured.change) == ROWS and len(measured.change[0]) == COLUMNS - 1


def test_the_numbers_are_json_and_the_conclusion_says_them():
    measured = report.measure(pictures(), PLAN, random.normal(size=(ROWS, COLUMNS, 4, 8, 8)))
    numbers = json.loads(json.dumps(measured.as_dict()))
    assert numbers["pixels"]["interaction"] == measured.pixels.interaction
    assert f"{measured.latents.interaction:.0%} with the two together" in report.conclusion(measured)
    same = report.measure(np.zeros_like(pictures()), PLAN)
    assert report.conclusion(same) == "Nothing changes: all pictures are equal."


@pytest.mark.parametrize("kind", [KINDS["cfg"], KINDS["seed"]])
@pytest.mark.parametrize("part", [np.s_[:, :], np.s_[:1, :], np.s_[:, :1], np.s_[:1, :1]])
def test_the_figure_is_drawn_and_leaves_no_state(part, kind):
    import matplotlib

    before = dict(matplotlib.rcParams)
    values = pictures()[part]
    drawn = report_figure.draw(
        report.measure(values, Plan(PLAN.clip_skips[: values.shape[1]], Rows(CFGS.values[: values.shape[0]], kind)))
    )
    assert drawn.mode == "RGB" and np.asarray(drawn).std() > 10
    assert dict(matplotlib.rcParams) == before


def test_intervals_hold_as_often_as_they_say():
    """Of 4,000 samples of 6 values each, 95 % of the intervals have the true mean in them, to 1.5 in a hundred."""
    drawn = random.normal(loc=3, scale=2, size=(6, 4000))
    found = report.intervals(drawn)
    assert abs(np.mean([one.low <= 3 <= one.high for one in found]) - 0.95) < 0.015
    assert [one.mean for one in found[:3]] == pytest.approx(drawn.mean(0)[:3].tolist())


def test_rows_of_seeds_give_intervals():
    seeds = Plan((1, 2, 3, 4, 5), Rows((10, 11, 12), KINDS["seed"]))
    measured = report.measure(pictures(), seeds)
    assert measured.of_seeds and measured.rows == ["seed 10", "seed 11", "seed 12"]
    numbers = json.loads(json.dumps(measured.as_dict()))
    one = numbers["change_over_seeds"][0]
    by_hand = np.array([row[0] for row in measured.change])
    reach = 4.302652729696142 * by_hand.std(ddof=1) / 3**0.5  # Student's t at 0.975, 2 degrees of freedom
    assert (one["low"], one["high"]) == pytest.approx((by_hand.mean() - reach, by_hand.mean() + reach))
    told = report.conclusion(measured)
    assert told.startswith("Over 3 seeds the picture changes most from clip skip ") and "seed," not in told
    two = report.measure(pictures()[:, :2], Plan((1, 2), seeds.rows))
    assert report.conclusion(two).startswith("Over 3 seeds the picture changes from clip skip 1 to 2, by ")
    alone = report.measure(pictures()[:1], Plan((1, 2, 3, 4, 5), Rows((10,), KINDS["seed"])))
    assert not alone.of_seeds and "0% with seed" in report.conclusion(alone)


def test_the_rows_have_their_name():
    told = report.conclusion(report.measure(pictures(), Plan((1, 2, 3, 4, 5), Rows((1, 2, 3), KINDS["clip_g"]))))
    assert "with CLIP-G's, and" in told


def test_a_grid_of_several_seeds_has_shares_with_intervals():
    grids = [pictures() for _ in range(4)]
    found = over_seeds.over_seeds(grids, PLAN)
    by_hand = [report.decompose(grid).clip_skip for grid in grids]
    reach = 3.182446305284263 * np.std(by_hand, ddof=1) / 2  # Student's t at 0.975, 3 degrees of freedom
    share = found.shares[0]
    assert (share.mean, share.high) == pytest.approx((np.mean(by_hand), np.mean(by_hand) + reach))
    assert (
        f"Over 4 seeds, of what differs between pictures of one seed, {share.mean:.0%} (95%"
        in over_seeds.conclusion(found)
    )
    change, similarity = found.change(), found.similarity()
    assert (len(change), len(change[0]), len(similarity[0])) == (ROWS, COLUMNS - 1, COLUMNS)
    assert change[2][1].mean == pytest.approx(np.mean([report.measure(grid, PLAN).change[2][1] for grid in grids]))
    row = [Image.fromarray(picture) for picture in grids[0][1]]
    assert np.asarray(over_seeds_figure.draw(found, ["a cow"], row)).std() > 10
    same = over_seeds.over_seeds([np.zeros_like(pictures())] * 2, PLAN)
    assert over_seeds.conclusion(same) == "Nothing changes: all pictures are equal."


def test_grids_of_one_row_are_a_grid_of_seeds():
    grids = [pictures()[:1] for _ in range(3)]
    found = over_seeds.one_row(grids, Plan(PLAN.clip_skips, Rows((7,))), [4, 5, 6])
    assert found == report.measure(np.concatenate(grids), Plan(PLAN.clip_skips, Rows((4, 5, 6), KINDS["seed"])))
