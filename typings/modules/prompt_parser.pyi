from collections.abc import Callable, Iterable
from typing import Any

class SdConditioning(list[str]):
    is_negative_prompt: bool
    def __init__(
        self, prompts: Iterable[str], is_negative_prompt: bool = False, *, copy_from: list[str] | None = None
    ) -> None: ...

get_learned_conditioning: Callable[..., Any]

def get_multicond_prompt_list(
    prompts: list[str],
) -> tuple[list[list[tuple[int, float]]], list[str], dict[str, int]]: ...
def get_learned_conditioning_prompt_schedules(
    prompts: list[str], base_steps: int, hires_steps: int | None = None, use_old_scheduling: bool = False
) -> list[list[tuple[int, str]]]: ...
