DEFAULT_QUICKSETTINGS = ["sd_model_checkpoint"]  # one object for the whole host, as there


class Options:
    def __init__(self, data=None):
        self.data = dict(data or {})
        self.data_labels = {"quicksettings_list": DEFAULT_QUICKSETTINGS, "CLIP_stop_at_last_layers": 1}

    def get_default(self, name):
        return self.data_labels[name]

    def __getattr__(self, name):
        return self.data.get(name, self.data_labels[name])


opts = Options()
sd_model = None
