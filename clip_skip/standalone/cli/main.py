"""The `clip-skip` command.

Each command imports only what it needs: `--help` and `--version` answer at once, without the libraries of the others.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn

from clip_skip.messages.message import MessageError, Template
from clip_skip.messages.safe_text import printable

__all__ = ["main"]


@dataclass(frozen=True)
class Command:
    """extras: the extras that it needs, as in `pip install ".[...]"`"""

    help: str
    extras: str = "standalone"


COMMANDS = {
    "sweep": Command("a grid of clip skips and CFG scales with one seed"),
    "study": Command("which clip skip is better, over many prompts, seeds and checkpoints", "standalone,study"),
    "demo-model": Command("write the bundled demo model where a WebUI finds it"),
    "layers": Command("how alike the text encoder's layers are for a prompt"),
    "inspect": Command("which clip skip LoRAs and checkpoints were made for"),
    "app": Command("a page in the browser: pictures, sweeps, layers, and what LoRAs were made for", "standalone,app"),
}

MISSING = Template(
    '{command} needs {library}, which is not installed. In Clip Skip\'s folder: pip install ".[{extras}]"'
)
INTERRUPTED = Template("Interrupted.")

SIGINT_STATUS = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv`; its exit status. Arguments that cannot be used end it with status 2."""
    open_missing_streams()
    try:
        status = run_command(sys.argv[1:] if argv is None else list(argv))
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:  # while libraries are imported, or figures are drawn
        print(f"\n{INTERRUPTED}", file=sys.stderr)
        return SIGINT_STATUS
    except BrokenPipeError:  # the reader has gone: `clip-skip ... | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it again at exit
        return 0


def open_missing_streams() -> None:
    """If standard output or error is closed, libraries that write to it would fail, or write into another file."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for names and prompts outside the console's encoding


class Parser(argparse.ArgumentParser):
    """Errors quote the arguments, safely for a terminal."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def run_command(argv: Sequence[str]) -> int:
    parser = Parser(prog="clip-skip", description="See what clip skip does.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {installed()}")
    commands = parser.add_subparsers(dest="command", required=True)
    command_name = next((word for word in argv if word in COMMANDS), None)
    for name, command in COMMANDS.items():
        if name != command_name:
            commands.add_parser(name, help=command.help)
    if command_name is None:
        parser.parse_args(argv)
        return 0
    try:
        return run_chosen(command_name, parser, commands, argv)
    except ModuleNotFoundError as error:
        if not error.name or error.name.partition(".")[0] == "clip_skip":
            raise
        extras = COMMANDS[command_name].extras
        print(MISSING(command=f"clip-skip {command_name}", library=error.name, extras=extras), file=sys.stderr)
        return 2


def run_chosen(name: str, parser: argparse.ArgumentParser, commands: Any, argv: Sequence[str]) -> int:
    """commands: the subparsers to which the command's own parser is added"""
    module: Any = importlib.import_module(f"clip_skip.standalone.cli.{name.replace('-', '_')}")
    own: argparse.ArgumentParser = commands.add_parser(
        name,
        help=COMMANDS[name].help,
        description=getattr(module, "DESCRIPTION", None),
        epilog=getattr(module, "EXAMPLES", None),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(own)
    arguments = parser.parse_args(argv)
    try:
        status: int = module.run(arguments)
        return status
    except MessageError as error:
        own.error(str(error))


def installed() -> str:
    """The version of the package."""
    try:
        return version("clip-skip")
    except PackageNotFoundError:
        return "(not installed)"
