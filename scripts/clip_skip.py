"""Registers the extension with the WebUI. This file runs again on Reload UI."""

import gradio as gr
from modules import script_callbacks, scripts, shared
from modules.infotext_utils import PasteField
from modules.ui_components import InputAccordion

from clip_skip import panel, tags
from clip_skip.webui import api, generation, header
from clip_skip.webui.conditioning import Conditioning


class ClipSkipScript(scripts.Script):
    def title(self):
        return panel.TITLE

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        with InputAccordion(False, label=panel.TITLE, elem_id=self.elem_id("enabled")) as enabled:
            sliders = [
                gr.Slider(
                    minimum=field.minimum,
                    maximum=field.maximum,
                    step=0.1,
                    value=field.default,
                    label=field.full_label,
                    elem_id=self.elem_id(field.name),
                )
                for field in panel.FIELDS
            ]
        self.infotext_fields = [
            PasteField(enabled, lambda infotext: panel.FIELDS[0].infotext in infotext),
            *(
                PasteField(slider, lambda infotext, field=field: panel.restored(field, infotext))
                for slider, field in zip(sliders, panel.FIELDS)
            ),
        ]
        return [enabled, *sliders]

    def before_process(self, p, *args):
        generation.begin(p, args)

    def before_process_batch(self, p, *args, **kwargs):
        generation.mark_prompts(p)

    def process_batch(self, p, *args, **kwargs):
        generation.mark_hires_prompts(p)

    def postprocess(self, p, processed, *args):
        generation.end(p, processed)


def strip_for_token_counter(params):
    params.prompt = tags.strip(params.prompt)


conditioning = Conditioning()
conditioning.install()
script_callbacks.on_script_unloaded(conditioning.remove, name="clip_skip")
script_callbacks.on_before_ui(lambda: header.add_slider(shared.opts), name="clip_skip")
script_callbacks.on_before_token_counter(strip_for_token_counter, name="clip_skip")
script_callbacks.on_app_started(api.add_routes, name="clip_skip")
