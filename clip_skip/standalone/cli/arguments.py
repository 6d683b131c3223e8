"""What the commands' arguments have in common: the model, the device, and how a wrong one is told."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clip_skip.messages.message import FIELD_PROBLEM, Template
from clip_skip.standalone.cluster.connection import LOCAL, Cluster, ClusterError, connected
from clip_skip.standalone.demo.model import CHECKPOINT
from clip_skip.standalone.engine.loading import DTYPES, EMPHASES, Loading
from clip_skip.standalone.models.header import CheckpointError, inspect
from clip_skip.standalone.models.sizes import Sizes
from clip_skip.standalone.prompts.networks import EmbeddingError, LoraError
from clip_skip.standalone.sampling.samplers import SAMPLERS

__all__ = [
    "DEMO_PROMPT",
    "DEMO_SEED",
    "SEED",
    "ArgumentError",
    "add_cluster",
    "add_loading",
    "check_png",
    "checkpoint",
    "cluster_of",
    "device",
    "known_sampler",
    "loading",
    "size",
    "sizes_for",
    "telling",
    "within",
]

DEMO_PROMPT, DEMO_SEED = "a small green triangle below a large orange ring on a black background", 1
"""Of forty pairs of prompt and seed the one that shows most of what clip skip does: see docs/demo-model.md."""

SEED = 2881122569
"""That of the sweep that made people curious, for models of one's own."""


class ArgumentError(ValueError):
    """An argument that cannot be used; the message names it."""


NOT_PNG = Template("the picture is saved as PNG, so the name must end in .png")
NO_FOLDER = Template("there is no folder {name}")


def check_png(option: str, path: Path) -> None:
    """Raise `ArgumentError` unless a PNG can be written to `path`: its name ends in .png, and its folder is there."""
    if path.suffix.lower() != ".png":
        raise ArgumentError(FIELD_PROBLEM(field=option, problem=NOT_PNG))
    if not path.parent.is_dir():
        raise ArgumentError(FIELD_PROBLEM(field=option, problem=NO_FOLDER(name=str(path.parent))))


def checkpoint(model: str) -> Path:
    """The file of `--model`; "demo" is the model in the box."""
    return CHECKPOINT if model == "demo" else Path(model)


@contextmanager
def telling(model: str = "--model", prompt: str = "--prompt") -> Iterator[None]:
    """What is wrong with a checkpoint, a LoRA or a textual inversion, told as a wrong argument."""
    try:
        yield
    except CheckpointError as error:
        raise ArgumentError(f"{model}: {error}") from error
    except LoraError as error:
        raise ArgumentError(f"{prompt}: {error}") from error
    except EmbeddingError as error:
        raise ArgumentError(f"--embeddings: {error}") from error


def sizes_for(path: Path, width: int, height: int, option: str = "--model") -> Sizes:
    """The sizes of the checkpoint of `option`. ArgumentError if it is none, or makes no pictures of this size."""
    with telling(option):
        sizes = inspect(path)
    if width % sizes.vae_factor or height % sizes.vae_factor:
        raise ArgumentError(f"--size: {width}x{height} is not a multiple of {sizes.vae_factor} in both directions")
    return sizes


def known_sampler(option: str, name: str) -> str:
    if name not in SAMPLERS:
        raise ArgumentError(f"{option}: {name!r} is not one of {', '.join(SAMPLERS)}")
    return name


def size(text: str, option: str = "--size", least: int = 64) -> tuple[int, int]:
    """Width and height from `512` or `512x768`, neither below `least`."""
    numbers = text.lower().split("x")
    if len(numbers) > 2 or not all(number.isdecimal() and len(number) <= 4 for number in numbers):
        raise ArgumentError(f"{option}: {text!r} is not a size such as 512 or 512x768")
    width, height = int(numbers[0]), int(numbers[-1])
    within(option, min(width, height), least, 4096)
    within(option, max(width, height), 64, 4096)
    return width, height


def add_loading(command: argparse.ArgumentParser) -> None:
    """The arguments of how the model is loaded, besides `--loras`."""
    add = command.add_argument
    add("--embeddings", type=Path, metavar="DIR", help="textual inversions that prompts may name")
    add("--emphasis", choices=EMPHASES, help="what (a:1.2) does, as in the WebUI's settings; default: Original")
    add("--dtype", choices=DTYPES, help="default: float16 on a GPU, else float32")


def loading(arguments: argparse.Namespace) -> Loading:
    """How the model is to be loaded. ArgumentError for a folder that is none."""
    for option, folder in (("--loras", arguments.loras), ("--embeddings", arguments.embeddings)):
        if folder is not None and not folder.is_dir():
            raise ArgumentError(f"{option}: {folder} is no folder")
    return Loading(arguments.dtype or "", arguments.emphasis or EMPHASES[0], arguments.loras, arguments.embeddings)


def add_cluster(command: argparse.ArgumentParser) -> None:
    """The arguments of a Ray cluster."""
    add = command.add_argument
    add(
        "--ray",
        nargs="?",
        const=LOCAL,
        metavar="ADDRESS",
        help="make the pictures on a Ray cluster; default: a local one",
    )
    add("--actors", type=int, metavar="N", help="with --ray: how many; default: one for each GPU, or each CPU")
    add("--actor-cpus", type=int, metavar="N", help="with --ray: CPUs for each; default: 1")


@contextmanager
def cluster_of(arguments: argparse.Namespace) -> Iterator[Cluster | None]:
    """The cluster that is asked for, while the block runs; what is wrong with it is told as a wrong argument."""
    actors, cpus = arguments.actors or 0, 1 if arguments.actor_cpus is None else arguments.actor_cpus
    within("--actors", actors, 0, 100_000)
    within("--actor-cpus", cpus, 1, 1024)
    if not arguments.ray:
        yield None
        return
    try:
        with connected(arguments.ray, actors, cpus) as cluster:
            yield cluster
    except ClusterError as error:
        raise ArgumentError(str(error)) from error


def within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ArgumentError(f"{name}: {value} is outside {low} to {high}")


def device(text: str | None, has_cuda: bool) -> str:
    name = text or ("cuda" if has_cuda else "cpu")
    if name.partition(":")[0] not in ("cpu", "cuda", "mps"):
        raise ArgumentError(f"--device: {name!r} is not cpu, cuda, cuda:1 or mps")
    if name.startswith("cuda") and not has_cuda:
        raise ArgumentError("--device: there is no CUDA GPU that torch can use")
    return name
