from types import SimpleNamespace

model_data = SimpleNamespace(sd_model=None)
checkpoints_list = {}


def list_models():
    pass
