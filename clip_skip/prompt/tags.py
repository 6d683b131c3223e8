"""`<clipskip:2>` in prompts: finds tags and removes them; a bad one has an error.

<clipskip:2>  <clipskip:1.5>  <clipskip:l=2:g=3>  <clipskip:2:hires=1>  <clipskip:2:t5=3>
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from clip_skip.messages.message import Message, MessageError, Template, reason
from clip_skip.prompt.recent import keep_recent
from clip_skip.skip import LANGUAGE_MODELS, Skip, parse_skip, shorten

__all__ = [
    "HOW_TO_WRITE",
    "TAG",
    "Tag",
    "find_near_misses",
    "find_networks",
    "scan",
    "strip",
    "strip_networks",
    "with_tags",
]

NETWORK = re.compile(r"<(\w+):([^>]+)>")
TAG = re.compile(r"<\s*clipskip(?![\w-])([^<>]*)>", re.IGNORECASE)
NEAR_MISS = re.compile(r"<\s*(clip([ _-]?)skip)(?![\w-])[^<>]*(>?)", re.IGNORECASE)
FULL_WIDTH = {0xFF01 + index: 0x21 + index for index in range(94)} | {0x3000: 0x20}
FULL_WIDTH |= str.maketrans("《〈﹤‹》〉﹥›", "<<<<>>>>")
"""Full-width signs, letters and digits, the space, and the brackets that input methods write for < and >, to ASCII."""

HOW_TO_WRITE = Template("a tag is written <clipskip:2>")
TAG_NAMES = ("l", "g", "hires", *LANGUAGE_MODELS)
"""The names that may come before a number in a tag."""

UNKNOWN_NAME = Template("{name} is not one of {names}")
A_VALUE = Template("a value")
GIVEN_TWICE = Template("it gives {name} twice")
NOT_A_TAG = Template("{tag} is not a tag: {reason}.")
NOT_CLOSED = Template("the closing > is missing")
NOT_ASCII = Template("write it as {tag}")


@dataclass(frozen=True)
class Tag:
    """A tag, its position in the text without tags, and its values; a bad one has an `error` and no `skip`."""

    text: str
    position: int
    skip: Skip | None
    error: Message | str = ""


@keep_recent
def scan(text: str) -> tuple[str, tuple[Tag, ...]]:
    """`text` without its tags, and the tags. The text around a tag may form
    another one once it is removed, which is found too. Linear in the text's length."""
    clean: list[str] = []
    open_tags: list[list[str]] = []  # the text since each "<" that may begin a tag
    tags: list[Tag] = []
    length = 0  # of clean and opened together
    for part in re.findall(r"<[^<>]*|>[^<>]*|[^<>]+", text):
        if part[0] == "<":
            open_tags.append([])
        elif part[0] == ">" and open_tags:
            candidate = "".join(open_tags[-1]) + ">"
            match = TAG.fullmatch(candidate)
            if match:
                open_tags.pop()
                length -= len(candidate) - 1
                tags.append(read_tag(candidate, length, match[1].strip()))
                part = part[1:]
            else:
                clean.extend(piece for pieces in open_tags for piece in pieces)
                open_tags.clear()
        (open_tags[-1] if open_tags else clean).append(part)
        length += len(part)
    clean.extend(piece for pieces in open_tags for piece in pieces)
    for index in range(len(tags) - 2, -1, -1):  # a tag inside another one gets the position of the outer
        if tags[index].position > tags[index + 1].position:
            tags[index] = replace(tags[index], position=tags[index + 1].position)
    clean_text = "".join(clean)
    if tags and not clean_text.strip():
        return "", tuple(replace(tag, position=0) for tag in tags)
    return clean_text, tuple(tags)


def read_tag(text: str, position: int, body: str) -> Tag:
    """The tag written as `text`; `body` is what follows its name: ":2", ":l=2:g=3"."""
    try:
        if not body.startswith(":"):
            raise MessageError(HOW_TO_WRITE)
        values: dict[str, float] = {}
        for item in body[1:].split(":"):
            name, equals, number = item.rpartition("=")
            name = name.strip().lower()
            if equals and name not in TAG_NAMES:
                raise MessageError(UNKNOWN_NAME(name=shorten(name), names=", ".join(TAG_NAMES)))
            if (name or "value") in values:
                raise MessageError(GIVEN_TWICE(name=name or A_VALUE))
            values[name or "value"] = parse_skip(number)
        return Tag(text, position, Skip(**values))
    except MessageError as error:
        return Tag(text, position, None, reason(error))


def strip(text: str) -> str:
    """`text` without its tags; a text of nothing but tags and spaces comes back empty."""
    return scan(text)[0]


def with_tags(clean: str, tags: Iterable[Tag]) -> str:
    """A text without tags, with `tags` put back at their positions."""
    pieces, at = [], 0
    for tag in tags:
        pieces += [clean[at : tag.position], tag.text]
        at = tag.position
    return "".join([*pieces, clean[at:]])


def find_near_misses(clean: str, networks: Collection[str] = ()) -> Iterator[tuple[int, Message]]:
    """Finds misspelt tags, such as `<clip_skip:2>`, in a text without tags: their places, and the messages.

    networks: names of tags that the host or another extension has
    """
    ascii_text = clean.translate(FULL_WIDTH)  # as long as `clean`
    for match in NEAR_MISS.finditer(ascii_text):
        name, separator, closing = match.groups()
        tag_text = clean[match.start() : match.end()]
        problem: Message | str = ""
        if separator:
            problem = "" if tag_text == match[0] and name in networks else HOW_TO_WRITE
        elif not closing:
            tag_text, problem = tag_text.rstrip(), NOT_CLOSED
        elif tag_text != match[0]:
            problem = NOT_ASCII(tag=shorten(match[0]))
        if problem:
            yield match.start(), NOT_A_TAG(tag=shorten(tag_text), reason=problem)


def find_networks(text: str) -> Iterator[re.Match[str]]:
    """Network tags that a WebUI takes out of a prompt (LoRAs ...): matches with name and values. Linear time."""
    return NETWORK.finditer(text, 0, text.rfind(">") + 1)


def strip_networks(text: str) -> str:
    """`text` without what `find_networks` finds."""
    end = text.rfind(">") + 1
    return NETWORK.sub("", text[:end]) + text[end:]
