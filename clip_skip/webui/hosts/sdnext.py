"""SD.Next's specifics: a WebUI on diffusers, whose Compel encodes one picture at one step of its schedule at a time.

Tags work there, in prompts and negative prompts, as far as its own "CLiP skip" reaches. The panel, the sweep, the axes,
the readout, the hires pass, CLIP-G by itself and AND need parts of a WebUI that SD.Next doesn't have.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Callable
from typing import Any, Protocol

from clip_skip.messages.safe_text import printable
from clip_skip.prompt.parsed import Values, find_warnings, parse_negative, parse_prompt, read_marked
from clip_skip.webui.host_types import Processing

__all__ = ["ONLY_TAGS", "Encoding", "mark", "runs"]

log = logging.getLogger("clip_skip")

ONLY_TAGS = (
    "Clip Skip: on SD.Next, tags work in prompts and negative prompts; the panel, the sweep, the axes and the readout "
    'are not supported. Its own "CLiP skip" is among its advanced settings.'
)
TAGS_WITHOUT_EFFECT = "Clip Skip: tags have no effect on this model, which does not support clip skip."
SUPPORTED_TYPES = {"sd", "sdxl"}
"""The `shared.sd_model_type` of models that clip skip acts on."""


def runs() -> bool:
    """Whether the host is SD.Next, which alone keeps its scripts in such a module."""
    return importlib.util.find_spec("modules.scripts_manager") is not None


def mark(p: Processing) -> None:
    """Replaces the tags in a batch's prompts by markers before SD.Next removes them, and reports problems."""
    from modules import shared

    prompts = [parse_negative(text) for text in p.prompts]  # AND is a word there
    negatives = [parse_negative(text) for text in p.negative_prompts]
    for message in find_warnings([*prompts, *negatives]):
        log.warning("Clip Skip: %s", printable(message))
    acts = getattr(shared, "sd_model_type", "") in SUPPORTED_TYPES
    if not acts and any(prompt.tags for prompt in (*prompts, *negatives)):
        log.warning(TAGS_WITHOUT_EFFECT)
    for index, (prompt, negative) in enumerate(zip(prompts, negatives)):
        tag = parse_prompt(p.prompts[index]).tag
        follows = [tag] if tag else []
        p.prompts[index] = prompt.mark() if acts else prompt.clean
        p.negative_prompts[index] = negative.mark(follows) if acts else negative.clean


class TextEncoderConfig(Protocol):
    num_hidden_layers: int


class PipeTextEncoder(Protocol):
    config: TextEncoderConfig


class Pipe(Protocol):
    """A pipeline of diffusers."""

    text_encoder: PipeTextEncoder


class Encoding:
    """The wrapper around SD.Next's function for a prompt and its negative prompt; `remove` removes it."""

    def __init__(self) -> None:
        load: Any = importlib.import_module  # such a module has no stub
        self.parser = load("modules.prompt_parser_diffusers")
        self.original: Callable[..., tuple[object, ...]] = self.parser.get_weighted_text_embeddings
        self.wrapper = self.encode
        self.parser.get_weighted_text_embeddings = self.wrapper

    def remove(self) -> None:
        if self.parser.get_weighted_text_embeddings is self.wrapper:
            self.parser.get_weighted_text_embeddings = self.original

    def encode(
        self, pipe: Pipe, prompt: str = "", neg_prompt: str = "", clip_skip: float | None = None, **more: object
    ) -> tuple[object, ...]:
        """Embedding, pooled vector and mask of the prompt, then of the negative prompt, each at its own clip skip."""
        marked = [read_marked(text or "") for text in (prompt, neg_prompt)]
        texts = [text.clean for text in marked]
        first, second = (
            clip_skip if text.values is None else its_value(pipe, text.values, clip_skip) for text in marked
        )
        embeddings = self.original(pipe, *texts, first, **more)
        return embeddings if first == second else (*embeddings[:3], *self.original(pipe, *texts, second, **more)[3:])


def its_value(pipe: Pipe, values: Values, otherwise: float | None) -> float | None:
    """SD.Next's number for `values`: it counts from the published layer, which in SD2 and SDXL is our 2.

    Its SD2 tower is stored with 23 blocks. CLIP-L's value holds for CLIP-G too.
    """
    layers = pipe.text_encoder.config.num_hidden_layers
    tower = "h" if layers == 23 else "l"
    if tower not in values:
        return otherwise
    native = 2 if tower == "h" or "XL" in type(pipe).__name__ else 1
    deepest = 24 if tower == "h" else layers
    value = min(max(values[tower], native), deepest) - native + 1
    return int(value) if value == int(value) else value
