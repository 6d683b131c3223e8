from typing import Any

AlwaysVisible: object
scripts_data: list[Any]

class Script:
    is_img2img: bool
    infotext_fields: list[Any]
    def elem_id(self, item_id: str) -> str: ...
