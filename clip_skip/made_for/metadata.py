"""The clip skip that a LoRA was trained at, or that a checkpoint recommends.

Of a model only the header is read, by safetensors' own reader, which maps the file;
a file of another kind is never opened. What was found is remembered by the file's
path, time and size. Where the formats come from:
- `ss_clip_skip`, `ss_base_model_version` ("sd_v1", "sdxl_base_v1-0"): kohya's sd-scripts,
  `train_network.py`. Every value is a string, "None" where the trainer was given none.
- `modelspec.*`: Stability-AI/ModelSpec; in `modelspec.encoder_layer` sd-scripts writes its
  `--clip_skip` again (`library/sai_model_spec.py`).
- `<name>.json`: the WebUI's user metadata ("description", "notes", "sd version").
- `<name>.civitai.info`: Civitai Helper's copy of Civitai's answer for a model version. Its
  pictures' `meta` is their infotext ("Clip skip": "2") or Civitai's own ("clipSkip": 2).
"""

from __future__ import annotations

import html
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from clip_skip.skip import shorten

__all__ = ["Problem", "Recommendation", "complaint", "recommended", "remembered", "trained_at"]

Found = TypeVar("Found")

DEEPEST = 12  # the layers of CLIP ViT-L/14, the only encoder for which the value is stored
LARGEST_JSON = 10_000_000
LONGEST_TEXT = 100_000

TRAINED = ("ss_clip_skip", "modelspec.encoder_layer")
SAID = re.compile(
    r"clip[\s_-]{0,3}skip[\s:：=>*_\"'(\[-]{0,8}(?:(?:set|value|layers?|of|to|at|is|on)[\s:：=*_-]{1,4}){0,3}"
    r"(\d+)(?!\d|[.,]\d|\s{0,2}\(?(?:[-–~/&]|or\b|to\b|and\b)\s{0,2}\d)",
    re.IGNORECASE,
)
NEGATED = re.compile(r"\b(?:no|not|don.?t|never|avoid|without)\b[^.,!?]{0,30}\Z", re.IGNORECASE)


class Problem(ValueError):
    """A file that could not be read; the message names it and says why."""


@dataclass(frozen=True)
class Recommendation:
    """A clip skip from 1 to 12; `source` is the key under which `file` gives it."""

    value: int
    source: str
    file: str


def trained_at(path: str) -> Recommendation | None:
    """What the LoRA at `path` was trained at, if its header says so and it is not for SDXL.

    Raises Problem where the header cannot be read.
    """
    return remembered(lora_header, path) if path.lower().endswith(".safetensors") else None


def recommended(path: str) -> Recommendation | None:
    """What the checkpoint at `path` recommends: its header, then the JSON files beside it.

    Raises Problem where one of them cannot be read and no other one answers.
    """
    base = os.path.splitext(path)[0]
    places = [(host_json, base + ".json"), (civitai_info, base + ".civitai.info")]
    if path.lower().endswith(".safetensors"):
        places.insert(0, (checkpoint_header, path))
    problem = None
    for read, file in places:
        try:
            found = remembered(read, file)
        except Problem as error:
            problem = problem or error
        else:
            if found:
                return found
    if problem:
        raise problem
    return None


def remembered(read: Callable[[str], Found], path: str) -> Found | None:
    """`read(path)`, or what it said last time if the file is the same; None for no file."""
    outcome: Found | str
    try:
        status = os.stat(path)
        outcome = once(read, path, status.st_mtime_ns, status.st_size)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        outcome = complaint(path, error.strerror or str(error))
    if isinstance(outcome, str):
        raise Problem(outcome)
    return outcome


@lru_cache(maxsize=2**15)
def once(read: Callable[[str], Any], path: str, mtime_ns: int, size: int) -> Any:
    """`read(path)`, or what is wrong with the file; an OSError may pass and is not remembered."""
    try:
        return read(path)
    except OSError:
        raise
    except Exception as error:  # safetensors' own error class differs between versions
        return complaint(path, str(error) or type(error).__name__)


