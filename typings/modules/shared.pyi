from typing import Any

from clip_skip.webui.host_types import Model

class Options:
    data: dict[str, Any]
    data_labels: dict[str, Any]
    quicksettings_list: list[str]
    CLIP_stop_at_last_layers: int
    sdxl_clip_l_skip: bool
    localization: str
    use_old_scheduling: bool
    img_max_size_mp: float
    enable_pnginfo: bool
    grid_save: bool
    grid_format: str
    samples_format: str
    grid_extended_filename: bool
    return_mask: bool
    return_mask_composite: bool
    def get_default(self, key: str) -> Any: ...
    def add_option(self, key: str, info: OptionInfo) -> None: ...
    def save(self, filename: str) -> None: ...

class OptionInfo:
    def __init__(
        self,
        default: Any = None,
        label: str = "",
        component: Any = None,
        component_args: Any = None,
        section: Any = None,
    ) -> None: ...
    def needs_reload_ui(self) -> OptionInfo: ...

class State:
    interrupted: bool
    skipped: bool
    stopping_generation: bool
    job_count: int
    processing_has_refined_job_count: bool

class TotalTQDM:
    def updateTotal(self, new_total: int) -> None: ...

cmd_opts: Any
opts: Options
config_filename: str
sd_model: Model | None
sd_model_type: str  # SD.Next
state: State
prompt_styles: Any
total_tqdm: TotalTQDM
