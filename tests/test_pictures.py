"""Pictures as other tools write them: small files of their shapes, one for every row of docs/files.md."""

import base64
import json
import warnings
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin, features

from clip_skip.messages.message import Message, join
from clip_skip.pictures import comfyui_workflow, container, json_text, numbering, user_comment
from clip_skip.pictures import facts as fact_texts
from clip_skip.pictures.errors import PictureError
from clip_skip.pictures.facts import facts_of, read_facts, sentences
from clip_skip.pictures.infotext import parse_infotext, parse_settings, split_settings
from clip_skip.pictures.numbering import convert
from clip_skip.pictures.reader import NO_INFOTEXT, read_infotext
from clip_skip.pictures.samplers import webui_names
from clip_skip.pictures.webui_tools import identified
from clip_skip.standalone.cli.main import main

from .helpers import growth

WHOLE = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x768, Model hash: 0123456789, Model: m"
"""The settings of an infotext."""


def png(path, **texts):
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_itxt(name.replace("__", "-"), text)
    Image.new("RGB", (64, 96)).save(path, "PNG", pnginfo=info)
    return path


def with_exif(path, raw, tag=0x9286, first=False, **more):
    """A picture with one entry of Exif, in the first directory or in Exif's own."""
    data = Image.Exif()
    data.update({tag: raw} if first else {0x8769: {tag: raw}})
    Image.new("RGB", (64, 96)).save(path, exif=data.tobytes(), **more)
    return path


def unicode_be(text):
    return b"UNICODE\0" + text.encode("utf-16-be")


def infotext(settings, prompt="a cat", negative="dark"):
    return f"{prompt}\nNegative prompt: {negative}\n{settings}"


def seen(path):
    facts = read_facts(path)
    template = facts.reason.template if isinstance(facts.reason, Message) else facts.reason
    return facts.tool, facts.clip_skip, facts.said, template and str(template)


UNWRITTEN, PUBLISHED = str(numbering.UNWRITTEN), str(numbering.AS_PUBLISHED)


@pytest.mark.parametrize(
    ("settings", "tool", "value", "said", "reason"),
    [
        (f"{WHOLE}, Clip skip: 2, Version: v1.10.1", "AUTOMATIC1111", 2.0, "2", None),
        (f"{WHOLE}, Version: v1.10.1", "AUTOMATIC1111", 1.0, None, numbering.UNWRITTEN),
        (f"{WHOLE}, Clip skip: 3, Version: v1.10.1", "AUTOMATIC1111", 3.0, "3", numbering.SD1_ONLY),
        (f"{WHOLE}, Clip skip: 3, Version: f2.0.1v1.10.1-previous-669-gdfdcbab6", "Forge", 3.0, "3", None),
        (f"{WHOLE}, Clip skip: 2, Version: f0.0.17v1.8.0rc-latest-276-g29be1da7", "Forge", 2.0, "2", None),
        (f"{WHOLE}, Clip skip: 2, Version: f2.0.0dev-v1.10.1RC-latest-2190-gb1d9a3a9", "reForge", 2.0, "2", None),
        (f"{WHOLE}, Clip skip: 2, RNG: CPU, Version: neo-2.26", "Forge Neo", 2.0, "2", None),
        (f"{WHOLE}, RNG: CPU, Version: neo-2.26", "Forge Neo", None, None, numbering.NEO_UNWRITTEN),
        (f"{WHOLE}, CLiP-skip: 2, App: SD.Next, Pipeline: StableDiffusionPipeline", "SD.Next", 2.0, "2", None),
        (f"{WHOLE}, CLiP-skip: 1.5, App: SD.Next, Pipeline: StableDiffusionPipeline", "SD.Next", 1.5, "1.5", None),
        (
            f"{WHOLE}, CLiP-skip: 2, App: SD.Next, Pipeline: StableDiffusionXLPipeline",
            *("SD.Next", 3.0, "2", numbering.ONE_LESS),
        ),
        (
            f"{WHOLE}, App: SD.Next, Pipeline: StableDiffusionXLPipeline",
            *("SD.Next", 2.0, None, numbering.PUBLISHED_FOR),
        ),
        (f"{WHOLE}, CLiP-skip: 2, App: SD.Next, Pipeline: FluxPipeline", "SD.Next", None, "2", numbering.NO_CLIP_SKIP),
        (f"{WHOLE}, CLiP-skip: 2", "SD.Next", 2.0, "2", numbering.SDNEXT_UNKNOWN),
        (
            f'{WHOLE}, Clip skip: 2, Created Date: 2025-11-28T09:18:43.5269343Z, Civitai resources: [{{"modelName":'
            '"Some: Model, v2"}], Civitai metadata: {"ecosystem":"Illustrious"}',
            *("Civitai", 2.0, "2", None),
        ),
        (
            f'{WHOLE}, Clip skip: 2, Civitai resources: [], Civitai metadata: {{"baseModel":"Flux1"}}',
            *("Civitai", None, "2", numbering.NO_CLIP_SKIP),
        ),
        (f"{WHOLE}, Clip skip: 2, Version: ComfyUI", "ComfyUI", 2.0, "2", None),
        (f"{WHOLE}, Clip skip: -2, Version: ComfyUI", "ComfyUI", 2.0, "-2", numbering.COMFYUI),
        (f"{WHOLE}, Clip skip: 2, Version: Fooocus v2.5.5", "Fooocus", 2.0, "2", None),
        (f"{WHOLE}, Version: Fooocus v2.5.5", "Fooocus", None, None, numbering.FOOOCUS_UNWRITTEN),
        (f"{WHOLE}, Version: Fooocus v2.3.1", "Fooocus", 2.0, None, numbering.PUBLISHED_FOR),
        *(
            (f"{WHOLE}, {key}: 2", "AUTOMATIC1111", 2.0, "2", None)
            for key in ("Clip Skip", "CLIP skip", "clipSkip", "clip_skip", "CLIP Skip")
        ),
        (f"{WHOLE}, Clip skip: 2.0", "AUTOMATIC1111", 2.0, "2.0", None),
        (f"{WHOLE}, Clip skip: -2", "AUTOMATIC1111", 2.0, "-2", numbering.NEGATIVE_SIGN),
        (f"{WHOLE}, Clip skip: 0", "AUTOMATIC1111", 1.0, "0", numbering.ZERO),
        (f"{WHOLE}, Clip skip: None", "AUTOMATIC1111", 1.0, "None", numbering.UNWRITTEN),
        (f"{WHOLE}, Clip skip: , Version: v1.9.0", "AUTOMATIC1111", 1.0, None, numbering.UNWRITTEN),
        (f"{WHOLE}, Clip skip: two", "AUTOMATIC1111", None, "two", numbering.CLIP_SKIP_NOT_A_NUMBER),
        (f"{WHOLE}, Clip skip: nan", "AUTOMATIC1111", None, "nan", numbering.CLIP_SKIP_NOT_A_NUMBER),
        (f"{WHOLE}, Clip skip: 1e400", "AUTOMATIC1111", None, "1e400", numbering.CLIP_SKIP_NOT_A_NUMBER),
        (f"{WHOLE}, Clip skip: 99", "AUTOMATIC1111", None, "99", numbering.CLIP_SKIP_TOO_DEEP),
    ],
)
def test_an_infotext_tells_its_tool_and_clip_skip(tmp_path, settings, tool, value, said, reason):
    path = png(tmp_path / "p.png", parameters=infotext(settings))
    assert seen(path) == (tool, value, said, reason and str(reason))
    facts = read_facts(path)
    assert (facts.seed, facts.steps, facts.cfg_scale, facts.size) == (5, 20, 7.0, "512x768")
    assert (facts.prompt, facts.negative, facts.model, facts.model_hash) == ("a cat", "dark", "m", "0123456789")
    assert (facts.reason is not None) >= (facts.clip_skip is None)
    assert json.loads(json.dumps(facts.as_json(), allow_nan=False))["tool"] == tool


def test_the_model_of_a_picture_of_civitai(tmp_path):
    settings = WHOLE.partition(", Model hash")[0]
    resources = (
        '[{"type":"lora","modelName":"x"},{"type":"checkpoint","modelVersionId":1,"modelName":"Some: Model, v2"}]'
    )
    text = infotext(f'{settings}, Civitai resources: {resources}, Hashes: {{"model": "0123456789"}}')
    facts = read_facts(png(tmp_path / "p.png", parameters=text))
    assert (facts.model, facts.model_hash) == ("Some: Model, v2", "0123456789")


def test_this_extensions_tags_and_panel_come_first(tmp_path):
    path = png(tmp_path / "p.png", parameters=infotext(f"{WHOLE}, Clip skip: 2", "<clipskip:3.5>a cat"))
    assert seen(path)[1:] == (3.5, "2", str(fact_texts.FROM_TAG))
    path = png(tmp_path / "p.png", parameters=infotext(f"{WHOLE}, Clip skip: 2, Clip skip panel: 4"))
    assert seen(path)[1:] == (4.0, "2", str(fact_texts.FROM_PANEL))


