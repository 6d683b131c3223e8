from collections.abc import Callable
from typing import Any

def quote(text: Any) -> str: ...

class PasteField(tuple[Any, ...]):
    def __init__(self, component: Any, target: str | Callable[[dict[str, str]], Any]) -> None: ...
