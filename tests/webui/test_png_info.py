"""What stands under a picture in PNG Info, in Chromium."""

import json

from PIL import Image, PngImagePlugin

from clip_skip.pictures.facts import MADE_AT_OWN
from clip_skip.pictures.reader import NO_INFOTEXT

from .test_page import expect, page  # noqa: F401

CLEAR = ", ".join(f"#pnginfo_image button[aria-label='{label}']" for label in ("Clear", "Remove Image", "Remove"))
"""The button that takes the picture away, in gradio 3 and 4."""


def test_png_info_tells_the_clip_skip_of_another_tools_picture(page, tmp_path):  # noqa: F811
    """ComfyUI's graph, an infotext of SD.Next, and a picture with nothing in it, one after the other."""
    first = "#clip_skip_png_info div:first-child"
    clip = {"7": {"class_type": "CLIPSetLastLayer", "inputs": {"stop_at_clip_layer": -2, "clip": ["1", 1]}}}
    nodes = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "m.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cow", "clip": ["7", 0]}},
        "5": {"class_type": "KSampler", "inputs": {"seed": 1, "positive": ["2", 0], "negative": ["2", 0], "steps": 2}},
        **clip,
    }
    xl = "Steps: 2, Size: 8x8, Seed: 1, CLiP-skip: 2, App: SD.Next, Pipeline: StableDiffusionXLPipeline"
    pictures = {
        "comfy.png": ({"prompt": json.dumps(nodes)}, MADE_AT_OWN(tool="ComfyUI", value="2", number="-2")),
        "sdnext.png": ({"parameters": f"a\n{xl}"}, MADE_AT_OWN(tool="SD.Next", value="3", number="2")),
        "none.png": ({}, NO_INFOTEXT(file="This picture")),
    }
    page.locator("#tabs button", has_text="PNG Info").first.click()
    for name, (texts, message) in pictures.items():
        info = PngImagePlugin.PngInfo()
        for key, text in texts.items():
            info.add_text(key, text)
        Image.new("RGB", (8, 8)).save(tmp_path / name, pnginfo=info)
        if page.locator("#pnginfo_image img").count():
            page.locator(CLEAR).first.click()
        page.locator("#pnginfo_image input[type=file]").set_input_files(tmp_path / name)
        expect(page, str(message), first)