def graph(stop=None, **changes):
    """ComfyUI's graph of a picture; `stop` is what a CLIPSetLastLayer says, of which there is none for None."""
    clip = ["1", 1] if stop is None else ["7", 0]
    nodes = {
        "1": ("CheckpointLoaderSimple", {"ckpt_name": "sub\\foo.safetensors"}),
        "2": ("CLIPTextEncode", {"text": "a cat", "clip": clip}),
        "3": ("CLIPTextEncode", {"text": "dark", "clip": clip}),
        "4": ("EmptyLatentImage", {"width": 512, "height": 768, "batch_size": 1}),
        "5": (
            "KSampler",
            {
                **{"seed": 2**64 - 1, "steps": 20, "cfg": 7.0, "sampler_name": "dpmpp_2m_sde", "scheduler": "karras"},
                **{"denoise": 1.0, "model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0]},
                "latent_image": ["4", 0],
            },
        ),
        "6": ("SaveImage", {"images": ["5", 0]}),
        **({"7": ("CLIPSetLastLayer", {"stop_at_clip_layer": stop, "clip": ["1", 1]})} if stop is not None else {}),
        **changes,
    }
    return {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}


def last_layer(stop, clip):
    return ("CLIPSetLastLayer", {"stop_at_clip_layer": stop, "clip": clip})


def encode(text, clip, kind="CLIPTextEncode"):
    return (kind, {"text": text, "clip": clip})


SDXL = {"2": encode("a cat", ["7", 0], "CLIPTextEncodeSDXL"), "3": encode("dark", ["7", 0], "CLIPTextEncodeSDXL")}


@pytest.mark.parametrize(
    ("nodes", "value", "said", "reason"),
    [
        (graph(-2), 2.0, "-2", numbering.COMFYUI),
        (graph(), None, None, numbering.AS_PUBLISHED),
        (graph(-1), 1.0, "-1", numbering.RAW_TOP_UNKNOWN),
        (graph(-1, **SDXL), None, "-1", numbering.RAW_TOP),
        (graph(-3, **SDXL), 3.0, "-3", numbering.COMFYUI),
        (graph(-20), None, "-20", numbering.BELOW_SD1),
        # through a LoRA's loader, before and after
        (
            graph(-2, **{"8": ("LoraLoader", {"clip": ["7", 0], "model": ["1", 0]}), "2": encode("a cat", ["8", 1])}),
            *(2.0, "-2", numbering.COMFYUI),
        ),
        (
            graph(-2, **{"7": last_layer(-2, ["8", 1]), "8": ("LoraLoader", {"clip": ["1", 1], "model": ["1", 0]})}),
            *(2.0, "-2", numbering.COMFYUI),
        ),
        # through a reroute, and a number from a primitive behind another one
        (
            graph(
                -2,
                **{
                    **{"8": ("Reroute", {"": ["7", 0]}), "2": encode("a cat", ["8", 0]), "3": encode("dark", ["8", 0])},
                    **{"7": last_layer(["9", 0], ["1", 1]), "9": ("Reroute", {"": ["10", 0]})},
                    "10": ("PrimitiveInt", {"value": -2}),
                },
            ),
            *(2.0, "-2", numbering.COMFYUI),
        ),
        # of two nodes in a row the nearest to the encoder wins
        (graph(-2, **{"7": last_layer(-2, ["8", 0]), "8": last_layer(-4, ["1", 1])}), 2.0, "-2", numbering.COMFYUI),
        # one that reaches no sampler says nothing
        (graph(None, **{"9": last_layer(-4, ["1", 1]), "10": encode("x", ["9", 0])}), None, None, PUBLISHED),
        # the number cannot be found out
        (graph(["gone", 0]), None, None, numbering.NOT_FOLLOWED),
        # conditionings in between, a guider, and a loader that encodes the prompts itself
        (
            graph(
                -2,
                **{
                    "8": ("ControlNetApplyAdvanced", {"positive": ["2", 0], "negative": ["3", 0], "strength": 1}),
                    "9": ("ConditioningCombine", {"conditioning_1": ["8", 0], "conditioning_2": ["8", 0]}),
                    "5": (
                        "KSampler",
                        {"seed": 1, "steps": 2, "positive": ["9", 0], "negative": ["8", 1], "latent_image": ["4", 0]},
                    ),
                },
            ),
            *(2.0, "-2", numbering.COMFYUI),
        ),
        (
            graph(
                -2,
                **{
                    "5": ("SamplerCustomAdvanced", {"guider": ["8", 0], "latent_image": ["4", 0], "noise": ["9", 0]}),
                    "8": ("CFGGuider", {"positive": ["2", 0], "negative": ["3", 0], "cfg": 5, "model": ["1", 0]}),
                    "9": ("RandomNoise", {"noise_seed": 3}),
                },
            ),
            *(2.0, "-2", numbering.COMFYUI),
        ),
        (
            graph(
                None,
                **{
                    "2": ("Efficient Loader", {"ckpt_name": "m", "clip_skip": -2, "positive": "a", "negative": "b"}),
                    "5": (
                        "KSampler (Efficient)",
                        {"seed": 1, "steps": 2, "positive": ["2", 1], "negative": ["2", 2], "latent_image": ["4", 0]},
                    ),
                },
            ),
            *(2.0, "-2", numbering.COMFYUI),
        ),
    ],
)
@pytest.mark.parametrize("form", ["prompt", "file"])
def test_comfyuis_graph_tells_the_clip_skip_that_reaches_the_sampler(tmp_path, nodes, value, said, reason, form):
    if form == "file":
        path = tmp_path / "p.json"
        path.write_text(json.dumps(nodes))
    else:
        path = png(tmp_path / "p.png", prompt=json.dumps(nodes), workflow="{}")
    assert seen(path) == ("ComfyUI", value, said, str(reason))


def behind(kind, stop=None, **inputs):
    """A graph whose encoders get their CLIP from a node of this `kind`, which can pass on -2 from 7, or -3 from 9."""
    both = {"7": last_layer(-2, ["1", 1]), "9": last_layer(-3, ["1", 1]), "8": (kind, inputs)}
    return graph(None, **both, **{"2": encode("a cat", ["8", 0]), "3": encode("dark", ["8", 0])})


SEVEN, NINE = ["7", 0], ["9", 0]


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        (behind("ImpactSwitch", select=1, sel_mode=False, input1=SEVEN, input2=NINE), "-2"),
        (behind("ImpactSwitch", select=2, sel_mode=False, input1=SEVEN, input2=NINE), "-3"),
        (behind("CR Clip Input Switch", Input=2, clip1=SEVEN, clip2=NINE), "-3"),
        (behind("easy anythingIndexSwitch", index=0, value0=SEVEN, value1=NINE), "-2"),
        (behind("Any Switch (rgthree)", any_01=NINE, any_02=SEVEN), "-3"),
        (behind("ComfySwitchNode", switch=False, on_false=SEVEN, on_true=NINE), "-2"),
        (behind("LazySwitchKJ", switch=True, on_false=SEVEN, on_true=NINE), "-3"),
        (behind("Switch any [Crystools]", boolean=True, on_true=SEVEN, on_false=NINE), "-2"),
        (behind("ImpactConditionalBranch", cond=False, tt_value=SEVEN, ff_value=NINE), "-3"),
        (behind("CLIPMergeSimple", clip1=SEVEN, clip2=NINE, ratio=1.0), "-2"),
        (behind("Context (rgthree)", base_ctx=SEVEN, model=["1", 0], vae=["1", 2]), "-2"),
        # which one a switch passes on is not known, or it makes no difference
        (behind("ImpactSwitch", select=["gone", 0], input1=SEVEN, input2=NINE), None),
        (behind("CR Clip Input Switch", Input=["gone", 0], clip1=SEVEN, clip2=NINE), None),
        (behind("Another Switch", one=SEVEN, other=NINE), None),
        (behind("Another Switch", one=SEVEN, other=["1", 1]), None),
        (behind("Another Switch", one=SEVEN, other=SEVEN), "-2"),
        (behind("ImpactSwitch", select=["8", 0], input1=SEVEN, input2=SEVEN), "-2"),
        # an encoder that is not known, and none at all
        (graph(-2, **{"2": ("Some Encode", {"words": "a", "clip": SEVEN}), "3": encode("dark", SEVEN)}), "-2"),
        (graph(-2, **{"2": ("Some Encode", {"words": "a"}), "3": ("Some Encode", {"words": "a"})}), None),
        ({"1": {"class_type": "CLIPSetLastLayer", "inputs": {"stop_at_clip_layer": -2, "clip": ["0", 1]}}}, None),
    ],
)
def test_a_switch_passes_on_the_clip_that_it_chooses(tmp_path, nodes, said):
    path = png(tmp_path / "p.png", prompt=json.dumps(nodes))
    value, reason = (-float(said), numbering.COMFYUI) if said else (None, numbering.NOT_FOLLOWED)
    assert seen(path) == ("ComfyUI", value, said, str(reason))


def test_a_switch_of_conditionings_passes_on_one_prompt(tmp_path):
    inputs = {**graph()["5"]["inputs"], "positive": ["8", 0]}
    switch = ("ImpactSwitch", {"select": 2, "input1": ["2", 0], "input2": ["10", 0]})
    more = {"8": switch, "9": last_layer(-3, ["1", 1]), "10": encode("a dog", NINE), "5": ("KSampler", inputs)}
    facts = read_facts(png(tmp_path / "p.png", prompt=json.dumps(graph(None, **more, **{"3": encode("dark", NINE)}))))
    assert (facts.clip_skip, facts.prompt, facts.negative) == (3.0, "a dog", "dark")


def sampler_of(node, **inputs):
    return ("KSampler", {**graph()["5"]["inputs"], "positive": [node, 1], "negative": [node, 2], **inputs})


