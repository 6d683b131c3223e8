"""Every kind of model in every host, on stand-ins with the hosts' own names, order and real towers."""

from types import SimpleNamespace

import pytest
import torch

from . import host_models
from .host_models import MODELS, tokenize
from .language_models import StableDiffusion3
from .test_later_models import engine_reference as language_model_reference

LAYERS = {"SD1": 12, "SD2": 24, "SDXL": 12, "refiner": 32}
NATIVE = {"SD1": 1, "SD2": 2, "SDXL": 2, "refiner": 2}


@pytest.fixture(params=MODELS)
def name(request):
    return request.param


@pytest.fixture
def model(name, standins):
    return MODELS[name]()


def only(*kinds):
    """Those of the models that are of one of `kinds`."""
    return pytest.mark.parametrize("name", [name for name in MODELS if name.split()[-1] in kinds])


@pytest.fixture
def encode(standins):
    """Encodes a text as the host does, with the extension's wrapper on."""
    from modules import prompt_parser

    from clip_skip.webui.conditioning import Conditioning

    conditioning = Conditioning()
    conditioning.install()

    def encode(model, prompts, negative=False):
        texts = prompt_parser.SdConditioning(prompts, is_negative_prompt=negative)
        return [schedule[0] for schedule in prompt_parser.get_learned_conditioning(model, texts, 20)]

    yield encode
    conditioning.remove()


def parts(model, conds):
    """The conditioning of each tower, (77, D) each."""
    whole = conds["crossattn"] if isinstance(conds, dict) else conds
    return whole.split(host_models.WIDTH, dim=-1)


def reference(embedder, text, skip, normed):
    """h[-n] with or without the norm, from all the states of one run; an H tower may lack its last block."""
    states, _ = embedder.states(tokenize([text]))
    missing = 1 if len(states) == 23 else 0
    state = states[-(skip - missing)][0]
    return embedder.norm(state) if normed else state


def test_every_value_is_the_reference(name, model, encode):
    """Up to native it is the host's own, above that LN(h[-n]) or h[-n]; the pooled vector never changes."""
    kind = name.split()[-1]
    (stock,) = encode(model, ["a cow"])
    for skip in range(1, 33):
        (made,) = encode(model, [f"<clipskip:{skip}>a cow"])
        if skip <= NATIVE[kind]:
            assert all(map(torch.equal, parts(model, made), parts(model, stock)))
        for embedder, part in zip(model.embedders, parts(model, made)):
            deepest = len(embedder.states(tokenize(["a"]))[0])
            deepest += deepest == 23
            at = min(max(skip, NATIVE[kind]), deepest)
            want = reference(embedder, "a cow", at, kind in ("SD1", "SD2"))
            assert torch.equal(part, want), (skip, deepest)
        if isinstance(made, dict):
            assert torch.equal(made["vector"], stock["vector"])


@only("SDXL")
def test_towers_apart(name, model, encode):
    (stock,) = encode(model, ["a cow"])
    (made,) = encode(model, ["<clipskip:l=3>a cow"])
    (both,) = encode(model, ["<clipskip:l=3:g=20>a cow"])
    l, g = model.embedders
    assert torch.equal(parts(model, made)[0], reference(l, "a cow", 3, False))
    assert torch.equal(parts(model, made)[1], parts(model, stock)[1])
    assert torch.equal(parts(model, both)[1], reference(g, "a cow", 20, False))


def test_mixed_batches_and_fractions(name, model, encode):
    texts = ["<clipskip:3>a cow", "a cow", "<clipskip:5.5>a hen"]
    made = encode(model, texts)
    alone = [encode(model, [text])[0] for text in texts]
    for one, other in zip(made, alone):
        assert all(map(torch.equal, parts(model, one), parts(model, other)))
    low, high = encode(model, ["<clipskip:5>a hen"])[0], encode(model, ["<clipskip:6>a hen"])[0]
    for part, *ends in zip(parts(model, made[2]), parts(model, low), parts(model, high)):
        assert torch.equal(part, torch.lerp(*ends, 0.5))


def test_two_texts_of_one_call_keep_their_own_pooled_vectors(name, model, encode):
    """Prompt editing encodes both texts at once, each at its own value."""
    (schedule,) = encode_schedule(model, "[<clipskip:3>a cow:<clipskip:9>two hens:0.5]")
    for made, text in zip(schedule, ("<clipskip:3>a cow", "<clipskip:9>two hens")):
        (want,) = encode(model, [text])
        assert all(torch.allclose(*pair, atol=1e-5) for pair in zip(parts(model, made), parts(model, want)))
        if isinstance(made, dict):
            assert torch.allclose(made["vector"], want["vector"], atol=1e-5)


