"""`clip-skip demo-model`: the model in the box, put where a WebUI finds it."""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_skip.standalone.cli.arguments import ArgumentError
from clip_skip.standalone.demo.model import write_demo_model

__all__ = ["add_arguments", "run"]

HELP = "write the model in the box where a WebUI finds it"


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, metavar="DIR", help="such as models/Stable-diffusion of the WebUI")


def run(arguments: argparse.Namespace) -> int:
    if not arguments.folder.resolve().parent.is_dir():
        raise ArgumentError(f"DIR: there is no folder {arguments.folder.resolve().parent}")
    print(write_demo_model(arguments.folder))
    return 0
