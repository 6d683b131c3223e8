import contextlib

import torch

device = torch.device("cpu")
dtype_unet = torch.float32


def torch_gc():
    pass


def autocast():
    return contextlib.nullcontext()