@pytest.mark.parametrize(
    ("kind", "names", "sampler"),
    [
        ("Context (rgthree)", ("positive", "negative"), sampler_of("8")),
        ("easy pipeIn", ("pos", "neg"), ("easy kSampler", {"pipe": ["8", 0], "seed": 5, "steps": 20})),
        ("ToBasicPipe", ("positive", "negative"), ("ImpactKSamplerBasicPipe", {"basic_pipe": ["8", 0], "seed": 5})),
    ],
)
def test_a_node_that_carries_a_clip_beside_conditionings_has_not_encoded_them(tmp_path, kind, names, sampler):
    carried = {"clip": SEVEN, names[0]: ["2", 0], names[1]: ["3", 0], "model": ["1", 0]}
    nodes = graph(-2, **{"9": last_layer(-3, ["1", 1]), "3": encode("dark", NINE), "8": (kind, carried), "5": sampler})
    facts = read_facts(png(tmp_path / "p.png", prompt=json.dumps(nodes)))
    assert facts.said == "prompt -2, negative prompt -3"
    assert (facts.prompt, facts.negative) == ("a cat", "dark")


def test_a_node_that_encodes_texts_from_elsewhere_is_an_encoder(tmp_path):
    both = {"clip": SEVEN, "positive": ["8", 0], "negative": ["9", 0]}
    texts = {"8": ("PrimitiveString", {"value": "a dog"}), "9": ("PrimitiveString", {"value": "bright"})}
    nodes = graph(-2, **texts, **{"2": ("Encode Both", both), "5": sampler_of("2")})
    facts = read_facts(png(tmp_path / "p.png", prompt=json.dumps(nodes)))
    assert (facts.clip_skip, facts.prompt, facts.negative) == (2.0, "a dog", "bright")


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("StringConcatenate", {"string_a": ["9", 0], "string_b": "far away", "delimiter": ", "}),
        ("JoinStrings", {"delimiter": ", ", "string1": ["9", 0], "string2": "far away"}),
        ("Text Concatenate", {"delimiter": ", ", "text_a": ["9", 0], "text_b": "far away", "text_c": ""}),
        ("CR Text Concatenate", {"text1": ["9", 0], "text2": "far away", "separator": ", "}),
        ("easy promptConcat", {"prompt1": ["9", 0], "prompt2": "far away", "separator": ", "}),
    ],
)
def test_a_prompt_may_be_joined_of_several_texts(tmp_path, kind, inputs):
    nodes = graph(
        -2, **{"2": encode(["8", 0], SEVEN), "8": (kind, inputs), "9": ("PrimitiveString", {"value": "a cat"})}
    )
    assert read_facts(png(tmp_path / "p.png", prompt=json.dumps(nodes))).prompt == "a cat, far away"


def test_joined_texts_end():
    """Each text is the next one twice, and the last one is the first again."""
    double = {
        f"t{i}": ("StringConcatenate", {name: [f"t{i + 1}", 0] for name in ("string_a", "string_b")}) for i in range(99)
    }
    for last in ("x", ["t0", 0]):
        texts = {**double, "t99": ("StringConcatenate", {"string_a": last, "string_b": last})}
        facts = read_facts(json.dumps(graph(-2, **texts, **{"2": encode(["t0", 0], SEVEN)})).encode())
        assert facts.clip_skip == 2.0 and len(facts.prompt) <= 100_000


def test_a_size_that_is_no_number_is_the_pictures(tmp_path):
    picker = ("SDXL Empty Latent Size Picker+", {"resolution": "832x1216 (0.68)"})
    latent = ("EmptyLatentImage", {"width": ["8", 0], "height": ["8", 1]})
    path = png(tmp_path / "p.png", prompt=json.dumps(graph(-2, **{"8": picker, "4": latent})))
    assert read_facts(path).size == "64x96"


def test_what_a_node_makes_zero_is_no_negative_prompt(tmp_path):
    zero = graph(-2, **{"3": ("ConditioningZeroOut", {"conditioning": ["2", 0]})})
    facts = read_facts(png(tmp_path / "p.png", prompt=json.dumps(zero)))
    assert (facts.clip_skip, facts.prompt, facts.negative) == (2.0, "a cat", "")


def test_the_efficient_loader_of_sdxl(tmp_path):
    prompts = {"positive": "a cat", "negative": "dark", "empty_latent_width": 832, "empty_latent_height": 1216}
    loader = {"base_ckpt_name": "xl.safetensors", "base_clip_skip": -1, "refiner_clip_skip": -2, **prompts}
    sampler = {"noise_seed": 5, "steps": 20, "cfg": 7.0, "sampler_name": "euler", "sdxl_tuple": ["1", 0]}
    nodes = {
        "1": {"class_type": "Eff. Loader SDXL", "inputs": loader},
        "2": {"class_type": "KSampler SDXL (Eff.)", "inputs": {**sampler, "latent_image": ["1", 1]}},
    }
    path = png(tmp_path / "p.png", prompt=json.dumps(nodes))
    assert seen(path) == ("ComfyUI", None, "-1", str(numbering.RAW_TOP))
    facts = read_facts(path)
    assert (facts.model, facts.size, facts.seed) == ("xl.safetensors", "832x1216", 5)
    assert (facts.prompt, facts.negative) == ("a cat", "dark")


@pytest.mark.parametrize(
    ("loader", "kind", "stop", "reason"),
    [
        ("CLIPLoader", "qwen_image", -2, numbering.NO_CLIP_SKIP(family="Qwen-Image")),
        ("CLIPLoader", "lumina2", -2, numbering.NO_CLIP_SKIP(family="Lumina 2")),
        ("CLIPLoader", "a_new_one", -2, numbering.NO_CLIP_SKIP(family="a_new_one")),
        ("DualCLIPLoader", "flux", None, numbering.WITHOUT_CLIP_SKIP(family="Flux")),
        ("CLIPLoader", "stable_diffusion", -2, numbering.COMFYUI(value="-2", skip="2")),
        ("DualCLIPLoader", "sdxl", -2, numbering.COMFYUI(value="-2", skip="2")),
    ],
)
def test_the_loader_of_the_text_encoders_names_the_model(tmp_path, loader, kind, stop, reason):
    more = {"8": (loader, {"clip_name": "x", "type": kind}), "7": last_layer(stop, ["8", 0])} if stop else {}
    nodes = graph(stop, **{"8": (loader, {"clip_name": "x", "type": kind}), **more})
    assert str(read_facts(png(tmp_path / "p.png", prompt=json.dumps(nodes))).reason) == str(reason)


def test_a_node_that_writes_an_infotext_knows_what_the_graph_does_not_show(tmp_path):
    nodes = json.dumps(behind("Another Switch", one=SEVEN, other=NINE))
    path = png(tmp_path / "p.png", prompt=nodes, parameters=infotext(f"{WHOLE}, Clip skip: -3, Version: ComfyUI"))
    assert seen(path)[:3] == ("ComfyUI", 3.0, "-3")


def test_comfyuis_other_settings_are_read_exactly(tmp_path):
    facts = read_facts(png(tmp_path / "p.png", prompt=json.dumps(graph(-2))))
    assert facts.seed == 2**64 - 1 and facts.size == "512x768" and facts.cfg_scale == 7.0 and facts.steps == 20
    assert (facts.prompt, facts.negative, facts.model) == ("a cat", "dark", "sub\\foo.safetensors")
    found = read_infotext(tmp_path / "p.png").parameters
    assert (found["Sampler"], found["Schedule type"], found["RNG"]) == ("DPM++ 2M SDE", "Karras", "CPU")


def test_several_values_in_a_graph_are_all_told_with_their_prompt(tmp_path):
    both = graph(-2, **{"8": last_layer(-3, ["1", 1]), "3": encode("dark", ["8", 0])})
    facts = read_facts(png(tmp_path / "p.png", prompt=json.dumps(both)))
    assert facts.clip_skip is None and facts.said == "prompt -2, negative prompt -3"
    parts = [
        fact_texts.PART_FROM(part=fact_texts.PARTS[part], value=value, number=number, tool="ComfyUI")
        for part, value, number in (("prompt", "2", "-2"), ("negative prompt", "3", "-3"))
    ]
    assert str(facts.reason) == str(fact_texts.SEVERAL(parts=join(parts, ", ")))
    one = graph(-2, **{"3": encode("dark", ["1", 1])})
    facts = read_facts(png(tmp_path / "p.png", prompt=json.dumps(one)))
    assert facts.clip_skip is None and facts.said == "prompt -2, negative prompt none"
    second = {
        "8": last_layer(-4, ["1", 1]),
        "9": encode("a dog", ["8", 0]),
        "10": (
            "KSampler",
            {"seed": 9, "steps": 5, "positive": ["9", 0], "negative": ["3", 0], "latent_image": ["5", 0]},
        ),
    }
    facts = read_facts(png(tmp_path / "p.png", prompt=json.dumps(graph(-2, **second))))
    assert facts.said == "prompt -2, negative prompt -2, prompt -4" and facts.seed == 2**64 - 1


def test_the_editors_workflow_stands_in_for_a_prompt_that_is_missing(tmp_path):
    nodes = [
        {"id": 1, "type": "CheckpointLoaderSimple", "widgets_values": ["m.safetensors"]},
        {
            **{"id": 2, "type": "CLIPSetLastLayer", "widgets_values": [-2]},
            "inputs": [{"name": "clip", "type": "CLIP", "link": 1}],
        },
        {
            **{"id": 3, "type": "CLIPTextEncode", "widgets_values": ["a cat"]},
            "inputs": [{"name": "clip", "type": "CLIP", "link": 2}],
        },
        {
            **{"id": 4, "type": "KSampler"},
            "widgets_values": [5, "fixed", 20, 7, "euler", "normal", 1],
            "inputs": [{"name": "positive", "link": 3}, {"name": "negative", "link": 3}],
        },
    ]
    links = [[1, 1, 1, 2, 0, "CLIP"], [2, 2, 0, 3, 0, "CLIP"], [3, 3, 0, 4, 1, "CONDITIONING"]]
    path = png(tmp_path / "p.png", workflow=json.dumps({"nodes": nodes, "links": links}))
    assert seen(path) == ("ComfyUI", 2.0, "-2", str(numbering.COMFYUI)) and read_facts(path).seed == 5
    nodes[1]["mode"] = comfyui_workflow.BYPASSED
    path = png(tmp_path / "p.png", workflow=json.dumps({"nodes": nodes, "links": links}))
    assert seen(path) == ("ComfyUI", None, None, PUBLISHED)


