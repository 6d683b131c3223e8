"""Tests against a running WebUI. They need its address in CLIP_SKIP_WEBUI_URL
(started with --api), and some also CLIP_SKIP_PLAIN_URL: the same WebUI with the
same checkpoint, without this extension (--disable-extra-extensions)."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import time
import urllib.error
import urllib.request
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIZE, STEPS = int(os.environ.get("CLIP_SKIP_SIZE", 64)), int(os.environ.get("CLIP_SKIP_STEPS", 4))
"""Pixels and steps of a picture; 32 and 2 are much quicker where a model of full size runs on a CPU."""

SETTINGS = {"width": SIZE, "height": SIZE, "steps": STEPS, "seed": 1, "cfg_scale": 7, "sampler_name": "Euler"}

SWITCH = "sdxl_clip_l_skip"
"""AUTOMATIC1111's option that lets the header's value act on CLIP-L of SDXL."""

NEO_SAYS = (" Clip skip: 1,", " Clip skip panel: 1,")
"""What an infotext of Forge Neo says at clip skip 1."""

HIRES = {
    "enable_hr": True,
    "hr_scale": 2,
    "denoising_strength": 0.6,
    "hr_upscaler": "Latent",
    "hr_second_pass_steps": 3,
    "hr_additional_modules": [],  # Forge's API fails without it, and its hires pass
    "hr_cfg": 7,  # has no negative prompt at its default of 1
}


class WebUI:
    """A client of one WebUI's API."""

    def __init__(self, url):
        self.url = url.rstrip("/")

    def call(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.load(answer)

    def answer(self, prompt, negative="", route="txt2img", **settings):
        """The API's answer, its `info` read."""
        body = {**SETTINGS, "prompt": prompt, "negative_prompt": negative, **settings}
        if body.get("hr_upscaler") == HIRES["hr_upscaler"] and not self.upscales_latents:
            body["hr_upscaler"] = "None"
        answer = self.call(f"/sdapi/v1/{route}", body)
        answer["info"] = json.loads(answer["info"])
        return answer

    def script_inputs(self, name):
        """The inputs of a script of the host on txt2img; they differ between the hosts in number and in order."""
        scripts = self.call("/sdapi/v1/script-info")
        return next(one["args"] for one in scripts if one["name"] == name and not one["is_img2img"])

    def plot_inputs(self):
        return self.script_inputs("x/y/z plot")

    def installed(self, name):
        """The folder of the extension that has `name` in its own, or None where none is on."""
        extensions = self.call("/sdapi/v1/extensions")
        return next((one["name"] for one in extensions if one["enabled"] and name in one["name"]), None)

    def wait_for_job(self, number):
        """Returns when the host is past the first step of job `number`, counted from 0; the progress at that moment."""
        for _ in range(6000):
            time.sleep(0.01)
            state = self.call("/sdapi/v1/progress?skip_current_image=true")["state"]
            if state["job_no"] == number and state["sampling_step"] > 1:
                return state
        raise AssertionError(f"The host never came to job {number}: {state}")

    def extension(self, name):
        """The folder of the extension that has `name` in its own; skips the test where none is on."""
        return self.installed(name) or pytest.skip(f"the WebUI has no {name}")

    @cached_property
    def upscales_latents(self):
        """Whether the host has an upscaler of latents; Forge Neo has none."""
        return bool(self.call("/sdapi/v1/latent-upscale-modes"))

    def pictures(self, prompt, negative="", **settings):
        """The pictures as pixels, without the grid of a batch."""
        answer = self.answer(prompt, negative, **settings)
        return [pixels(image) for image in answer["images"][answer["info"]["index_of_first_image"] :]]

    def picture(self, prompt, negative="", **settings):
        return self.pictures(prompt, negative, **settings)[0]

    def at(self, skip, prompt, negative="", **settings):
        """The picture with the host's own clip skip at `skip`."""
        return self.picture(prompt, negative, override_settings={"CLIP_stop_at_last_layers": skip}, **settings)

    def clip_l_at(self, skip, prompt, negative="", **settings):
        """The picture of SDXL with CLIP-L alone at `skip`: by the host's own switch, or by the tag.

        reForge has AUTOMATIC1111's option still, but its header's value acts on both encoders.
        """
        if SWITCH not in self.call("/sdapi/v1/options") or self.call("/clip-skip/v1/encoders")["header_acts"]:
            return self.picture(f"<clipskip:l={skip}:g=2>{prompt}", negative, **settings)
        option = {SWITCH: True, "CLIP_stop_at_last_layers": skip}
        return self.picture(prompt, negative, override_settings=option, **settings)

    def again(self, image):
        """The picture, encoded, that the infotext of `image` makes when it is pasted."""
        try:
            return self.pasted(infotext(image))
        except urllib.error.HTTPError:
            self.check_infotext()
            raise

    def pasted(self, text):
        """The picture of an infotext. The API of Forge and Neo fails to read one for the fields that are lists."""
        lists = {"styles": [], "hr_additional_modules": []}
        return self.call("/sdapi/v1/txt2img", {"infotext": text, **lists})["images"][0]

    @cached_property
    def reads_clip_skip(self):
        """Whether the host reads its own key of the infotext, which Forge Neo throws away on purpose."""
        one, two = (
            "a cow\nSteps: 1, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64" + end
            for end in ("", ", Clip skip: 9")
        )
        return not same(pixels(self.pasted(one)), pixels(self.pasted(two)))

    def check_clip_skip_is_pasted(self):
        """Skips the test when the host does not."""
        if not self.reads_clip_skip:
            pytest.skip("this WebUI does not read its own key `Clip skip` when an infotext is pasted")

    def without_what_neo_says(self, text):
        """An infotext without what Neo says at clip skip 1: it writes 1 too, and cells have the panel's keys there."""
        said = [one for one in NEO_SAYS if one in text]
        if said and not self.reads_clip_skip:
            for one in said:
                text = text.replace(one, "")
        return text

    def check_infotext(self):
        """Skips the test when the host's API does not take infotext at all, as Forge's."""
        try:
            self.pasted("a cow\nSteps: 1, Sampler: Euler, Seed: 1, Size: 64x64")
        except urllib.error.HTTPError as error:
            pytest.skip(f"the API of this WebUI takes no infotext: status {error.code} without anything of ours in it")


def plot_arguments(inputs, x, xs, y, ys, legend=False, cells=True):
    """The arguments of the X/Y/Z plot with these `inputs`, for two axes and their values."""
    place = inputs[0]["choices"].index
    values = {"x type": place(x), "y type": place(y), "z type": 0, "draw legend": legend}
    values |= {"include sub images": cells, "use text inputs instead of dropdowns": True}
    texts = {"x values": xs, "y values": ys, "z values": ""}  # each is there twice: as a text, and as a dropdown
    labels = [(one["label"].lower(), one["value"]) for one in inputs]
    return [texts.pop(name, []) if " values" in name else values.get(name, value) for name, value in labels]


def pixels(encoded):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"), dtype=np.int16)


def infotext(encoded):
    return Image.open(io.BytesIO(base64.b64decode(encoded))).info["parameters"]


def pytest_collection_modifyitems(items):
    """Skips what has no WebUI to test against, and says so once for each file.

    Reload UI comes first: gradio 3.41 never ends the websocket of a page that was closed while it waited, and v1.10.1
    waits for all of them before it reloads.
    """
    items.sort(key=lambda item: item.path.name != "test_reload_ui.py")
    needs = {"webui": "CLIP_SKIP_WEBUI_URL", "plain": "CLIP_SKIP_PLAIN_URL"}
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        missing = [needs[name] for name in item.fixturenames if name in needs and not os.environ.get(needs[name])]
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"{' and '.join(missing)} not set: no WebUI to test against"))


