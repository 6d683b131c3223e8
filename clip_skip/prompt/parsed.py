"""A prompt, parsed once: its tags, its sub-prompts, its problems; and the values in a marked text.

A marked text has, in front of each sub-prompt, a marker with its values. It passes through the host's parsers for
AND, prompt editing and weights; where the text is encoded, the marker is read and taken out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from clip_skip.messages.message import Message, Template
from clip_skip.prompt import markers
from clip_skip.prompt.recent import keep_recent
from clip_skip.prompt.sub_prompts import SubPrompt, sub_prompts
from clip_skip.prompt.tags import Tag, find_near_misses, scan, with_tags
from clip_skip.skip import LANGUAGE_MODELS, Skip, shorten

__all__ = [
    "CLIP",
    "TOWERS",
    "MarkedText",
    "Prompt",
    "Values",
    "find_warnings",
    "parse_negative",
    "parse_prompt",
    "read_marked",
    "resolve_values",
]

CLIP = ("l", "g", "h")
"""The towers that a number without a name, the panel and the host's own value act on."""

TOWERS = (*CLIP, *LANGUAGE_MODELS)
MOST_WARNINGS = 10

Values = Mapping[str, float]
"""A clip skip for each tower; a tower that is not in it takes the host's own."""

IGNORED = Template("{tag} was ignored: {reason}.")
TAG_OVERRIDDEN = Template("{tag} has no effect: {last} comes after it in the same part of the prompt.")
MORE_IGNORED = Template("{count} more bad tags were ignored.")


def resolve_values(levels: Iterable[Skip | None], hires: bool, towers: Collection[str] = TOWERS) -> dict[str, float]:
    """For each of `towers` the value from the first of `levels` that sets one."""
    skips = [level for level in levels if level]
    first = {tower: next((v for s in skips if (v := s.at(tower, hires)) is not None), None) for tower in towers}
    return {tower: value for tower, value in first.items() if value is not None}


@dataclass(frozen=True)
class Prompt:
    """A prompt or a negative prompt.

    clean: the text without tags
    tags:  all of them, in order
    parts: its sub-prompts, at least one; a negative prompt has exactly one, since AND is a word there
    """

    clean: str
    tags: tuple[Tag, ...]
    parts: tuple[SubPrompt, ...]

    @property
    def tag(self) -> Skip | None:
        """The values of the prompt's own tag: the last one outside brackets in the first sub-prompt."""
        return self.parts[0].whole.skip if self.parts[0].whole else None

    @property
    def without_own_tag(self) -> str:
        """The text without the tags that `tag` is chosen from; all others stay as they are."""
        first = self.parts[0]
        own = {id(tag) for tag in first.tags} - {id(tag) for tag in first.inner}
        return with_tags(self.clean, [tag for tag in self.tags if id(tag) not in own])

    @property
    def without_bad_tags(self) -> str:
        """The text without its bad tags; the good ones stay where they are."""
        return with_tags(self.clean, [tag for tag in self.tags if tag.skip])

    def values(self, follows: Sequence[Skip], hires: bool, towers: Collection[str]) -> list[Values]:
        """The values of each sub-prompt as a whole, and then of each tag in its brackets; parameters as in `mark`."""
        tags = [tag for part in self.parts for tag in (part.whole, *part.inner)]
        return [resolve_values([tag.skip if tag else None, *follows], hires, towers) for tag in tags]

    def mark(self, follows: Sequence[Skip] = (), hires: bool = False, towers: Collection[str] = TOWERS) -> str:
        """The text without its tags, each sub-prompt after a marker with its values.

        follows: a value without a tag is taken from the first of these that sets one.
        towers:  values for others are left out.
        A text without values is returned without markers.
        """
        marked: list[str] = []
        for part in self.parts:
            places = [(part.lead, part.whole), *((tag.position - part.start, tag) for tag in part.inner)]
            at = 0
            for place, tag in sorted(places, key=lambda pair: pair[0]):
                values = resolve_values([tag.skip if tag else None, *follows], hires, towers)
                marked += [part.text[at:place], markers.write_marker(values)]
                at = place
            marked.append(part.text[at:])
        return "".join(marked)

    def find_problems(self, networks: Collection[str] = ()) -> list[Message]:
        """A message for each bad tag, near miss and tag without effect, in the order in which they are written."""
        problems = [
            *((tag.position, IGNORED(tag=shorten(tag.text), reason=tag.error)) for tag in self.tags if tag.error),
            *(
                (tag.position, TAG_OVERRIDDEN(tag=shorten(tag.text), last=shorten(part.whole.text)))
                for part in self.parts
                for tag in part.without_effect
                if part.whole
            ),
            *find_near_misses(self.clean, networks),
        ]
        return [message for _, message in sorted(problems, key=lambda pair: pair[0])]


@keep_recent
def parse_prompt(text: str) -> Prompt:
    clean, tags = scan(text)
    return Prompt(clean, tags, tuple(sub_prompts(clean, tags)))


@keep_recent
def parse_negative(text: str) -> Prompt:
    """A negative prompt, in which AND is a word."""
    clean, tags = scan(text)
    return Prompt(clean, tags, tuple(sub_prompts(clean, tags, single=True)))


def find_warnings(prompts: Iterable[Prompt], networks: Collection[str] = ()) -> list[Message]:
    """The problems of all `prompts`, each once; at most MOST_WARNINGS, then how many more there are.

    networks: names of `<name:...>` tags that the host or another extension has
    """
    messages = list(dict.fromkeys(message for prompt in prompts for message in prompt.find_problems(networks)))
    if len(messages) > MOST_WARNINGS:
        return [*messages[:MOST_WARNINGS], MORE_IGNORED(count=len(messages) - MOST_WARNINGS)]
    return messages


@dataclass(frozen=True)
class MarkedText:
    """A text as it arrives at the encoder.

    clean:    without markers and tags
    each:     the values of each marker. A tag that was not replaced counts as a marker, so that a text that reaches
              the encoder in another way is not encoded with its tags
    has_tags: whether there was such a tag, good or bad
    """

    clean: str
    each: tuple[Values, ...]
    has_tags: bool

    @property
    def values(self) -> Values | None:
        """The values of the last marker; None where there is none."""
        return self.each[-1] if self.each else None

    @property
    def is_plain(self) -> bool:
        """Whether it has neither markers nor tags."""
        return not self.each and not self.has_tags


@keep_recent
def read_marked(text: str) -> MarkedText:
    prompt = parse_negative(text)
    marked = prompt.mark()
    return MarkedText(markers.strip(marked), tuple(markers.find_values(marked)), bool(prompt.tags))
