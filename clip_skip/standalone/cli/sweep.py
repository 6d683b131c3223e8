"""`clip-skip sweep`: a grid of clip skips and CFG scales with one seed."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from clip_skip.messages.message import Message, Template
from clip_skip.prompt.override import warn_replaced
from clip_skip.prompt.parsed import find_warnings, parse_negative, parse_prompt
from clip_skip.standalone.cli.arguments import ArgumentError, as_argument_errors, cluster_of, writing_to
from clip_skip.standalone.cli.console import print_lines, warn
from clip_skip.standalone.cli.like import fill_from_picture
from clip_skip.standalone.cli.sweep_arguments import add_arguments, job_of
from clip_skip.standalone.prompts.networks import network_warnings
from clip_skip.standalone.sweep.folder import clear, find_another_sweep
from clip_skip.standalone.sweep.job import SweepJob
from clip_skip.standalone.sweep.run import make_sweep as run_job

__all__ = ["add_arguments", "run"]

DESCRIPTION = (
    "Make a grid of clip skips and CFG scales with one seed. The same command again makes only what is missing; "
    "another sweep never takes a folder that is in use."
)
EXAMPLES = """examples:
  clip-skip sweep
  clip-skip sweep --model model.safetensors --prompt "a red cow" --skips "1-3 (+0.5)" --cfg 7 --report
  clip-skip sweep --rows seed --row-values 1-8 --report
  clip-skip sweep --like picture.png --models models/Stable-diffusion
  clip-skip sweep --like picture.png --models models/Stable-diffusion --skips 1-12
  clip-skip sweep --ray
"""

STOPPED = Template(
    "Stopped. {done} of {cells} cells are in {folder}, with a grid and a page of them; "
    "the same command makes the others."
)
STOPPED_AT_ONCE = Template("Stopped. No cell was finished; the same command starts again.")
ONE_CELL_MADE = Template("1 cell made")
CELLS_MADE = Template("{made} cells made")
SWEEP_MADE = Template("{summary}, {kept} kept, in {seconds} s: {page}")
ANOTHER_FOLDER = Template("{problem}; give another folder, or --replace")


def run(arguments: argparse.Namespace) -> int:
    like, left_out = fill_from_picture(arguments) if arguments.like else (None, [])
    with cluster_of(arguments) as cluster:
        job = job_of(arguments, cluster.device if cluster else "", like)
        warn(*left_out, *warnings(job, bool(arguments.like)))
        with as_argument_errors(), writing_to(job.out):
            claim_folder(job, arguments.replace)
            figures = run_job(job, cluster=cluster)
    new, old, total = figures["cells_made"], figures["cells_kept"], len(job.plan.cells)
    if "interrupted" in figures:
        message = STOPPED(done=new + old, cells=total, folder=str(job.out)) if new + old else STOPPED_AT_ONCE
        warn("", message)
        return 130
    summary = ONE_CELL_MADE if new == 1 else CELLS_MADE(made=new)
    seconds, page = f"{figures['seconds']:.1f}", str(job.out / "index.html")
    print_lines(SWEEP_MADE(summary=summary, kept=old, seconds=seconds, page=page))
    return 0


def warnings(job: SweepJob, like: bool) -> Iterator[Message]:
    """Messages about the tags and networks of the job's texts.

    With `--like` the single clip skip is the tag's own, so it isn't reported as replaced.
    """
    prompts = [parse_prompt(job.settings.prompt), parse_negative(job.settings.negative)]
    if hires := job.settings.hires:
        prompts += [parse_prompt(hires.prompt), parse_negative(hires.negative)]
    yield from find_warnings(prompts)
    yield from network_warnings(prompt.clean for prompt in prompts[::2])
    if not like or len(job.plan.cells) > 1:
        yield from warn_replaced(job.settings.prompt)


def claim_folder(job: SweepJob, replace: bool) -> None:
    """ArgumentError if another sweep is in the job's folder; with `replace` it is removed."""
    problem = find_another_sweep(job)
    if problem and not replace:
        raise ArgumentError.of("--out", ANOTHER_FOLDER(problem=problem))
    if problem:
        clear(job.out)
