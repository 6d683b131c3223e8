from types import SimpleNamespace

DEFAULT_QUICKSETTINGS = ["sd_model_checkpoint"]  # one object for the whole host, as there

DEFAULTS = {
    "quicksettings_list": DEFAULT_QUICKSETTINGS,
    "CLIP_stop_at_last_layers": 1,
    "sdxl_clip_l_skip": False,
    "localization": "None",
    "use_old_scheduling": False,
    "enable_prompt_comments": True,
    "img_max_size_mp": 200,
    "enable_pnginfo": True,
    "grid_save": True,
    "grid_format": "png",
    "samples_save": True,
    "samples_format": "png",
    "grid_extended_filename": False,
    "temp_dir": "",
    "return_mask": False,
    "return_mask_composite": False,
}


class Options:
    def __init__(self, data=None):
        self.data = dict(data or {})
        self.data_labels = DEFAULTS
        self.added = {}

    def get_default(self, name):
        return self.data_labels[name]

    def add_option(self, name, info):
        self.added[name] = info
        self.data.setdefault(name, info.default)

    def save(self, filename):
        self.saved = filename, dict(self.data)

    def __getattr__(self, name):
        return self.data.get(name, self.data_labels[name])


class OptionInfo:
    def __init__(self, default=None, label="", component=None, component_args=None, section=None):
        self.default, self.label, self.component, self.section = default, label, component, section
        self.component_args, self.reload = component_args, False

    def needs_reload_ui(self):
        self.reload = True
        return self


config_filename = "config.json"
opts = Options()
sd_model = None
state = SimpleNamespace(interrupted=False, skipped=False, stopping_generation=False, job_count=-1)
total_tqdm = SimpleNamespace(updateTotal=lambda total: None)
