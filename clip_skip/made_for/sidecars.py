"""A model's clip skip in the files beside it: those of WebUIs, model managers and Civitai's downloaders.

docs/files.md has the formats, each with the tool that writes it. Only what is for SD1, or for an unknown model, counts.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from clip_skip.made_for.descriptions import mentioned
from clip_skip.made_for.reading import Problem, Unreadable, load_json, read_json, remembered
from clip_skip.made_for.recommendation import COUNTED_LAYERS, Recommendation
from clip_skip.skip import is_clip_skip_key

__all__ = ["beside"]

SD1 = re.compile(r"(?:sd|stablediffusion)(?:v?1[0-9a-z]*)?")
"""SD1 as all tools call it, in lower case and without separators: "SD 1.5", "SD1", "sd_v1", "SD 1.5 LCM", "sd"."""

UNKNOWN = {"", "none", "unknown", "other", "local"}

Recommendations = Iterator[Recommendation]


def beside(path: str) -> tuple[list[Recommendation], Problem | None]:
    """All statements beside the model at `path`, the most certain first, and the problem with one of the files."""
    statements: list[Recommendation] = []
    problem = None
    base = os.path.splitext(path)[0]
    for ending, read in SIDECARS.items():
        try:
            statements += remembered(read, base + ending) or ()
        except Problem as error:
            problem = problem or error
    return sorted(statements, key=lambda one: one.how == "pictures"), problem


def answers(read: Callable[[Mapping[str, Any], str], Recommendations], path: str) -> tuple[Recommendation, ...]:
    data = read_json(path)
    return tuple(read(data, os.path.basename(path))) if isinstance(data, dict) else ()


def read_webui_metadata(data: Mapping[str, Any], file: str) -> Recommendations:
    """The WebUIs' own user metadata, which downloaders write as well."""
    if is_sd1(data.get("sd version")):
        yield from field(data, "clip skip", file)
        yield from texts(data, ("notes", "description"), file)


def read_civitai_metadata(data: Mapping[str, Any], file: str) -> Recommendations:
    """Civitai's answer for a model version, or for a model with all its versions."""
    versions = data.get("modelVersions")
    if not isinstance(versions, list):
        yield from version(data, file)
        return
    entries = [one for one in versions if isinstance(one, dict)]
    ours = [one for one in entries if stem(file) in map(stem, names_of_files(one))] or entries
    if len(ours) == 1:
        yield from version({"model": data, **ours[0]}, file)


def version(data: Mapping[str, Any], file: str) -> Recommendations:
    if not is_sd1(data.get("baseModel")):
        return
    yield from field(data, "clipSkip", file)
    training = data.get("trainingDetails")
    yield from field(training.get("params") if isinstance(training, dict) else None, "clipSkip", file, "trained")
    yield from texts(data, ("description",), file)
    yield from texts(data.get("model"), ("description",), file)
    yield from pictures(data.get("images"), file)


def stability_matrix(data: Mapping[str, Any], file: str) -> Recommendations:
    if is_sd1(data.get("BaseModel")):
        yield from texts(data, ("VersionDescription", "ModelDescription"), file)


def lora_manager(data: Mapping[str, Any], file: str) -> Recommendations:
    if not is_sd1(data.get("base_model")):
        return
    tips = data.get("usage_tips")
    try:
        tips = load_json(tips) if isinstance(tips, str) else tips
    except Unreadable:
        tips = None
    yield from field(tips, "clip_skip", file)
    yield from texts(data, ("notes", "modelDescription"), file)
    if isinstance(data.get("civitai"), dict):
        yield from version(data["civitai"], file)


SIDECARS = {
    ".json": partial(answers, read_webui_metadata),
    ".metadata.json": partial(answers, lora_manager),
    ".civitai.info": partial(answers, read_civitai_metadata),
    ".api_info.json": partial(answers, read_civitai_metadata),
    ".cm-info.json": partial(answers, stability_matrix),
}
"""Readers by the ends of the files' names; what the user wrote comes before what was downloaded."""


def is_sd1(name: object) -> bool:
    """Whether a model of this name is SD1, or may be."""
    text = re.sub(r"[\s._-]", "", str(name or "")).lower()
    return text in UNKNOWN or bool(SD1.fullmatch(text))


def names_of_files(data: Mapping[str, Any]) -> list[str]:
    files = data.get("files")
    return [str(one.get("name")) for one in files if isinstance(one, dict)] if isinstance(files, list) else []


def stem(name: str) -> str:
    """The name without the suffix of a model or a sidecar."""
    return re.sub(r"\.(?:safetensors|ckpt|pt|civitai\.info|api_info\.json)$", "", name)


def field(data: object, key: str, file: str, how: Any = "recommended") -> Recommendations:
    """The value under `key`, if `data` is a mapping that has one."""
    value = whole(data.get(key)) if isinstance(data, Mapping) else None
    if value:
        yield Recommendation(value, key, file, how, model="SD1")


def texts(data: object, keys: tuple[str, ...], file: str) -> Recommendations:
    """The recommendations in the descriptions under `keys`."""
    descriptions = data if isinstance(data, Mapping) else {}
    for key in keys:
        value = mentioned(descriptions.get(key))
        if value:
            yield Recommendation(value, key, file, model="SD1")


def clip_skip_in(settings: Mapping[str, Any]) -> int | None:
    """The whole clip skip in the settings of a picture, in whatever spelling its key is."""
    values = (whole(settings[key]) for key in settings if is_clip_skip_key(key))
    return next(filter(None, values), None)


def pictures(images: object, file: str) -> Recommendations:
    """The value of most example pictures, and at least of two. A picture at clip skip 1 may not have it written."""
    entries = [image for image in images if isinstance(image, dict)] if isinstance(images, list) else []
    metas = [meta for image in entries if (meta := picture_settings(image))]
    votes = Counter(clip_skip_in(meta) for meta in metas)
    value, count = votes.most_common(1)[0] if votes else (None, 0)
    if value and count >= 2 and count * 2 > len(metas):
        yield Recommendation(value, "images", file, "pictures", model="SD1")


def picture_settings(image: Mapping[str, Any]) -> Mapping[str, Any]:
    """The generation settings of a picture; newer answers have them one level deeper."""
    meta = image.get("meta")
    inner = meta.get("meta", meta) if isinstance(meta, dict) else None
    return inner if isinstance(inner, dict) else {}


def whole(value: object) -> int | None:
    """`value` as a clip skip: a whole number from 1 to 12, or a text of one; -2 is ComfyUI's way to write 2."""
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,2}(?:\.0{1,4})?\s*", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
        return None
    number = abs(int(value)) if abs(value) <= COUNTED_LAYERS["SD1"] else 0
    return number or None
