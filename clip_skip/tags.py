"""`<clipskip:2>` in prompts: find tags, take them out, decide who follows whom.

    <clipskip:2>  <clipskip:1.5>  <clipskip:l=2:g=3>  <clipskip:2:hires=1>

A host takes every `<name:value>` out of a prompt before it encodes it, and
caches what it encoded by the prompt's text. So `mark` replaces the tags by
markers: short texts in Unicode's private use area that pass through the host's
parsers for AND, prompt editing and weights. `read` takes the markers out again
where the text is encoded, and says what they ask for.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from clip_skip.skip import Skip, format, parse, shorten

__all__ = [
    "Tag",
    "asks",
    "mark",
    "prompt_tag",
    "prompt_values",
    "read",
    "resolve",
    "scan",
    "strip",
    "values",
    "warnings",
    "without_prompt_tag",
]

TOWERS = ("l", "g", "h")
TAG = re.compile(r"<\s*clipskip(?![\w-])([^<>]*)>", re.IGNORECASE)
MARKER = re.compile("\ue0c0([lgh]=[0-9.]+(?: [lgh]=[0-9.]+)*)\ue0c1")
AND = re.compile(r"\bAND\b")
BRACKET = re.compile(r"\\.|[\[\]]", re.DOTALL)
MOST_WARNINGS = 10


@dataclass(frozen=True)
class Tag:
    """A tag as written, where it stood in the text without tags, and what it
    asks for; a bad one has no `skip` but an `error`."""

    text: str
    position: int
    skip: Skip | None
    error: str = ""


def scan(text: str) -> tuple[str, list[Tag]]:
    """`text` without its tags, and the tags. What is around a tag may close up
    to form another one, which is found too. Linear in the text's length."""
    clean: list[str] = []
    opened: list[list[str]] = []  # what came since each "<" that may begin a tag
    tags: list[Tag] = []
    length = 0  # of clean and opened together
    for part in re.findall(r"<[^<>]*|>[^<>]*|[^<>]+", text):
        if part[0] == "<":
            opened.append([])
        elif part[0] == ">" and opened:
            candidate = "".join(opened[-1]) + ">"
            match = TAG.fullmatch(candidate)
            if match:
                opened.pop()
                length -= len(candidate) - 1
                tags.append(read_tag(candidate, length, match[1].strip()))
                part = part[1:]
            else:
                clean.extend(piece for pieces in opened for piece in pieces)
                opened.clear()
        (opened[-1] if opened else clean).append(part)
        length += len(part)
    clean.extend(piece for pieces in opened for piece in pieces)
    for index in range(len(tags) - 2, -1, -1):  # a tag inside another one goes where that one was
        if tags[index].position > tags[index + 1].position:
            tags[index] = replace(tags[index], position=tags[index + 1].position)
    stripped = "".join(clean)
    return ("", [replace(tag, position=0) for tag in tags]) if tags and not stripped.strip() else (stripped, tags)


def read_tag(text: str, position: int, body: str) -> Tag:
    """The tag written as `text`; `body` is what follows its name: ":2", ":l=2:g=3"."""
    try:
        if not body.startswith(":"):
            raise ValueError("a tag is written <clipskip:2>")
        given: dict[str, float] = {}
        for item in body[1:].split(":"):
            name, equals, number = item.rpartition("=")
            name = name.strip().lower()
            if equals and name not in ("l", "g", "hires"):
                raise ValueError(f"{shorten(name)} is not one of l, g, hires")
            if (name or "value") in given:
                raise ValueError(f"it gives {name or 'a value'} twice")
            given[name or "value"] = parse(number)
        return Tag(text, position, Skip(**given))
    except ValueError as error:
        return Tag(text, position, None, str(error))


def strip(text: str) -> str:
    """`text` without its tags; a text of nothing but tags and spaces comes back empty."""
    return scan(text)[0]


def warnings(texts: Iterable[str]) -> list[str]:
    """A sentence for each bad tag, quoting it: at most MOST_WARNINGS, then their number."""
    told = {f"{shorten(tag.text)} was ignored: {tag.error}." for text in texts for tag in scan(text)[1] if tag.error}
    if len(told) > MOST_WARNINGS:
        return [*sorted(told)[:MOST_WARNINGS], f"{len(told) - MOST_WARNINGS} more bad tags were ignored."]
    return sorted(told)


def prompt_tag(prompt: str) -> Skip | None:
    """The prompt's tag: the last one outside brackets in the first sub-prompt."""
    return next(sub_prompts(*scan(prompt))).whole


def without_prompt_tag(prompt: str) -> str:
    """`prompt` without the tags that `prompt_tag` reads; all others stay as they are."""
    clean, found = scan(prompt)
    first = next(sub_prompts(clean, found))
    read = {id(tag) for tag in first.tags} - {id(tag) for tag in first.inner}
    pieces, at = [], 0
    for tag in found:
        if id(tag) not in read:
            pieces += [clean[at : tag.position], tag.text]
            at = tag.position
    return "".join([*pieces, clean[at:]])


