"""The result of a study about clip skip, as one message that can be quoted."""

from __future__ import annotations

from clip_skip.messages.message import Message, Template, join
from clip_skip.study.statistics import Comparison, Measure

__all__ = ["sentence"]

NO_PICTURES = Template("There are no pictures to compare.")
ABOUT = Template("Over {prompts} prompts and {pictures} pictures of {model}")
ONE_VALUE = Template("{about} there is only clip skip {skip}, so there is nothing to compare it with.")
ONE_PROMPT = Template("One prompt ({pictures} pictures of {model}) says nothing about other prompts.")

MEAN = Template("{mean} (95% interval {low} to {high}) at clip skip {skip}")
MEANS = Template("{about}, {label} is {means}.")

NO_EFFECT = Template("{about}, clip skip makes no difference to {label} at all.")
NO_DIFFERENCE = Template(
    "{about}, there is no sure difference in {label}; the largest measured is {difference} "
    "(95% interval {low} to {high}), clip skip {skip} against the published {published}."
)

VERDICT = Template("{about}, judged by {label}, {verdict}.")
BETTER = Template("clip skip {skip} is better than the published {published} by {difference}")
BETTER_TOO = Template("{better} (so are {skips}, by less)")
NONE_BETTER = Template("no clip skip is shown to be better than the published {published}")
ONE_WORSE = Template("clip skip {skip} is worse, by {difference}")
SEVERAL_WORSE = Template("clip skips {skips} are worse, {skip} the most, by {difference}")
DIFFERENCE = Template("{difference} (95% interval of the difference {low} to {high})")
LIST = Template("{first} and {last}")


def sentence(comparisons: list[Comparison], measure: Measure, pictures: int) -> Message | str:
    """The result for one checkpoint. pictures: the number of its pictures."""
    if not comparisons:
        return NO_PICTURES
    first = comparisons[0]
    others = [one for one in comparisons if one.clip_skip != one.published]
    about = ABOUT(prompts=first.prompts, pictures=pictures, model=first.model)
    if not others:
        return ONE_VALUE(about=about, skip=_number(first.published))
    if first.prompts < 2:
        return ONE_PROMPT(pictures=pictures, model=first.model)
    if not measure.better:
        return _nearest_and_farthest(about, others, measure)
    return _better_and_worse(about, others, measure)


def _nearest_and_farthest(about: Message, others: list[Comparison], measure: Measure) -> Message:
    """The result of a measure that is neither good nor bad: where it is smallest and where it is largest."""
    ends = dict.fromkeys(pick(others, key=lambda one: abs(one.difference)) for pick in (min, max))
    means = [
        MEAN(mean=f"{one.mean:.3g}", low=_signed(one.mean_low), high=_signed(one.mean_high), skip=f"{one.clip_skip:g}")
        for one in ends
    ]
    return MEANS(about=about, label=measure.label, means=join(means, " and "))


def _better_and_worse(about: Message, others: list[Comparison], measure: Measure) -> Message:
    published_skip = _number(others[0].published)
    largest = max(others, key=lambda one: abs(one.difference))
    better = sorted((one for one in others if one.sure and one.difference > 0), key=lambda one: -one.difference)
    worse = [one for one in others if one.sure and one.difference < 0]
    if largest.difference == 0:
        return NO_EFFECT(about=about, label=measure.label)
    if not better and not worse:
        return NO_DIFFERENCE(
            about=about,
            label=measure.label,
            difference=_signed(largest.difference, "+"),
            low=_signed(largest.low, "+"),
            high=_signed(largest.high, "+"),
            skip=_number(largest.clip_skip),
            published=published_skip,
        )
    verdict: Message = NONE_BETTER(published=published_skip)
    if better:
        verdict = BETTER(skip=_number(better[0].clip_skip), published=published_skip, difference=_difference(better[0]))
    if better[1:]:
        verdict = BETTER_TOO(better=verdict, skips=_list(sorted(better[1:], key=lambda one: one.clip_skip)))
    if worse:
        worst = min(worse, key=lambda one: one.difference)
        skip, difference = _number(worst.clip_skip), _difference(worst)
        how = ONE_WORSE(skip=skip, difference=difference)
        if len(worse) > 1:
            how = SEVERAL_WORSE(skips=_list(worse), skip=skip, difference=difference)
        verdict = join([verdict, how], "; ")
    return VERDICT(about=about, label=measure.label, verdict=verdict)


def _difference(one: Comparison) -> Message:
    return DIFFERENCE(difference=f"{abs(one.difference):.3g}", low=_signed(one.low), high=_signed(one.high))


def _list(some: list[Comparison]) -> Message | str:
    *names, last = (_number(one.clip_skip) for one in some)
    return LIST(first=", ".join(names), last=last) if names else last


def _number(skip: float) -> str:
    return f"{skip:g}"


def _signed(value: float, sign: str = "-") -> str:
    """`value` with a real minus; sign: "+" to show that of a positive one too."""
    return f"{value:{sign}.3g}".replace("-", "−")