def editor_node(name, kind, values=(), links=(), outputs=(), mode=0):
    """A node of the editor. links: name, type and link of each input."""
    inputs = [{"name": name, "type": kind, "link": link} for name, kind, link in links]
    outs = [{"name": kind, "type": kind} for kind in outputs]
    return {"id": name, "type": kind, "mode": mode, "widgets_values": [*values], "inputs": inputs, "outputs": outs}


def set_layer(name, stop, link, mode=0):
    return editor_node(name, "CLIPSetLastLayer", [stop], [("clip", "CLIP", link)], ["CLIP"], mode)


def encoder(name, text, link):
    return editor_node(name, "CLIPTextEncode", [text], [("clip", "CLIP", link)], ["CONDITIONING"])


def sampler(name, links, seed, mode=0):
    named = zip(("positive", "negative", "latent_image"), ("CONDITIONING", "CONDITIONING", "LATENT"), links)
    values = [seed, "fixed", 20, 7, "euler", "normal", 1]
    return editor_node(name, "KSampler", values, [*named], ["LATENT"], mode)


LOADER = editor_node(1, "CheckpointLoaderSimple", ["m.safetensors"], outputs=["MODEL", "CLIP", "VAE"])
LATENT = editor_node(4, "EmptyLatentImage", [512, 768, 1], outputs=["LATENT"])
ENDS = [[3, 2, 0, 5, 1, "CONDITIONING"], [4, 3, 0, 5, 2, "CONDITIONING"], [5, 4, 0, 5, 3, "LATENT"]]
SUBGRAPH = "f2fdebf6-dfaf-43b6-9eb2-7f70613cfdc1"


def editor(nodes, links, **more):
    """A workflow of the loader, an empty latent, a sampler of nodes 2 and 3, and `nodes`."""
    return {"nodes": [LOADER, LATENT, *nodes, sampler(5, (3, 4, 5), 5)], "links": [*ENDS, *links], **more}


def subgraph(nodes, links, inputs=("clip",)):
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    links = [dict(zip(names, link)) for link in links]
    return {"id": SUBGRAPH, "nodes": nodes, "links": links, "inputs": [{"name": name} for name in inputs]}


TO_BOTH = [[1, 1, 1, 7, 0, "CLIP"], [2, 7, 0, 2, 0, "CLIP"], [6, 7, 0, 3, 0, "CLIP"]]
"""From the loader through node 7 to the encoders 2 and 3."""

BOTH = [encoder(2, "a cat", 2), encoder(3, "dark", 6)]
WHOLE_EDITOR = editor([set_layer(7, -2, 1), *BOTH], TO_BOTH)


@pytest.mark.parametrize(
    "workflow",
    [
        pytest.param(WHOLE_EDITOR, id="lists"),
        pytest.param(
            {**WHOLE_EDITOR, **subgraph(WHOLE_EDITOR["nodes"], WHOLE_EDITOR["links"])}, id="links are objects"
        ),
        pytest.param(
            editor(
                [
                    *(set_layer(7, -2, 1), editor_node(8, "SetNode", ["my clip"], [("CLIP", "CLIP", 7)], ["*"])),
                    *(editor_node(9, "GetNode", ["my clip"], outputs=["CLIP"]), *BOTH),
                ],
                [TO_BOTH[0], [7, 7, 0, 8, 0, "CLIP"], [2, 9, 0, 2, 0, "CLIP"], [6, 9, 0, 3, 0, "CLIP"]],
            ),
            id="Set and Get",
        ),
        pytest.param(
            editor(
                [editor_node(7, SUBGRAPH, (), [("clip", "CLIP", 1)], ["CLIP"]), *BOTH],
                TO_BOTH,
                definitions={"subgraphs": [subgraph([set_layer(1, -2, 1)], [[1, -10, 0, 1, 0], [2, 1, 0, -20, 0]])]},
            ),
            id="the node in a subgraph",
        ),
        pytest.param(
            editor(
                [set_layer(7, -2, 1), editor_node(9, SUBGRAPH, (), [("clip", "CLIP", 2)], ["CONDITIONING"] * 2)],
                [TO_BOTH[0], [2, 7, 0, 9, 0, "CLIP"], [3, 9, 0, 5, 1, "CONDITIONING"], [4, 9, 1, 5, 2, "CONDITIONING"]],
                definitions={
                    "subgraphs": [
                        subgraph(BOTH, [[2, -10, 0, 2, 0], [6, -10, 0, 3, 0], [7, 2, 0, -20, 0], [8, 3, 0, -20, 1]])
                    ]
                },
            ),
            id="the encoders in a subgraph",
        ),
        pytest.param(
            {
                "nodes": [editor_node(9, SUBGRAPH, outputs=["LATENT"])],
                "links": [],
                "definitions": {"subgraphs": [subgraph(WHOLE_EDITOR["nodes"], WHOLE_EDITOR["links"])]},
            },
            id="all in a subgraph",
        ),
        pytest.param(
            editor(
                [
                    *(set_layer(7, -2, 1), *BOTH, set_layer(8, -4, 7), encoder(9, "bright", 8)),
                    sampler(10, (9, 4, 10), 6, comfyui_workflow.BYPASSED),
                ],
                [
                    *(*TO_BOTH, [7, 1, 1, 8, 0, "CLIP"], [8, 8, 0, 9, 0, "CLIP"]),
                    *([9, 9, 0, 10, 1, "CONDITIONING"], [10, 5, 0, 10, 3, "LATENT"]),
                ],
            ),
            id="a bypassed sampler of other prompts",
        ),
        pytest.param(
            editor(
                [
                    *(set_layer(7, -2, 1), set_layer(8, -5, 7, comfyui_workflow.BYPASSED)),
                    *(encoder(2, "a cat", 2), encoder(3, "dark", 6)),
                ],
                [TO_BOTH[0], [7, 7, 0, 8, 0, "CLIP"], [2, 8, 0, 2, 0, "CLIP"], [6, 8, 0, 3, 0, "CLIP"]],
            ),
            id="a bypassed node after it",
        ),
    ],
)
def test_what_only_the_editor_has_is_resolved(tmp_path, workflow):
    path = png(tmp_path / "p.png", workflow=json.dumps(workflow))
    assert seen(path) == ("ComfyUI", 2.0, "-2", str(numbering.COMFYUI))
    facts = read_facts(path)
    assert (facts.prompt, facts.negative, facts.seed, facts.size) == ("a cat", "dark", 5, "512x768")


def test_values_in_the_editor_are_known_by_the_nodes_type_or_by_the_names_beside_them(tmp_path):
    inputs = zip(("positive", "negative", "latent_image", "model"), "CCLM", (1, 2, 3, 4))
    texts = ["a cat", "dark", "none", "comfy", 512, 768, 1]
    loader = editor_node(1, "Efficient Loader", ["m", "Baked VAE", -3, "None", 1, 1, *texts])
    links = [[number, 1, number, 2, number] for number in (1, 2, 3, 4)]
    values = [5, None, 20, 7, "euler", "normal", 1, "auto"]
    nodes = [loader, editor_node(2, "KSampler (Efficient)", values, inputs)]
    facts = read_facts(json.dumps({"nodes": nodes, "links": links}).encode())
    assert (facts.clip_skip, facts.said, facts.seed, facts.size) == (3.0, "-3", 5, "512x768")
    assert (facts.prompt, facts.negative, facts.model) == ("a cat", "dark", "m")
    named = editor_node(1, "A New Loader", ["m", 5, "randomize", -3, "a cat", "dark"])
    names = ("ckpt_name", "seed", "clip_skip", "positive", "negative")
    named["inputs"] = [{"name": name, "type": "X", "link": None, "widget": {"name": name}} for name in names]
    facts = read_facts(json.dumps({"nodes": [named, nodes[1]], "links": links}).encode())
    assert (facts.clip_skip, facts.prompt, facts.negative, facts.model) == (3.0, "a cat", "dark", "m")


def test_what_the_editor_connects_without_links_is_not_taken_for_nothing(tmp_path):
    everywhere = editor_node(8, "Anything Everywhere", (), [("anything", "CLIP", 2)])
    nodes = [set_layer(7, -2, 1), everywhere, encoder(2, "a cat", None), encoder(3, "dark", None)]
    workflow = editor(nodes, [TO_BOTH[0], [2, 7, 0, 8, 0, "CLIP"]])
    assert seen(png(tmp_path / "p.png", workflow=json.dumps(workflow)))[1:] == (None, None, str(numbering.NOT_FOLLOWED))


def test_subgraphs_in_subgraphs_end():
    inside = [editor_node(number, SUBGRAPH) for number in range(100)]
    endless = {"nodes": inside, "links": [], "definitions": {"subgraphs": [subgraph(inside, [])]}}
    alone = {**endless, "definitions": {"subgraphs": [subgraph(inside[:1], [[1, 0, 0, -20, 0]] * 100)]}}
    alone["links"] = [[1, 0, 0, 1, 0]]
    for workflow in (endless, alone):
        assert comfyui_workflow.from_workflow(workflow) is None or not read_facts(json.dumps(workflow).encode()).prompt


