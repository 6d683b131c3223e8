"""A message is data: a template in English and the values of its {names}. `render` makes text of it, in one place.

Templates are constants of the modules that use them, `TOO_DEEP = Template("{skip} is deeper than ...")`; called with
its values, a template makes a `Message`, which is raised, collected and passed on as such. A translation is looked up
by the template, so nothing that was rendered is ever read again. Pure: standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = [
    "FIELD_PROBLEM",
    "PLACEHOLDER",
    "Message",
    "MessageError",
    "Template",
    "Translate",
    "join",
    "reason",
    "render",
]

PLACEHOLDER = re.compile(r"\{(\w+)\}")

ENGLISH: Mapping[str, str] = MappingProxyType({})


class Template(str):
    """A text for people in English, with {names} for what varies. One without names is a message as it is."""

    __slots__ = ()

    @property
    def names(self) -> frozenset[str]:
        return frozenset(PLACEHOLDER.findall(self))

    def __call__(self, **values: Value) -> Message:
        """The message with these values. TypeError if their names are not those of the template."""
        if values.keys() != self.names:
            raise TypeError(f"{self!r} needs {sorted(self.names)}, not {sorted(values)}")
        return Message(str(self), tuple(values.items()))


@dataclass(frozen=True)
class Message:
    """A template and its values; hashable, and `str()` of it is its English text.

    values: by name. A message or a template among them is translated as well; a plain text is data and stays as it is.
    """

    template: str
    values: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        return render(self)


Value = str | int | Message
Translate = Callable[[Message | str], str]
"""Renders a message, or a fixed text, in the reader's language. `str` does it for English."""


class MessageError(ValueError):
    """An error whose text is for people: `message`, which is rendered where it is shown; `str()` of it is English."""

    def __init__(self, message: Message | str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return str(self.message)


FIELD_PROBLEM = Template("{field}: {problem}")
"""The problem with a named field, argument or file."""


def reason(error: BaseException) -> Message | str:
    """The message of `error`, to be shown or put into another message."""
    return error.message if isinstance(error, MessageError) else str(error)


def join(messages: Iterable[Message | str], separator: str) -> Message:
    """One message that contains all of `messages`."""
    values = tuple((f"part{number}", message) for number, message in enumerate(messages))
    return Message(separator.join(f"{{{name}}}" for name, _ in values), values)


def render(message: Message | str, catalogue: Mapping[str, str] = ENGLISH) -> str:
    """The text of `message` in the language of `catalogue`, which has a translation by each template."""
    if isinstance(message, str):
        return catalogue.get(message, str(message))
    values = {name: _text(value, catalogue) for name, value in message.values}
    template = catalogue.get(message.template, message.template)
    return PLACEHOLDER.sub(lambda place: values.get(place[1], place[0]), template)


def _text(value: Value, catalogue: Mapping[str, str]) -> str:
    return render(value, catalogue) if isinstance(value, (Message, Template)) else str(value)