def complaint(path: str, reason: str) -> str:
    """One line for a user. Older safetensors write "HeaderTooLarge" for "header too large"."""
    reason = reason.removeprefix("Error while deserializing header: ")
    if " " not in reason:
        reason = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", reason).lower()
    return f"{shorten(os.path.basename(path), 100)} could not be read: {shorten(reason, 120)[1:-1]}"


def header(path: str) -> Mapping[str, str]:
    """The metadata of a safetensors file; empty where the host has no safetensors."""
    try:
        from safetensors import safe_open
    except ImportError:
        return {}
    with safe_open(path, framework="np") as file:
        metadata = file.metadata() or {}
    version, architecture = (metadata.get(key, "") for key in ("ss_base_model_version", "modelspec.architecture"))
    return {} if version.startswith("sdxl") or "stable-diffusion-xl" in architecture else metadata


def lora_header(path: str) -> Recommendation | None:
    return first(path, each(header(path), TRAINED, whole))


def checkpoint_header(path: str) -> Recommendation | None:
    metadata = header(path)
    texts = each(metadata, ("modelspec.usage_hint", "modelspec.description"), mentioned)
    return first(path, [*each(metadata, (*TRAINED, "clip_skip"), whole), *texts])


def host_json(path: str) -> Recommendation | None:
    data = read_json(path)
    if not str(data.get("sd version") or "Unknown").startswith(("SD1", "Unknown")):
        return None
    return first(path, [*each(data, ("clip skip",), whole), *each(data, ("notes", "description"), mentioned)])


def civitai_info(path: str) -> Recommendation | None:
    """The version's own value, then what its pictures were made at, then its descriptions."""
    data = read_json(path)
    if not str(data.get("baseModel") or "Other").startswith(("SD 1", "Other")):
        return None
    texts = [*each(data, ("description",), mentioned), *each(data.get("model"), ("description",), mentioned)]
    return first(path, [*each(data, ("clipSkip",), whole), *each(data, ("images",), pictures), *texts])


def first(path: str, found: Iterable[tuple[str, int | None]]) -> Recommendation | None:
    return next((Recommendation(value, key, os.path.basename(path)) for key, value in found if value), None)


def each(data: object, keys: Iterable[str], read: Callable[[object], int | None]) -> Iterator[tuple[str, int | None]]:
    """What `read` makes of each of `keys`; nothing where `data` is no mapping."""
    return ((key, read(data.get(key))) for key in keys) if isinstance(data, Mapping) else iter(())


def whole(value: object) -> int | None:
    """`value` as a clip skip: an integer from 1 to 12, or a string of one."""
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,2}\s*", value):
        value = int(value)
    return value if type(value) is int and 1 <= value <= DEEPEST else None


def mentioned(text: object) -> int | None:
    """The one value that a text or HTML recommends, as in "CLIP skip: 2"; None for several."""
    if not isinstance(text, str):
        return None
    text = " ".join(html.unescape(re.sub(r"<[^<>]*>", " ", text[:LONGEST_TEXT])).split())
    found = {m[1] for m in SAID.finditer(text) if not NEGATED.search(text, max(0, m.start() - 50), m.start())}
    return whole(found.pop()) if len(found) == 1 else None


def pictures(images: object) -> int | None:
    """The value at which most pictures were made, and at least two. One at clip skip 1 does not say so."""
    listed = [image for image in images if isinstance(image, dict)] if isinstance(images, list) else []
    metas = [meta for image in listed if isinstance(meta := image.get("meta"), dict) and meta]
    votes = Counter(whole(meta.get("Clip skip", meta.get("clipSkip"))) for meta in metas)
    value, count = votes.most_common(1)[0] if votes else (None, 0)
    return value if count >= 2 and count * 2 > len(metas) else None


def read_json(path: str) -> Mapping[str, Any]:
    if os.path.getsize(path) > LARGEST_JSON:
        raise ValueError(f"it is larger than {LARGEST_JSON // 1_000_000} MB")
    with open(path, encoding="utf-8-sig") as file:
        data = json.load(file)
    return data if isinstance(data, dict) else {}
