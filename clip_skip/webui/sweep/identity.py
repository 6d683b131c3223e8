"""A cell's identity: a digest of everything that its pixels depend on. Cells with one identity are the same picture.

It covers everything: each attribute of the host's processing object, each option, the arguments of each script, the
files that any of these or a text names. Exceptions are listed here, with the reason; a new field or option of a host
counts automatically.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from modules import shared

from clip_skip import panel
from clip_skip.panel import Panel, settled
from clip_skip.prompt.override import Override
from clip_skip.prompt.precedence import Texts
from clip_skip.sweep.plan import SweepCell
from clip_skip.webui import host_settings
from clip_skip.webui.host_types import Processing
from clip_skip.webui.hosts.encoders import ModelEncoders, describe_model, selected
from clip_skip.webui.hosts.header_option import OPTION, header_option
from clip_skip.webui.infotext import stop
from clip_skip.webui.sweep.batch import cell_seed, sweep_job
from clip_skip.webui.sweep.comparable import Incomparable, comparable, digest, strings
from clip_skip.webui.sweep.files import file_state, files_of_texts, model_files, named_files, names_a_checkpoint

__all__ = ["cell_identities"]

OF_THE_CELL = {"prompt", "negative_prompt", "seed", "subseed", "cfg_scale"}
"""Attributes that the cell's own values replace."""

LEFT_OUT = {
    "n_iter": "each grid of the batch count is a job of its own, with its own seed",
    "batch_size": "the cells of a batch are the same pictures in any number, to rounding",
    "outpath_samples": "where pictures are saved",
    "outpath_grids": "where grids are saved",
    "do_not_save_samples": "whether pictures are saved",
    "do_not_save_grid": "whether grids are saved",
    "comments": "shown on the page",
    "prompt_for_display": "shown on the page",
    "force_task_id": "the name of the request in the host's queue",
    "is_api": "where the request came from",
    "cached_c": "the host's memory of what it encoded",
    "cached_uc": "the host's memory of what it encoded",
    "cached_hr_c": "the host's memory of what it encoded",
    "cached_hr_uc": "the host's memory of what it encoded",
    "sd_model": "known by its file",
    "scripts": "code, whose arguments count",
    "scripts_value": "code, whose arguments count",
    "script_args": "counted script by script",
    "script_args_value": "counted script by script",
    "scripts_setup_complete": "whether the scripts have received their arguments",
    "clip_skip_state": "the cell's own clip skips count",
}
"""Attributes of the processing object that do not count, and why."""

SECTIONS_LEFT_OUT = {
    "saving-images": "how pictures are saved",
    "saving-videos": "how videos are saved",
    "saving-paths": "where pictures are saved",
    "saving-to-dirs": "where pictures are saved",
    "ui": "how the page looks",
    "ui_prompt_editing": "keys of the prompt boxes",
    "ui_gallery": "how the gallery looks",
    "ui_alternatives": "how the page looks",
    "preview": "pictures shown during sampling",
    host_settings.SECTION[0]: "what our own page offers and shows",
}
"""Sections of the host's options that do not count, and why."""

OPTIONS_LEFT_OUT = {
    OPTION: "counted where a cell's text follows it",
    "sd_model_checkpoint": "the checkpoint is known by its file",
    "sd_checkpoint_hash": "the checkpoint is known by its file",
    host_settings.PRESETS: "what our own page offers",
}
"""Options that do not count, and why."""


def cell_identities(job: Processing, cells: Iterable[SweepCell]) -> dict[SweepCell, str | None]:
    """The identity of each of `cells` of one grid; None for a cell that cannot be compared with any other.

    job: the host's processing object of the grid, before it is used
    """
    cells = list(cells)
    model, files = selected(job), cache(files_of_texts)
    encoders = None if model is None else describe_model(model)
    try:
        common = describe_job(job)
        several = model is None or names_a_checkpoint(strings([common["attributes"], common["scripts"]]))
        shared_part = digest(common)
        return {cell: digest([shared_part, describe_cell(job, cell, encoders, several, files)]) for cell in cells}
    except Incomparable:
        return dict.fromkeys(cells)


def describe_job(job: Processing) -> dict[str, object]:
    """Everything that the cells of a grid have in common."""
    description: dict[str, object] = {
        "kind": type(job).__name__,
        "attributes": {name: value for name, value in vars(job).items() if name not in {*LEFT_OUT, *OF_THE_CELL}},
        "styles": [styled("", job), styled("", job, negative=True)],
        "scripts": script_arguments(job),
        "options": {name: value for name, value in shared.opts.data.items() if counts(name)},
        "model": [file_state(file) for file in model_files(job)],
    }
    description = {name: comparable(value) for name, value in description.items()}
    texts = list(strings(description))  # other extensions' prompts are among them
    files = sorted({*named_files(texts), *files_of_texts(texts)})
    return {**description, "files": [file_state(file) for file in files]}


