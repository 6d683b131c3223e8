"""`<clipskip:2>` in prompts: find tags, take them out, say what is wrong with them.

<clipskip:2>  <clipskip:1.5>  <clipskip:l=2:g=3>  <clipskip:2:hires=1>
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from clip_skip.skip import Skip, parse, shorten

__all__ = ["NETWORK", "Tag", "scan", "strip", "warnings", "with_tags", "without_bad"]

NETWORK = re.compile(r"<(\w+):([^>]+)>")
"""What a WebUI takes out of a prompt as a LoRA or the like, whatever its name."""

TAG = re.compile(r"<\s*clipskip(?![\w-])([^<>]*)>", re.IGNORECASE)
NEAR_MISS = re.compile(r"<\s*clip([ _-]?)skip(?![\w-])[^<>]*(>?)", re.IGNORECASE)
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


def without_bad(text: str) -> str:
    """`text` without its bad tags; the good ones stay where they are."""
    clean, found = scan(text)
    return with_tags(clean, [tag for tag in found if tag.skip])


def with_tags(clean: str, tags: Iterable[Tag]) -> str:
    """A text without tags, with `tags` where they stood in it."""
    pieces, at = [], 0
    for tag in tags:
        pieces += [clean[at : tag.position], tag.text]
        at = tag.position
    return "".join([*pieces, clean[at:]])


def warnings(texts: Iterable[str]) -> list[str]:
    """A sentence for each bad tag and each near miss, quoting it, in the order in which they are written.

    At most MOST_WARNINGS, then their number.
    """
    told = list(dict.fromkeys(sentence for text in texts for sentence in wrong(text)))
    if len(told) > MOST_WARNINGS:
        return [*told[:MOST_WARNINGS], f"{len(told) - MOST_WARNINGS} more bad tags were ignored."]
    return told


def wrong(text: str) -> list[str]:
    """What is wrong in `text`: tags that cannot be read, and what was meant to be one, such as `<clip_skip:2>`."""
    clean, found = scan(text)
    told = [(tag.position, f"{shorten(tag.text)} was ignored: {tag.error}.") for tag in found if tag.error]
    for match in NEAR_MISS.finditer(clean):
        if match[1]:
            told.append((match.start(), f"{shorten(match[0])} is no tag: a tag is written <clipskip:2>."))
        elif not match[2]:
            told.append((match.start(), f"{shorten(match[0].rstrip())} is no tag: its > is missing."))
    return [sentence for _, sentence in sorted(told, key=lambda one: one[0])]
