"""Who follows whom: tag, then the prompt's tag, then the panel, then the host's own value.

`mark` puts what each sub-prompt asks for into the text as a marker, which passes through the host's parsers for AND,
prompt editing and weights; `read` takes the markers out again where the text is encoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from clip_skip.prompt import markers
from clip_skip.prompt.sub_prompts import sub_prompts
from clip_skip.prompt.tags import scan, with_tags
from clip_skip.skip import Skip

__all__ = [
    "TOWERS",
    "Texts",
    "asks",
    "mark",
    "prompt_tag",
    "prompt_values",
    "read",
    "values",
    "without_prompt_tag",
]

TOWERS = ("l", "g", "h")

Values = dict[str, float]
"""A clip skip for each tower; a tower that is not in it takes the host's own."""


def prompt_tag(prompt: str) -> Skip | None:
    """The prompt's tag: the last one outside brackets in the first sub-prompt."""
    tag = next(sub_prompts(*scan(prompt))).whole
    return tag.skip if tag else None


def without_prompt_tag(prompt: str) -> str:
    """`prompt` without the tags that `prompt_tag` reads; all others stay as they are."""
    clean, found = scan(prompt)
    first = next(sub_prompts(clean, found))
    read = {id(tag) for tag in first.tags} - {id(tag) for tag in first.inner}
    return with_tags(clean, [tag for tag in found if id(tag) not in read])


def first_said(levels: Iterable[Skip | None], hires: bool) -> Values:
    """For each tower what the first of `levels` asks for that says something on it."""
    known = [level for level in levels if level]
    said = {tower: next((v for v in (k.at(tower, hires) for k in known) if v is not None), None) for tower in TOWERS}
    return {tower: value for tower, value in said.items() if value is not None}


def asked(text: str, follows: Sequence[Skip] = (), hires: bool = False, negative: bool = False) -> Iterator[Values]:
    """What each sub-prompt of `text` asks for as a whole, and then each tag in its brackets; as in `mark`."""
    for part in sub_prompts(*scan(text), single=negative):
        yield first_said([part.whole.skip if part.whole else None, *follows], hires)
        yield from (first_said([tag.skip, *follows], hires) for tag in part.inner)


def mark(text: str, follows: Sequence[Skip] = (), hires: bool = False, negative: bool = False) -> str:
    """`text` without its tags, each sub-prompt led by a marker of what it asks for.

    follows: where a tag leaves a value open, or there is no tag, the first of these that gives one holds.
    negative: AND is a word, there are no sub-prompts.
    A text that asks for nothing comes back without markers.
    """
    marked: list[str] = []
    for part in sub_prompts(*scan(text), single=negative):
        places = [(part.lead, part.whole), *((tag.position - part.start, tag) for tag in part.inner)]
        at = 0
        for place, tag in sorted(places, key=lambda one: one[0]):
            said = first_said([tag.skip if tag else None, *follows], hires)
            marked += [part.text[at:place], markers.write(said)]
            at = place
        marked.append(part.text[at:])
    return "".join(marked)


def read(text: str) -> tuple[str, Values | None]:
    """`text` without markers and tags, and the value that it asks for by tower; None where it has neither.

    The last marker wins. A tag that no `mark` has seen counts as one, so a text
    that reached the encoder by another way is not encoded with its tags.
    """
    return markers.read(mark(text, negative=True))


def asks(text: str) -> bool:
    """Whether `text` has a marker or a tag in it."""
    return bool(markers.every(text) or ("<" in text and scan(text)[1]))


def values(texts: Iterable[str], tower: str) -> set[float]:
    """Every value that the markers and tags of `texts` ask of one encoder."""
    said = (one for text in texts for one in markers.every(mark(text, negative=True)))
    return {one[tower] for one in said if tower in one}


@dataclass(frozen=True)
class Texts:
    """The texts of one picture in one pass, and what they follow where they say nothing.

    panel, panel_negative: what the panel asks for in prompt and negative prompt
    hires:      whether it is the hires pass
    first_pass: the prompt of the first pass, whose tag a hires prompt follows
    """

    prompt: str
    negative: str
    panel: Skip | None = None
    panel_negative: Skip | None = None
    hires: bool = False
    first_pass: str = ""

    def marked(self) -> tuple[str, str]:
        """Prompt and negative prompt, marked."""
        return (
            mark(self.prompt, self._follows(False), self.hires),
            mark(self.negative, self._follows(True), self.hires, negative=True),
        )

    def asked(self) -> Iterator[Values]:
        """Everything that a part of prompt or negative prompt asks for."""
        yield from asked(self.prompt, self._follows(False), self.hires)
        yield from asked(self.negative, self._follows(True), self.hires, negative=True)

    def unmarked(self, negative: bool) -> Values:
        """What a piece of the prompt or of the negative prompt asks for that has lost its marker."""
        if not negative:
            return first_said(self._follows(False), self.hires)
        return next(asked(self.negative, self._follows(True), self.hires, negative=True))

    def _follows(self, negative: bool) -> list[Skip]:
        panel = self.panel_negative or self.panel if negative else self.panel
        return [level for level in (prompt_tag(self.prompt), prompt_tag(self.first_pass), panel) if level]


def prompt_values(prompt: str, negative: str, default: float, tower: str = "l") -> tuple[float, float]:
    """The clip skip of prompt and negative prompt, each as a whole, for one encoder."""
    texts = Texts(prompt, negative)
    return texts.unmarked(False).get(tower, default), texts.unmarked(True).get(tower, default)
