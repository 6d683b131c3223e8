"""Splits a prompt into sub-prompts and assigns its tags to them.

The host cuts at `AND`. Extensions add words of their own: sd-webui-neutral-prompt's `AND_PERP`, `AND_SALT` and
`AND_TOPK`, its forks' `AND_ALIGN_8_16`; so every word `AND_...` begins a sub-prompt. Neutral Prompt also has groups,
`[a AND_PERP b] AND c`, whose bracket has to stay directly after the preceding word.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clip_skip.prompt.tags import Tag
from clip_skip.skip import DECIMAL

__all__ = ["SubPrompt", "split_sub_prompts", "sub_prompts"]

BOUNDARY = re.compile(r"\bAND(?:_\w+)?\b")
BRACKET = re.compile(r"\\.|[\[\]]", re.DOTALL)
GROUP = re.compile(r"\s*\[")


@dataclass(frozen=True)
class SubPrompt:
    """A part of a prompt, from the position `start` in it on.

    text:  the part, the boundary word that ends it included
    lead:  where in `text` a marker goes
    tags:  its good tags
    whole: the last of them outside square brackets
    inner: the ones inside square brackets after that
    """

    text: str
    start: int
    lead: int
    tags: tuple[Tag, ...]
    whole: Tag | None
    inner: tuple[Tag, ...]

    @property
    def without_effect(self) -> list[Tag]:
        """Its tags whose values differ from `whole`, which comes after them."""
        if self.whole is None:
            return []
        before = self.tags[: len(self.tags) - len(self.inner) - 1]
        return [tag for tag in before if tag.skip != self.whole.skip]


def sub_prompts(text: str, tags: Sequence[Tag], single: bool = False) -> Iterator[SubPrompt]:
    """The sub-prompts of a text without tags; `single`: boundary words are words (in a negative prompt)."""
    cuts = [] if single else list(BOUNDARY.finditer(text))
    starts, ends = [0, *(cut.end() for cut in cuts)], [*(cut.end() for cut in cuts), len(text)]
    groups = open_brackets(text, [cut.start() for cut in cuts]) if cuts else frozenset()
    good = deque(tag for tag in tags if tag.skip)
    for start, end in zip(starts, ends):
        part = text[start:end]
        spans = brackets(part)
        begins = [span[0] for span in spans]
        own_tags: list[Tag] = []
        whole: Tag | None = None
        inner: list[Tag] = []
        while good and (good[0].position < end or end == len(text)):
            tag = good.popleft()
            at = tag.position - start
            span = bisect_left(begins, at) - 1
            own_tags.append(tag)
            if span >= 0 and at <= spans[span][1] and not beside_number(part, at):
                inner.append(tag)
            else:
                whole, inner = tag, []
        yield SubPrompt(part, start, lead(text, start, groups) - start, tuple(own_tags), whole, tuple(inner))


def split_sub_prompts(text: str) -> list[str]:
    """The sub-prompts' texts, without the boundary words and the weights at their ends.

    The host's own function must only be called for a generation: Neutral Prompt remembers its last argument and uses
    it as the prompt of the next pictures.
    """
    return [without_weight(part) for part in BOUNDARY.split(text)]


def without_weight(part: str) -> str:
    """A sub-prompt without the weight at its end, " :1.2"."""
    head, colon, number = part.rpartition(":")
    return head.rstrip() if colon and DECIMAL.fullmatch(number.strip()) else part


def lead(text: str, start: int, groups: frozenset[int]) -> int:
    """The first place after `start` that is not before the bracket of a group."""
    while (match := GROUP.match(text, start)) and match.end() - 1 in groups:
        start = match.end()
    return start


def open_brackets(text: str, cuts: Sequence[int]) -> frozenset[int]:
    """The starts of the square brackets that contain one of `cuts`."""
    return frozenset(begin for begin, end in pairs(text) if bisect_left(cuts, begin) < bisect_left(cuts, end))


def brackets(text: str) -> list[tuple[int, int]]:
    """Start and end of each outermost pair of square brackets."""
    outermost: list[tuple[int, int]] = []
    for begin, end in pairs(text):
        while outermost and outermost[-1][0] > begin:
            outermost.pop()
        outermost.append((begin, end))
    return outermost


def pairs(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each pair of square brackets, inner pairs before outer ones."""
    waiting: list[int] = []
    for match in BRACKET.finditer(text):
        if match[0] == "[":
            waiting.append(match.start())
        elif match[0] == "]" and waiting:
            yield waiting.pop(), match.start()


def beside_number(text: str, at: int) -> bool:
    """Whether `at` is beside the number that ends an edit, "[a:b:0.5]", which counts as outside."""
    before = re.search(r":\s*([\d.]*)\s*\Z", text[max(0, at - 32) : at])
    after = re.match(r"\s*([\d.]*)\s*\]", text[at : at + 32])
    return bool(before and after and (before[1] or after[1]))
