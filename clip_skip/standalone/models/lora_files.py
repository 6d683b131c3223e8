"""Finds the file of a LoRA in a prompt, by its name or by the alias that the WebUI writes into prompts."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from clip_skip.messages.message import Template
from clip_skip.standalone.prompts.networks import LoraError

__all__ = ["find_lora"]

NO_FOLDER = Template("{tag}: no folder of LoRAs is given (--loras)")
LORA_NOT_FOUND = Template("{tag}: there is no {file} in {folder}, and no LoRA there has this alias")
MANY_FILES = Template("{tag}: more than one LoRA has this alias: {files}. Use the name of a file instead")

ALIAS = "ss_output_name"
"""The metadata key of kohya's sd-scripts for the name of a trained network."""


def find_lora(name: str, folder: Path | None) -> Path:
    """The file of the LoRA `name` in `folder` or below it. Raises `LoraError`.

    As in the WebUI a file's name comes first, and then the alias, if just one file has it.
    """
    tag = f"<lora:{name}>"
    if folder is None:
        raise LoraError(NO_FOLDER(tag=tag))
    files = sorted(folder.rglob("*.safetensors"))
    matches = [path for path in files if path.stem == name][:1] or [path for path in files if alias_of(path) == name]
    if not matches:
        raise LoraError(LORA_NOT_FOUND(tag=tag, file=f"{name}.safetensors", folder=str(folder)))
    if len(matches) > 1:
        raise LoraError(MANY_FILES(tag=tag, files=", ".join(path.name for path in matches)))
    return matches[0]


def alias_of(path: Path) -> str | None:
    """The alias that the metadata of the file at `path` says, if any."""
    try:
        status = path.stat()
    except OSError:
        return None
    return read_alias(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2**15)
def read_alias(path: Path, _time: int, _size: int) -> str | None:
    """The same, read once for each state of the file; empty for a file that cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return (file.metadata() or {}).get(ALIAS)
    except (SafetensorError, OSError):
        return None