def encode_schedule(model, prompt):
    from modules import prompt_parser

    from clip_skip.prompt.parsed import parse_prompt

    return prompt_parser.get_learned_conditioning(
        model, prompt_parser.SdConditioning([parse_prompt(prompt).mark()]), 20
    )


@only("SDXL", "refiner")
def test_an_empty_negative_prompt_stays_zero(name, model, encode):
    (made,) = encode(model, ["<clipskip:3>"], negative=True)
    assert not made["crossattn"].any() and not made["vector"].any()
    (made,) = encode(model, ["<clipskip:3>x"], negative=True)
    assert made["crossattn"].any()


def test_nothing_stays_on_the_model(name, model, encode):
    before = [set(part.__dict__) for part in (model, *model.embedders)]
    encode(model, ["<clipskip:3>a cow"])
    assert [set(part.__dict__) for part in (model, *model.embedders)] == before


HEADER = {
    # name: (the host's value reaches it, what 3 in the header is in our numbering)
    "A1111 SD2": (False, None),
    "A1111 SDXL": (False, None),
    "A1111 SDXL refiner": (False, None),
    "Forge SD2": (True, 4.0),
}


def test_what_the_header_does(name, model):
    from modules import shared

    from clip_skip.webui.hosts.encoders import describe_model

    shared.opts.data["CLIP_stop_at_last_layers"] = 3
    acts, same = HEADER.get(name, (True, 3.0))
    described = describe_model(model)
    assert (described.header_acts, described.header_skip) == (acts, same)
    assert described.kind == ("SDXL refiner" if "refiner" in name else name.split()[-1])
    if acts:
        assert described.header_value(same) == 3
        assert described.header_value(1) == 1
    assert described.header_value(2.5) is None and described.header_value(13) is None
    del shared.opts.data["CLIP_stop_at_last_layers"]


def test_header_on_sdxl_in_a1111_reaches_l_alone_when_told_to(standins):
    from modules import shared

    from clip_skip.webui.hosts.encoders import describe_model

    model = MODELS["A1111 SDXL"]()
    shared.opts.data["sdxl_clip_l_skip"] = True
    described = describe_model(model)
    assert described.header_acts and described.header_skip is None


def test_forge_classic_ignores_the_header_beyond_sd1(standins):
    from clip_skip.webui.hosts.encoders import describe_model

    def classic(embedder):
        del embedder.minimal_clip_skip
        return host_models.Model("sd1", embedder)

    assert describe_model(classic(host_models.CLIP_SD_15_L(12))).hosts[0].header == 0
    assert describe_model(classic(host_models.CLIP_SD_21_H(24))).hosts[0].header is None


def test_later_models_have_no_encoder_of_ours(standins):
    from clip_skip.webui.hosts.encoders import ModelEncoders, describe_model

    engine = host_models.ClassicTextProcessingEngine(12, "clip_l", 1, True, return_pooled=True)
    model = host_models.Engine("flux", engine, host_models.ClassicTextProcessingEngine(2, "clip_g", 1, True))
    assert describe_model(model) == ModelEncoders((), "Engine")
    assert describe_model(None) == ModelEncoders((), "") and describe_model(None).name == "this model"


def test_sd3_in_forge(standins, encode):
    """Its header acts on both CLIPs from 1 on; it was published at 2, from which on tags act. T5 goes by its name."""
    from modules import shared

    from clip_skip.webui.hosts.encoders import describe_model
    from clip_skip.webui.page import routes

    model = StableDiffusion3()
    described = describe_model(model)
    assert described.kind == "SD3" and described.towers == {"l": 12, "g": 32} and described.header_acts
    assert described.all_towers == {"l": 12, "g": 32, "t5": 6}
    answer = routes.describe_loaded_model(model)
    assert answer["header_acts"] and [one["header"] for one in answer["encoders"]] == [{"offset": 0, "least": 1}] * 2
    assert [one["native"] for one in answer["encoders"]] == [2, 2]
    outputs = [embedder.states(tokenize(["a cow"])) for embedder in model.embedders]
    pooled = torch.cat([output.pooler_output[0] for _, output in outputs])
    for header in (1, 2, 5):
        shared.opts.data["CLIP_stop_at_last_layers"] = header
        for embedder in model.embedders:
            embedder.clip_skip = header
        assert described.header_skip == header
        for tag, at in (("", header), ("1", 2), ("2", 2), ("3", 3), ("12", 12), ("3:t5=2", 3), ("t5=2", header)):
            (made,) = encode(model, [f"<clipskip:{tag}>a cow" if tag else "a cow"])
            want = torch.cat([states[-at][0] for states, _ in outputs], dim=-1)
            t5 = language_model_reference(model.text_processing_engine_t5, "a cow", 2 if "t5" in tag else 1)
            assert torch.equal(made["crossattn"][:77], want) and torch.equal(made["vector"], pooled), (header, tag)
            assert torch.equal(made["crossattn"][77:, : host_models.WIDTH], t5)
    assert described.header_value(1) == 2 and described.header_value(3) == 3


