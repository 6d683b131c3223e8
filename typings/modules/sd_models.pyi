from clip_skip.webui.host_types import Model

class SdModelData:
    sd_model: Model | None

class CheckpointInfo:
    name: str
    filename: str

model_data: SdModelData
checkpoints_list: dict[str, CheckpointInfo]

def list_models() -> None: ...
def forge_model_reload() -> None: ...
