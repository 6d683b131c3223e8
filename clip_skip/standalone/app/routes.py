"""The routes of the standalone page: what its script asks, and the viewers of its sweeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse

from clip_skip.encoder import TextEncoder
from clip_skip.page import answers as reading

__all__ = ["PREFIX", "add_routes", "describe"]

PREFIX = "/clip-skip/v1"


def add_routes(
    app: FastAPI,
    encoders: Sequence[TextEncoder],
    checkpoint: str,
    sweeps: Path,
    translate: Callable[[str], str] = str,
    family: str = "SD1",
) -> None:
    """encoders, checkpoint, family: those of the loaded model; sweeps: the folder of the folders of sweeps."""

    def loaded() -> dict[str, Any]:
        return describe(encoders, checkpoint, family)

    def read_texts(asked: dict[str, Any]) -> dict[str, Any]:
        host = reading.Host(encoders, family, translate)
        return {**reading.read(asked, host), "suggestions": [], "problems": []}

    def viewer(name: str) -> FileResponse:
        path = sweeps / name / "index.html"
        if not re.fullmatch("[0-9a-f]+", name) or not path.is_file():
            raise HTTPException(404)
        return FileResponse(path, headers={"Cache-Control": "no-cache"})  # the next sweep may write another one there

    for path, method, answer in (
        ("encoders", "GET", loaded),
        ("read", "POST", read_texts),
        ("put", "POST", reading.put),
        ("sweeps/{name}/index.html", "GET", viewer),
    ):
        app.add_api_route(f"{PREFIX}/{path}", answer, methods=[method], response_model=None)


def describe(encoders: Sequence[TextEncoder], checkpoint: str, family: str) -> dict[str, Any]:
    """The answer of the WebUI's `encoders` route; here the header's value acts on every encoder."""
    described = [reading.describe(encoder, {"offset": 0, "least": encoder.native}) for encoder in encoders]
    return {"model": family, "checkpoint": checkpoint, "header_acts": True, "encoders": described}