@pytest.mark.parametrize(
    "content",
    [
        {"inputs": [{"name": "x"}] * 10_000},
        {"links": [[1, -10, 0, -20, 0]] * 10_000},
        {"nodes": [{"id": 1, "type": "X", "inputs": [{"name": "x"}] * 10_000}]},
        {"nodes": [{"id": 1, "type": "X", "widgets_values": ["x"] * 10_000}]},
    ],
)
def test_a_large_subgraph_that_is_used_often_is_not_read(content):
    definition = {**subgraph([], []), **content}
    uses = [editor_node(number, SUBGRAPH) for number in range(1000)]
    workflow = {"nodes": uses, "links": [], "definitions": {"subgraphs": [definition]}}
    assert comfyui_workflow.from_workflow(workflow) is None
    assert comfyui_workflow.from_workflow({**workflow, "nodes": [*uses[:2], set_layer(9999, -2, None)]}) is not None


def test_a_large_graph_is_walked_in_time_and_a_larger_one_not_at_all():
    """Every encoder hangs on a long chain of LoRAs, and every sampler on all encoders."""

    def make(length):
        chain = {f"c{i}": ("LoraLoader", {"clip": [f"c{i + 1}", 0], "model": ["m", 0]}) for i in range(length)}
        encoders = {f"e{i}": encode("x", ["c0", 0]) for i in range(20)}
        joined = {"joined": ("ConditioningCombine", {f"c_{i}": [f"e{i}", 0] for i in range(20)})}
        inputs = {"seed": 1, "steps": 2, "positive": ["joined", 0], "negative": ["joined", 0], "model": ["c0", 0]}
        samplers = {f"s{i}": ("KSampler", {**inputs, "latent_image": ["c0", 0]}) for i in range(20)}
        return json.dumps(graph(None, **chain, **encoders, **joined, **samplers)).encode()

    assert growth(read_facts, make, 180, 1800) < 3
    assert read_facts(make(1800)).tool == "ComfyUI"
    with pytest.raises(PictureError):
        read_facts(make(2000))


def test_comfyuis_graph_is_found_in_webp_and_beside_an_infotext(tmp_path):
    raw = "prompt:" + json.dumps(graph(-2))
    assert seen(with_exif(tmp_path / "p.webp", raw, tag=0x0110, first=True))[:2] == ("ComfyUI", 2.0)
    raw = unicode_be(json.dumps({**graph(-2), "extra": {}, "extraMetadata": "{}"}))
    assert seen(with_exif(tmp_path / "p.jpg", raw))[:2] == ("ComfyUI", 2.0)
    text = infotext(f"{WHOLE}, Clip skip: 5, Version: ComfyUI")
    facts = read_facts(png(tmp_path / "p.png", prompt=json.dumps(graph(-2)), parameters=text))
    assert (facts.clip_skip, facts.model_hash, facts.model) == (2.0, "0123456789", "sub\\foo.safetensors")


def swarm(**params):
    known = {"prompt": "a cat", "negativeprompt": "dark", "model": "a/foo", "seed": 5, "steps": "20", "cfgscale": "7.0"}
    values = {**known, "width": 512, "height": 768, "sampler": "euler_ancestral", "swarm_version": "0.9.8.0", **params}
    models = [{"name": "a/foo.safetensors", "param": "model", "hash": "0x" + "ab" * 32}]
    return json.dumps({"sui_image_params": values, "sui_models": models, "sui_extra_data": {}}, indent=2)


def invoke(base, **values):
    known = {"positive_prompt": "a cat", "negative_prompt": "dark", "seed": 5, "steps": 20, "cfg_scale": 7.0}
    model = {"key": "x", "hash": "blake3:0123", "name": "foo", "base": base, "type": "main"}
    more = {"width": 512, "height": 768, "scheduler": "dpmpp_2m_k", "rand_device": "cpu", "app_version": "6.13.0"}
    return json.dumps({**known, **more, "generation_mode": "txt2img", "model": model, **values})


def fooocus(**values):
    known = {"prompt": "a cat", "negative_prompt": "dark", "base_model": "foo", "base_model_hash": "0123456789"}
    more = {"steps": 30, "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras", "seed": "5", "guidance_scale": 4}
    size = {"resolution": "(896, 1152)", "sharpness": 2, "performance": "Speed", "version": "Fooocus v2.5.5"}
    return json.dumps({**known, **more, **size, **values})


def novelai(source):
    values = {"steps": 28, "sampler": "k_euler_ancestral", "seed": 5, "scale": 11.0, "uc": "dark", "noise": 0.2}
    texts = {"Title": "AI generated image", "Description": "a cat", "Software": "NovelAI", "Source": source}
    return {**texts, "Comment": json.dumps(values)}


DRAW_THINGS = {"c": "a cat", "uc": "dark", "steps": 20, "sampler": "DPM++ 2M Karras", "scale": 7.5, "seed": 5}
DRAW_THINGS |= {"size": "512x768", "model": "foo_f16.ckpt", "strength": 1, "seed_mode": "Torch CPU Compatible"}
EASY = {"prompt": "a cat", "negative_prompt": "dark", "seed": 5, "use_stable_diffusion_model": "foo", "clip_skip": True}
EASY |= {"sampler_name": "euler_a", "width": 512, "height": 768, "num_inference_steps": 20, "guidance_scale": 7.5}
DIFFUSERS = {"prompt": "a cat", "num_inference_steps": 20, "guidance_scale": 7.5, "seed": 5, "clip_skip": 1}


@pytest.mark.parametrize(
    ("texts", "tool", "value", "said", "reason"),
    [
        ({"parameters": swarm(clipstopatlayer=-2)}, "SwarmUI", 2.0, "-2", numbering.COMFYUI),
        ({"parameters": swarm(clipstopatlayer="-1")}, "SwarmUI", 1.0, "-1", numbering.RAW_TOP_UNKNOWN),
        ({"parameters": swarm()}, "SwarmUI", None, None, numbering.AS_PUBLISHED),
        ({"invokeai_metadata": invoke("sd-1", clip_skip=0)}, "InvokeAI", 1.0, "0", numbering.SKIPPED),
        ({"invokeai_metadata": invoke("sd-1", clip_skip=1)}, "InvokeAI", 2.0, "1", numbering.SKIPPED),
        ({"invokeai_metadata": invoke("sd-2", clip_skip=0)}, "InvokeAI", 2.0, "0", numbering.SKIPPED),
        ({"invokeai_metadata": invoke("sdxl")}, "InvokeAI", 2.0, None, numbering.PUBLISHED_FOR),
        ({"invokeai_metadata": invoke("sdxl", clip_skip=1)}, "InvokeAI", 3.0, "1", numbering.SKIPPED),
        ({"invokeai_metadata": invoke("flux", clip_skip=1)}, "InvokeAI", None, "1", numbering.NO_CLIP_SKIP),
        (
            {
                "sd__metadata": json.dumps(
                    {
                        **{"model_weights": "foo", "model_hash": "ab" * 32},
                        "image": {
                            **{"prompt": [{"prompt": "a cat [dark]", "weight": 1}], "steps": 20, "cfg_scale": 7.5},
                            **{"seed": 5, "sampler": "k_lms", "width": 512, "height": 768},
                        },
                    }
                )
            },
            *("InvokeAI", None, None, numbering.AS_PUBLISHED),
        ),
        (
            {"Dream": '"a cat [dark]" -s 20 -S 5 -W 512 -H 768 -C 7.5 -A k_euler_a'},
            *("InvokeAI", None, None, numbering.AS_PUBLISHED),
        ),
        ({"parameters": fooocus(clip_skip=2), "fooocus_scheme": "fooocus"}, "Fooocus", 2.0, "2", None),
        ({"parameters": fooocus(), "fooocus_scheme": "fooocus"}, "Fooocus", None, None, numbering.FOOOCUS_UNWRITTEN),
        ({"parameters": fooocus(version="Fooocus v2.3.0")}, "Fooocus", 2.0, None, numbering.PUBLISHED_FOR),
        (novelai("Stable Diffusion 1D44365E"), "NovelAI", 2.0, None, numbering.NOVELAI),
        (novelai("Stable Diffusion F1022D28"), "NovelAI", 2.0, None, numbering.NOVELAI),
        (novelai("Stable Diffusion XL C1E1DE52"), "NovelAI", None, None, numbering.NOVELAI_LATER),
        (novelai("NovelAI Diffusion V4.5 4BDE2A90"), "NovelAI", None, None, numbering.NOVELAI_LATER),
        ({"parameters": json.dumps({**DRAW_THINGS, "clip_skip": 2})}, "Draw Things", 2.0, "2", None),
        ({"parameters": json.dumps(DRAW_THINGS)}, "Draw Things", 1.0, None, numbering.UNWRITTEN),
        ({name: str(value) for name, value in EASY.items()}, "Easy Diffusion", 2.0, "True", numbering.SWITCH),
        ({"parameters": json.dumps({**EASY, "clip_skip": False})}, "Easy Diffusion", 1.0, "False", numbering.SWITCH),
        (
            {"parameters": json.dumps({**DIFFUSERS, "pipeline": "StableDiffusionPipeline"})},
            *("diffusers", 2.0, "1", numbering.SKIPPED),
        ),
        (
            {"parameters": json.dumps({**DIFFUSERS, "pipeline": "StableDiffusionXLPipeline"})},
            *("diffusers", 3.0, "1", numbering.SKIPPED),
        ),
        ({"parameters": json.dumps(DIFFUSERS)}, "diffusers", 2.0, "1", numbering.SKIPPED_UNKNOWN),
    ],
)
def test_json_of_other_tools(tmp_path, texts, tool, value, said, reason):
    path = png(tmp_path / "p.png", **texts)
    assert seen(path) == (tool, value, said, reason and str(reason))
    facts = read_facts(path)
    assert facts.seed == 5 and facts.prompt == "a cat" and facts.steps in (20, 28, 30)
    assert facts.negative == ("" if tool == "diffusers" else "dark")


