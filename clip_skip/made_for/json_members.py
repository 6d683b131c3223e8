"""Sets and removes members of a JSON object in its text, so that everything else stays as it was, letter for letter.

Parsing and writing the JSON would lose numbers that Python cannot hold, duplicate keys, and the layout.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from clip_skip.made_for.reading import NOT_JSON, Unreadable, load_json
from clip_skip.messages.message import Template

__all__ = ["NOT_AN_OBJECT", "edit_members"]

NOT_AN_OBJECT = Template("it is not a JSON object")

SPACE = re.compile(r"[ \t\n\r]*")

DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
"""Only the ends of values count here, so no number is converted."""


@dataclass(frozen=True)
class Member:
    """A member of the outermost object: its key, and where it begins, where its value begins, and where it ends."""

    key: str
    begin: int
    value: int
    end: int


def edit_members(text: str, changes: Mapping[str, object]) -> str:
    """`text`, a JSON object, with each of `changes` as a member; None removes it.

    Raises Unreadable where `text` is not valid JSON, or not an object.
    """
    if not isinstance(load_json(text), dict):
        raise Unreadable(NOT_AN_OBJECT)
    for key, value in changes.items():
        text = remove(text, key) if value is None else put(text, key, json.dumps(value))
    return text


def members(text: str) -> list[Member]:
    """The members of the outermost object of `text`, which is valid."""
    result: list[Member] = []
    place = skip_space(text, skip_space(text, 0) + 1)
    try:
        while text[place] != "}":
            key, end = DECODER.raw_decode(text, place)
            value = skip_space(text, skip_space(text, end) + 1)
            _, end = DECODER.raw_decode(text, value)
            result.append(Member(str(key), place, value, end))
            place = skip_space(text, end)
            if text[place] == ",":
                place = skip_space(text, place + 1)
    except (ValueError, RecursionError, IndexError):
        raise Unreadable(NOT_JSON) from None
    return result


def skip_space(text: str, place: int) -> int:
    match = SPACE.match(text, place)
    return match.end() if match else place


def put(text: str, key: str, value: str) -> str:
    """A new member comes last, laid out as the last one is; if the key occurs several times, all get the value."""
    outermost = members(text)
    own = [member for member in outermost if member.key == key]
    for member in reversed(own):
        text = text[: member.value] + value + text[member.end :]
    if own:
        return text
    member_text = f"{json.dumps(key, ensure_ascii=False)}: {value}"
    if not outermost:
        place = text.index("{") + 1
        return text[:place] + member_text + text[place:]
    last = outermost[-1]
    layout = text[text.rindex("{" if len(outermost) == 1 else ",", 0, last.begin) + 1 : last.begin]
    return f"{text[: last.end]},{layout}{member_text}{text[last.end :]}"


def remove(text: str, key: str) -> str:
    outermost = members(text)
    for index in reversed([index for index, member in enumerate(outermost) if member.key == key]):
        outermost = members(text)
        if index:
            text = text[: outermost[index - 1].end] + text[outermost[index].end :]
        elif len(outermost) > 1:
            text = text[: outermost[0].begin] + text[outermost[1].begin :]
        else:
            text = text[: outermost[0].begin] + text[outermost[0].end :]
    return text
