import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_skip.sweep.plan import MAX_VALUES, Cell, Plan, SweepError, parse_axis, run


def axis(text):
    return parse_axis(text, "clip skips", 1, 100)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("4, 7, 11", (4, 7, 11)),
        ("1, 2, 2.5", (1, 2, 2.5)),
        ("1-12", tuple(range(1, 13))),
        (" 1 - 12 ,", tuple(range(1, 13))),
        ("3-1", (3, 2, 1)),
        ("1-3 (+0.5)", (1, 1.5, 2, 2.5, 3)),
        ("1-3(0.5)", (1, 1.5, 2, 2.5, 3)),
        ("10-1 (-3)", (10, 7, 4, 1)),
        ("1-10 (+4)", (1, 5, 9)),
        ("1-2 (+0.1)", (1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2)),
        ("1-12 [4]", (1, 4.6667, 8.3333, 12)),
        ("1-10 [4]", (1, 4, 7, 10)),
        ("5-9 [1]", (5,)),
        ("2, 1-3, 2.0", (2, 1, 3)),
        ("1\n2", (1, 2)),
        ("5-5", (5,)),
    ],
)
def test_syntax(text, values):
    assert axis(text) == values


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", '""'),
        (" , ,", "names no value"),
        ("1, x", '"x"'),
        ("nan", '"nan"'),
        ("inf", '"inf"'),
        ("1-1e9", '"1-1e9"'),
        ("0", '"0" is outside 1 to 100'),
        ("-2", '"-2"'),
        ("1-101", '"1-101"'),
        ("9" * 400, "99…"),
        ("1-3 (0)", '"1-3 (0)"'),
        ("1-3 (-1)", '"1-3 (-1)"'),
        ("1-3 [0]", '"1-3 [0]"'),
        ("1-100 (+0.001)", "more than 1,000"),
        ("1-100 [1001]", "1,000"),
        ("1-100 [" + "9" * 5000 + "]", "1,000"),
        ("1--3", '"1--3"'),
        ("1-2-3", '"1-2-3"'),
        ("١-٣", "neither a number nor a range"),
        ("1_0", '"1_0"'),
    ],
)
def test_errors_name_the_field_and_quote_the_part(text, part):
    with pytest.raises(SweepError) as caught:
        axis(text)
    assert str(caught.value).startswith("clip skips: ")
    assert part in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "text", ["1," * 500_000, "1-" * 500_000, " " * 1_000_000, "1-100 [999]," * 80_000, "-" * 19_000]
)
def test_a_megabyte_is_answered_at_once(text):
    began = time.perf_counter()
    with pytest.raises(SweepError):
        axis(text)
    assert time.perf_counter() - began < 0.5


def test_the_limit_is_per_axis():
    assert len(parse_axis(f"1-{MAX_VALUES}", "x", 1, 2000)) == MAX_VALUES
    with pytest.raises(SweepError, match="more than 1,000 values"):
        parse_axis("1-600, 601-1300", "x", 1, 2000)


@given(st.text(max_size=200) | st.text(alphabet="0123456789.-+ ()[],", max_size=40))
def test_any_text_gives_values_in_bounds_or_a_sweep_error(text):
    try:
        values = axis(text)
    except SweepError:
        return
    assert 1 <= len(values) <= MAX_VALUES
    assert len(set(values)) == len(values)
    assert all(1 <= value <= 100 for value in values)


@given(st.lists(st.floats(1, 100).map(lambda value: round(value, 3)), min_size=1, unique=True))
def test_written_values_come_back(values):
    assert axis(", ".join(f"{value:.3f}" for value in values)) == tuple(values)


PLAN = Plan((1, 2, 3), (4, 7))


def test_cells_are_row_by_row():
    assert PLAN.cells == (
        Cell(0, 0, 1, 4), Cell(1, 0, 2, 4), Cell(2, 0, 3, 4),
        Cell(0, 1, 1, 7), Cell(1, 1, 2, 7), Cell(2, 1, 3, 7),
    )  # fmt: skip


@given(st.integers(1, 8), st.sets(st.sampled_from(PLAN.cells)))
def test_batches_hold_what_is_not_done_in_order(limit, done):
    batches = list(PLAN.batches(limit, done))
    assert [cell for batch in batches for cell in batch] == [cell for cell in PLAN.cells if cell not in done]
    assert all(1 <= len(batch) <= limit for batch in batches)
    assert all(len(batch) == limit for batch in batches[:-1])


def test_a_limit_below_one_is_refused():
    with pytest.raises(ValueError, match="at least one cell"):
        list(PLAN.batches(0))
    with pytest.raises(ValueError, match="at least one cell"):
        list(run(PLAN.cells, 0, len, lambda error: True))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 40))
def test_out_of_memory_halves_the_batch_and_loses_no_cell(limit, fits, count):
    cells = Plan(tuple(range(1, count + 1)), (7,)).cells
    tried, limits = [], []

    def make(batch):
        tried.append(len(batch))
        if len(batch) > fits:
            raise MemoryError
        return [cell.clip_skip for cell in batch]

    done = list(run(cells, limit, make, lambda error: isinstance(error, MemoryError), limits.append))
    assert [cell for batch, _ in done for cell in batch] == list(cells)
    assert all(result == [cell.clip_skip for cell in batch] for batch, result in done)
    assert limits == sorted(limits, reverse=True)
    assert all(size <= limits[-1] for size in tried[tried.index(limits[-1]) :]) if limits else True


def test_out_of_memory_at_one_cell_and_other_errors_are_raised():
    def fail(batch):
        raise MemoryError(len(batch))

    with pytest.raises(MemoryError) as caught:
        list(run(PLAN.cells, 4, fail, lambda error: True))
    assert caught.value.args == (1,)
    with pytest.raises(MemoryError) as caught:
        list(run(PLAN.cells, 4, fail, lambda error: False))
    assert caught.value.args == (4,)


def test_what_was_made_before_an_error_has_been_handed_out():
    def make(batch):
        if batch[0].row:
            raise KeyError
        return len(batch)

    made = []
    with pytest.raises(KeyError):
        for batch, _ in run(PLAN.cells, 3, make, lambda error: False):
            made += batch
    assert tuple(made) == PLAN.cells[:3]
