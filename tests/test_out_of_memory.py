import pytest
import torch

from clip_skip.out_of_memory import is_out_of_memory


@pytest.mark.parametrize(
    ("error", "yes"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 18.0 GB)"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("Could not allocate tensor. There is not enough GPU video memory available!"), True),
        (MemoryError(), True),
        (RuntimeError("size mismatch"), False),
        (ValueError("out of memory"), False),
        (OSError(12, "Out of memory"), False),
    ],
)
def test_what_a_smaller_batch_may_help_against(error, yes):
    assert is_out_of_memory(error) is yes


def test_the_webui_and_the_engine_have_one_rule(standins):
    from clip_skip.standalone.engine import engine
    from clip_skip.webui.sweep import run

    assert run.is_out_of_memory is is_out_of_memory
    assert not hasattr(engine, "is_out_of_memory") or engine.is_out_of_memory is is_out_of_memory
