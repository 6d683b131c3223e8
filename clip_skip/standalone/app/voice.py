"""The messages of the page, in its language."""

from __future__ import annotations

import html
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from clip_skip.messages.catalogues import catalogue, translator
from clip_skip.messages.message import Message, MessageError, Template, reason
from clip_skip.out_of_memory import is_out_of_memory
from clip_skip.standalone.app.gradio_versions import page_error
from clip_skip.standalone.engine.progress import Interrupted
from clip_skip.standalone.models.header import CheckpointError
from clip_skip.standalone.option_kinds import FieldError
from clip_skip.standalone.pictures.infotext import InfotextError
from clip_skip.standalone.prompts.networks import EmbeddingError, LoraError
from clip_skip.sweep.axis import SweepError

__all__ = ["Voice"]

OUT_OF_MEMORY = Template("Out of memory. A smaller width and height may help.")
UNEXPECTED = Template("It did not work: {problem} ({kind}). The console has the details.")

WRONG = (CheckpointError, EmbeddingError, FieldError, InfotextError, LoraError, SweepError)
"""Errors whose message is shown to the user as it is."""


class Voice:
    """language: one of `catalogues.languages`, or None for English"""

    def __init__(self, language: str | None = None) -> None:
        self.language = language
        self.words = catalogue(language)
        self.translate = translator(language)

    def tr(self, text: Message | str, **values: object) -> str:
        """`text` in the page's language, with {name} replaced by values["name"]."""
        return self.words.get(str(text), str(text)).format(**values)

    def notes(self, sentences: Iterable[Message | str]) -> str:
        """The sentences in the page's language, as HTML."""
        return "".join(f"<div>{html.escape(self.translate(sentence))}</div>" for sentence in sentences)

    def show_errors(self, function: Callable[..., Any], *args: Any) -> Any:
        """`function`'s return value; a problem with a field is shown on the page."""
        try:
            return function(*args)
        except (MessageError, *WRONG) as error:
            raise page_error(self.translate(reason(error))) from error
        except Interrupted:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise page_error(self.translate(OUT_OF_MEMORY)) from error
            traceback.print_exception(type(error), error, error.__traceback__)
            kind = type(error).__name__
            raise page_error(self.translate(UNEXPECTED(kind=kind, problem=first_line(str(error))))) from error


def first_line(text: str) -> str:
    """The first line of `text`, which may be long."""
    return (text.splitlines() or [""])[0][:500]
