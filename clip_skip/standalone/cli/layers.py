"""`clip-skip layers`: how alike the text encoder's layers are for a prompt."""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_skip.messages.message import reason
from clip_skip.standalone.cli.arguments import DEMO_PROMPT, ArgumentError, check_is_file, check_png, checkpoint
from clip_skip.standalone.cli.console import print_lines
from clip_skip.standalone.models.header import CheckpointError

__all__ = ["add_arguments", "run"]

DESCRIPTION = "Draw how alike the layers of a text encoder are for a prompt, from one pass."


def add_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "--model",
        default="demo",
        metavar="FILE",
        help="an SD1, SD2 or SDXL checkpoint (.safetensors), a text encoder alone (T5, UMT5, Gemma 2, Qwen, Ministral: "
        "ComfyUI's file or a folder of transformers), or demo",
    )
    add(
        "--tokenizer",
        type=Path,
        metavar="FOLDER",
        help="where the tokenizer.json of such a text encoder is, if not beside it",
    )
    add("--prompt", default=DEMO_PROMPT, help="default: %(default)s")
    add("--tower", choices=("l", "g"), type=str.lower, help="which of SDXL's encoders; default: l")
    add(
        "--words",
        default="",
        metavar="TEXT",
        help='of the prompt, whose curves are drawn, as in "cow, red"; default: three',
    )
    add("--dark", action="store_true", help="light on dark")
    add(
        "--out",
        type=Path,
        default=Path("layers.png"),
        metavar="FILE.png",
        help="default: %(default)s; its folder is created",
    )


def run(arguments: argparse.Namespace) -> int:
    from clip_skip.layers.figure import draw_layers
    from clip_skip.layers.measure import LayersError
    from clip_skip.standalone.files import save_picture
    from clip_skip.standalone.layers import measure_checkpoint_layers

    check_png("--out", arguments.out)
    if not checkpoint(arguments.model).is_dir():  # a folder of transformers
        check_is_file("--model", checkpoint(arguments.model))
    try:
        layers = measure_checkpoint_layers(
            checkpoint(arguments.model), arguments.prompt, arguments.tower, arguments.tokenizer
        )
    except (CheckpointError, LayersError, OSError) as error:
        raise ArgumentError.of("--model", reason(error)) from error
    try:
        tokens = layers.find_tokens(arguments.words)
    except LayersError as error:
        raise ArgumentError.of("--words", reason(error)) from error
    try:
        save_picture(draw_layers(layers, arguments.dark, tokens=tokens, sentences=True), arguments.out)
    except OSError as error:
        raise ArgumentError.of("--out", reason(error)) from error
    print_lines(*layers.sentences(), arguments.out)
    return 0
