from collections.abc import Callable
from typing import Any

class PasteField(tuple[Any, ...]):
    def __init__(self, component: Any, target: str | Callable[[dict[str, str]], Any]) -> None: ...

def parse_generation_parameters(x: str) -> dict[str, Any]: ...
