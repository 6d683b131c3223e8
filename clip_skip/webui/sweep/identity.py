"""What the pixels of a cell depend on, as a digest: two cells with one identity are the same picture.

It is taken from everything that there is: each attribute of the host's processing object, each option, the arguments
of each script, the files that any of these or a text names. What is left out is listed here, with the reason; a new
field or option of a host counts by itself.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from modules import extra_networks, sd_models, shared
from PIL import Image

from clip_skip import panel
from clip_skip.panel import Panel, settled
from clip_skip.prompt import tags
from clip_skip.prompt.precedence import Texts
from clip_skip.sweep.plan import SweepCell
from clip_skip.webui import host_settings, models_in_use
from clip_skip.webui.hosts.encoders import ModelEncoders, describe_model, selected
from clip_skip.webui.hosts.header_option import OPTION, header_option
from clip_skip.webui.infotext import stop
from clip_skip.webui.sweep.batch import cell_seed, sweep_job

__all__ = ["cell_identities"]

OF_THE_CELL = {"prompt", "negative_prompt", "seed", "subseed", "cfg_scale"}
"""Attributes that the cell's own values stand in for."""

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
    "is_api": "who asked",
    "cached_c": "the host's memory of what it encoded",
    "cached_uc": "the host's memory of what it encoded",
    "cached_hr_c": "the host's memory of what it encoded",
    "cached_hr_uc": "the host's memory of what it encoded",
    "sd_model": "known by its file",
    "scripts": "code, whose arguments count",
    "scripts_value": "code, whose arguments count",
    "script_args": "counted script by script",
    "script_args_value": "counted script by script",
    "scripts_setup_complete": "whether the arguments were handed to the scripts",
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
    "preview": "pictures that are shown meanwhile",
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


class Incomparable(Exception):
    """Nobody can tell whether two of these are the same."""


def cell_identities(job: Any, cells: Iterable[SweepCell]) -> dict[SweepCell, str | None]:
    """The identity of each of `cells` of one grid; None for a cell that cannot be compared with any other.

    job: the host's processing object of the grid, before anything is made with it
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


def describe_job(job: Any) -> dict[str, Any]:
    """Everything that the cells of a grid have in common."""
    described = {
        "kind": type(job).__name__,
        "attributes": {name: value for name, value in vars(job).items() if name not in {*LEFT_OUT, *OF_THE_CELL}},
        "styles": [styled("", job), styled("", job, negative=True)],
        "scripts": script_arguments(job),
        "options": {name: value for name, value in shared.opts.data.items() if counts(name)},
        "model": [file_state(file) for file in model_files(job)],
    }
    described = {name: comparable(value) for name, value in described.items()}
    return {**described, "files": [file_state(file) for file in named_files(strings(described))]}


def describe_cell(
    job: Any,
    cell: SweepCell,
    encoders: ModelEncoders | None,
    several: bool,
    files: Callable[[tuple[str, ...]], list[str]],
) -> Any:
    """Everything that a cell has of its own.

    encoders: the loaded model's, None where it is loaded later.
    several: whether other checkpoints, or one that is not loaded yet, have text encoders too, so that the clip skips of
    `encoders` are not all.
    """
    sweep = sweep_job(job)
    prompt, negative = sweep.plan.rows.texts(job.prompt, job.negative_prompt, cell.value)
    override = sweep.settings.override(cell)
    prompt, negative = styled(prompt, job), styled(negative, job, negative=True)
    hires_prompt = styled(getattr(job, "hr_prompt", ""), job) or prompt
    hires_negative = styled(getattr(job, "hr_negative_prompt", ""), job, negative=True) or negative
    texts = (*override.texts(prompt, negative), *override.texts(hires_prompt, hires_negative))
    described: dict[str, Any] = {
        "texts": texts,
        "seed": cell_seed(job, cell),
        "subseed": job.subseed if job.subseed_strength else None,
        "cfg_scale": float(cell.value) if sweep.plan.rows.kind.name == "cfg" else job.cfg_scale,
        "files": [file_state(file) for file in files(texts)],
    }
    if several:
        described["override"] = dataclasses.asdict(override)
        described["panel"] = dataclasses.asdict(panel_of_job(job))
        described["header"] = header_option()
    if encoders is not None:
        described["clip_skips"] = clip_skips(
            job, encoders, override, (prompt, negative), (hires_prompt, hires_negative)
        )
    return comparable(described)


def clip_skips(
    job: Any, encoders: ModelEncoders, override: Any, first: tuple[str, str], hires: tuple[str, str]
) -> list[Any]:
    """Where each text encoder stops for each part of the texts, in the first pass and the hires pass."""
    header_g = next((stop(host, None) for host in encoders.hosts if host.encoder.tower == "g"), None)
    shown = override.panel(panel_of_job(job), first[0], encoders.header_skip or 1.0, header_g)
    prompt_skip, negative_skip = shown.skips()
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


def panel_of_job(job: Any) -> Panel:
    """Our panel; off where the host runs without it."""
    for title, values in all_script_arguments(job):
        if title == panel.TITLE:
            try:
                return Panel.from_args(values if getattr(job, "is_api", False) else settled(values))
            except ValueError:
                raise Incomparable from None
    return Panel()


def script_arguments(job: Any) -> list[Any]:
    """Each script that runs beside the sweep, and its arguments.

    Our panel is not among them, because the cell's clip skips count; nor are the host's own parts of the page, which
    have put their values into the processing object.
    """
    found: list[Any] = [[title, values] for title, values in all_script_arguments(job) if title != panel.TITLE]
    if getattr(getattr(job, "scripts", None), "alwayson_scripts", None) is None:
        found.append(["", getattr(job, "script_args", None)])
    return found


def all_script_arguments(job: Any) -> Iterator[tuple[str, list[Any]]]:
    arguments = getattr(job, "script_args", None) or []
    for script in getattr(getattr(job, "scripts", None), "alwayson_scripts", None) or []:
        start, end = getattr(script, "args_from", None), getattr(script, "args_to", None)
        if start is not None and not getattr(script, "setup_for_ui_only", False):
            yield script.title(), list(arguments[start:end])


def styled(text: str, job: Any, negative: bool = False) -> str:
    """`text` with the styles of the page."""
    styles = getattr(shared, "prompt_styles", None)
    if styles is None or not getattr(job, "styles", None):
        return text
    apply = styles.apply_negative_styles_to_prompt if negative else styles.apply_styles_to_prompt
    return str(apply(text, job.styles))


def model_files(job: Any) -> list[str]:
    """The files of the checkpoint and of the VAE that the pictures are made with."""
    name = (getattr(job, "override_settings", None) or {}).get("sd_model_checkpoint")
    info = getattr(selected(job), "sd_checkpoint_info", None)
    if name:
        info = getattr(sd_models, "get_closet_checkpoint_match", lambda name: None)(name)
    vae = getattr(sys.modules.get("modules.sd_vae"), "loaded_vae_file", None)
    return [file for file in (getattr(info, "filename", None), vae) if file]


def checkpoint_names() -> dict[str, str]:
    """The files of all checkpoints by what the host calls them."""
    lists = (getattr(sd_models, name, None) or {} for name in ("checkpoint_aliases", "checkpoints_list"))
    return {name: info.filename for one in lists for name, info in list(one.items())}


def names_a_checkpoint(texts: Iterable[str]) -> bool:
    return bool(checkpoint_names().keys() & set(texts))


def named_files(texts: Iterable[str]) -> list[str]:
    """The files that `texts`, values of fields, name: by the host's name for a model, or by their paths."""
    known = {upscaler.name: upscaler.data_path for upscaler in getattr(shared, "sd_upscalers", [])}
    known |= getattr(sys.modules.get("modules.sd_vae"), "vae_dict", {})
    known |= checkpoint_names()
    found = {known.get(text, text) for text in texts if text in known or os.path.isabs(text)}
    return sorted(file for file in found if isinstance(file, str) and os.path.isfile(file))


