"""`clip-skip inspect`: which clip skip LoRAs and checkpoints were made for, and pictures were made at."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_skip.made_for import remembered
from clip_skip.made_for.reading import Problem
from clip_skip.messages.lines import columns
from clip_skip.messages.message import FIELD_PROBLEM, MessageError, Template, reason
from clip_skip.messages.safe_text import json_text, printable
from clip_skip.pictures.errors import PictureError
from clip_skip.pictures.facts import PictureFacts, read_facts
from clip_skip.standalone.cli.console import print_lines, warn
from clip_skip.standalone.cli.errors import ArgumentError, check_png
from clip_skip.standalone.cli.inspect_pictures import described, is_picture, picture_answer, pictures_in
from clip_skip.standalone.remembering import own_store

if TYPE_CHECKING:
    from clip_skip.made_for.findings import Finding

__all__ = ["add_arguments", "run"]

NOT_A_MODEL = Template("{file} is not the file of a checkpoint or a LoRA")
REMEMBERED = Template("{file}: clip skip {value} is remembered, in {kept_in}")
FORGOTTEN = Template("{file}: forgotten")
NOTHING_IN_IT = Template("{folder} contains no .safetensors file and no picture")

MODELS = (".safetensors", ".ckpt", ".pt")

INSPECT_HEADINGS = ("file", "model", "metadata", "weights", "verdict")

DESCRIPTION = (
    "Show which clip skip a LoRA was trained at, from its weights, its metadata and the files beside it; and a "
    "checkpoint, compared with the base it was made from. Of models only .safetensors files are opened. Of a picture "
    "(PNG, JPEG, WebP, AVIF, or an infotext in a file): which tool made it, at which clip skip, and with what settings."
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("files", nargs="+", type=Path, metavar="FILE|DIR", help="a .safetensors file, a picture, or a folder of them")
    add("--base", type=Path, metavar="FILE", help="the checkpoint that checkpoints were made from")
    add("--json", action="store_true", help="print JSON")
    keep = command.add_mutually_exclusive_group()
    keep.add_argument(
        "--remember", type=int, metavar="N", help="remember clip skip N for the files, beside each of them"
    )
    keep.add_argument("--forget", action="store_true", help="forget what was remembered for the files")
    add("--figure", type=Path, metavar="FILE.png", help="draw a bar for each block of each file; its folder is created")


def run(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from clip_skip.made_for.findings import inspect

    if arguments.remember is not None or arguments.forget:
        return keep_values(arguments.files, arguments.remember)
    if arguments.figure:
        check_png("--figure", arguments.figure)
    base = None if arguments.base is None else str(arguments.base)
    if base is not None:
        try:
            inspect(base)
        except Problem as problem:
            raise ArgumentError(FIELD_PROBLEM(field="--base", problem=problem.message)) from problem
    files = listed(arguments.files)
    findings: list[Finding] = []
    pictures: dict[Path, PictureFacts] = {}
    answers: list[dict[str, Any]] = []
    for file in tqdm(files, unit="file", leave=False, disable=None if len(files) > 1 else True):
        try:
            if is_picture(file):
                pictures[file] = read_facts(file)
                answers.append(picture_answer(file, pictures[file]))
                continue
            findings.append(inspect(str(file), base))
            answers.append(findings[-1].as_json())
        except Problem as problem:
            answers.append({"file": str(file), "problem": str(problem)})
            tqdm.write(printable(problem), file=sys.stderr)
        except PictureError as error:
            answers.append({"file": str(file), "problem": f"{error}."})
            tqdm.write(printable(f"{error}."), file=sys.stderr)
    if arguments.json:
        print(json_text(answers))
    else:
        if findings:
            print_lines(*table(findings))
        for file, facts in pictures.items():
            print_lines(*described(file, facts))
    if arguments.figure:
        save_figure(findings, arguments.figure)
        say = warn if arguments.json else print_lines
        say(arguments.figure)
    return 1 if len(findings) + len(pictures) < len(files) else 0


def keep_values(paths: Sequence[Path], value: int | None) -> int:
    """Remembers `value` for each of the models at `paths`, or forgets it if it is None."""
    store, has_failed = own_store(), False
    try:
        value = value if value is None else remembered.check_value(value)
    except MessageError as error:
        raise ArgumentError(FIELD_PROBLEM(field="--remember", problem=error.message)) from error
    for path in paths:
        if path.suffix.lower() not in MODELS or not path.is_file():
            raise ArgumentError(NOT_A_MODEL(file=str(path)))
    for path in paths:
        try:
            if value is None:
                remembered.forget(str(path), store)
                print_lines(FORGOTTEN(file=str(path)))
            else:
                kept_in = remembered.remember(str(path), value, store)
                print_lines(REMEMBERED(file=str(path), value=value, kept_in=kept_in))
        except Problem as problem:
            has_failed = True
            warn(problem)
    return int(has_failed)


def listed(paths: Sequence[Path]) -> list[Path]:
    """The files of `paths`, each once; for a folder all .safetensors in and below it, or, without any, all
    pictures. Raises `ArgumentError`."""
    files: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            files[path] = None
            continue
        inside = sorted(file for file in path.rglob("*") if file.suffix.lower() == ".safetensors" and file.is_file())
        inside = inside or pictures_in(path)
        if not inside:
            raise ArgumentError(NOTHING_IN_IT(folder=str(path)))
        files |= dict.fromkeys(inside)
    return [*files]


def table(findings: Sequence[Finding]) -> Iterator[str]:
    """A line for each file, and below it why."""
    rows = [INSPECT_HEADINGS, *map(finding_row, findings)]
    widths = [max(columns(cells[column]) for cells in rows) for column in range(len(INSPECT_HEADINGS))]
    lines = ["  ".join(cell + " " * (most - columns(cell)) for cell, most in zip(cells, widths)) for cells in rows]
    yield lines[0].rstrip()
    for line, finding in zip(lines[1:], findings):
        yield line.rstrip()
        yield f"    {finding.verdict.reason}"


def finding_row(finding: Finding) -> tuple[str, ...]:
    from clip_skip.made_for.findings import changed_blocks

    metadata, verdict = finding.metadata, finding.verdict
    certain = "" if verdict.certainty == "exact" else f" ({verdict.certainty})"
    block_counts = changed_blocks(finding)
    return (
        printable(Path(finding.file).name),
        f"{finding.model or 'unknown model'}, {finding.kind}",
        str(metadata.value) if metadata else "-",
        f"{block_counts[0]} of {block_counts[1]} blocks" if block_counts else "-",
        f"{verdict.clip_skip}{certain}" if verdict.clip_skip else "-",
    )


def save_figure(findings: Sequence[Any], path: Path) -> None:
    try:
        from clip_skip.made_for import blocks_figure
    except ImportError as error:
        raise ArgumentError(FIELD_PROBLEM(field="--figure", problem=reason(error))) from error
    from clip_skip.standalone.files import save_picture

    try:
        save_picture(blocks_figure.draw_blocks_figure(findings), path)
    except (ValueError, OSError) as error:
        raise ArgumentError(FIELD_PROBLEM(field="--figure", problem=reason(error))) from error
