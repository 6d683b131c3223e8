import json
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from clip_skip.sweep import over_seeds, over_seeds_figure, report, report_figure
from clip_skip.sweep.plan import SweepPlan
from clip_skip.sweep.rows import ROW_KINDS, Rows

ROWS, COLUMNS, SHAPE = 3, 5, (20, 24, 3)
random = np.random.default_rng(1)
BY_ROW = random.normal(size=(ROWS, 1, *SHAPE))
BY_COLUMN = random.normal(size=(1, COLUMNS, *SHAPE))


CFGS = Rows((4, 7, 11))
PLAN = SweepPlan((1, 2, 3, 4, 5), CFGS)


def shares(values):
    result = report.split_variation(np.asarray(values, dtype=np.float64))
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
    assert report.split_variation(values).variation == pytest.approx(14**0.5)


@pytest.mark.parametrize("shape", [(3, 5, 4), (1, 5, 4), (3, 1, 4), (1, 1, 4)])
def test_a_constant_has_no_variation_and_single_lines_work(shape):
    assert report.split_variation(np.full(shape, 7, np.uint8)) == report.Shares(0, 0, 0, 0)
    varied = report.split_variation(random.normal(size=shape))
    total = varied.clip_skip + varied.rows + varied.interaction
    assert total == pytest.approx(0 if shape[:2] == (1, 1) else 1)


def test_blocks_do_not_matter(monkeypatch):
    values = random.integers(0, 256, (3, 4, 1000), dtype=np.uint8)
    whole = report.split_variation(values)
    for few in (7, 50):  # less than one element of each picture, and four
        monkeypatch.setattr(report, "_BLOCK", few)
        assert vars(report.split_variation(values)) == pytest.approx(vars(whole))


def test_memory_does_not_grow_with_the_number_of_pictures():
    values = np.zeros((100, 12, 64, 64, 3), dtype=np.uint8)
    tracemalloc.start()
    report.split_variation(values)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6


def pictures():
    return random.integers(0, 256, (ROWS, COLUMNS, *SHAPE), dtype=np.uint8)


def test_change_and_similarity():
    values = pictures()
    values[0, 1] = values[0, 0]
    values[1, 1] = values[1, 0] // 2 + 3
    measured = report.measure_grid(values, SweepPlan((3, 1, 2, 4, 5), CFGS))
    assert measured.reference == 1
    assert measured.latents is None
    assert [row[1] for row in measured.similarity] == [1, 1, 1]
    assert measured.similarity[0][0] == 1 and measured.similarity[2][0] < 0.3
    assert measured.change[0][0] == 0
    expected = np.sqrt(((values[1, 1].astype(float) - values[1, 0]) ** 2).mean())
    assert measured.change[1][0] == pytest.approx(expected)
    assert len(measured.change) == ROWS and len(measured.change[0]) == COLUMNS - 1


def test_the_numbers_are_json_and_the_conclusion_says_them():
    measured = report.measure_grid(pictures(), PLAN, random.normal(size=(ROWS, COLUMNS, 4, 8, 8)))
    numbers = json.loads(json.dumps(measured.as_dict()))
    assert numbers["pixels"]["interaction"] == measured.pixels.interaction
    assert str(report.conclude(measured)).endswith(f"their interaction {measured.latents.interaction:.0%}.")
    same = report.measure_grid(np.zeros_like(pictures()), PLAN)
    assert report.conclude(same) == report.NOTHING_CHANGES()


@pytest.mark.parametrize("kind", [ROW_KINDS["cfg"], ROW_KINDS["seed"]])
@pytest.mark.parametrize("part", [np.s_[:, :], np.s_[:1, :], np.s_[:, :1], np.s_[:1, :1]])
def test_the_figure_is_drawn_and_leaves_no_state(part, kind):
    import matplotlib

    before = dict(matplotlib.rcParams)
    values = pictures()[part]
    drawn = report_figure.draw_report(
        report.measure_grid(
            values, SweepPlan(PLAN.clip_skips[: values.shape[1]], Rows(CFGS.values[: values.shape[0]], kind))
        )
    )
    assert drawn.mode == "RGB" and np.asarray(drawn).std() > 10
    assert dict(matplotlib.rcParams) == before