def describe_cell(
    job: Processing,
    cell: SweepCell,
    encoders: ModelEncoders | None,
    several: bool,
    files: Callable[[tuple[str, ...]], list[str]],
) -> object:
    """Everything that may differ between the cells of a grid.

    encoders: the loaded model's, None where it is loaded later.
    several: whether other checkpoints, or one that is not loaded yet, are used too, so that `encoders` are not all.
    """
    sweep = sweep_job(job)
    prompt, negative = sweep.plan.rows.texts(job.prompt, job.negative_prompt, cell.value)
    override = sweep.settings.override(cell)
    prompt, negative = styled(prompt, job), styled(negative, job, negative=True)
    hires_prompt = styled(getattr(job, "hr_prompt", ""), job) or prompt
    hires_negative = styled(getattr(job, "hr_negative_prompt", ""), job, negative=True) or negative
    texts = (*override.texts(prompt, negative), *override.texts(hires_prompt, hires_negative))
    description: dict[str, object] = {
        "texts": texts,
        "seed": cell_seed(job, cell),
        "subseed": job.subseed if job.subseed_strength else None,
        "cfg_scale": float(cell.value) if sweep.plan.rows.kind.name == "cfg" else job.cfg_scale,
        "files": [file_state(file) for file in files(texts)],
    }
    if several:
        description["override"] = dataclasses.asdict(override)
        description["panel"] = dataclasses.asdict(panel_of_job(job))
        description["header"] = header_option()
    if encoders is not None:
        description["clip_skips"] = clip_skips(
            job, encoders, override, (prompt, negative), (hires_prompt, hires_negative)
        )
    return comparable(description)


def clip_skips(
    job: Processing, encoders: ModelEncoders, override: Override, first: tuple[str, str], hires: tuple[str, str]
) -> list[object]:
    """The layer at which each text encoder stops for each part of the texts, in the first pass and the hires pass."""
    header_g = next((stop(host, None) for host in encoders.hosts if host.encoder.tower == "g"), None)
    effective = override.panel(panel_of_job(job), first[0], encoders.header_skip or 1.0, header_g)
    prompt_skip, negative_skip = effective.skips()
    prompt, negative = override.texts(*first)
    passes = [Texts(prompt, negative, prompt_skip, negative_skip)]
    if getattr(job, "enable_hr", False):
        prompt, negative = override.texts(*hires)
        passes.append(Texts(prompt, negative, prompt_skip, negative_skip, True, passes[0].prompt))
    return [
        [[stop(host, values.get(host.encoder.tower)) for host in encoders.hosts] for values in texts.values()]
        for texts in passes
    ]


def counts(option: str) -> bool:
    """Whether an option of the host may change pixels."""
    section = getattr(shared.opts.data_labels.get(option), "section", None) or (None,)
    return option not in OPTIONS_LEFT_OUT and section[0] not in SECTIONS_LEFT_OUT


def panel_of_job(job: Processing) -> Panel:
    """Our panel; off where the host runs without it."""
    for title, values in all_script_arguments(job):
        if title == panel.TITLE:
            try:
                return Panel.from_args(values if getattr(job, "is_api", False) else settled(values))
            except ValueError:
                raise Incomparable from None
    return Panel()


def script_arguments(job: Processing) -> list[object]:
    """Each script that runs beside the sweep, and its arguments.

    Our panel is left out, because the cell's clip skips count; so are the host's own parts of the page, whose values
    are in the processing object.
    """
    entries: list[object] = [[title, values] for title, values in all_script_arguments(job) if title != panel.TITLE]
    if getattr(getattr(job, "scripts", None), "alwayson_scripts", None) is None:
        entries.append(["", getattr(job, "script_args", None)])
    return entries


def all_script_arguments(job: Processing) -> Iterator[tuple[str, list[object]]]:
    arguments = getattr(job, "script_args", None) or []
    for script in getattr(getattr(job, "scripts", None), "alwayson_scripts", None) or []:
        start, end = getattr(script, "args_from", None), getattr(script, "args_to", None)
        if start is not None and not getattr(script, "setup_for_ui_only", False):
            yield script.title(), list(arguments[start:end])


def styled(text: str, job: Processing, negative: bool = False) -> str:
    """`text` with the styles of the page."""
    styles = getattr(shared, "prompt_styles", None)
    if styles is None or not getattr(job, "styles", None):
        return text
    apply = styles.apply_negative_styles_to_prompt if negative else styles.apply_styles_to_prompt
    return str(apply(text, job.styles))
