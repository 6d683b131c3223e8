import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_skip.sweep.axis import COLUMN_TOO_DEEP, COLUMN_TOO_DEEP_FOR, MAX_VALUES, NO_VALUE, SweepError, parse_axis
from clip_skip.sweep.plan import SweepCell, SweepPlan, run_batches
from clip_skip.sweep.rows import (
    NAMED_WEIGHTS,
    NOTHING_TO_SEARCH,
    ROW_KINDS,
    WHICH_LORA,
    Rows,
    network_tags,
    parse_rows,
    random_seeds,
)
from clip_skip.sweep.settings import NEEDS_SDXL, NEGATIVE_TWICE, SweepSettings
from tests.helpers import growth


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
        ("", NO_VALUE),
        (" , ,", NO_VALUE),
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
    assert dict(caught.value.message.values)["field"] == "clip skips"


@pytest.mark.parametrize("part", ["1,", "1-", " ", "1-100 [999],", "-", "9", "1-3 (", "1-1 [1],"])
def test_a_megabyte_takes_no_longer_than_its_length_asks(part):
    def read(text):
        with suppress(SweepError):
            axis(text)

    with pytest.raises(SweepError):
        axis(part * (1_000_000 // len(part)))
    assert growth(read, lambda size: part * (size // len(part)), 5_000, 100_000) < 5


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


PLAN = SweepPlan((1, 2, 3), Rows((4, 7)))


def test_the_cells_of_a_plan_are_made_once():
    """They are asked for with every row of the grid."""
    assert PLAN.cells is PLAN.cells


def test_cells_are_row_by_row():
    assert PLAN.cells == (
        SweepCell(0, 0, 1, 4), SweepCell(1, 0, 2, 4), SweepCell(2, 0, 3, 4),
        SweepCell(0, 1, 1, 7), SweepCell(1, 1, 2, 7), SweepCell(2, 1, 3, 7),
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
        list(run_batches(PLAN.cells, 0, len, lambda error: True))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 40))
def test_out_of_memory_halves_the_batch_and_loses_no_cell(limit, fits, count):
    cells = SweepPlan(tuple(range(1, count + 1)), Rows((7,))).cells
    tried, limits = [], []

    def make(batch):
        tried.append(len(batch))
        if len(batch) > fits:
            raise MemoryError
        return [cell.clip_skip for cell in batch]

    done = list(run_batches(cells, limit, make, lambda error: isinstance(error, MemoryError), limits.append))
    assert [cell for batch, _ in done for cell in batch] == list(cells)
    assert all(result == [cell.clip_skip for cell in batch] for batch, result in done)
    assert limits == sorted(limits, reverse=True)
    assert all(size <= limits[-1] for size in tried[tried.index(limits[-1]) :]) if limits else True


def test_out_of_memory_at_one_cell_and_other_errors_are_raised():
    def fail(batch):
        raise MemoryError(len(batch))

    with pytest.raises(MemoryError) as caught:
        list(run_batches(PLAN.cells, 4, fail, lambda error: True))
    assert caught.value.args == (1,)
    with pytest.raises(MemoryError) as caught:
        list(run_batches(PLAN.cells, 4, fail, lambda error: False))
    assert caught.value.args == (4,)


def test_what_was_made_before_an_error_has_been_handed_out():
    def make(batch):
        if batch[0].row:
            raise KeyError
        return len(batch)

    made = []
    with pytest.raises(KeyError):
        for batch, _ in run_batches(PLAN.cells, 3, make, lambda error: False):
            made += batch
    assert tuple(made) == PLAN.cells[:3]


SDXL, SD1 = {"l": 12, "g": 32}, {"l": 12}


@pytest.mark.parametrize(
    ("kind", "text", "values", "labels"),
    [
        ("cfg", "4, 7.5", (4, 7.5), ("4", "7.5")),
        ("seed", "1-3, 2881122569", (1, 2, 3, 2881122569), ("1", "2", "3", "2881122569")),
        ("negative", "1, 2.5", (1, 2.5), ("1", "2.5")),
        ("clip_g", "1-32 [2]", (1, 32), ("1", "32")),
        ("hires", "3", (3,), ("3",)),
        ("prompt", 'cow, "red, hen", , cow', ("cow", "red, hen", "", "cow"), ("cow", "red, hen", "(nothing)", "cow")),
        ("lora", "-1-1 (+0.5)", (-1, -0.5, 0, 0.5, 1), ("-1", "-0.5", "0", "0.5", "1")),
    ],
)
def test_rows(kind, text, values, labels):
    rows = parse_rows(ROW_KINDS[kind], text, "rows", SDXL)
    assert rows.values == values and rows.axis.labels == labels and rows.axis.title == ROW_KINDS[kind].label
    assert len(rows.names) == len(values)
    assert len(rows) == len(values)


@pytest.mark.parametrize(
    ("kind", "text", "towers", "message"),
    [
        ("cfg", "101", None, 'here: "101" is outside 0 to 100'),
        ("seed", "1.5", None, 'here: "1.5" is not a whole number'),
        ("seed", "4294967296", None, 'here: "4294967296" is outside 0 to'),
        ("negative", "1-13", SD1, f"here: {COLUMN_TOO_DEEP(value=13, layers=12)}"),
        ("negative", "33", None, 'here: "33" is outside 1 to 32'),
        ("hires", "13", SD1, f"here: {COLUMN_TOO_DEEP(value=13, layers=12)}"),
        ("hires", "0", SD1, 'here: "0" is outside 1 to 12'),
        ("clip_g", "33", SDXL, f"here: {COLUMN_TOO_DEEP_FOR(value=33, encoder='CLIP-G', layers=32)}"),
        ("negative", "33", SDXL, f"here: {COLUMN_TOO_DEEP(value=33, layers=32)}"),
        ("prompt", "", None, f"here: {NOTHING_TO_SEARCH}"),
        ("prompt", ", cow", None, f"here: {NOTHING_TO_SEARCH}"),
        ("prompt", "cow," * 9000, None, "here: 36,000 characters are too many"),
        ("lora", "name: x", None, 'here: "x" is neither a number nor a range'),
        ("lora", "11", None, 'here: "11" is outside -10 to 10'),
    ],
)
def test_rows_that_cannot_be(kind, text, towers, message):
    with pytest.raises(SweepError) as error:
        parse_rows(ROW_KINDS[kind], text, "here", towers)
    assert str(error.value).startswith(message)


@given(st.sampled_from(list(ROW_KINDS)), st.text(max_size=60) | st.text(alphabet='0123456789.-+ ()[],:"', max_size=30))
def test_any_text_is_rows_or_a_sweep_error(kind, text):
    try:
        rows = parse_rows(ROW_KINDS[kind], text, "rows", SDXL)
    except SweepError as error:
        assert str(error).startswith("rows: ")
        return
    assert len(rows.axis.labels) == len(rows) >= 1


def test_text_is_replaced_as_in_the_plot():
    rows = parse_rows(ROW_KINDS["prompt"], "cow, hen", "rows")
    assert rows.texts("a cow, a cowl", "no cow", "hen") == ("a hen, a henl", "no hen")
    assert rows.texts("a cow", "", "cow") == ("a cow", "")
    rows.check("rows", "", "no cow")
    with pytest.raises(SweepError, match='rows: "cow" is neither in the prompt nor in the negative prompt'):
        rows.check("rows", "a co", "w")
    assert Rows((1, 2)).texts("a", "b", 1) == ("a", "b")


def test_weight_of_a_lora():
    prompt = "a <lora:one:1> b <lora:two:0.5:0.7>"
    rows = parse_rows(ROW_KINDS["lora"], "two: 0, 0.25", "rows")
    rows.check("rows", prompt, "")
    assert rows.texts(prompt, "bad", 0.25) == ("a <lora:one:1> b <lora:two:0.25>", "bad")
    assert str(rows.axis.title) == "LoRA weight: two"
    only = parse_rows(ROW_KINDS["lora"], "0, 1", "rows")
    only.check("rows", "<lora:one:1> a <lora:one:2>", "")
    assert only.texts("<lora:one> a <lora:one:2>", "", 0.0)[0] == "<lora:one:0> a <lora:one:0>"
    for rows, text, message in (
        (only, prompt, str(WHICH_LORA(example='"one: 0, 0.5, 1"'))),
        (only, "a cow", '"<lora:...>" is not in the prompt'),
        (parse_rows(ROW_KINDS["lora"], "three: 1", "rows"), prompt, '"three" is not in the prompt'),
        (only, "<lora:one:te=1>", NAMED_WEIGHTS),
    ):
        with pytest.raises(SweepError, match=re.escape(message)):
            rows.check("rows", text, "")


def test_random_seeds():
    drawn = [random_seeds("-1, 4-8 (+2),\n -1") for _ in range(3)]
    assert len({text.split(",")[0] for text in drawn}) == 3
    for text in drawn:
        first, middle, last = text.split(",")
        assert middle == " 4-8 (+2)" and first != last.strip()
        assert len(parse_rows(ROW_KINDS["seed"], text, "rows")) == 5
    assert random_seeds("1-1, 3, -10") == "1-1, 3, -10"


def test_networks_of_a_prompt():
    assert network_tags("<clipskip:2>a <lora:x:1> <hypernet:y:0.5> <not") == ("<lora:x:1>", "<hypernet:y:0.5>")


def overrides(layers=SDXL, **fields):
    settings = SweepSettings(**fields)
    plan = settings.plan(layers)
    return settings, plan, [settings.override(cell) for cell in plan.cells]


def test_what_a_cell_sets():
    settings, plan, (one, *_) = overrides(clip_skips="3", rows="negative", negative_skips="5")
    assert (one.prompt, one.negative, one.hires, one.clip_g) == (3, 5, None, None)
    settings, plan, (one,) = overrides(clip_skips="3", rows="clip_g", clip_g_skips="30")
    assert (one.prompt, one.negative, one.clip_g, one.keep_g) == (3, 3, 30, False)
    assert settings.values(plan) == {"l": {3}, "h": {3}, "g": {30}}
    settings, plan, (one,) = overrides(clip_skips="3", rows="hires", hires_skips="5", apply_to="prompt")
    assert (one.prompt, one.negative, one.hires) == (3, None, 5)
    assert settings.values(plan) == {"l": {3, 5}, "h": {3, 5}, "g": {3, 5}}
    settings, plan, (one, _) = overrides(clip_skips="3", columns="clip_l", rows="seed", seeds="5, 6")
    assert (one.prompt, one.negative, one.keep_g) == (3, 3, True) and plan.axes[0].title == "Clip skip of CLIP-L"
    assert settings.values(plan)["g"] == set()
    with pytest.raises(SweepError, match=f"Apply to: {NEGATIVE_TWICE}"):
        overrides(rows="negative", apply_to="negative")
    with pytest.raises(SweepError, match=re.escape(f"Columns: {NEEDS_SDXL}")):
        overrides(SD1, columns="clip_l")
    with pytest.raises(SweepError, match=re.escape(f"Rows: {NEEDS_SDXL}")):
        overrides({}, rows="clip_g")
    with pytest.raises(SweepError, match=f"Clip skips: {COLUMN_TOO_DEEP_FOR(value=13, encoder='CLIP-L', layers=12)}"):
        overrides(columns="clip_l", clip_skips="13")  # CLIP-L's own layers, not CLIP-G's


def test_row_values_are_those_of_the_kind():
    settings = SweepSettings.from_args([{"rows": "Seed", "row_values": "7"}])
    assert (settings.rows, settings.seeds, settings.row_values) == ("seed", "7", "7")
    assert SweepSettings.from_args([{"row_values": "9"}]) == SweepSettings(cfg_scales="9")
    assert settings.names([{"row_values": "7"}])["seeds"] == "row_values" != settings.names([{}])["seeds"]
    with pytest.raises(ValueError, match='row_values: "7" is not a text'):
        SweepSettings.from_args([{"rows": "seed", "row_values": 7}])


@pytest.mark.parametrize(
    "settings",
    [
        SweepSettings(clip_skips="1, 2", cfg_scales="7"),
        SweepSettings(rows="seed", seeds="3-5", apply_to="prompt"),
        SweepSettings(rows="prompt", replacements="cow, hen"),
        SweepSettings(rows="lora", lora_weights="name: 0, 1", columns="clip_l"),
    ],
)
def test_what_infotext_restores(settings):
    said = settings.infotext()
    assert SweepSettings(**SweepSettings.pasted(said)) == settings
    assert ("Sweep rows" in said) == ("Sweep CFG scales" not in said) == (settings.rows != "cfg")
    assert SweepSettings.pasted({"Sweep rows": "seed"}) == {}
