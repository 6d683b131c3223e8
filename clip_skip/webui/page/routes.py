"""Routes for the page and other programs: the loaded model's text encoders, and the effect of a prompt's tags."""

from __future__ import annotations

import time
from typing import Any

from modules import sd_models

from clip_skip.page import answers, live_viewer
from clip_skip.webui import generation, models_in_use
from clip_skip.webui.host_language import language, translate
from clip_skip.webui.hosts import reforge
from clip_skip.webui.hosts.encoders import describe_model
from clip_skip.webui.page import from_picture, png_info, prompts_to_come

__all__ = ["add_routes", "describe_loaded_model", "resolve_prompts"]

PATIENCE = 60.0
"""Seconds that the page waits for a model that is being loaded."""


def add_routes(_demo: Any, app: Any) -> None:
    app.add_api_route("/clip-skip/v1/encoders", loaded, methods=["GET"])
    app.add_api_route("/clip-skip/v1/read", resolve_prompts, methods=["POST"])
    app.add_api_route("/clip-skip/v1/put", answers.put_tag_into, methods=["POST"])
    app.add_api_route("/clip-skip/v1/viewer", viewer, methods=["POST"])
    app.add_api_route("/clip-skip/v1/sweep-of", sweep_of, methods=["POST"])
    app.add_api_route("/clip-skip/v1/picture", picture, methods=["POST"])


def loaded(wait: bool = False) -> dict[str, Any]:
    """The loaded model; with `wait`, after it is loaded, where the host does that at its start."""
    until = time.monotonic() + PATIENCE
    while wait and sd_models.model_data.sd_model is None and time.monotonic() < until:
        time.sleep(0.2)
    return describe_loaded_model(selected())


def selected() -> Any:
    """The loaded model, or None while it is not the one that is selected (Forge loads at the first picture).

    Told by its file: Neo makes its descriptions anew when it lists the checkpoints again.
    """
    data = sd_models.model_data
    wanted = getattr(data, "forge_loading_parameters", {}).get("checkpoint_info")
    model = data.sd_model
    if reforge.is_torn_down(model):
        return None
    info = getattr(model, "sd_checkpoint_info", None)
    if wanted is not None and getattr(info, "filename", info) != getattr(wanted, "filename", wanted):
        return None
    return model


def describe_loaded_model(model: Any) -> dict[str, Any]:
    """The model's kind, whether the header's value acts on it, and its encoders.

    An encoder's `header` says what the header's value comes to there: it plus
    `offset`, at least `least`; null where it does not act. `named` are the text encoders that only a tag with their
    name reaches, `several_layers` whether the model takes several layers together, so that there is none to choose.
    """
    if model is None:
        return {
            "model": None,
            "checkpoint": None,
            "header_acts": False,
            "encoders": [],
            "named": [],
            "several_layers": False,
        }
    described = describe_model(model)
    encoders = []
    for host in described.hosts:
        encoder = host.encoder
        header = None if host.header is None else {"offset": host.header, "least": host.least or encoder.native}
        encoders.append(answers.describe_encoder(encoder, header))
    return {
        "model": str(described.name),
        "checkpoint": getattr(getattr(model, "sd_checkpoint_info", None), "name", None),
        "header_acts": described.header_acts,
        "encoders": encoders,
        "named": [answers.describe_named(one.encoder) for one in described.named],
        "several_layers": described.several,
    }


def viewer(request: dict[str, Any]) -> dict[str, str]:
    """The viewer of a sweep whose pictures the page shows, see `clip_skip.page.live_viewer`."""
    return live_viewer.live_viewer_page(request, language(), translate)


def sweep_of(request: dict[str, Any]) -> dict[str, str]:
    """The "infotext" of a picture with a sweep in it."""
    return from_picture.sweep_of(request)


def picture(request: dict[str, Any]) -> dict[str, Any]:
    """Which tool made the "picture", in base64, and at which clip skip, as `png_info.identify_picture` says."""
    return png_info.identify_picture(request)


def resolve_prompts(request: dict[str, Any]) -> dict[str, Any]:
    """What {"prompt", "negative", "hires_prompt", "hires_negative", "styles", "steps", "hires_steps", "value"} come to.

    See `clip_skip.page.answers`; messages are in the host's language.
    """
    model = selected()
    described = describe_model(model)
    request = prompts_to_come.without_comments(request)
    host = answers.Host(
        [one.encoder for one in described.hosts],
        str(described.name) if model is not None else "",
        translate,
        lambda texts, negative: prompts_to_come.parts_by_step(texts, negative, request),
        prompts_to_come.styled,
        generation.network_names(),
        [one.encoder for one in described.named],
        described.several,
    )
    prompt = answers.styled_prompt(request, host)
    return {
        **answers.read_prompts(request, host),
        **models_in_use.suggest_while_writing(model, prompt, request.get("value")),
    }