def test_the_numbers_that_onetrainer_has():
    """Its samples have no text in them; its training's number is in its LoRAs (`made_for`)."""
    assert convert("OneTrainer", "1", "SD1")[0] == 2 and convert("OneTrainer", "1", "SDXL")[0] == 3
    assert convert("OneTrainer", "0", "SD1")[0] == 1 and convert("OneTrainer", "0", "SDXL")[0] == 2


def test_easy_diffusion_draw_things_and_swarmui_in_jpeg(tmp_path):
    path = with_exif(tmp_path / "p.jpg", unicode_be(json.dumps(EASY)))
    assert seen(path)[:2] == ("Easy Diffusion", 2.0)
    path = with_exif(tmp_path / "p.jpg", b"ASCII\0\0\0" + json.dumps({**DRAW_THINGS, "clip_skip": 3}).encode())
    assert seen(path)[:2] == ("Draw Things", 3.0)
    path = with_exif(tmp_path / "p.jpg", b"UNICODE\0" + swarm(clipstopatlayer=-2).encode("utf-16-le"))
    assert seen(path)[:2] == ("SwarmUI", 2.0)
    path = with_exif(tmp_path / "p.webp", fooocus(clip_skip=3), first=True)
    assert seen(path)[:2] == ("Fooocus", 3.0)


@pytest.mark.parametrize(
    ("mode", "family"),
    [("sdxl_txt2img", "SDXL"), ("flux_img2img", "Flux"), ("z_image_txt2img", "z_image"), ("inpaint", "")],
)
def test_invokeais_mode_names_the_model_where_nothing_else_does(mode, family):
    values = {"positive_prompt": "a cat", "generation_mode": mode, "model": None}
    info = PngImagePlugin.PngInfo()
    info.add_text("invokeai_metadata", json.dumps(values))
    with container.io.BytesIO() as file:
        Image.new("1", (1, 1)).save(file, "PNG", pnginfo=info)
        assert read_infotext(file.getvalue()).family == family


def test_fooocus_prompts_are_those_with_the_styles(tmp_path):
    """As in its other scheme, which writes the prompts that were encoded."""
    full = {"full_prompt": ["cinematic still a cat", "sharp"], "full_negative_prompt": ["anime", "dark"]}
    facts = read_facts(png(tmp_path / "p.png", parameters=fooocus(clip_skip=2, **full)))
    assert (facts.prompt, facts.negative) == ("cinematic still a cat, sharp", "anime, dark")
    facts = read_facts(png(tmp_path / "p.png", parameters=fooocus(full_prompt=[], full_negative_prompt=5)))
    assert (facts.prompt, facts.negative) == ("a cat", "dark")


@pytest.mark.parametrize("prefix", ["", "comfyui"])
def test_swarmuis_sampler_had_another_key_before(tmp_path, prefix):
    values = json.loads(swarm(clipstopatlayer=-2))
    params = {key: value for key, value in values["sui_image_params"].items() if key != "sampler"}
    values["sui_image_params"] = {**params, f"{prefix}sampler": "dpmpp_2m", f"{prefix}scheduler": "karras"}
    found = read_infotext(png(tmp_path / "p.png", parameters=json.dumps(values))).parameters
    assert (found["Sampler"], found["Schedule type"]) == ("DPM++ 2M", "Karras")


@pytest.mark.parametrize("models", [5, "x", {"a": 1}, [5], [None]])
def test_models_of_another_type_hide_nothing_else_of_swarmui(tmp_path, models):
    values = {**json.loads(swarm(clipstopatlayer=-2)), "sui_models": models}
    assert seen(png(tmp_path / "p.png", parameters=json.dumps(values)))[:2] == ("SwarmUI", 2.0)


def test_draw_things_in_xmp(tmp_path):
    comment = json.dumps({**DRAW_THINGS, "clip_skip": 2}).replace('"', "&quot;")
    xmp = f'<exif:UserComment><rdf:Alt><rdf:li xml:lang="x-default">{comment}</rdf:li></rdf:Alt></exif:UserComment>'
    path = png(tmp_path / "p.png", **{"XML:com.adobe.xmp": xmp})
    assert seen(path) == ("Draw Things", 2.0, "2", None)


COMMENT = infotext(f"{WHOLE}, Clip skip: 2", "ünïcode 猫 cat", "тёмный")


@pytest.mark.parametrize("suffix", ["jpg", "webp", "png", "avif"])
@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(unicode_be(COMMENT), id="UTF-16BE"),
        pytest.param(b"UNICODE\0" + COMMENT.encode("utf-16-le"), id="UTF-16LE"),
        pytest.param(b"UNICODE\0\xff\xfe" + COMMENT.encode("utf-16-le"), id="mark LE"),
        pytest.param(b"UNICODE\0\xfe\xff" + COMMENT.encode("utf-16-be"), id="mark BE"),
        pytest.param(b"UNICODE\0" + COMMENT.encode(), id="UTF-8 after UNICODE"),
        pytest.param(b"UNICODE\0\xef\xbb\xbf" + COMMENT.encode(), id="mark UTF-8"),
        pytest.param(b"ASCII\0\0\0" + COMMENT.encode(), id="UTF-8 in ASCII"),
        pytest.param(b"\0" * 8 + COMMENT.encode(), id="undefined"),
        pytest.param(COMMENT.encode(), id="no head"),
        pytest.param(unicode_be(COMMENT) + b"\0\0", id="zeros at the end"),
        pytest.param(unicode_be(COMMENT) + b"\0", id="a zero at the end"),
        pytest.param(b"UNICODE\0\xff\xfe" + COMMENT.encode("utf-16-le") + b"\0", id="mark LE, a zero at the end"),
    ],
)
def test_a_user_comment_is_decoded_by_what_makes_sense(tmp_path, raw, suffix):
    if suffix == "avif" and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    facts = read_facts(with_exif(tmp_path / f"p.{suffix}", raw))
    assert (facts.prompt, facts.negative) == ("ünïcode 猫 cat", "тёмный") and facts.clip_skip == 2.0
    assert user_comment.decode(raw) == COMMENT


@pytest.mark.parametrize(
    ("text", "prompt", "negative"),
    [
        (f"a cat\nNegative prompt: dark\n{WHOLE}\nTemplate: a {{cat|dog}}", "a cat", "dark"),
        (f"a\nNegative prompt: b\n{WHOLE}\nTemplate: x\nSteps: 9, Seed: 9, Size: 9x9\nNegative Template: y", "a", "b"),
        (f"a\nNegative prompt: b\n{WHOLE}\nADetailer: something else\nand more", "a", "b"),
        (f"a\nSteps: 1, to: heaven, and: back\nNegative prompt: b\n{WHOLE}", "a\nSteps: 1, to: heaven, and: back", "b"),
        (f"a, cat. Negative prompt: dark. {WHOLE}", "a, cat.", "dark."),
        (f"a cat Negative prompt: {WHOLE}", "a cat", ""),
        (f"a cat {WHOLE}", "a cat", ""),
        (f"\ufeffa cat\r\nNegative prompt: dark\r\n{WHOLE}\r\n", "a cat", "dark"),
        (f"a\r\nb\r\n{WHOLE}", "a\nb", ""),
        (WHOLE, "", ""),
        (f"a: b, c\nNegative prompt: d\n  {WHOLE}  ", "a: b, c", "d"),
    ],
)
def test_where_the_settings_stand(tmp_path, text, prompt, negative):
    path = tmp_path / "p.txt"
    path.write_bytes(text.encode())
    facts = read_facts(path)
    assert (facts.prompt, facts.negative, facts.seed, facts.model) == (prompt, negative, 5, "m")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_file_may_have_a_byte_order_mark(tmp_path, encoding):
    path = tmp_path / "p.txt"
    path.write_bytes(COMMENT.encode(encoding))
    assert read_facts(path).prompt == "ünïcode 猫 cat"


def test_the_text_of_a_picture_may_begin_with_a_byte_order_mark(tmp_path):
    assert read_facts(png(tmp_path / "p.png", parameters=f"\ufeff{COMMENT}")).prompt == "ünïcode 猫 cat"


@pytest.mark.parametrize(
    ("line", "settings"),
    [
        ('A: [{"b": "c: d, e"}], F: 1', {"A": '[{"b": "c: d, e"}]', "F": "1"}),
        ('A: {}, B: {"c": {"d": [1, 2]}}, E: x', {"A": "{}", "B": '{"c": {"d": [1, 2]}}', "E": "x"}),
        ("A: {broken, B: 2", {"A": "{broken", "B": "2"}),
        ("A: (a, b), C: 3", {"A": "(a", "C": "3"}),
        ('A: "x, \\"y\\": z", B: 1', {"A": 'x, "y": z', "B": "1"}),
        ('A: "no end, B: 1', {"A": '"no end', "B": "1"}),
        ("A: 1, Tiling, B: 2", {"A": "1", "B": "2"}),
        ("Created Date: 2025-11-28T09:18:43.52Z, B: 2", {"Created Date": "2025-11-28T09:18:43.52Z", "B": "2"}),
        ("Face-x/y 2.0 (a): 1,B:2", {"Face-x/y 2.0 (a)": "1", "B": "2"}),
        (": 1, , B: ", {"B": ""}),
    ],
)
def test_a_line_of_settings(line, settings):
    assert dict(split_settings(line)) == settings


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**53 + 1, 2**64 - 1])
def test_seeds_are_exact(tmp_path, seed):
    text = WHOLE.replace("Seed: 5", f"Seed: {seed}")
    assert read_facts(png(tmp_path / "p.png", parameters=f"a\n{text}")).seed == seed


