"""Names the LoRAs and the checkpoint that were made for another clip skip than the one in effect.

Nothing is changed here: the user decides. Files are found in the host's own lists, not on disk.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from modules import extra_networks, shared

from clip_skip.made_for import suggestions
from clip_skip.made_for.suggestions import File
from clip_skip.messages.message import Message, Template
from clip_skip.panel import DEEPEST
from clip_skip.prompt import precedence, tags
from clip_skip.webui import host_settings
from clip_skip.webui.host_language import translate
from clip_skip.webui.host_types import Processing
from clip_skip.webui.hosts.encoders import describe_model
from clip_skip.webui.hosts.header_option import header_option
from clip_skip.webui.state import state_of

__all__ = ["find_messages", "loras", "suggest", "suggest_while_writing"]

log = logging.getLogger("clip_skip")


def loras(prompt: str) -> dict[str, str]:
    """The files of the LoRAs in `prompt`, by their names there, without those at weight 0."""
    networks_by_kind = extra_networks.parse_prompt(tags.strip(prompt))[1]
    entries = [
        params
        for tag in ("lora", "lyco")
        for params in networks_by_kind.get(tag, [])
        if params.items and has_weight(params)
    ]
    names = [params.items[0] for params in entries]
    networks = {name: network(name) for name in names}
    return {name: entry.filename for name, entry in networks.items() if getattr(entry, "filename", None)}


def has_weight(params: Any) -> bool:
    """Whether a LoRA's tag has a weight other than 0; after the name come the text encoder's and the UNet's."""
    options = getattr(params, "named", {})
    positional = [item for item in params.items if "=" not in str(item)]
    text = options.get("te", positional[1] if len(positional) > 1 else 1.0)
    unet = options.get("unet", positional[2] if len(positional) > 2 else text)
    try:
        return bool(float(text) or float(unet))
    except ValueError:  # left to the host
        return True


def network(name: str) -> Any:
    """The entry of the host's LoRA extension, chosen by its rules: an alias that several files have is ignored."""
    module = sys.modules.get("networks")
    ambiguous = name.lower() in getattr(module, "forbidden_network_aliases", {})
    return getattr(module, "available_networks" if ambiguous else "available_network_aliases", {}).get(name)


def suggest(
    model: Any, prompt: str, value: float | None, comparison: Template = suggestions.THIS_PICTURE
) -> list[dict[str, Any]]:
    """Suggestions where files differ from the prompt's clip skip, if `model` is SD1 and suggestions are enabled.

    value: the one for a prompt without a tag; None is the host's own.
    """
    if model is None or not host_settings.value("clip_skip_suggestions"):
        return []
    model_encoders = describe_model(model)
    if model_encoders.kind != "SD1":
        return []
    default = value or model_encoders.header_skip or float(header_option())
    in_effect = precedence.prompt_values(prompt, "", default)[0]
    files = [File("LoRA", name, path) for name, path in loras(prompt).items()]
    checkpoint = getattr(getattr(model, "sd_checkpoint_info", None), "filename", None)
    if checkpoint:
        files.append(File("checkpoint", os.path.splitext(os.path.basename(checkpoint))[0], checkpoint))
    return suggestions.suggest(
        files, in_effect, comparison, bool(host_settings.value("clip_skip_suggestions_from_weights"))
    )


def find_messages(p: Processing, old_problems: set[Message | str] | None = None) -> list[Message | str]:
    """Each suggestion for the first picture of `p`, and each new problem. Never raises.

    Empty for a sweep or an axis, whose purpose is to try values. The suggestions' translated texts and their values are
    kept in the state of `p`, for the page's buttons.
    old_problems: those shown before, which are left out; new ones are added to it.
    """
    state = state_of(p)
    if state.overrides:
        return []
    try:
        panel = state.panels[0]
        answers = suggest(shared.sd_model, p.all_prompts[0], panel.clip_skip if panel.enabled else None)
    except Exception:
        log.exception("Clip skip: the suggestions failed; the picture is not affected")
        return []
    text_suggestions = [one for one in answers if "text" in one]
    state.suggestions = [{"text": translate(one["text"]), "value": one["value"]} for one in text_suggestions]
    old_problems = set() if old_problems is None else old_problems
    problems = [one["problem"] for one in answers if "problem" in one and one["problem"] not in old_problems]
    old_problems.update(problems)
    return [*(one["text"] for one in text_suggestions), *problems]


def suggest_while_writing(model: Any, prompt: str, value: Any) -> dict[str, Any]:
    """The "suggestions" and "problems" for a prompt that is still being written. Never raises.

    value: what the page's panel or header is set to; anything else is the host's own value.
    """
    try:
        is_skip = isinstance(value, (int, float)) and 1 <= value <= DEEPEST
        answers = suggest(model, prompt, float(value) if is_skip else None, suggestions.NOW)
    except Exception:
        log.exception("Clip skip: the suggestions failed")
        answers = []
    return {
        "suggestions": [{**one, "text": translate(one["text"])} for one in answers if "text" in one],
        "problems": [translate(one["problem"]) for one in answers if "problem" in one],
    }
