"""The error for a checkpoint that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clip_skip.messages.message import MessageError, Template
from clip_skip.out_of_memory import is_out_of_memory
from clip_skip.skip import shorten

__all__ = ["CheckpointError", "checkpoint_errors"]

CHECKPOINT_UNREADABLE = Template("{file} is not a complete .safetensors file: {problem}")
NOT_A_CHECKPOINT = Template("{file} is not such a checkpoint: {problem}")


class CheckpointError(MessageError):
    """The file is not a complete SD1, SD2 or SDXL checkpoint; the message says what was found instead."""


@contextmanager
def checkpoint_errors(path: Path | str) -> Iterator[None]:
    """Turns every error about the file at `path` or its weights into a `CheckpointError`, except out of memory."""
    from safetensors import SafetensorError

    try:
        yield
    except CheckpointError:
        raise
    except (SafetensorError, OSError) as error:
        raise CheckpointError(CHECKPOINT_UNREADABLE(file=str(path), problem=one_line(error))) from error
    except Exception as error:  # for unforeseen shapes diffusers and torch raise many kinds of errors
        if is_out_of_memory(error):
            raise
        raise CheckpointError(NOT_A_CHECKPOINT(file=str(path), problem=one_line(error))) from error


def one_line(error: Exception) -> str:
    """The last line of `error`, where torch says what it found."""
    lines = str(error).strip().splitlines()
    return shorten(lines[-1].strip(), 200)[1:-1] if lines else type(error).__name__
