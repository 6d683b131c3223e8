from typing import Any

class SdModelData:
    sd_model: Any

class CheckpointInfo:
    name: str
    filename: str

model_data: SdModelData
checkpoints_list: dict[str, CheckpointInfo]

def list_models() -> None: ...
def forge_model_reload() -> None: ...
