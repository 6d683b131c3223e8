"""Arguments that several commands have: the model, the device; and errors in arguments."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from clip_skip.messages.message import MessageError, Template, reason
from clip_skip.skip import shorten
from clip_skip.standalone.cli.errors import ArgumentError, check_png
from clip_skip.standalone.cluster.connection import LOCAL, Cluster, connected
from clip_skip.standalone.cluster.errors import ClusterError
from clip_skip.standalone.demo.model import CHECKPOINT
from clip_skip.standalone.engine.loading import DTYPES, Loading
from clip_skip.standalone.files import InUseError, locked
from clip_skip.standalone.models.header import CheckpointError, inspect
from clip_skip.standalone.models.sizes import Sizes
from clip_skip.standalone.option_kinds import Choice, Number, OptionKind
from clip_skip.standalone.options import Option, defaults
from clip_skip.standalone.prompts.networks import EmbeddingError, LoraError

__all__ = [
    "A_FOLDER",
    "DEMO_PROMPT",
    "NEEDS_RAY",
    "NOT_A_FOLDER",
    "ArgumentError",
    "add_cluster",
    "add_loading",
    "add_options",
    "as_argument_errors",
    "check_folder",
    "check_is_file",
    "check_png",
    "checked",
    "checkpoint",
    "cluster_of",
    "device",
    "given_values",
    "known_name",
    "loading",
    "size",
    "sizes_for",
    "within",
    "writing_to",
]

DEMO_PROMPT = defaults(demo=True)["prompt"]

NOT_A_FOLDER = Template("{path} is not a folder")
A_FOLDER = Template("{path} is a folder; name a .safetensors file in it")
NOT_A_SIZE = Template("{value} is not a size such as 512 or 512x768")
NOT_A_MULTIPLE = Template("{width}x{height} is not a multiple of {factor} in both directions")
NOT_A_DEVICE = Template("{value} is not cpu, gpu, cuda, cuda:1 or mps")
NO_CUDA = Template("there is no CUDA GPU that torch can use")
EMPTY_NAME = Template("it is empty, or the folder in which the command runs; name a folder")
NOT_WRITTEN = Template("{file}: {reason}. Finished pictures are kept; run the same command again to make the rest")
NEEDS_RAY = Template("it needs --ray")


def checkpoint(model: str) -> Path:
    """The file of `--model`; "demo" is the bundled demo model."""
    return CHECKPOINT if model == "demo" else Path(model)


@contextmanager
def as_argument_errors(model: str = "--model", prompt: str = "--prompt") -> Iterator[None]:
    """Turns errors in a checkpoint, a LoRA or a textual inversion into errors in an argument."""
    try:
        yield
    except CheckpointError as error:
        raise ArgumentError.of(model, reason(error)) from error
    except LoraError as error:
        raise ArgumentError.of(prompt, reason(error)) from error
    except EmbeddingError as error:
        raise ArgumentError.of("--embeddings", reason(error)) from error


def sizes_for(path: Path, width: int, height: int, option: str = "--model") -> Sizes:
    """The sizes of the checkpoint of `option`. ArgumentError if it is not one, or cannot make pictures of this size."""
    check_is_file(option, path)
    with as_argument_errors(option):
        sizes = inspect(path)
    if width % sizes.vae_factor or height % sizes.vae_factor:
        raise ArgumentError.of("--size", NOT_A_MULTIPLE(width=width, height=height, factor=sizes.vae_factor))
    return sizes


def add_options(command: argparse.ArgumentParser, options: Iterable[Option]) -> None:
    """Adds the arguments of those `options` that have a flag."""
    for option in options:
        if option.flag:
            command.add_argument(option.flag, type=type_of(option.kind), metavar=option.metavar, help=help_of(option))


def type_of(kind: OptionKind) -> type[int | float | str]:
    if isinstance(kind, Number):
        return int if kind.whole else float
    return str


def help_of(option: Option) -> str:
    """The option's help, with its default unless that is empty or already in the text."""
    parts = [option.help] if option.help else []
    if option.default not in (None, "") and "default" not in option.help:
        parts.append(f"default: {option.default}")
    if option.demo is not None:
        parts.append(f"with --model demo: {option.demo}" if parts else f"default, with --model demo: {option.demo}")
    return "; ".join(parts)


def given_values(arguments: argparse.Namespace, options: Iterable[Option]) -> dict[str, Any]:
    """The checked values of the given `options`. FieldError names the argument."""
    values = {option: getattr(arguments, option.argument) for option in options if option.flag}
    return {option.name: option.check(value, option.flag) for option, value in values.items() if value is not None}


