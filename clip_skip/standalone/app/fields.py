"""The widgets of the fields that say how a picture is made."""

from __future__ import annotations

from typing import Any

import gradio as gr

from clip_skip.messages.message import Translate
from clip_skip.page.events import listen
from clip_skip.standalone.app.reading import LABELS
from clip_skip.standalone.engine.loading import EMPHASES
from clip_skip.standalone.engine.shots import NOISES, UPSCALERS, Hires
from clip_skip.standalone.sampling.samplers import SAMPLERS
from clip_skip.standalone.settings import Settings

__all__ = ["SAME", "fields"]

SAME = "Use same sampler"
WIDEST = 2048
"""What the sliders of width and height go to; their boxes take more."""


def fields(tr: Translate, prompt: str, seed: int, size: int, factor: int, emphasis: str) -> dict[str, Any]:
    """The widgets, by the names of `LABELS`, in the place where they are to be.

    Those that the extension's script looks for have the WebUI's ids.
    """
    made: dict[str, Any] = {}

    def add(kind: Any, name: str, value: Any, script_name: str = "", **more: Any) -> None:
        options = {"elem_id": script_name or f"clip_skip_app_{name}", "label": tr(LABELS[name]), **more}
        made[name] = kind(value=value, **options)

    def slider(name: str, low: float, high: float, value: float, step: float = 1, script_name: str = "") -> None:
        add(gr.Slider, name, value, script_name, minimum=low, maximum=high, step=step, min_width=130)

    def one_of(name: str, choices: list[Any], value: str) -> None:
        add(gr.Dropdown, name, value, choices=choices, min_width=130)

    add(gr.Textbox, "prompt", prompt, "txt2img_prompt", lines=4)
    add(gr.Textbox, "negative", "", "txt2img_neg_prompt", lines=2)
    with gr.Row():
        add(gr.Number, "seed", seed, min_width=130)
        slider("steps", 1, 100, 20, script_name="txt2img_steps")
    with gr.Row():
        for name in ("width", "height"):
            slider(name, 64, WIDEST, size, factor)
    one_of("sampler", list(SAMPLERS), next(iter(SAMPLERS)))
    slider("cfg_scale", 0, 30, Settings.cfg_scale, 0.5)
    add(gr.Checkbox, "hires", False, "txt2img_hr-checkbox")
    with gr.Column(visible=False) as second:
        with gr.Row():
            one_of("upscaler", list(UPSCALERS), Hires.upscaler)
            slider("scale", 1, 4, Hires.scale, 0.05)
        with gr.Row():
            for name in ("resize_width", "resize_height"):
                slider(name, 0, WIDEST, 0, factor)
        with gr.Row():
            slider("denoising", 0, 1, Hires.denoising, 0.01)
            slider("hires_steps", 0, 100, 0, script_name="txt2img_hires_steps")
        with gr.Row():
            one_of("hires_sampler", [tr(SAME), *SAMPLERS], tr(SAME))
            slider("hires_cfg_scale", 0, 30, 0, 0.5)
        add(gr.Textbox, "hires_prompt", "", "hires_prompt", lines=2)
        add(gr.Textbox, "hires_negative", "", "hires_neg_prompt", lines=2)
    listen(made["hires"].change, lambda on: gr.update(visible=on), [made["hires"]], [second], queue=False)
    with gr.Row():
        one_of("emphasis", list(EMPHASES), emphasis)
        one_of("noise", list(NOISES), NOISES[0])
    return made