def test_intervals_hold_as_often_as_they_say():
    """Of 4,000 samples of 6 values each, 95 % of the intervals have the true mean in them, to 1.5 in a hundred."""
    drawn = random.normal(loc=3, scale=2, size=(6, 4000))
    found = report.t_intervals(drawn)
    assert abs(np.mean([one.low <= 3 <= one.high for one in found]) - 0.95) < 0.015
    assert [one.mean for one in found[:3]] == pytest.approx(drawn.mean(0)[:3].tolist())


def test_rows_of_seeds_give_intervals():
    seeds = SweepPlan((1, 2, 3, 4, 5), Rows((10, 11, 12), ROW_KINDS["seed"]))
    measured = report.measure_grid(pictures(), seeds)
    assert measured.of_seeds and [*map(str, measured.rows)] == ["seed 10", "seed 11", "seed 12"]
    numbers = json.loads(json.dumps(measured.as_dict()))
    one = numbers["change_over_seeds"][0]
    by_hand = np.array([row[0] for row in measured.change])
    reach = 4.302652729696142 * by_hand.std(ddof=1) / 3**0.5  # Student's t at 0.975, 2 degrees of freedom
    assert (one["low"], one["high"]) == pytest.approx((by_hand.mean() - reach, by_hand.mean() + reach))
    means = [one["mean"] for one in numbers["change_over_seeds"]]
    answer = report.conclude(measured)
    found = dict(answer.values)
    most, least = int(np.argmax(means)), int(np.argmin(means))
    assert answer.template == report.STEPS_OVER_SEEDS and found["count"] == 3
    assert (found["one"], found["other"]) == (f"{most + 1}", f"{most + 2}")
    assert (found["first"], found["second"]) == (f"{least + 1}", f"{least + 2}")
    assert dict(found["change"].values)["change"] == f"{means[most]:.1f}"
    two = report.measure_grid(pictures()[:, :2], SweepPlan((1, 2), seeds.rows))
    assert report.conclude(two).template == report.ONE_STEP_OVER_SEEDS
    alone = report.measure_grid(pictures()[:1], SweepPlan((1, 2, 3, 4, 5), Rows((10,), ROW_KINDS["seed"])))
    assert not alone.of_seeds and not alone.has_shares
    assert report.conclude(alone).template == report.BIGGEST_STEP


def test_the_rows_have_their_name():
    told = report.conclude(
        report.measure_grid(pictures(), SweepPlan((1, 2, 3, 4, 5), Rows((1, 2, 3), ROW_KINDS["clip_g"])))
    )
    assert ROW_KINDS["clip_g"].factor in str(told)


def test_a_grid_of_several_seeds_has_shares_with_intervals():
    grids = [pictures() for _ in range(4)]
    found = over_seeds.measure_over_seeds(grids, PLAN)
    by_hand = [report.split_variation(grid).clip_skip for grid in grids]
    reach = 3.182446305284263 * np.std(by_hand, ddof=1) / 2  # Student's t at 0.975, 3 degrees of freedom
    share = found.shares[0]
    assert (share.mean, share.high) == pytest.approx((np.mean(by_hand), np.mean(by_hand) + reach))
    answer = over_seeds.conclude_over_seeds(found)
    assert answer.template == over_seeds.SHARES_OVER_SEEDS and f"{share.mean:.0%} (95%" in str(answer)
    change, similarity = found.change(), found.similarity()
    assert (len(change), len(change[0]), len(similarity[0])) == (ROWS, COLUMNS - 1, COLUMNS)
    assert change[2][1].mean == pytest.approx(np.mean([report.measure_grid(grid, PLAN).change[2][1] for grid in grids]))
    row = [Image.fromarray(picture) for picture in grids[0][1]]
    assert np.asarray(over_seeds_figure.draw_over_seeds(found, ["a cow"], row)).std() > 10
    same = over_seeds.measure_over_seeds([np.zeros_like(pictures())] * 2, PLAN)
    assert over_seeds.conclude_over_seeds(same) == report.NOTHING_CHANGES()