@pytest.mark.parametrize(
    ("name", "schedule", "names"),
    [
        ("dpmpp_2m_sde_karras", "", ("DPM++ 2M SDE", "Karras")),
        ("dpmpp_2m_sde_gpu", "karras", ("DPM++ 2M SDE", "Karras")),
        ("euler_ancestral", "normal", ("Euler a", "Uniform")),
        ("Euler a", "", ("Euler a", "")),
        ("DPM++ 2M Karras", "", ("DPM++ 2M", "Karras")),
        ("DPM++ 2M", "Automatic", ("DPM++ 2M", "Automatic")),
        ("DPM++ 2M Karras", "Automatic", ("DPM++ 2M", "Karras")),
        ("dpmpp_2m_k", "", ("DPM++ 2M", "Karras")),
        ("k_euler_a", "", ("Euler a", "")),
        ("euler_sgm_uniform", "", ("Euler", "SGM Uniform")),
        ("uni_pc", "simple", ("UniPC", "Simple")),
        ("Undefined", "", ("Undefined", "")),
        ("res_multistep", "beta", ("res_multistep", "Beta")),
    ],
)
def test_samplers_have_the_webuis_names(name, schedule, names):
    assert webui_names(name, schedule) == names


def png_chunk(kind, data):
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


@pytest.mark.parametrize("before", [{}, {"Software": "x"}, {"date:create": "2024-01-01", "Title": "y"}])
def test_texts_may_come_after_the_pixels(tmp_path, before):
    data = png(tmp_path / "p.png", **before).read_bytes()
    text = b"parameters\0" + infotext(f"{WHOLE}, Clip skip: 2").encode()
    late = data[:-12] + png_chunk(b"tEXt", text) + data[-12:]
    for source in (late, late[:-12]):
        assert read_facts(source).clip_skip == 2.0
    (tmp_path / "p.png").write_bytes(late)
    assert read_facts(tmp_path / "p.png").clip_skip == 2.0
    data = data[:-12] + png_chunk(b"tEXt", b"prompt\0" + json.dumps(graph(-2)).encode()) + data[-12:]
    assert seen_in(data) == ("ComfyUI", 2.0)


def seen_in(data):
    facts = read_facts(data)
    return facts.tool, facts.clip_skip


def test_comfyuis_animated_png_has_its_graph_in_chunks_of_its_own():
    info = PngImagePlugin.PngInfo()
    for name, text in (("prompt", json.dumps(graph(-2))), ("workflow", "{}")):
        info.add(b"comf", name.encode() + b"\0" + text.encode(), after_idat=True)
    frames = [Image.new("RGB", (64, 96), color) for color in ("red", "blue", "green")]
    for count in (1, 3):
        with container.io.BytesIO() as file:
            frames[0].save(file, "PNG", pnginfo=info, save_all=True, append_images=frames[1:count])
            data = file.getvalue()
        assert seen_in(data) == ("ComfyUI", 2.0)
        for end in range(8, len(data), 37):
            try:
                seen_in(data[:end])
            except PictureError as error:
                assert str(error)


