"""`clip-skip demo-model`: puts the bundled demo model where a WebUI finds it."""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_skip.messages.message import reason
from clip_skip.standalone.cli.arguments import NOT_A_FOLDER, ArgumentError
from clip_skip.standalone.cli.console import print_lines
from clip_skip.standalone.demo.model import write_demo_model

__all__ = ["add_arguments", "run"]


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, metavar="DIR", help="such as models/Stable-diffusion of the WebUI")


def run(arguments: argparse.Namespace) -> int:
    folder: Path = arguments.folder
    if not folder.resolve().parent.is_dir():
        raise ArgumentError.of("DIR", NOT_A_FOLDER(path=str(folder.resolve().parent)))
    if folder.exists() and not folder.is_dir():
        raise ArgumentError.of("DIR", NOT_A_FOLDER(path=str(folder)))
    try:
        print_lines(write_demo_model(folder))
    except OSError as error:
        raise ArgumentError.of("DIR", reason(error)) from error
    return 0