class Unet:
    def __init__(self):
        self.functions = []

    def clone(self):
        return Unet()

    def set_model_sampler_post_cfg_function(self, function):
        self.functions.append(function)


def generation(**more):
    from clip_skip.webui.state import State, SweepBatch

    objects = SimpleNamespace(unet=Unet())
    model = SimpleNamespace(forge_objects=objects)
    state = State(batch=SweepBatch([0] * 4, cfg_scales=[4, 7, 0, 1]))
    return SimpleNamespace(sd_model=model, cfg_scale=4.0, clip_skip_state=state, **more)


def test_forge_scales_each_picture(standins):
    from clip_skip.webui.hosts.cfg import apply_cfg_scales

    p = generation()
    before = p.sd_model.forge_objects.unet
    apply_cfg_scales(p)
    assert before.functions == []
    (scaled,) = p.sd_model.forge_objects.unet.functions
    cond, uncond = torch.randn(4, 4, 8, 8), torch.randn(4, 4, 8, 8)
    made = scaled({"denoised": uncond + 4.0 * (cond - uncond), "uncond_denoised": uncond, "cond_denoised": cond})
    for index, scale in enumerate((4, 7, 0, 1)):
        assert torch.allclose(made[index], (uncond + scale * (cond - uncond))[index], atol=1e-4)
    for left_out in (None, torch.zeros_like(cond)):  # a step without the negative prompt
        assert scaled({"denoised": cond, "uncond_denoised": left_out}) is cond


def test_forge_leaves_a_hires_pass_with_its_own_scale(standins):
    from clip_skip.webui.hosts.cfg import apply_cfg_scales

    for more, functions in (({"is_hr_pass": True, "hr_cfg": 5.0}, 0), ({"is_hr_pass": True}, 1)):
        p = generation(**more)
        apply_cfg_scales(p)
        assert len(p.sd_model.forge_objects.unet.functions) == functions


@pytest.fixture
def forge_header(standins, monkeypatch):
    """Forge's module of the header's widgets."""
    import sys

    def on_preset_change(preset=None):
        return [{"visible": True}, {"visible": preset == "sd", "value": 1}, {"visible": False, "value": 1}]

    def bind_to_opts(comp, k, save=False, callback=None):
        from modules import shared

        def on_change(v):
            shared.opts.data[k] = v

        comp.change(on_change, inputs=[comp], queue=False, show_progress=False)

    module = SimpleNamespace(ui_clip_skip=None, on_preset_change=on_preset_change, bind_to_opts=bind_to_opts)
    monkeypatch.setitem(sys.modules, "modules_forge", SimpleNamespace(main_entry=module))
    monkeypatch.setitem(sys.modules, "modules_forge.main_entry", module)
    return module


def test_forges_slider_keeps_its_value_and_stays_in_sight(forge_header):
    from modules import shared

    from clip_skip.webui.hosts import forge
    from clip_skip.webui.widgets import header_slider as header

    original = forge_header.on_preset_change
    put_back = forge.keep_slider()
    shared.opts.data["CLIP_stop_at_last_layers"] = 5
    for preset in ("sd", "xl"):
        updates = forge_header.on_preset_change(preset)
        assert updates[1] == {"visible": True, "value": 5}
        assert updates[2] == {"visible": False, "value": 1}
    put_back()
    assert forge_header.on_preset_change is original
    opts = shared.Options()
    header.add_slider(opts, forge.has_slider())
    assert opts.quicksettings_list is shared.DEFAULT_QUICKSETTINGS


def test_forges_slider_sets_its_option_only_where_it_was_moved_by_hand(forge_header):
    """The page's own moves come as None, by the event's JavaScript."""
    from modules import shared

    from clip_skip.webui.hosts import forge

    class Slider:
        def change(self, function, inputs, **settings):
            self.function, self.inputs, self.settings = function, inputs, settings

    slider, other = Slider(), Slider()
    original = forge_header.bind_to_opts
    put_back = forge.keep_slider()
    forge_header.bind_to_opts(slider, "CLIP_stop_at_last_layers", save=True)
    forge_header.bind_to_opts(other, "forge_unet_storage_dtype", save=True, callback=print)
    assert slider.inputs == [slider] and slider.settings.pop("js") and slider.settings == other.settings
    slider.function(3)
    slider.function(None)
    assert shared.opts.data["CLIP_stop_at_last_layers"] == 3
    put_back()
    assert forge_header.bind_to_opts is original