def hostile_files(folder):
    """Files that readers have stumbled over."""
    plain = b"\x89PNG\r\n\x1a\n"

    chunk = png_chunk
    head = chunk(b"IHDR", b"\0\0\0\1\0\0\0\1\x08\2\0\0\0")
    end = chunk(b"IDAT", zlib.compress(b"\0\0\0\0")) + chunk(b"IEND", b"")
    bomb = zlib.compress(b"a" * 100_000_000, 9)
    yield "bomb.png", plain + head + chunk(b"zTXt", b"parameters\0\0" + bomb) + end
    yield "large.png", plain + chunk(b"IHDR", b"\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\2\0\0\0") + end
    yield "cut.png", plain + head[:20]
    yield "text.png", plain + head + chunk(b"tEXt", b"parameters\0" + b"\xff" * 50) + end
    yield "none.png", plain + head + end
    yield "empty.png", b""
    yield "zeros.bin", b"\0" * 1000
    yield "exif.jpg", exif_bytes(folder, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x92\x86" * 40)
    yield "brackets.txt", b"[" * 200_000
    yield "objects.txt", b'{"a":' * 200_000
    yield "numbers.json", b'{"sui_image_params": {"seed": ' + b"9" * 6000 + b"}}"
    yield "nan.json", b'{"sui_image_params": {"seed": NaN, "steps": Infinity, "prompt": [1]}}'
    loop = graph(-2, **{"7": last_layer(["7", 0], ["7", 0]), "2": encode(["2", 0], ["2", 0])})
    yield "loop.json", json.dumps(loop).encode()
    yield "odd.json", json.dumps({"1": {"class_type": 1, "inputs": {"positive": ["1", 0], "seed": []}}}).encode()
    yield "workflow.json", json.dumps({"nodes": [1, {"id": [], "inputs": 3}], "links": [[], 1]}).encode()


def exif_bytes(folder, exif):
    Image.new("RGB", (8, 8)).save(folder / "made.jpg", exif=exif)
    return (folder / "made.jpg").read_bytes()


def test_hostile_files_end_in_this_rooms_error_or_in_facts(tmp_path):
    for name, data in hostile_files(tmp_path):
        path = tmp_path / name
        path.write_bytes(data)
        for source in (path, data):
            try:
                facts = read_facts(source, name)
            except PictureError as error:
                assert str(error)
            else:
                assert json.dumps(facts.as_json(), allow_nan=False)
    for name in ("none.png", "empty.png", "zeros.bin", "bomb.png", "large.png", "brackets.txt"):
        with pytest.raises(PictureError):
            read_facts(tmp_path / name)
    with pytest.raises(PictureError):
        read_facts(tmp_path)


def test_broken_exif_hides_nothing_else(tmp_path):
    path = png(tmp_path / "p.png", parameters=infotext(f"{WHOLE}, Clip skip: 2"))
    with Image.open(path) as picture:
        info = PngImagePlugin.PngInfo()
        info.add_text("parameters", picture.text["parameters"])
        picture.save(path, pnginfo=info, exif=b"Exif\0\0no TIFF at all")
    with Image.open(path) as picture, pytest.raises(SyntaxError):
        picture.getexif()
    assert read_facts(path).clip_skip == 2


def test_what_is_read_of_a_file_is_limited(tmp_path, monkeypatch):
    text = infotext(f"{WHOLE}, Clip skip: 2")
    (tmp_path / "p.txt").write_text(text, encoding="utf-8")
    xmp = '<exif:UserComment><rdf:Alt><rdf:li xml:lang="x-default">{}</rdf:li></rdf:Alt></exif:UserComment>'
    comment = json.dumps(DRAW_THINGS).replace('"', "&quot;")
    in_xmp = png(tmp_path / "p.png", **{"XML:com.adobe.xmp": xmp.format(comment)})
    in_json = png(tmp_path / "graph.png", prompt=json.dumps(graph(-2)))
    for module, name, sources in (
        (container, "MOST_BYTES", (tmp_path / "p.txt", text.encode())),
        (container, "MOST_XMP", (in_xmp,)),
        (json_text, "LONGEST_JSON", (in_json,)),
    ):
        for source in sources:
            assert read_facts(source).tool
            with monkeypatch.context() as limited, pytest.raises(PictureError):
                limited.setattr(module, name, 100)
                read_facts(source)


def test_a_file_of_zeros_is_neither_a_picture_nor_a_text():
    with pytest.raises(PictureError) as error:
        read_infotext(b"a\0" + infotext(WHOLE).encode(), "zeros.bin")
    assert error.value.message == container.NEITHER(file="zeros.bin")


def test_numbers_of_any_length_are_shown_shortened(tmp_path):
    facts = read_facts(png(tmp_path / "p.png", parameters=infotext(f"{WHOLE}, Clip skip: {'9' * 5000}")))
    assert facts.said == "9" * fact_texts.LONGEST_NUMBER
    assert json_text.text_of(2**64 + 1) == str(2**64 + 1) and json_text.text_of(1 << 10_000) is None


@pytest.mark.parametrize("seed", ["nan", "-5", "1e400", "9" * 5000, "inf"])
def test_settings_that_are_no_numbers_are_none(tmp_path, seed):
    text = f"a\nSteps: 1e400, Sampler: x, CFG scale: inf, Seed: {seed}, Clip skip: 0, Size: big"
    facts = read_facts(png(tmp_path / "p.png", parameters=text))
    assert facts.clip_skip == 1.0 and facts.cfg_scale is None and facts.steps is None
    assert facts.seed == (-5 if seed == "-5" else None)


BLOCKS = (
    *("x", "Steps: 1, ", "a: ", 'a: "', 'a: "\\"', "a: {", 'a: ["b: [", ', "{", '"', ",", ":", "\n", "\r\n"),
    *("Negative prompt:", "Template: ", "Steps: 1", "Steps: 1, a: b, c: d\n", "- ", "a b-", "<clipskip:", "\ufeff"),
)


@pytest.mark.parametrize("tail", ["", f"\n{WHOLE}"])
@pytest.mark.parametrize("block", BLOCKS)
def test_reading_takes_time_in_proportion_to_the_length(block, tail):
    def make(length):
        return block * (length // len(block)) + tail

    assert growth(lambda text: facts_of(identified(parse_infotext(text))), make) < 3


@pytest.mark.parametrize("block", ["a", '"x": {"a":1,', 'a: "', "a: [", ", ", "{"])
def test_a_line_of_settings_is_read_in_time_in_proportion_to_its_length(block):
    make = lambda length: f"Steps: 1, {block * (length // len(block))}{{: 1, Seed: 2"
    assert growth(parse_settings, make, 2_000, 20_000) < 4


PIECES = st.sampled_from(
    [
        *BLOCKS,
        *WHOLE.split(", "),
        "Clip skip: ",
        "CLiP-skip: ",
        "nan",
        "1e400",
        "-2",
        "[]",
        "{}",
        "null",
        "Version: neo",
    ]
)


@given(st.lists(PIECES | st.text(max_size=20), max_size=40).map("".join))
def test_any_text_gives_facts(text):
    facts = facts_of(identified(parse_infotext(text)))
    assert json.dumps(facts.as_json(), allow_nan=False) and all(map(str, sentences(facts)))
    try:
        read_facts(text.encode("utf-8", "surrogatepass"))
    except PictureError as error:
        assert str(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(["1", 0]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("1", "2", "class_type", "inputs", "clip", "text", "positive", "negative", "stop_at_clip_layer"),
                    *(
                        "sampler_name",
                        "seed",
                        "latent_image",
                        "prompt",
                        "nodes",
                        "links",
                        "id",
                        "type",
                        "mode",
                        "c",
                        "uc",
                    ),
                    *("widgets_values", "sui_image_params", "sui_models", "model", "clip_skip", "base_model", "steps"),
                    *("guidance_scale", "num_inference_steps", "use_stable_diffusion_model", "seed_mode", "image"),
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)


@given(JSON, st.sampled_from(["parameters", "prompt", "workflow", "invokeai_metadata", "sd-metadata", "Comment"]))
def test_any_json_gives_facts_or_this_rooms_error(data, place):
    info = PngImagePlugin.PngInfo()
    info.add_text(place, json.dumps(data))
    info.add_text("Software", "NovelAI")
    with container.io.BytesIO() as file:
        Image.new("1", (1, 1)).save(file, "PNG", pnginfo=info)
        raw = file.getvalue()
    try:
        assert json.dumps(read_facts(raw).as_json(), allow_nan=False)
    except PictureError as error:
        assert str(error)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_user_comment(raw):
    for head in (b"", *user_comment.CHARACTER_CODES):
        assert isinstance(user_comment.decode(head + raw), str)


def test_what_a_person_is_told(tmp_path):
    facts = read_facts(png(tmp_path / "p.png", prompt=json.dumps(graph(-2))))
    first = fact_texts.MADE_AT_OWN(tool="ComfyUI", value="2", number="-2")
    assert sentences(facts) == [first, numbering.COMFYUI(value="-2", skip="2")]
    facts = read_facts(png(tmp_path / "p.png", parameters=infotext(f"{WHOLE}, Clip skip: 2")))
    assert sentences(facts) == [fact_texts.MADE_AT(tool="AUTOMATIC1111", value="2")]
    facts = read_facts(png(tmp_path / "p.png", **novelai("NovelAI Diffusion V4 37442FCA")))
    assert sentences(facts)[0] == fact_texts.MADE_BY(tool="NovelAI")
    facts = read_facts(png(tmp_path / "p.png", parameters=infotext(f"{WHOLE}, Clip skip: two")))
    assert sentences(facts)[0] == fact_texts.MADE_BY_OWN(tool="AUTOMATIC1111", number="two")


def test_the_command_inspects_pictures(tmp_path, capsys):
    png(tmp_path / "comfy.png", prompt=json.dumps(graph(-2)))
    png(tmp_path / "a1111.png", parameters=infotext(f"{WHOLE}, Clip skip: 2"))
    Image.new("RGB", (8, 8)).save(tmp_path / "none.png")
    files = [str(tmp_path / name) for name in ("comfy.png", "a1111.png", "none.png")]
    assert main(["inspect", *files, "--json"]) == 1
    printed = capsys.readouterr()
    comfy, a1111, none = json.loads(printed.out)
    fields = "tool clip_skip said model model_hash seed steps cfg_scale size prompt negative reason"
    assert comfy.keys() == {"file", "kind", "picture"} and list(comfy["picture"]) == fields.split()
    assert comfy["file"] == files[0] and comfy["kind"] == "picture"
    picture = comfy["picture"]
    assert (picture["tool"], picture["clip_skip"], picture["said"], picture["seed"]) == (
        "ComfyUI",
        2.0,
        "-2",
        2**64 - 1,
    )
    assert picture["reason"] == str(numbering.COMFYUI(value="-2", skip="2"))
    assert a1111["picture"]["reason"] is None and a1111["picture"]["size"] == "512x768"
    message = str(NO_INFOTEXT(file=files[2]))
    assert none == {"file": files[2], "problem": f"{message}."} and message in printed.err
    assert main(["inspect", *files[:2]]) == 0
    out = capsys.readouterr().out
    assert str(fact_texts.MADE_AT_OWN(tool="ComfyUI", value="2", number="-2")) in out and "Seed: 5\n" in out


@pytest.mark.parametrize("name", ["p.jfif", "p.jpe", "p.apng", "p.PNG", "p.JPEG"])
def test_the_command_knows_a_picture_by_any_of_its_suffixes(tmp_path, capsys, name):
    data = png(tmp_path / "made.png", parameters=infotext(f"{WHOLE}, Clip skip: 2")).read_bytes()
    (tmp_path / name).write_bytes(data)
    assert main(["inspect", "--json", str(tmp_path / name)]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["picture"]["clip_skip"] == 2


def test_the_command_takes_a_folder_of_pictures_and_shows_no_control_characters(tmp_path, capsys):
    png(tmp_path / "a.png", parameters=infotext(f"{WHOLE}, Clip skip: 2", "a \x1b[31mred\x1b[0m\ncat"))
    (tmp_path / "more").mkdir()
    png(tmp_path / "more" / "b.png", parameters=infotext(WHOLE))
    assert main(["inspect", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "a.png" in out and "b.png" in out and "\x1b" not in out and "a \\x1b[31mred\\x1b[0m\\ncat" in out


def test_what_png_info_shows(tmp_path, standins):
    from clip_skip.webui.page import png_info, routes

    data = png(tmp_path / "p.png", prompt=json.dumps(graph(-2))).read_bytes()
    letters = base64.b64encode(data).decode()
    for sent in (letters, f"data:image/png;base64,{letters}"):
        answer = routes.picture({"picture": sent})
        assert answer["sentences"] == [str(one) for one in sentences(read_facts(data))]
        assert answer["picture"] == read_facts(data).as_json()
    Image.new("RGB", (8, 8)).save(tmp_path / "none.png")
    none = base64.b64encode((tmp_path / "none.png").read_bytes()).decode()
    assert routes.picture({"picture": none}) == {"problem": str(NO_INFOTEXT(file=png_info.THE_PICTURE))}
    for sent in (None, "", 3, [], "data:image/png;base64,%%%", "é"):
        assert routes.picture({"picture": sent}) == {"problem": str(png_info.NO_PICTURE)}


def test_avif_without_a_reader_is_named(tmp_path, monkeypatch):
    path = tmp_path / "p.avif"
    path.write_bytes(b"\0\0\0\x20ftypavif\0\0\0\0avif" + b"\0" * 50)
    monkeypatch.setattr(container, "FORMATS", ("PNG",))
    with pytest.raises(PictureError) as error:
        read_facts(path)
    assert error.value.message == container.NO_AVIF(file=str(path))


REFERENCE = {
    "A1111": {"parameters": infotext(f"{WHOLE}, Clip skip: 2, Version: v1.10.1")},
    "ComfyUI": {"prompt": json.dumps(graph(-2)), "workflow": json.dumps({"nodes": [], "links": []})},
    "InvokeAI": {"invokeai_metadata": invoke("sd-1", clip_skip=1)},
    "Dream": {"Dream": '"a cat [dark]" -s 20 -S 5 -W 512 -H 768 -C 7.5 -A k_euler_a'},
    "Fooocus": {"parameters": fooocus(clip_skip=2)},
    "NovelAI": novelai("Stable Diffusion 1D44365E"),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_sd_parsers_reads_the_same_where_it_reads(tmp_path, name):
    sd_parsers = pytest.importorskip("sd_parsers", reason="sd-parsers is not installed")
    path = png(tmp_path / "p.png", **REFERENCE[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sd_parsers.ParserManager().parse(path)
    assert theirs is not None
    ours, sampler = read_facts(path), theirs.samplers[0]
    assert str(sampler.parameters["seed"]) == str(ours.seed)
    assert ours.cfg_scale == float(sampler.parameters["cfg_scale"])
    if name != "ComfyUI":  # its links are followed by the workflow's, not by the graph that ran
        assert [prompt.value for prompt in sampler.prompts] == [ours.prompt]
        assert [prompt.value for prompt in sampler.negative_prompts] == [ours.negative]
    if name in ("A1111", "ComfyUI", "InvokeAI"):
        assert ours.steps == int(sampler.parameters["steps"])


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("SwarmUI", {"parameters": swarm(clipstopatlayer=-2)}),
        (
            "a template with settings after an infotext",
            {"parameters": f"a\n{WHOLE}\nTemplate: b\nSteps: 1, Seed: 2, CFG scale: 3, Sampler: Euler"},
        ),
        ("everything on one line", {"parameters": f"a cat Negative prompt: dark {WHOLE}"}),
    ],
)
def test_where_sd_parsers_reads_nothing_or_something_else(tmp_path, name, texts):
    """The rows of docs/files.md that say so; once this fails, sd-parsers has learnt it."""
    sd_parsers = pytest.importorskip("sd_parsers", reason="sd-parsers is not installed")
    path = png(tmp_path / "p.png", **texts)
    theirs = sd_parsers.ParserManager().parse(path)
    ours = read_facts(path)
    prompts = [prompt.value for prompt in theirs.prompts] if theirs else []
    assert prompts != [ours.prompt]
