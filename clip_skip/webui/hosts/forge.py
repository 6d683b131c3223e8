"""Forge's and Forge Neo's specifics: text processing engines, the header's slider;
and, with reForge and Forge Classic, a UNet that takes functions to run after the CFG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from clip_skip.encoder import TOWER_NAMES, from_transformers
from clip_skip.webui.host_types import Engine, ForgeModel, Processing
from clip_skip.webui.hosts.header_option import OPTION, header_option
from clip_skip.webui.hosts.host_encoder import HostEncoder
from clip_skip.webui.hosts.host_functions import wrap_with

__all__ = ["encoders", "has_slider", "keep_slider", "loses_errors", "on_main_thread", "set_cfg_scales"]

Result = TypeVar("Result")

MOVED_BY_HAND = "(value) => window.clipSkip?.movedByHand?.(value) ?? true ? value : null"
"""In JavaScript: the slider's value, or null where the page has moved it."""

ENGINES = ("text_processing_engine", "text_processing_engine_l", "text_processing_engine_g")


def encoders(model: object) -> list[HostEncoder]:
    """The CLIPs of `model`, a diffusion engine of Forge; none for Flux and later ones.

    Of Flux's CLIP-L only the pooled vector is used, which is always the full tower's.
    """
    if not any(getattr(model, f"is_{kind}", False) for kind in ("sd1", "sd2", "sdxl", "sd3")):
        return []
    describe_engine = describe_sd3 if getattr(model, "is_sd3", False) else describe_forge_encoder
    return [describe_engine(engine) for name in ENGINES if (engine := getattr(model, name, None))]


def describe_sd3(engine: Engine) -> HostEncoder:
    """A CLIP of SD3, which was published at 2. The host's own value acts from 1 on, and its presets set it to 1."""
    tower = engine.embedding_key[-1]
    model = engine.text_encoder.transformer
    encoder = from_transformers(model, TOWER_NAMES[tower], tower, native=2, final_norm=engine.final_layer_norm)
    return HostEncoder(engine, encoder, engine.return_pooled, header=0, least=engine.minimal_clip_skip)


def describe_forge_encoder(engine: Engine) -> HostEncoder:
    """The encoder of a text processing engine, whose clip skip counts the blocks that are stored."""
    tower = engine.embedding_key[-1]
    encoder = from_transformers(
        engine.text_encoder.transformer, TOWER_NAMES[tower], tower, engine.minimal_clip_skip, engine.final_layer_norm
    )
    encoder = replace(encoder, native=encoder.native + encoder.missing)
    return HostEncoder(engine, encoder, engine.return_pooled, header=encoder.missing)


def main_thread() -> ModuleType | None:
    """The module of the Forge family that keeps all work with models on one thread; None elsewhere."""
    try:
        from modules_forge import main_thread as module
    except ImportError:
        return None
    return module


def on_main_thread(function: Callable[..., Result], *args: object) -> Result | None:
    """The result of `function(*args)`, called on the thread for models; in the Forge family None if it failed."""
    try:
        from modules_forge.main_thread import run_and_wait_result
    except ImportError:
        return function(*args)
    return run_and_wait_result(function, *args)


def loses_errors() -> bool:
    """Whether the page does not show errors: the main thread of reForge and Forge Classic only prints them."""
    module = main_thread()
    return module is not None and not hasattr(module, "last_exception")


def set_cfg_scales(p: Processing, scales: Sequence[float]) -> None:
    """Lets the sampler of `p` use `scales[i]` for picture i, in the pass that uses `p.cfg_scale`.

    denoised = uncond + s (cond - uncond), including the weights of sub-prompts, so for another scale the difference is
    multiplied by the ratio of the scales. A step without the negative prompt (uncond is None or 0) stays as it is; so
    does a hires pass with a CFG scale of its own.
    """
    if getattr(p, "is_hr_pass", False) and hasattr(p, "hr_cfg"):
        return
    ratios = torch.tensor([scale / p.cfg_scale for scale in scales])

    def scaled(args: dict[str, Any]) -> Tensor:
        denoised: Tensor = args["denoised"]
        uncond: Tensor | None = args["uncond_denoised"]
        if uncond is None or not uncond.any():
            return denoised
        ratio = ratios.to(denoised).view(-1, *[1] * (denoised.ndim - 1))
        return uncond + (denoised - uncond) * ratio

    model = cast(ForgeModel, p.sd_model)
    unet = model.forge_objects.unet.clone()
    unet.set_model_sampler_post_cfg_function(scaled)
    model.forge_objects.unet = unet


def find_main_entry() -> ModuleType | None:
    """Forge's module with the header's widgets, if this host has a clip-skip slider there."""
    try:
        from modules_forge import main_entry
    except ImportError:
        return None
    return main_entry if hasattr(main_entry, "ui_clip_skip") else None


def has_slider() -> bool:
    """Whether the host has its own clip-skip slider in the header."""
    return find_main_entry() is not None


def keep_slider() -> Callable[[], None]:
    """Makes Forge's slider keep its value and stay visible; returns a function that restores Forge's behaviour.

    Forge sets it to 1 with every preset and page load, which also overwrites the
    saved option, and hides it with presets in which it still acts.
    """
    if not has_slider():
        return lambda: None
    from modules_forge import main_entry

    undo = [
        wrap_with(main_entry, "on_preset_change", keep_value),
        wrap_with(main_entry, "bind_to_opts", set_by_hand),
    ]

    def put_back() -> None:
        for function in undo:
            function()

    return put_back


def keep_value(original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    updates = original(*args, **kwargs)
    slider = updates[1]
    if isinstance(slider, dict) and slider.get("value") == 1:
        updates[1] = {**slider, "visible": True, "value": header_option()}
    return updates


def set_by_hand(original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if len(args) > 1 and args[1] == OPTION:
        args = (MovedByHand(args[0]), *args[1:])
    return original(*args, **kwargs)


class MovedByHand:
    """Stands for Forge's slider where Forge sets its option whenever the slider changes.

    The page moves the slider after the header has moved. From a page that is slow, the change would come after the next
    checkpoint was chosen, and set that one's option: so it is left out, and the page says which change it was.
    """

    def __init__(self, slider: Any) -> None:
        self.slider = slider

    def change(self, function: Callable[[Any], object], inputs: object = None, **settings: Any) -> Any:
        def set_option(value: Any) -> object:
            return None if value is None else function(value)

        return self.slider.change(set_option, inputs=[self.slider], js=MOVED_BY_HAND, **settings)
