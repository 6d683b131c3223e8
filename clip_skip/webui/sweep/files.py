"""The files that the pixels of a cell depend on: checkpoints, VAEs, upscalers, LoRAs, embeddings ..."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from modules import extra_networks, sd_models, shared

from clip_skip.prompt import tags
from clip_skip.webui import models_in_use
from clip_skip.webui.host_types import Processing
from clip_skip.webui.hosts.encoders import selected

__all__ = ["file_state", "files_of_texts", "model_files", "named_files", "names_a_checkpoint"]


def model_files(job: Processing) -> list[str]:
    """The files of the checkpoint and of the VAE that the pictures are made with."""
    name = (getattr(job, "override_settings", None) or {}).get("sd_model_checkpoint")
    info = getattr(selected(job), "sd_checkpoint_info", None)
    if name:
        info = getattr(sd_models, "get_closet_checkpoint_match", lambda name: None)(name)
    vae = getattr(sys.modules.get("modules.sd_vae"), "loaded_vae_file", None)
    return [file for file in (getattr(info, "filename", None), vae) if file]


def checkpoint_names() -> dict[str, str]:
    """The files of all checkpoints by the host's names for them."""
    lists = (getattr(sd_models, name, None) or {} for name in ("checkpoint_aliases", "checkpoints_list"))
    return {name: info.filename for one in lists for name, info in list(one.items())}


def hypernetwork_files() -> dict[str, str]:
    """The files of all hypernetworks by their names; some hosts have none."""
    return getattr(shared, "hypernetworks", None) or {}


def names_a_checkpoint(texts: Iterable[str]) -> bool:
    return bool(checkpoint_names().keys() & set(texts))


def named_files(texts: Iterable[str]) -> list[str]:
    """The files named by `texts`, the values of fields: by the host's name for a model or a network, or by path."""
    texts = set(texts)
    upscalers = {upscaler.name: upscaler.data_path for upscaler in getattr(shared, "sd_upscalers", [])}
    vaes = getattr(sys.modules.get("modules.sd_vae"), "vae_dict", {})
    loras = {text: getattr(models_in_use.network(text), "filename", None) for text in texts}
    tables = (upscalers, vaes, loras, hypernetwork_files(), checkpoint_names())
    paths = {table[text] for table in tables for text in texts if text in table}  # several may be called the same
    paths |= {text for text in texts if os.path.isabs(text)}
    return sorted(file for file in paths if isinstance(file, str) and os.path.isfile(file))


def files_of_texts(texts: Sequence[str]) -> list[str]:
    """The files that prompts name: LoRAs, hypernetworks and textual inversions."""
    files: set[str] = set()
    hypernetworks = hypernetwork_files()
    for text in (text for text in texts if "<" in text):
        files |= {*models_in_use.loras(text).values()}
        networks = extra_networks.parse_prompt(tags.strip(text))[1].get("hypernet", [])
        files |= {hypernetworks[one.items[0]] for one in networks if one.items and one.items[0] in hypernetworks}
    every = "\n".join(texts).lower()
    folder = getattr(getattr(shared, "cmd_opts", None), "embeddings_dir", None)
    files |= {str(file) for file in Path(folder).rglob("*") if file.stem.lower() in every} if folder else set()
    return sorted(file for file in files if os.path.isfile(file))


def file_state(file: str) -> list[object]:
    """Values that change when a file is rewritten: its path, size and time."""
    try:
        state = os.stat(file)
    except OSError:
        return [file]
    return [file, state.st_size, state.st_mtime_ns]
