"""Wrapping the host's own functions, so that they can be put back."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

__all__ = ["Wrap", "wrap_with"]

Wrap = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Called in place of a function, with the function and its arguments."""


def wrap_with(owner: Any, name: str, wrap: Wrap) -> Callable[[], None]:
    """Wraps a function of the host, if it has it; returns a function that restores it.

    If another extension has wrapped ours by then, ours becomes a pass-through.
    """
    original = getattr(owner, name, None)
    if original is None:
        return lambda: None
    state = {"is_on": True}

    @wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return wrap(original, args, kwargs) if state["is_on"] else original(*args, **kwargs)

    setattr(owner, name, wrapper)

    def put_back() -> None:
        state["is_on"] = False
        if getattr(owner, name, None) is wrapper:
            setattr(owner, name, original)

    return put_back