def known_name(flag: str, value: str, names: Sequence[str]) -> str:
    """The matching entry of `names`, case-insensitive. ArgumentError suggests a similar one."""
    return str(checked(flag, Choice(tuple(names)), value))


def checked(flag: str, kind: OptionKind, value: Any) -> Any:
    try:
        return kind.check(value)
    except MessageError as error:
        raise ArgumentError.of(flag, error.message) from None


def check_is_file(option: str, path: Path) -> None:
    if path.is_dir():
        raise ArgumentError.of(option, A_FOLDER(path=str(path)))


def size(text: str, option: str = "--size", least: int = 64) -> tuple[int, int]:
    """Width and height from `512` or `512x768`, neither below `least`."""
    numbers = text.lower().split("x")
    if len(numbers) > 2 or not all(number.isdecimal() and len(number) <= 4 for number in numbers):
        raise ArgumentError.of(option, NOT_A_SIZE(value=shorten(text)))
    width, height = int(numbers[0]), int(numbers[-1])
    within(option, min(width, height), least, 4096)
    within(option, max(width, height), 64, 4096)
    return width, height


def add_loading(command: argparse.ArgumentParser) -> None:
    """The arguments of how the model is loaded, besides `--loras`."""
    add = command.add_argument
    add("--embeddings", type=Path, metavar="DIR", help="textual inversions that prompts may name")
    add("--dtype", metavar=f"{{{','.join(DTYPES)}}}", help="default: float16 on a GPU, else float32")
    add(
        "--low-memory",
        action="store_true",
        default=None,
        help="keep only what is running on the GPU; default: where the model does not fit there",
    )


def loading(arguments: argparse.Namespace) -> Loading:
    """How to load the model, except for the emphasis. ArgumentError if a path is not a folder."""
    for option in ("--loras", "--embeddings"):
        check_folder(option, getattr(arguments, option[2:]))
    dtype = known_name("--dtype", arguments.dtype, DTYPES) if arguments.dtype else ""
    low_memory = bool(arguments.low_memory)
    return Loading(dtype, loras=arguments.loras, embeddings=arguments.embeddings, low_memory=low_memory)


def check_folder(option: str, folder: Path | None) -> None:
    if folder is not None and not folder.is_dir():
        raise ArgumentError.of(option, NOT_A_FOLDER(path=str(folder)))


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
    """The requested cluster, while the block runs; problems with it become errors in an argument."""
    actors, cpus = arguments.actors or 0, 1 if arguments.actor_cpus is None else arguments.actor_cpus
    for flag, value in (("--actors", arguments.actors), ("--actor-cpus", arguments.actor_cpus)):
        if value and not arguments.ray:
            raise ArgumentError.of(flag, NEEDS_RAY)
    within("--actors", actors, 0, 100_000)
    within("--actor-cpus", cpus, 1, 1024)
    if not arguments.ray:
        yield None
        return
    try:
        with connected(arguments.ray, actors, cpus) as cluster:
            yield cluster
    except ClusterError as error:
        raise ArgumentError(reason(error)) from error


@contextmanager
def writing_to(out: Path) -> Iterator[None]:
    """While the block runs, nobody else writes into the folder of `--out`, which is created.

    Any problem with it is reported as a wrong argument; finished files stay there.
    """
    if out == Path():
        raise ArgumentError.of("--out", EMPTY_NAME)
    try:
        with locked(out):
            with TemporaryFile(dir=out):
                pass
            yield
    except InUseError as error:
        raise ArgumentError.of("--out", error.message) from error
    except OSError as error:
        problem = NOT_WRITTEN(file=str(error.filename or out), reason=error.strerror or str(error))
        raise ArgumentError.of("--out", problem) from error


def within(name: str, value: float, low: float, high: float) -> None:
    checked(name, Number(low, high), value)


def device(text: str | None, has_cuda: bool) -> str:
    """The name of the torch device. "gpu" is "cuda", in any case. ArgumentError if there is no such device."""
    name = (text or ("cuda" if has_cuda else "cpu")).lower()
    kind, _, number = name.partition(":")
    kind = "cuda" if kind == "gpu" else kind
    if kind not in ("cpu", "cuda", "mps"):
        raise ArgumentError.of("--device", NOT_A_DEVICE(value=shorten(name)))
    if kind == "cuda" and not has_cuda:
        raise ArgumentError.of("--device", NO_CUDA)
    return f"{kind}:{number}" if number else kind
