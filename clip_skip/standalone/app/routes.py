"""The routes of the standalone page: for its script, and the viewers of its sweeps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse, HTMLResponse

from clip_skip.made_for.suggestions import NOW, File, suggest
from clip_skip.messages.message import Translate
from clip_skip.page import answers
from clip_skip.page.by_step import Parts, step_counts, values_by_step
from clip_skip.prompt.comments import strip_comments
from clip_skip.prompt.precedence import Texts, prompt_values
from clip_skip.prompt.tags import strip
from clip_skip.standalone.app.checkpoints import Checkpoint, Checkpoints, files
from clip_skip.standalone.models.header import CheckpointError
from clip_skip.standalone.models.lora_files import find_lora
from clip_skip.standalone.option_kinds import FieldError
from clip_skip.standalone.prompts import networks
from clip_skip.standalone.prompts.conditioning import sub_prompts
from clip_skip.standalone.prompts.schedule import schedule
from clip_skip.sweep.viewer import content_policy, is_viewer_page

__all__ = ["ROUTE_PREFIX", "add_routes", "describe_checkpoint"]

ROUTE_PREFIX = "/clip-skip/v1"

VIEWER_HEADERS = {
    "Cache-Control": "no-cache",  # the next sweep may write another one there
    "Content-Security-Policy": content_policy(),
    "X-Content-Type-Options": "nosniff",
}

GRID_FILE = re.compile(r"grid(-[0-9]+)?\.png")


def add_routes(
    app: FastAPI,
    checkpoints: Checkpoints,
    sweeps: Path,
    translate: Translate = str,
    loras: Path | None = None,
) -> None:
    """sweeps: the folder of the folders of sweeps; loras: that of the LoRAs."""

    def find_checkpoint(name: str) -> Checkpoint:
        try:
            return checkpoints.find(name)
        except (FieldError, CheckpointError) as error:
            raise HTTPException(404, str(error)) from error

    def encoders(checkpoint: str) -> dict[str, Any]:
        return describe_checkpoint(find_checkpoint(checkpoint))

    def read_texts(request: dict[str, Any], checkpoint: str) -> dict[str, Any]:
        of = find_checkpoint(checkpoint)
        host = answers.Host(
            of.encoders, of.family, translate, lambda texts, negative: parts_by_step(texts, negative, request)
        )
        return {**answers.read_prompts(request, host), **suggestions_on(of, request, loras, translate)}

    def grid(name: str, file: str) -> FileResponse:
        path = sweeps / name / file
        if not (is_sweep(name) and GRID_FILE.fullmatch(file) and path.is_file()):
            raise HTTPException(404)
        return FileResponse(path, headers={**VIEWER_HEADERS})

    def viewer(name: str) -> HTMLResponse:
        page = read_page(sweeps / name / "index.html") if is_sweep(name) else None
        if page is None:
            raise HTTPException(404)
        return HTMLResponse(page, headers={**VIEWER_HEADERS})

    def names() -> list[str]:
        return sorted({Path(name).name for name in files(loras, True)})

    for path, method, answer in (
        ("encoders", "GET", encoders),
        ("read", "POST", read_texts),
        ("put", "POST", answers.put_tag_into),
        ("loras", "GET", names),
        ("sweeps/{name}/index.html", "GET", viewer),
        ("sweeps/{name}/{file}", "GET", grid),
    ):
        app.add_api_route(f"{ROUTE_PREFIX}/{path}", answer, methods=[method], response_model=None)


def is_sweep(name: str) -> bool:
    """Whether `name` is one that a sweep's folder may have."""
    return re.fullmatch("[0-9a-f]+", name) is not None


def read_page(path: Path) -> str | None:
    """The viewer's page at `path`; None if it is missing or we did not write it."""
    try:
        page = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    return page if is_viewer_page(page) else None


def suggestions_on(
    checkpoint: Checkpoint, request: Mapping[str, Any], loras: Path | None, translate: Translate
) -> dict[str, Any]:
    """The LoRAs of a prompt, and the checkpoint, that were made for another clip skip than the one in effect.

    As the WebUI's route answers; for SD1 alone, where a header's value counts. request: "value" is the header's.
    """
    prompt, value = str(request.get("prompt") or ""), request.get("value")
    if checkpoint.family != "SD1":
        return {"suggestions": [], "problems": []}
    default = float(value) if isinstance(value, (int, float)) and 1 <= value <= checkpoint.deepest else 1.0
    files = [File("LoRA", path.stem, str(path)) for path in loras_of(prompt, loras)]
    files.append(File("checkpoint", checkpoint.name, str(checkpoint.path)))
    suggestions = suggest(files, prompt_values(prompt, "", default)[0], NOW)
    return {
        "suggestions": [{**one, "text": translate(one["text"])} for one in suggestions if "text" in one],
        "problems": [translate(one["problem"]) for one in suggestions if "problem" in one],
    }


def loras_of(prompt: str, folder: Path | None) -> list[Path]:
    """The files of the LoRAs in a prompt, which may be half-written; those without a weight or a file are left out."""
    try:
        loras = networks.read_networks(strip(strip_comments(prompt)))[1]
        return [find_lora(lora.name, folder) for lora in loras if lora.text or lora.unet]
    except networks.LoraError:
        return []


def describe_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    """The answer of the WebUI's `encoders` route; here the header's value acts on every encoder."""
    encoders = [answers.describe_encoder(one, {"offset": 0, "least": one.native}) for one in checkpoint.encoders]
    return {"model": checkpoint.family, "checkpoint": checkpoint.name, "header_acts": True, "encoders": encoders}


def parts_by_step(texts: Texts, negative: bool, request: Mapping[str, Any]) -> Parts:
    """The values of each sub-prompt from step to step, see `step_counts`. Raises `TooMuchPromptEditing`."""
    first, hires = step_counts(request, texts.hires)
    steps, before = (hires, first) if hires else (first, 0)
    cut = lambda marked: [part for _, part in sub_prompts(marked)]
    return values_by_step(texts, negative, steps, cut, lambda parts: (schedule(part, steps, before) for part in parts))
