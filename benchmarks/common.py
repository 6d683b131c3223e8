"""What the benchmarks share: models made in memory, a stand-in tokenizer, time, and tables."""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import transformers
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing

from clip_skip.standalone.models import checkpoint
from clip_skip.standalone.models.sizes import Sizes
from clip_skip.standalone.prompts.tokens import END, START
from tests.random_model import SMALL, random_weights

SIZES = {"small": SMALL, "sd15": Sizes()}
PROMPT = "a large red circle left of a small blue square on a grey background"
NEGATIVE = "blurry picture"


def parser(description: str | None) -> argparse.ArgumentParser:
    """Arguments that all benchmarks take."""
    made = argparse.ArgumentParser(description=description)
    cuda = torch.cuda.is_available()
    made.add_argument("--device", default="cuda" if cuda else "cpu", choices=["cuda", "cpu"])
    made.add_argument("--weights", choices=SIZES, help="sizes of the random model; default: sd15 on cuda, small on cpu")
    return made


def prepared(arguments: argparse.Namespace) -> tuple[Sizes, torch.dtype]:
    """Sizes and dtype for the arguments; fp16 on CUDA as in the product, float32 on CPU."""
    arguments.weights = arguments.weights or ("sd15" if arguments.device == "cuda" else "small")
    return SIZES[arguments.weights], torch.float16 if arguments.device == "cuda" else torch.float32


def random_models(sizes: Sizes, device: str, dtype: torch.dtype) -> checkpoint.Models:
    """A model with random weights, made in memory."""
    weights = {name: weight.to(dtype) for name, weight in random_weights(sizes, device=device)}
    models = checkpoint.build_models(weights, sizes, device, dtype)
    if not hasattr(models.text_encoder, "text_model"):  # diffusers' clip_skip looks there; transformers 5 has none
        object.__setattr__(models.text_encoder, "text_model", models.text_encoder)
    return models


def word_tokenizer() -> tuple[Tokenizer, transformers.PreTrainedTokenizerFast]:
    """A token per word, as a bare tokenizer and as diffusers wants it: open_clip's vocabulary is not needed."""
    words = dict.fromkeys([*PROMPT.split(), *NEGATIVE.split()])
    vocabulary = {word: 320 + index for index, word in enumerate(words)} | {"<start>": START, "<end>": END}
    bare = Tokenizer(WordLevel(vocabulary, unk_token="<end>"))
    bare.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    framed = Tokenizer.from_str(bare.to_str())
    special = [("<start>", START), ("<end>", END)]
    framed.post_processor = TemplateProcessing(single="<start> $A <end>", special_tokens=special)
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=framed,
        bos_token="<start>",
        eos_token="<end>",
        pad_token="<end>",
        unk_token="<end>",
        model_max_length=77,
    )
    return bare, wrapped


def seconds(
    work: Callable[[], object], repeats: int, device: str, warm_up: Callable[[], object] | None = None
) -> float:
    """The median time of `work`, after one call of `warm_up`, or else of `work`, that is not counted."""
    (warm_up or work)()
    times = []
    for _ in range(repeats):
        synchronize(device)
        began = time.perf_counter()
        work()
        synchronize(device)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def synchronize(device: str) -> None:
    """Wait until the device has done all it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def matmul_peak(device: str, dtype: torch.dtype) -> float:
    """The floating point operations per second of a large matrix product: what this device can reach."""
    side = 8192 if device == "cuda" else 1536
    one, other = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    count = 20 if device == "cuda" else 2

    def work() -> None:
        for _ in range(count):
            torch.mm(one, other)

    return 2 * side**3 * count / seconds(work, 5, device)


def machine(device: str) -> str:
    """One line on what this ran on."""
    name = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU threads"
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    return f"{name}, Python {platform.python_version()}, {versions}, {time.strftime('%Y-%m-%d')}"
