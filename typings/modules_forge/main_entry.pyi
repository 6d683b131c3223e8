from typing import Any

ui_clip_skip: Any

def on_preset_change(*args: Any, **kwargs: Any) -> Any: ...