@pytest.fixture
def sdnext(standins, monkeypatch):
    """SD.Next's module for prompts: what its function was given, as (prompt, negative prompt, clip skip)."""
    import sys

    calls = []

    def get_weighted_text_embeddings(pipe, prompt="", neg_prompt="", clip_skip=None, **more):
        calls.append((prompt, neg_prompt, clip_skip))
        return [
            f"{kind} at {clip_skip}" for kind in ("prompt", "pooled", "mask", "negative", "negative pooled", "mask")
        ]

    parser = SimpleNamespace(get_weighted_text_embeddings=get_weighted_text_embeddings, calls=calls)
    monkeypatch.setitem(sys.modules, "modules.prompt_parser_diffusers", parser)
    import modules

    monkeypatch.setattr(modules, "prompt_parser_diffusers", parser, raising=False)
    return parser


def pipe(kind):
    """A pipeline of diffusers."""
    names = {"SD1": "StableDiffusionPipeline", "SD2": "StableDiffusionPipeline", "SDXL": "StableDiffusionXLPipeline"}
    config = SimpleNamespace(num_hidden_layers=23 if kind == "SD2" else 12)
    return type(names[kind], (), {"text_encoder": SimpleNamespace(config=config)})()


def sdnext_encode(parser, kind, prompt, negative="", model_type="sd"):
    """What SD.Next does with a batch of one; its own clip skip is at 7."""
    from modules import shared

    from clip_skip.webui.hosts import sdnext

    shared.sd_model_type = model_type
    p = SimpleNamespace(prompts=[prompt], negative_prompts=[negative])
    sdnext.mark(p)
    return parser.get_weighted_text_embeddings(pipe(kind), p.prompts[0], p.negative_prompts[0], 7)


@pytest.mark.parametrize(
    ("kind", "prompt", "negative", "at"),
    [
        ("SD1", "<clipskip:2>a cow", "bad", (2, 2)),
        ("SD1", "a cow", "bad<clipskip:3>", (7, 3)),
        ("SD1", "a <clipskip:1.5>cow", "<clipskip:4>bad", (1.5, 4)),
        ("SD1", "<clipskip:99>a cow", "bad", (12, 12)),
        ("SD2", "<clipskip:1>a cow", "bad<clipskip:24>", (1, 23)),
        ("SDXL", "<clipskip:2>a cow", "<clipskip:3.5>bad", (1, 2.5)),
        ("SDXL", "<clipskip:g=3>a cow", "bad", (7, 7)),
        ("SD1", "a cow", "bad", (7, 7)),
    ],
)
def test_sdnext_gets_its_own_number(sdnext, kind, prompt, negative, at):
    from clip_skip.webui.hosts.sdnext import Encoding

    original = sdnext.get_weighted_text_embeddings
    encoding = Encoding()
    made = sdnext_encode(sdnext, kind, prompt, negative)
    assert (made[0], made[3]) == (f"prompt at {at[0]}", f"negative at {at[1]}")
    assert (made[1], made[4]) == (f"pooled at {at[0]}", f"negative pooled at {at[1]}")
    assert {call[:2] for call in sdnext.calls} == {("a cow", "bad")} and len(sdnext.calls) == len(set(at))
    encoding.remove()
    assert sdnext.get_weighted_text_embeddings is original


def test_sdnext_tags_are_taken_out_where_they_have_no_effect(sdnext, caplog):
    from clip_skip.webui.hosts.sdnext import Encoding

    encoding = Encoding()
    sdnext_encode(sdnext, "SD1", "<clipskip:2>a cow", "<clipskip:abc>bad", model_type="f1")
    assert sdnext.calls == [("a cow", "bad", 7)]
    assert "no effect on this model" in caplog.text and '"<clipskip:abc>"' in caplog.text
    encoding.remove()


def test_sdnext_prompt_editing(sdnext):
    """Its schedule cuts the text apart; each piece carries its own value."""
    from modules import prompt_parser, shared

    from clip_skip.webui.hosts import sdnext as host

    encoding = host.Encoding()
    shared.sd_model_type = "sd"
    p = SimpleNamespace(prompts=["[<clipskip:1>:<clipskip:3>:0.5]a cow"], negative_prompts=[""])
    host.mark(p)
    (schedule,) = prompt_parser.get_learned_conditioning_prompt_schedules(p.prompts, 20)
    for _, text in schedule:
        sdnext.get_weighted_text_embeddings(pipe("SD1"), text, "", 7)
    assert [call[2] for call in sdnext.calls if call[0]] == [1, 7, 3, 7]
    encoding.remove()


def test_the_host_is_told_from_sdnext(standins, monkeypatch):
    import sys
    from importlib.machinery import ModuleSpec

    from clip_skip.webui.hosts import sdnext

    assert not sdnext.runs()
    module = SimpleNamespace(__spec__=ModuleSpec("modules.scripts_manager", None))
    monkeypatch.setitem(sys.modules, "modules.scripts_manager", module)
    assert sdnext.runs()
