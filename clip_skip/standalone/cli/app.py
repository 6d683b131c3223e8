"""`clip-skip app`: a page in the browser."""

from __future__ import annotations

import argparse
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

from clip_skip.messages.catalogues import languages
from clip_skip.messages.message import Template, reason
from clip_skip.skip import shorten
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
from clip_skip.standalone.cli.console import warn
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
    add(
        "--loras",
        type=Path,
        metavar="DIR",
        help="LoRAs, for prompts and for the tab that shows what they were made for",
    )
    add_loading(command)
    add_options(command, APP)
    add("--models", type=Path, metavar="DIR", help="checkpoints to choose among; default: the folder of --model")
    add("--device", help="cpu, cuda, cuda:1; default: cuda if there is one")
    add("--port", type=int, help="default: the first free one from 7860 on")
    add(
        "--listen",
        metavar="ADDRESS",
        help="address to listen on, for other machines (0.0.0.0: all interfaces)",
    )
    add("--auth", metavar="USER:PASSWORD", help="the login that a browser needs; required with --listen")
    add("--no-auth", action="store_true", help="with --listen: everyone who can reach the address may use the page")
    add("--language", choices=languages(), help="default: English")
    add("--no-browser", action="store_true", help="do not open a browser")
    add("--out", type=Path, default=Path("clip-skip-app"), metavar="DIR", help="for what is made; default: %(default)s")


NO_ADDRESS = Template("{value} is not an address or a name of this machine: {reason}")
NEEDS_AUTH = Template("others could use the page: give --auth USER:PASSWORD as well, or --no-auth if that is intended")
NOT_AN_ACCOUNT = Template("it has to be a name and a password with a colon between them")
NOT_BOTH = Template("it cannot be used together with --auth")
NEEDS_LISTEN = Template("it needs --listen")
WORKING_FOLDER = Template(
    "{path} is the current folder or one of its parents; the page needs a folder of its own, because anyone who uses "
    "the page can read its files"
)
OPEN_TO_ALL = Template("Whoever reaches {address} can use this page and read what is in {folder}.")


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
    access = access_of(arguments)
    check_out(arguments.out)
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
        main(page, arguments.port, not arguments.no_browser, access)
    except OSError as error:
        problem = PORT_TAKEN(port=arguments.port) if arguments.port else NO_PORT
        raise ArgumentError.of("--port", problem) from error
    return 0


def access_of(arguments: argparse.Namespace) -> Any:
    """Who may use the page. ArgumentError if others could without a password, unless --no-auth allows it."""
    from clip_skip.standalone.app.access import LOCAL, Access, is_loopback

    listen = LOCAL if arguments.listen is None else arguments.listen.strip("[] ")
    user, colon, password = (arguments.auth or "").partition(":")
    if arguments.auth is not None and not (user and colon and password):
        raise ArgumentError.of("--auth", NOT_AN_ACCOUNT)
    if arguments.no_auth and arguments.auth is not None:
        raise ArgumentError.of("--no-auth", NOT_BOTH)
    if arguments.no_auth and arguments.listen is None:
        raise ArgumentError.of("--no-auth", NEEDS_LISTEN)
    try:
        check_address(listen)
    except (OSError, ValueError) as error:
        problem = NO_ADDRESS(value=shorten(listen), reason=getattr(error, "strerror", None) or str(error))
        raise ArgumentError.of("--listen", problem) from error
    if not is_loopback(listen) and arguments.auth is None:
        if not arguments.no_auth:
            raise ArgumentError.of("--listen", NEEDS_AUTH)
        warn(OPEN_TO_ALL(address=listen, folder=str(arguments.out)))
    return Access(listen, user, password)


def check_address(listen: str) -> None:
    """OSError or ValueError unless a page can be served at `listen`."""
    if not listen:
        raise ValueError("it is empty")
    family, kind, protocol, _, place = socket.getaddrinfo(listen, 0, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.bind(place)


def check_out(out: Path) -> None:
    """ArgumentError unless `out` is a folder of its own: everything in it is shared with the page."""
    whole = out.resolve()
    if whole in (Path.cwd(), *Path.cwd().parents):
        raise ArgumentError.of("--out", WORKING_FOLDER(path=str(whole)))
