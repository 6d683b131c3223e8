"""The table of options: the fields of what is made, the command line, the infotext and the page follow from it."""

import argparse
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("open_clip")

from clip_skip.messages.message import MessageError
from clip_skip.standalone.app import reading
from clip_skip.standalone.cli import study, sweep_arguments
from clip_skip.standalone.cli.arguments import given_values
from clip_skip.standalone.engine.shots import Batch, Hires, SamplingOptions, Shot
from clip_skip.standalone.option_kinds import Choice, FieldError, Number, Switch, Text
from clip_skip.standalone.options import OPTIONS, STUDY, defaults
from clip_skip.standalone.pictures import recipe
from clip_skip.standalone.settings import SIZE_TOO_LARGE, CommonSettings, Settings, build_settings

from .helpers import identify_infotext

NO_OPTION = {"model", "family"}
BY_NAME = {option.name: option for option in OPTIONS}


def names(kind):
    return {one.name for one in fields(kind)}


def settings(**values):
    return build_settings(Settings, {**defaults(), "prompt": "a cow", **values}, model="m")


def test_every_field_is_an_option_and_every_option_a_field():
    assert names(Settings) - NO_OPTION == {option.name for option in OPTIONS if not option.hires}
    assert names(Hires) == {option.hires for option in OPTIONS if option.hires}
    assert names(Batch) == names(SamplingOptions) | {"shots"}
    assert names(CommonSettings) - {"hires"} == {option.name for option in STUDY} | {"width", "height"}
    assert len(BY_NAME) == len(OPTIONS)


def test_the_defaults_are_those_of_the_fields():
    own = settings()
    for option in OPTIONS:
        if option.hires:
            assert option.hires == "resize" or option.default == getattr(Hires(), option.hires)
        elif option.name != "prompt":
            assert getattr(own, option.name) == (None if option.name == "hires" else option.default), option.name
    for one in fields(SamplingOptions):
        assert getattr(SamplingOptions(), one.name) == getattr(own, one.name), one.name


def another(option):
    """A value of the option that is not its default."""
    kind = option.kind
    if isinstance(kind, Switch):
        return True
    if isinstance(kind, Text):
        return "dark, ünïcode: x"
    if isinstance(kind, Choice):
        return kind.names[-1]
    return 192 if kind.multiple or option.hires == "resize" else kind.high


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_goes_through_the_infotext_and_the_page(option):
    """What a picture was made of is what its infotext says, and what the page's fields make of that."""
    asked = {"hires": bool(option.hires), "hires_steps": 3, option.name: another(option)}
    made = settings(**asked)
    assert made != settings(**{**asked, option.name: option.default})
    shot = Shot(made.prompt, made.negative, 1.0, made.cfg_scale, made.seed)
    wanted = recipe.of(identify_infotext(made.infotext(shot)))
    assert wanted.warnings == ()
    assert build_settings(Settings, {**defaults(), **wanted.options}, model="m") == made
    filled, _ = reading.fields_of(wanted, "SD1")
    for name, value in filled.items():
        if name != "slider":
            assert BY_NAME[name].check(value, factor=8) == wanted.options[name]


@pytest.mark.parametrize(("module", "options"), [(sweep_arguments, OPTIONS), (study, STUDY)], ids=["sweep", "study"])
def test_every_flag_is_an_argument(module, options):
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    flagged = [option for option in options if option.flag]
    assert given_values(parser.parse_args([]), options) == {}
    typed = [word for option in flagged for word in (option.flag, str(another(option)))]
    assert given_values(parser.parse_args(typed), options) == {option.name: another(option) for option in flagged}


@given(
    st.sampled_from(OPTIONS), st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.none())
)
def test_any_value_is_checked_or_named(option, value):
    try:
        checked = option.check(value, "field")
    except FieldError as error:
        assert str(error).startswith("field: ")
        return
    kind = option.kind
    if isinstance(kind, Number):
        assert checked == option.default or kind.low <= checked <= kind.high
    assert isinstance(kind, Switch) or option.check(checked) == checked


@pytest.mark.parametrize("value", [10**400, -(10**400)])
def test_a_number_that_no_float_holds_is_outside(value):
    with pytest.raises(MessageError, match="is outside 1 to 5"):
        Number(1, 5, whole=True).check(value)


def test_names_are_found_whatever_their_case_and_suggested_where_they_are_wrong():
    assert BY_NAME["sampler"].check("euler A") == "Euler a"
    assert BY_NAME["noise"].check("gpu") == "GPU" and BY_NAME["emphasis"].check("no norm") == "No norm"
    assert BY_NAME["hires_sampler"].check("") == ""
    for name, typed, suggestion in (("sampler", "Euler b", "Euler a"), ("emphasis", "Orignal", "Original")):
        with pytest.raises(FieldError, match=f"did you mean {suggestion}"):
            BY_NAME[name].check(typed)


def test_a_hires_pass_that_is_too_large_is_named():
    with pytest.raises(FieldError) as wrong:
        settings(hires=True, width=4096, height=64, scale=4)
    assert str(wrong.value) == f"Hires. fix: {SIZE_TOO_LARGE(size='16384x256', most=8192)}"
