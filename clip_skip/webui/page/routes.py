"""Routes for the page and other programs: the loaded model's text encoders, and the effect of a prompt's tags."""

from __future__ import annotations

from typing import Any

from fastapi import Depends
from modules import sd_models

from clip_skip.page import answers, live_viewer
from clip_skip.webui import generation, models_in_use
from clip_skip.webui.host_language import language, translate
from clip_skip.webui.hosts import reforge
from clip_skip.webui.hosts.encoders import describe_model
from clip_skip.webui.page import from_picture, guide, png_info, prompts_to_come
from clip_skip.webui.page.access import access_check
from clip_skip.webui.page.model_to_load import describe_file

__all__ = ["add_routes", "describe_loaded_model", "resolve_prompts"]


def add_routes(demo: Any, app: Any) -> None:
    """demo: the host's page, None where it has none (`--nowebui`)"""
    dependencies = [Depends(access_check(app, demo is not None))]
    for path, answer, method in (
        ("encoders", describe_encoders, "GET"),
        ("read", resolve_prompts, "POST"),
        ("put", answers.put_tag_into, "POST"),
        ("viewer", viewer, "POST"),
        ("sweep-of", sweep_of, "POST"),
        ("picture", picture, "POST"),
        ("docs/{name:path}", guide.document, "GET"),
    ):
        app.add_api_route(f"/clip-skip/v1/{path}", answer, methods=[method], dependencies=dependencies)


def describe_encoders() -> dict[str, Any]:
    """The loaded model and its text encoders.

    "loading": whether the host is still loading its first model, so that the page asks again.
    """
    loading = sd_models.model_data.sd_model is None and to_load() is None
    return {**describe_loaded_model(selected()), "guide": guide.address(language()), "loading": loading}


def selected() -> Any:
    """The loaded model, or None while it is not the one that is selected (Forge loads at the first picture).

    Compared by file: Neo creates new entries when it lists the checkpoints again.
    """
    data = sd_models.model_data
    info_to_load = to_load()
    model = data.sd_model
    if reforge.is_torn_down(model):
        return None
    info = getattr(model, "sd_checkpoint_info", None)
    if info_to_load is not None and getattr(info, "filename", info) != getattr(info_to_load, "filename", info_to_load):
        return None
    return model


def to_load() -> Any:
    """The host's entry of the checkpoint that it loads with the next picture (the Forge family), or None."""
    return getattr(sd_models.model_data, "forge_loading_parameters", {}).get("checkpoint_info")


def describe_to_load() -> dict[str, Any]:
    """The facts about the selected checkpoint before it is loaded; `loads_later` marks them as such."""
    info = to_load()
    kind, encoders = describe_file(str(getattr(info, "filename", "")))
    header = {"offset": 0, "least": 1}
    return {
        "model": kind or None,
        "checkpoint": getattr(info, "name", None),
        "header_acts": bool(encoders),
        "encoders": [answers.describe_encoder(one, {**header, "least": one.native}) for one in encoders],
        "named": [],
        "several_layers": False,
        "loads_later": info is not None,
    }


def describe_loaded_model(model: Any) -> dict[str, Any]:
    """The model's kind, whether the header's value acts on it, and its encoders.

    An encoder's `header` converts the header's value: plus `offset`, at least `least`; null if it has no effect there.
    `named` are the text encoders that only a tag with their name reaches, `several_layers` whether the model uses
    several layers at once, so that none can be chosen.
    """
    if model is None:
        return describe_to_load()
    model_encoders = describe_model(model)
    encoders = []
    for host in model_encoders.hosts:
        encoder = host.encoder
        header = None if host.header is None else {"offset": host.header, "least": host.least or encoder.native}
        encoders.append(answers.describe_encoder(encoder, header))
    return {
        "model": str(model_encoders.name),
        "checkpoint": getattr(getattr(model, "sd_checkpoint_info", None), "name", None),
        "header_acts": model_encoders.header_acts,
        "encoders": encoders,
        "named": [answers.describe_named(one.encoder) for one in model_encoders.named_encoders],
        "several_layers": model_encoders.several,
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
    """The effect of the prompts on the page.

    request: "prompt", "negative", "hires_prompt", "hires_negative", "styles", "steps", "hires_steps", "value".
    See `clip_skip.page.answers`; messages are in the host's language.
    """
    model = selected()
    model_encoders = describe_model(model)
    later = describe_file(str(getattr(to_load(), "filename", "")))
    request = prompts_to_come.without_comments(request)
    host = answers.Host(
        [one.encoder for one in model_encoders.hosts] if model is not None else later[1],
        str(model_encoders.name) if model is not None else later[0],
        translate,
        lambda texts, negative: prompts_to_come.parts_by_step(texts, negative, request),
        prompts_to_come.styled,
        generation.network_names(),
        [one.encoder for one in model_encoders.named_encoders],
        model_encoders.several,
    )
    prompt = answers.styled_prompt(request, host)
    return {
        **answers.read_prompts(request, host),
        **models_in_use.suggest_while_writing(model, prompt, request.get("value")),
    }
