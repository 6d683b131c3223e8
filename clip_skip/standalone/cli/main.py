"""The `clip-skip` command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from clip_skip.standalone.cli import app, demo_model, inspect, layers, study, sweep
from clip_skip.standalone.option_kinds import FieldError
from clip_skip.sweep.axis import SweepError

COMMANDS = {"sweep": sweep, "study": study, "demo-model": demo_model, "layers": layers, "inspect": inspect, "app": app}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv`; its exit code. Arguments that cannot be used end it with code 2."""
    parser = argparse.ArgumentParser(prog="clip-skip", description="See what clip skip does.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {installed()}")
    commands = parser.add_subparsers(dest="command", required=True)
    parsers = {}
    for name, module in COMMANDS.items():
        parsers[name] = commands.add_parser(
            name,
            help=module.HELP,
            description=getattr(module, "DESCRIPTION", None),
            epilog=getattr(module, "EXAMPLES", None),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(parsers[name])
    arguments = parser.parse_args(argv)
    try:
        status: int = COMMANDS[arguments.command].run(arguments)
        return status
    except (SweepError, FieldError) as error:
        parsers[arguments.command].error(str(error))


def installed() -> str:
    """The version of the package."""
    try:
        return version("clip-skip")
    except PackageNotFoundError:
        return "(not installed)"