def client(variable):
    webui = WebUI(os.environ[variable])
    # v1.10.1 does not take back the first override of an option that was never set
    unset = {"CLIP_stop_at_last_layers": 1, "emphasis": "Original", "use_old_emphasis_implementation": False}
    known = webui.call("/sdapi/v1/options")  # Forge Neo has no old emphasis, and fails at options that it has not
    webui.call("/sdapi/v1/options", {name: value for name, value in unset.items() if name in known})
    return webui


@pytest.fixture(scope="session")
def webui():
    webui = client("CLIP_SKIP_WEBUI_URL")
    # Every test makes its own cells. Forge Neo's API takes the options of extensions, although it does not list them.
    webui.call("/sdapi/v1/options", {"clip_skip_finished_cells": 0})
    return webui


@pytest.fixture(scope="session")
def plain(webui):
    """The WebUI without this extension, with the same checkpoint loaded as the other one."""
    plain = client("CLIP_SKIP_PLAIN_URL")
    wanted = webui.call("/sdapi/v1/options")["sd_model_checkpoint"]
    if plain.call("/sdapi/v1/options")["sd_model_checkpoint"] != wanted:
        plain.call("/sdapi/v1/options", {"sd_model_checkpoint": wanted})
    names = [one.call("/sdapi/v1/options")["sd_model_checkpoint"] for one in (webui, plain)]
    hashes = [
        re.search(r"Model hash: (\w+)", infotext(one.answer("a cow", steps=1)["images"][0])) for one in (webui, plain)
    ]
    assert names[0] == names[1] and all(hashes) and hashes[0][1] == hashes[1][1], f"two checkpoints are loaded: {names}"
    return plain


def same(first, second, within=0):
    """Whether two pictures are equal, up to `within` of 255 in each pixel."""
    return first.shape == second.shape and int(np.abs(first - second).max()) <= within