def test_grids_of_one_row_are_a_grid_of_seeds():
    grids = [pictures()[:1] for _ in range(3)]
    found = over_seeds.seeds_as_rows(grids, SweepPlan(PLAN.clip_skips, Rows((7,))), [4, 5, 6])
    assert found == report.measure_grid(
        np.concatenate(grids), SweepPlan(PLAN.clip_skips, Rows((4, 5, 6), ROW_KINDS["seed"]))
    )


def test_one_row_or_one_column_has_no_share_of_what_does_not_vary():
    values = pictures()
    row = report.measure_grid(values[:1], SweepPlan(PLAN.clip_skips, Rows((7,))))
    biggest = int(np.argmax(row.change[0]))
    answer = report.conclude(row)
    assert answer.template == report.BIGGEST_STEP
    assert dict(answer.values)["one"] == f"{biggest + 1}"
    assert "CFG" not in str(answer) and "%" not in str(answer)
    step = report.conclude(report.measure_grid(values[:1, :2], SweepPlan((2, 12), Rows((7,)))))
    assert step.template == report.ONE_STEP and dict(step.values)["other"] == "12"
    column = report.conclude(report.measure_grid(values[:, :1], SweepPlan((2,), CFGS)))
    assert column == report.ONE_COLUMN(factor="CFG")
    over = over_seeds.conclude_over_seeds(over_seeds.measure_over_seeds([values[:, :1]] * 2, SweepPlan((2,), CFGS)))
    assert over == column


@pytest.fixture
def finished_figure(monkeypatch):
    """The figure that is drawn, and its places."""
    found = {}
    finish = report_figure.finish_figure

    def keep(figure, places, *more):
        found.update(figure=figure, places=places)
        return finish(figure, places, *more)

    monkeypatch.setattr(report_figure, "finish_figure", keep)
    monkeypatch.setattr(over_seeds_figure, "finish_figure", keep)
    return found


def drawn_figure(found, rows, columns=12, shape=(20, 24, 3)):
    values = random.integers(0, 256, (rows, columns, *shape), dtype=np.uint8)
    plan = SweepPlan(tuple(range(1, columns + 1)), Rows(tuple(range(1, rows + 1))))
    report_figure.draw_report(report.measure_grid(values, plan), ["a cow"], [*map(Image.fromarray, values[rows // 2])])
    return found["figure"], found["places"]


@pytest.mark.parametrize("rows", [2, 3, 12])
def test_no_legend_lies_over_the_curves(finished_figure, rows):
    figure, places = drawn_figure(finished_figure, rows)
    legend, axes = places["change"].get_legend().get_window_extent(), places["change"].get_window_extent()
    assert not legend.overlaps(axes)
    whole = figure.bbox
    assert legend.x0 >= 0 and legend.y0 >= 0 and legend.x1 <= whole.x1
    assert not legend.overlaps(places["change"].xaxis.label.get_window_extent())


def test_one_row_has_no_shares_and_no_legend(finished_figure):
    _, places = drawn_figure(finished_figure, 1)
    assert "shares" not in places and places["change"].get_legend() is None


@pytest.mark.parametrize(
    ("columns", "shape"), [(12, (20, 24, 3)), (3, (40, 20, 3)), (2, (16, 32, 3)), (1, (20, 20, 3))]
)
@pytest.mark.parametrize("rows", [1, 3])
def test_pictures_stand_over_their_columns_undistorted(finished_figure, rows, columns, shape):
    _, places = drawn_figure(finished_figure, rows, columns, shape)
    pictures, likeness = places["pictures"], places["likeness"]
    assert len(pictures.get_images()) == columns
    for column, image in enumerate(pictures.get_images()):
        box = image.get_window_extent()
        middle = likeness.transData.transform((column, 0))[0]
        assert (box.x0 + box.x1) / 2 == pytest.approx(middle, abs=1)
        assert box.height / box.width == pytest.approx(shape[0] / shape[1], rel=0.02)
        place = pictures.get_window_extent()
        assert box.y0 >= place.y0 - 1 and box.y1 <= place.y1 + 1
