from collections.abc import Callable

from PIL import Image

from clip_skip.webui.host_types import Processing

class Processed:
    images: list[Image.Image]
    infotexts: list[str]
    index_of_first_image: int
    js: Callable[[], str]
    def __init__(
        self,
        p: Processing,
        images_list: list[Image.Image],
        seed: int = -1,
        info: str = "",
        *,
        infotexts: list[str] | None = None,
        index_of_first_image: int = 0,
    ) -> None: ...

def fix_seed(p: Processing) -> None: ...
def process_images(p: Processing) -> Processed: ...
def create_infotext(
    p: Processing, all_prompts: list[str], all_seeds: list[int], all_subseeds: list[int], *, index: int | None = None
) -> str: ...
