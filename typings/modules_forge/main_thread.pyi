from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

last_exception: BaseException | None

def run_and_wait_result(function: Callable[..., T], *args: object) -> T | None: ...
