"""`GET /clip-skip/v1/encoders`: the loaded model's text encoders."""

from __future__ import annotations

from typing import Any

from modules import sd_models

from clip_skip.webui.encoders import encoders, header_acts, kind

__all__ = ["add_routes", "describe"]


def add_routes(_demo: Any, app: Any) -> None:
    app.add_api_route("/clip-skip/v1/encoders", lambda: describe(sd_models.model_data.sd_model), methods=["GET"])


def describe(model: Any) -> dict[str, Any]:
    """The model's kind, whether the header's value acts on it, and its encoders."""
    if model is None:
        return {"model": None, "header_acts": False, "encoders": []}
    described = [
        {"name": h.encoder.name, "tower": h.encoder.tower, "layers": h.encoder.layers, "native": h.encoder.native}
        for h in encoders(model)
    ]
    return {"model": kind(model), "header_acts": header_acts(model), "encoders": described}
