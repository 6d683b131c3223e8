from collections.abc import Callable
from typing import Any

def run_and_wait_result(func: Callable[..., Any], *args: Any) -> Any: ...