def mark(text: str, follows: Sequence[Skip] = (), hires: bool = False, negative: bool = False) -> str:
    """`text` without its tags, each sub-prompt led by a marker of what it asks for.

    follows: where a tag leaves a value open, or there is no tag, the first of
    these that gives one holds. negative: AND is a word, there are no sub-prompts.
    A text that asks for nothing comes back without markers.
    """
    marked: list[str] = []
    for part in sub_prompts(*scan(text), single=negative):
        marked.append(marker([part.whole, *follows], hires))
        at = 0
        for tag in part.inner:
            end = tag.position - part.start
            marked += [part.text[at:end], marker([tag.skip, *follows], hires)]
            at = end
        marked.append(part.text[at:])
    return "".join(marked)


def marker(levels: Iterable[Skip | None], hires: bool) -> str:
    """What the first level that says something asks for, for each tower; "" for nothing."""
    known = [level for level in levels if level]
    asked = {tower: next((v for v in (k.at(tower, hires) for k in known) if v is not None), None) for tower in TOWERS}
    said = " ".join(f"{tower}={format(value)}" for tower, value in asked.items() if value is not None)
    return f"\ue0c0{said}\ue0c1" if said else ""


def read(text: str) -> tuple[str, dict[str, float]]:
    """`text` without markers and tags, and the value that it asks for by tower.

    The last marker wins. A tag that no `mark` has seen counts as one, so a text
    that reached the encoder by another way is not encoded with its tags.
    """
    marked = mark(text, negative=True)
    said = MARKER.findall(marked)
    if not said:
        return marked, {}
    items = (item.split("=") for item in said[-1].split(" "))
    return MARKER.sub("", marked), {tower: float(value) for tower, value in items}


def asks(text: str) -> bool:
    """Whether `text` has a marker or a tag in it."""
    return bool(MARKER.search(text) or ("<" in text and scan(text)[1]))


def values(texts: Iterable[str], tower: str) -> set[float]:
    """Every value that the markers and tags of `texts` ask of one encoder."""
    items = (item for text in texts for said in MARKER.findall(mark(text, negative=True)) for item in said.split(" "))
    return {float(item[2:]) for item in items if item[0] == tower}


def resolve(
    prompt: str,
    negative: str,
    panel: Skip | None = None,
    panel_negative: Skip | None = None,
    hires: bool = False,
    first_pass: str = "",
) -> tuple[str, str]:
    """Prompt and negative prompt, marked: the tag, then the prompt's tag, then the panel.

    first_pass: the prompt of the first pass, whose tag a hires prompt follows.
    """
    tags = [tag for tag in (prompt_tag(prompt), prompt_tag(first_pass)) if tag]
    return (
        mark(prompt, [*tags, *filter(None, [panel])], hires),
        mark(negative, [*tags, *filter(None, [panel_negative or panel])], hires, negative=True),
    )


def prompt_values(prompt: str, negative: str, default: float, tower: str = "l") -> tuple[float, float]:
    """The clip skip of prompt and negative prompt, each as a whole, for one encoder."""
    marked, marked_negative = resolve(prompt, negative)
    return read(marked)[1].get(tower, default), read(marked_negative)[1].get(tower, default)


@dataclass
class SubPrompt:
    """`text`, from position `start` on, and its good tags: `whole` is what the last one
    outside brackets asks for, `inner` are the ones inside brackets after that."""

    text: str
    start: int
    tags: list[Tag]
    whole: Skip | None
    inner: list[Tag]


def sub_prompts(text: str, tags: Sequence[Tag], single: bool = False) -> Iterator[SubPrompt]:
    """The sub-prompts of a text without tags, AND at the end of all but the last."""
    cuts = [] if single else [match.end() for match in AND.finditer(text)]
    good = deque(tag for tag in tags if tag.skip)
    for start, end in zip([0, *cuts], [*cuts, len(text)]):
        part = SubPrompt(text[start:end], start, [], None, [])
        spans = brackets(part.text)
        begins = [span[0] for span in spans]
        while good and (good[0].position < end or end == len(text)):
            tag = good.popleft()
            at = tag.position - start
            span = bisect_left(begins, at) - 1
            part.tags.append(tag)
            if span >= 0 and at <= spans[span][1] and not beside_number(part.text, at):
                part.inner.append(tag)
            else:
                part.whole, part.inner = tag.skip, []
        yield part


def brackets(text: str) -> list[tuple[int, int]]:
    """Where each outermost pair of square brackets opens and closes."""
    opened: list[int] = []
    pairs: list[tuple[int, int]] = []
    for match in BRACKET.finditer(text):
        if match[0] == "[":
            opened.append(match.start())
        elif match[0] == "]" and opened:
            begin = opened.pop()
            while pairs and pairs[-1][0] > begin:
                pairs.pop()
            pairs.append((begin, match.start()))
    return pairs


def beside_number(text: str, at: int) -> bool:
    """Whether `at` is beside the number that ends an edit, "[a:b:0.5]": outside, in effect."""
    before = re.search(r":\s*([\d.]*)\s*\Z", text[max(0, at - 32) : at])
    after = re.match(r"\s*([\d.]*)\s*\]", text[at : at + 32])
    return bool(before and after and (before[1] or after[1]))
