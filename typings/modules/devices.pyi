from contextlib import AbstractContextManager

import torch

device: torch.device
dtype_unet: torch.dtype

def torch_gc() -> None: ...
def autocast() -> AbstractContextManager[None]: ...
