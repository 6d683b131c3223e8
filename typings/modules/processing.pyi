from collections.abc import Callable
from typing import Any

from PIL import Image

class Processed:
    images: list[Image.Image]
    infotexts: list[str]
    index_of_first_image: int
    js: Callable[[], str]
    def __init__(
        self,
        p: Any,
        images_list: list[Image.Image],
        seed: int = -1,
        info: str = "",
        *,
        infotexts: list[str] | None = None,
        index_of_first_image: int = 0,
    ) -> None: ...

def fix_seed(p: Any) -> None: ...
def process_images(p: Any) -> Processed: ...
def create_infotext(
    p: Any, all_prompts: list[str], all_seeds: list[int], all_subseeds: list[int], *, index: int | None = None
) -> str: ...
