"""What the page and other programs ask and say of a checkpoint's own clip skip: remember it, forget it."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from fastapi import Depends, HTTPException
from modules import shared

from clip_skip.made_for import remembered
from clip_skip.messages.message import MessageError, Template, reason
from clip_skip.skip import shorten
from clip_skip.webui import host_settings, model_files
from clip_skip.webui.follow import Header
from clip_skip.webui.host_language import translate
from clip_skip.webui.hosts import loading
from clip_skip.webui.hosts.encoders import describe_model
from clip_skip.webui.own_store import own_store
from clip_skip.webui.page import routes
from clip_skip.webui.page.access import access_check

__all__ = ["NO_CHECKPOINT", "NO_SUCH_CHECKPOINT", "NO_SUCH_LORA", "Remembering"]

log = logging.getLogger("clip_skip")

NO_CHECKPOINT = Template("no checkpoint is selected")
NO_SUCH_CHECKPOINT = Template("the WebUI has no checkpoint called {name}")
NO_SUCH_LORA = Template("the WebUI has no LoRA called {name}")


class Remembering:
    """The files in which values are remembered, and the header that follows them."""

    def __init__(self) -> None:
        self.store = own_store()
        self.header = Header(
            shared.opts,
            lambda path: remembered.value_of(path, self.store),
            loading.find_checkpoint,
            loading.selected_checkpoint,
            lambda: bool(host_settings.value(host_settings.FOLLOW)),
        )

    def add_routes(self, demo: Any, app: Any) -> None:
        """demo: the host's page, None where it has none"""
        dependencies = [Depends(access_check(app, demo is not None))]
        app.add_api_route("/clip-skip/v1/remembered", self.answer, methods=["GET"], dependencies=dependencies)
        app.add_api_route("/clip-skip/v1/remember", self.remember, methods=["POST"], dependencies=dependencies)

    def answer(self) -> dict[str, Any]:
        """The selected checkpoint, what is remembered for it, and the header's value.

        acts:     whether the header's value changes what the model makes; None while it is not loaded
        followed: whether the header has been moved since the start
        """
        self.header.settle()
        path = loading.selected_checkpoint()
        model = routes.selected()
        return {
            "on": self.header.is_on(),
            "checkpoint": name_of(path),
            "remembered": remembered.value_of(path, self.store) if path else None,
            "header": self.header.value,
            "acts": None if model is None else describe_model(model).header_acts,
            "followed": self.header.has_followed,
        }

    def remember(self, request: dict[str, Any]) -> dict[str, Any]:
        """Remembers "clip_skip", or forgets what was remembered where it is null, for "checkpoint" or "lora", which are
        names that the host has; for the selected checkpoint where there is neither."""
        try:
            path = path_of(request)
            value = request.get("clip_skip")
            self.keep(path, None if value is None else remembered.check_value(value))
        except MessageError as error:
            raise HTTPException(422, translate(reason(error))) from error
        return self.answer()

    def keep(self, path: str, value: int | None) -> None:
        """Remembers `value` for the file at `path`, or forgets it where it is None. Raises MessageError."""
        if value is None:
            remembered.forget(path, self.store)
        else:
            remembered.remember(path, value, self.store)
        self.header.set_remembered(path, remembered.value_of(path, self.store))
        if not getattr(getattr(shared, "cmd_opts", None), "freeze_settings", False):
            shared.opts.save(shared.config_filename)
        refresh_card(path)


def path_of(request: dict[str, Any]) -> str:
    """The path of the file that a request names. Raises MessageError."""
    checkpoint, lora = request.get("checkpoint"), request.get("lora")
    if lora is not None:
        return found(model_files.loras().get(str(lora)), NO_SUCH_LORA, lora)
    if checkpoint is not None:
        path = model_files.checkpoints().get(str(checkpoint)) or loading.find_checkpoint(checkpoint)
        return found(path, NO_SUCH_CHECKPOINT, checkpoint)
    path = loading.selected_checkpoint()
    if path is None:
        raise MessageError(NO_CHECKPOINT)
    return path


def found(path: str | None, problem: Template, name: object) -> str:
    if path is None:
        raise MessageError(problem(name=shorten(str(name), 100)))
    return path


def name_of(path: str | None) -> str | None:
    return next((name for name, one in model_files.checkpoints().items() if one == path), None)


def refresh_card(path: str) -> None:
    """The host's editor of a card writes all of the JSON that it has read, so it has to read it again."""
    for page in getattr(sys.modules.get("modules.ui_extra_networks"), "extra_pages", []):
        for item in list(getattr(page, "items", {}).values()):
            if item.get("filename") == path:
                try:
                    page.lister.update_file_entry(remembered.json_beside(path))
                    page.read_user_metadata(item, use_cache=False)
                except Exception:
                    log.exception("Clip skip: the card of %s could not be read again", os.path.basename(path))
