"""`clip-skip app`: a page in the browser."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from clip_skip.messages.catalogues import languages
from clip_skip.messages.message import Template, reason
from clip_skip.standalone.cli.arguments import (
    ArgumentError,
    add_loading,
    add_options,
    as_argument_errors,
    check_folder,
    check_is_file,
    checkpoint,
    device,
    given_values,
    loading,
    within,
)
from clip_skip.standalone.options import OPTIONS, defaults

__all__ = ["add_arguments", "run"]

PORT_TAKEN = Template("{port} is taken")
NO_PORT = Template("no port from 7860 on is free")
NEEDS_APP = Template('{problem}; the page needs more: in the folder of Clip Skip run pip install ".[standalone,app]"')

APP = tuple(option for option in OPTIONS if option.name == "emphasis")
"""The initial values of the page."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--model", default="demo", metavar="FILE", help="an SD1, SD2 or SDXL checkpoint (.safetensors), or demo")
    add("--loras", type=Path, metavar="DIR", help="LoRAs, for prompts and to be told what they were made for")
    add_loading(command)
    add_options(command, APP)
    add("--models", type=Path, metavar="DIR", help="checkpoints to choose among; default: the folder of --model")
    add("--device", help="cpu, cuda, cuda:1; default: cuda if there is one")
    add("--port", type=int, help="default: the first free one from 7860 on")
    add("--language", choices=languages(), help="default: English")
    add("--no-browser", action="store_true", help="do not open a browser")
    add("--out", type=Path, default=Path("clip-skip-app"), metavar="DIR", help="for what is made; default: %(default)s")


def run(arguments: argparse.Namespace) -> int:
    try:
        import torch

        from clip_skip.standalone.app.page import Page, main
        from clip_skip.standalone.app.studio import Studio
    except ImportError as error:
        raise ArgumentError(NEEDS_APP(problem=str(error))) from error
    values = defaults(arguments.model == "demo") | given_values(arguments, APP)
    if arguments.port is not None:
        within("--port", arguments.port, 1, 65535)
    check_folder("--models", arguments.models)
    check_is_file("--model", checkpoint(arguments.model))
    how = replace(loading(arguments), emphasis=values["emphasis"])
    name = device(arguments.device, torch.cuda.is_available())
    try:
        torch.empty(0, device=name)
    except RuntimeError as error:
        raise ArgumentError.of("--device", reason(error)) from error
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError.of("--out", reason(error)) from error
    try:
        with as_argument_errors():
            studio = Studio(checkpoint(arguments.model), name, arguments.out, how, arguments.models)
    except OSError as error:
        raise ArgumentError.of("--model", reason(error)) from error
    try:
        page = Page(studio, values, arguments.language)
        main(page, arguments.port, not arguments.no_browser)
    except OSError as error:
        problem = PORT_TAKEN(port=arguments.port) if arguments.port else NO_PORT
        raise ArgumentError.of("--port", problem) from error
    return 0
