from typing import Any

AlwaysVisible: object
scripts_data: list[ScriptClassData]

class ScriptClassData:
    script_class: type[Script]
    module: Any

class Script:
    is_img2img: bool
    args_from: int
    args_to: int
    infotext_fields: list[Any]
    def title(self) -> str: ...
    def elem_id(self, item_id: str) -> str: ...