def files_of_texts(texts: Sequence[str]) -> list[str]:
    """The files that prompts name: LoRAs, hypernetworks and textual inversions."""
    found: set[str] = set()
    for text in texts:
        found |= {*models_in_use.loras(text).values()}
        networks = extra_networks.parse_prompt(tags.strip(text))[1].get("hypernet", [])
        hypernetworks = getattr(shared, "hypernetworks", None) or {}
        found |= {hypernetworks[one.items[0]] for one in networks if one.items and one.items[0] in hypernetworks}
    every = "\n".join(texts).lower()
    folder = getattr(getattr(shared, "cmd_opts", None), "embeddings_dir", None)
    found |= {str(file) for file in Path(folder).rglob("*") if file.stem.lower() in every} if folder else set()
    return sorted(file for file in found if os.path.isfile(file))


def file_state(file: str) -> list[Any]:
    """What changes when a file is written anew."""
    try:
        state = os.stat(file)
    except OSError:
        return [file]
    return [file, state.st_size, state.st_mtime_ns]


def strings(value: Any) -> Iterator[str]:
    """Every text in `value`."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from strings(one)


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def comparable(value: Any) -> Any:
    """`value` for JSON, with pictures and arrays by their content. Incomparable for anything else."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Enum):
        return [type(value).__name__, value.name]
    if isinstance(value, Mapping):
        return {str(key): comparable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [comparable(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted(json.dumps(comparable(one), sort_keys=True) for one in value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Image.Image):
        return [value.mode, *value.size, hashlib.sha256(value.tobytes()).hexdigest()]
    if hasattr(value, "__array__"):
        return array_content(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, comparable(vars(value))]
    raise Incomparable


def array_content(value: Any) -> list[Any]:
    import numpy as np

    array = np.asarray(value.detach().float().cpu() if hasattr(value, "detach") else value)
    if array.dtype == object:
        raise Incomparable
    return [str(array.dtype), *array.shape, hashlib.sha256(array.tobytes()).hexdigest()]
