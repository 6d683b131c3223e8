import pytest

from clip_skip.panel import FIELDS, TITLE, Panel, restored, settled
from clip_skip.skip import Skip


def test_public_names_stay():
    """Users' saved defaults, pictures and API calls depend on these."""
    assert TITLE == "Clip Skip"
    assert [(f.name, f.infotext, f.default, f.minimum, f.slider_end) for f in FIELDS] == [
        ("clip_skip", "Clip skip panel", 1, 1, 12),
        ("negative", "Clip skip negative", 0, 0, 12),
        ("hires", "Clip skip hires", 0, 0, 12),
        ("clip_g", "Clip skip G", 0, 0, 32),
    ]
    assert list(Panel.__dataclass_fields__) == ["enabled", *(f.name for f in FIELDS)]
    assert Panel() == Panel(False, *(f.default for f in FIELDS))
    assert all(isinstance(f.default, float) for f in FIELDS)  # the host's API casts what it pastes to this type


def test_one_mapping_or_by_position():
    want = Panel(True, 2, 3, 1, 4)
    assert Panel.from_args([{"enabled": True, "clip_skip": 2, "negative": 3, "hires": 1, "clip_g": 4}, 1, 2]) == want
    assert Panel.from_args([True, 2, 3.0, 1, 4]) == want
    assert Panel.from_args([]) == Panel.from_args([{}]) == Panel.from_args([False]) == Panel()
    assert Panel.from_args([{"enabled": True, "negative": None, "hires": 0}]) == Panel(True)


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ([{"clip_skip": "2"}], "clip_skip"),
        ([{"clip_skip": None}], "clip_skip"),
        ([{"clip_skip": 0}], "clip_skip"),
        ([{"clip_skip": -2}], "clip_skip"),
        ([{"clip_skip": float("nan")}], "clip_skip"),
        ([{"clip_skip": True}], "clip_skip"),
        ([{"negative": False}], "negative"),
        ([{"negative": 0.5}], "negative"),
        ([{"hires": 32.5}], "hires"),
        ([{"clip_g": 33}], "clip_g"),
        ([{"enabled": "yes"}], "enabled"),
        ([{"clipskip": 2}], "clipskip"),
        ([True, 2, 3, "x"], "hires"),
    ],
)
def test_errors_name_the_field(args, named):
    with pytest.raises(ValueError, match=named):
        Panel.from_args(args)


def test_a_wrong_shape_is_told_with_the_right_one():
    with pytest.raises(ValueError, match=r'enabled: "\[1\]" is neither true nor false; expected are one') as error:
        Panel.from_args([[1]])
    assert '{"enabled": true, "clip_skip": 2}' in str(error.value)
    assert "enabled, clip_skip, negative, hires, clip_g in this order" in str(error.value)


@pytest.mark.parametrize("value", [10**300, 1e300, 12345678901234567890, -(10**40), 10**400])
def test_an_absurd_number_is_told_shortly(value):
    with pytest.raises(ValueError, match="clip_skip: ") as error:
        Panel.from_args([{"enabled": True, "clip_skip": value}])
    assert len(str(error.value)) < 80


def test_too_deep_for_the_model_names_the_field():
    Panel(True, 12, 12, 12, 32).check_depth(12)
    Panel(True, 24).check_depth(24)
    Panel(True, 24).check_depth(None)
    with pytest.raises(ValueError, match="negative: 13 is too deep: the loaded model has 12 layers"):
        Panel(True, 12, 13).check_depth(12)


def test_what_it_asks_for():
    assert Panel(True, 2).skips() == (Skip(2), Skip(2))
    assert Panel(True, 2, 3, 1, 4).skips() == (Skip(2, g=4, hires=1), Skip(3, g=4, hires=1))


def test_infotext_round_trip():
    for panel in (Panel(True, 2), Panel(True, 1.5, 3, 1, 32), Panel(True)):
        text = panel.infotext()
        assert Panel(True, *(restored(field, text) for field in FIELDS)) == panel
    assert Panel(False, 2).infotext() == {}
    assert all(restored(field, {"Clip skip": "2"}) is None for field in FIELDS)
    assert restored(FIELDS[0], {"Clip skip panel": "what"}) == 1


def test_the_pages_sliders_have_nothing_between_0_and_1():
    assert settled([True, 0.5, 0.1, 0.9, 0.5]) == [True, 1.0, 0.0, 0.0, 0.0]
    assert settled([True, 1.5, 0, 2, 32]) == [True, 1.5, 0, 2, 32]
    assert settled([{"enabled": True, "clip_skip": 0.5}]) == [{"enabled": True, "clip_skip": 0.5}]
    assert Panel.from_args(settled([])) == Panel()
