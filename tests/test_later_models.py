"""Models after SDXL in Forge and Forge Neo: a text encoder that is not CLIP is reached by its name alone."""

import math
import re
from types import SimpleNamespace

import pytest
import torch

from .helpers import find_marker
from .language_models import LAYERS, SEVERAL, SINGLE, UNKNOWN
from .test_webui import host  # noqa: F401  (the fixture)

TEXT, OTHER = "a (red:1.4) cow in a field", "two small hens"


def load(host, model):  # noqa: F811
    host.shared.sd_model = host.model = model
    return model


@pytest.fixture(params=SINGLE)
def named(request, host):  # noqa: F811
    """The name that a tag needs, and the model, which is loaded."""
    tower, make = SINGLE[request.param]
    return tower, load(host, make())


@pytest.fixture(params=[*SEVERAL, *UNKNOWN])
def fixed(request, host):  # noqa: F811
    """A model whose layer can't be chosen."""
    return load(host, {**SEVERAL, **UNKNOWN}[request.param]())


def rows(made, index=0):
    return made["crossattn"][index] if isinstance(made, dict) else made[index]


def encoder_of(model):
    return getattr(model.engine.text_encoder, "transformer", model.engine.text_encoder)


def reference(model, text, skip, length=0):
    return engine_reference(model.engine, text, skip, length)


def engine_reference(engine, text, skip, length=0):
    """What the engine makes of h[-skip], from the encoder's own states, taken block by block without hooks."""
    encoder = getattr(engine.text_encoder, "transformer", engine.text_encoder)
    engine.length = length  # of the longest text of the call, where the host pads to it
    tokens, weights = engine.tokenize_line(engine.template.format(text))
    stack = getattr(encoder, "encoder", None) or encoder.model
    blocks = getattr(stack, "block", None) or stack.layers
    state = encoder.get_input_embeddings()(torch.tensor([tokens]))
    if not hasattr(encoder, "encoder") or type(engine).__name__ == "T5XXLEngine":
        state = state * torch.tensor(weights)[:, None]
    mask = engine.mask(tokens)[..., None] if hasattr(engine, "mask") else torch.ones(1, len(tokens), 1)
    states = []
    for block in blocks:
        state = block(state.clone(), mask)[0]
        states.append(state.clone())
    finish = encoder.norm if engine.normed else torch.clone
    low, high = (finish(states[-side]) for side in (math.floor(skip), math.ceil(skip)))
    state = low if skip == int(skip) else torch.lerp(low, high, skip - math.floor(skip))
    return engine.finish(state, tokens, weights)


def told(p):
    return p.clip_skip_state.warnings


def deepest(model):
    return LAYERS - (3 if type(model.engine).__name__ == "Qwen3VL8BEngine" else 0)


@pytest.mark.parametrize("skip", [1, 1.5, 2, 2.25, 3, 4.5, 5, 6, 99])
def test_each_value_is_the_models_own_state(host, named, skip):  # noqa: F811
    from clip_skip.webui.hosts.encoders import describe_model

    tower, model = named
    (encoder,) = (one.encoder for one in describe_model(model).named_encoders)
    assert (encoder.tower, encoder.native, encoder.layers) == (tower, model.engine.native, LAYERS)
    stock = rows(model.get_learned_conditioning(host.parser.SdConditioning([TEXT])))
    assert torch.equal(reference(model, TEXT, model.engine.native), stock)
    p = host.generate([f"<clipskip:{tower}={skip}>{TEXT}"], ["bad"])
    at = min(max(skip, encoder.native), deepest(model))
    made = p.c[0][0][0]
    made = made["crossattn"] if isinstance(made, dict) else made
    assert torch.equal(made, reference(model, TEXT, at))
    assert torch.equal(made, stock) == (at <= encoder.native)
    assert told(p) == (encoder.too_deep(skip) or encoder.too_shallow(skip)) and bool(told(p)) == (at != skip)


def crossattn(cond):
    return cond["crossattn"] if isinstance(cond, dict) else cond


def test_each_text_has_its_own_value(host, named):  # noqa: F811
    tower, model = named
    texts = [
        f"<clipskip:{tower}=2.5>{TEXT} AND <clipskip:{tower}=3>{OTHER}",
        TEXT,
        f"[<clipskip:{tower}=2>:<clipskip:{tower}=3>:0.5]{OTHER}",
        f"{TEXT}<clipskip:2:{tower}=3>",
    ]
    p = host.generate(texts, ["bad", "bad", f"bad<clipskip:{tower}=2>", "bad"])
    assert torch.equal(crossattn(p.c[0][0][0]), reference(model, f"{TEXT} ", 2.5))
    assert torch.equal(crossattn(p.c[0][1][0]), reference(model, f" {OTHER}", 3))
    native = model.engine.native
    assert torch.equal(crossattn(p.c[1][0][0]), reference(model, TEXT, native))
    edited = [crossattn(each) for each in p.c[2][0]]
    assert torch.equal(edited[0], reference(model, OTHER, max(2, native)))
    assert torch.equal(edited[1], reference(model, OTHER, 3))
    assert torch.equal(crossattn(p.c[3][0][0]), reference(model, TEXT, 3))
    for index, skip in enumerate((2.5, native, max(2, native), 3)):
        assert torch.equal(crossattn(p.uc[index][0]), reference(model, "bad", skip)), index
    assert not told(p)


def test_the_model_is_called_once_for_all_texts_of_a_call(host, named):  # noqa: F811
    tower, model = named
    calls = model.calls
    texts = [f"[<clipskip:{tower}=2>:<clipskip:{tower}=3>:0.5]{OTHER}"]
    host.generate(texts, ["bad"])
    assert model.calls - calls == 2  # the prompt's two texts, and the negative prompt


def test_nothing_is_left_behind(host, named):  # noqa: F811
    tower, model = named
    before = dict(vars(model))
    host.generate([f"<clipskip:{tower}=3>{TEXT}", OTHER], ["bad", f"<clipskip:{tower}=2.5>bad"])
    after = {**vars(model), "calls": before["calls"]}
    assert after == before
    assert not any(module._forward_hooks for module in encoder_of(model).modules())
    assert not [text for text in model.seen if "clipskip" in text or find_marker(text)]


def test_the_pooled_vector_is_untouched(host):  # noqa: F811
    model = load(host, SINGLE["Flux"][1]())
    stock = model.get_learned_conditioning(host.parser.SdConditioning([TEXT]))
    p = host.generate([f"<clipskip:t5=3>{TEXT}"])
    assert torch.equal(p.c[0][0][0]["vector"], stock["vector"][0])


def test_rows_of_one_text_stay_together(host, named):  # noqa: F811
    """BREAK makes several rows of one text; the values of others in the call don't matter."""
    _, model = named
    from clip_skip.webui.hosts.encoders import describe_model
    from clip_skip.webui.text_engines import ShadowEngine

    texts = host.parser.SdConditioning([f"{TEXT} BREAK {OTHER}", OTHER, OTHER])
    (one,) = describe_model(model).named_encoders
    engine = ShadowEngine(one, lambda: [3.0, None, 2.5], lambda: None)
    made = engine(texts)
    skips = [(f"{TEXT} ", 3.0), (f" {OTHER}", 3.0), (OTHER, model.engine.native), (OTHER, max(2.5, one.encoder.native))]
    assert len(made) == 4 and isinstance(made, torch.Tensor) == model.engine.stacks
    length = made.shape[1] if model.engine.stacks else 0
    assert all(torch.equal(row, reference(model, text, skip, length)) for row, (text, skip) in zip(made, skips))


def test_texts_that_the_host_joins_get_one_value_or_its_own(host):  # noqa: F811
    """Qwen-Image-Edit makes one text of all, and hands on its pictures."""
    from clip_skip.webui.hosts.encoders import describe_model
    from clip_skip.webui.text_engines import ShadowEngine

    model = load(host, SINGLE["QwenImage"][1]())
    (one,) = describe_model(model).named_encoders
    reports = []
    for values, skip in (([3.0, 3.0], 3.0), ([3.0, 2.0], 1)):
        engine = ShadowEngine(one, lambda values=values: values, lambda: reports.append(1))
        (row,) = engine(host.parser.SdConditioning([TEXT]), images=["picture"])
        assert torch.equal(row, reference(model, TEXT, skip))
    assert reports == [1] and engine.template == model.engine.template


def test_what_is_clips_alone_changes_nothing(host, named):  # noqa: F811
    """Header, panel, numbers without a name, l, g and hires: Neo's default is 2, and old prompts carry the tag."""
    from clip_skip.page import named_encoders
    from clip_skip.webui.hosts.encoders import describe_model

    tower, model = named
    stock = rows(model.get_learned_conditioning(host.parser.SdConditioning([TEXT])))
    described = describe_model(model)
    (encoder,) = (one.encoder for one in described.named_encoders)
    panel = {"enabled": True, "clip_skip": 2, "negative": 3, "hires": 4, "clip_g": 5}
    for tag in ("<clipskip:2>", "<clipskip:l=2:g=3>", "<clipskip:hires=2>"):
        for args in ((), [panel]):
            p = host.generate([f"{tag}{TEXT}"], ["bad"], args=args or (False,))
            made = crossattn(p.c[0][0][0])
            assert torch.equal(made, stock)
            example = named_encoders.would_act(encoder)
            messages = [named_encoders.NOT_CLIP(tag=f'"{tag}"', model=described.name, **example)]
            if args:
                messages.append(named_encoders.PANEL_NOT_CLIP(model=described.name, **example))
            assert told(p) == messages
    assert str(messages[0]).endswith(
        f'"<clipskip:{tower}={encoder.native + 1}>" would act (published: {encoder.native}).'
    )
    host.shared.opts.data["CLIP_stop_at_last_layers"] = 2
    p = host.generate([TEXT], ["bad"])
    assert torch.equal(crossattn(p.c[0][0][0]), stock) and told(p) == []
    assert p.extra_generation_params == {}


def test_another_models_name_has_no_effect_and_is_told(host, named):  # noqa: F811
    from clip_skip.page import named_encoders
    from clip_skip.webui.hosts.encoders import describe_model

    tower, model = named
    stock = rows(model.get_learned_conditioning(host.parser.SdConditioning([TEXT])))
    other = "gemma" if tower != "gemma" else "t5"
    p = host.generate([f"<clipskip:{other}=3>{TEXT}"], ["bad"])
    described = describe_model(model)
    example = named_encoders.would_act(described.named_encoders[0].encoder)
    tag = f'"<clipskip:{other}=3>"'
    assert torch.equal(crossattn(p.c[0][0][0]), stock)
    assert told(p) == [named_encoders.NAME_HAS_NO_EFFECT_BUT(name=other, tag=tag, model=described.name, **example)]


def test_on_sd1_a_language_models_name_has_no_effect_and_is_told(host):  # noqa: F811
    from clip_skip.page import named_encoders

    p = host.generate(["<clipskip:2:t5=3>a cow"], ["bad"])
    assert torch.equal(p.c[0][0][0], host.at(2, "a cow"))
    assert told(p) == [named_encoders.NAME_HAS_NO_EFFECT(name="t5", tag='"<clipskip:2:t5=3>"', model="SD1")]


def no_effect(model):
    from clip_skip.webui import generation
    from clip_skip.webui.hosts.encoders import describe_model

    described = describe_model(model)
    template = generation.SEVERAL_LAYERS if described.several else generation.MODEL_WITHOUT_CLIP_SKIP
    return template(model=described.name)


def test_tags_are_taken_out_and_told_once(host, fixed):  # noqa: F811
    prompts = ["a <clipskip:2>cow AND <clipskip:qwen=3>a field", "[<clipskip:1>:<clipskip:gemma=4>:0.5] a hen"]
    p = host.generate(prompts, ["bad<clipskip:2>", "<clipskip:l=2:g=3>worse"])
    assert fixed.seen and not [text for text in fixed.seen if "clipskip" in text or find_marker(text)]
    assert told(p) == [no_effect(fixed)]


def test_the_panel_is_told_of_too(host, fixed):  # noqa: F811
    p = host.generate(["a cow"], args=[{"enabled": True, "clip_skip": 2}])
    assert told(p) == [no_effect(fixed)]
    assert set(fixed.seen) == {"a cow", ""}


def test_without_us_nothing_is_told(host, fixed):  # noqa: F811
    assert told(host.generate(["a cow"])) == []


@pytest.mark.parametrize("name", [*SINGLE, *SEVERAL, *UNKNOWN])
def test_what_the_page_says_of_the_model(host, name):  # noqa: F811
    from modules import sd_models

    from clip_skip.webui.hosts.encoders import MODEL_NAMES, describe_model
    from clip_skip.webui.page import routes

    model = load(host, SINGLE[name][1]() if name in SINGLE else {**SEVERAL, **UNKNOWN}[name]())
    sd_models.model_data.sd_model = model
    described = describe_model(model)
    kind = type(model).__name__
    assert not described.hosts and not described.header_acts and described.kind == MODEL_NAMES.get(kind, kind)
    assert described.towers == {} and described.layers is None and described.header_skip is None
    answer = routes.describe_encoders()
    assert answer["encoders"] == [] and answer["several_layers"] == (name in SEVERAL)
    named = [{key: one[key] for key in ("tower", "layers", "native", "header", "example")} for one in answer["named"]]
    if name in SINGLE:
        tower, native = SINGLE[name][0], model.engine.native
        example = f"<clipskip:{tower}={native + 1}>"
        assert named == [{"tower": tower, "layers": 6, "native": native, "header": None, "example": example}]
    else:
        assert named == []


@pytest.mark.parametrize("name", ["QwenImage21", "later ZImage"])
def test_layers_of_a_later_host_are_read_off_it(host, name):  # noqa: F811
    """`SDClipModel` says which layer it takes; a list of layers, or all, leaves none to choose."""
    from clip_skip.webui.hosts.encoders import describe_model

    model = load(host, SINGLE[name][1]())
    inner = model.engine.text_encoder
    inner.layer, inner.layer_idx = "hidden", -3
    assert [one.encoder.native for one in describe_model(model).named_encoders] == [3]
    for layer in ([1, 2], "all"):
        inner.layer = layer
        assert describe_model(model).named_encoders == () and describe_model(model).several


def sweep_of(model, host, tower, apply_to="both", rows=None):  # noqa: F811
    """A batch of a sweep with a column for each clip skip of `tower`."""
    from clip_skip.sweep.settings import SweepSettings
    from clip_skip.webui.hosts.encoders import describe_model
    from clip_skip.webui.state import State

    settings = SweepSettings.from_args(
        [{"clip_skips": "2, 3, 4.5", "columns": tower, "apply_to": apply_to, **(rows or {"cfg_scales": "7"})}]
    )
    plan = settings.plan(describe_model(model).all_towers)
    overrides = [settings.override(cell) for cell in plan.cells]
    state = State(overrides=overrides)
    return plan, SimpleNamespace(clip_skip_state=state, extra_generation_params={})


@pytest.mark.parametrize("apply_to", ["both", "prompt", "negative"])
def test_a_sweep_of_its_layers(host, named, apply_to):  # noqa: F811
    tower, model = named
    if deepest(model) < LAYERS:
        return
    plan, job = sweep_of(model, host, tower, apply_to)
    p = host.generate([TEXT] * 3, ["bad"] * 3, overrides_of=job)
    native = model.engine.native
    for index, skip in enumerate(plan.clip_skips):
        want = native if apply_to == "negative" else max(skip, native)
        want_negative = native if apply_to == "prompt" else max(skip, native)
        text = TEXT if apply_to == "negative" else f"{TEXT} "
        bad = "bad" if apply_to == "both" else "bad "
        assert torch.equal(crossattn(p.c[index][0][0]), reference(model, text, want))
        assert torch.equal(crossattn(p.uc[index][0]), reference(model, bad, want_negative)), (apply_to, skip)
        again = host.generate([p.all_prompts[index]], [p.all_negative_prompts[index]])
        assert torch.equal(crossattn(again.c[0][0][0]), crossattn(p.c[index][0][0]))  # its infotext makes it again
    assert told(p) == [] and "Clip skip panel" not in p.extra_generation_params


def test_the_columns_of_a_sweep_must_fit_the_model(host, named):  # noqa: F811
    from clip_skip.sweep import settings
    from clip_skip.sweep.axis import SweepError

    tower, model = named
    other = "gemma" if tower != "gemma" else "t5"
    with pytest.raises(SweepError) as error:
        sweep_of(model, host, other)
    assert (
        error.value.message
        == SweepError.in_field(
            settings.LABELS["columns"], settings.NEEDS_NAMED(name=settings.LANGUAGE_MODEL_NAMES[other])
        ).message
    )
    for rows in ({"rows": "hires"}, {"rows": "clip_g"}):
        with pytest.raises(SweepError):
            sweep_of(model, host, tower, rows=rows)


def test_the_axis_sets_the_loaded_models_encoder(host, named):  # noqa: F811
    from clip_skip.webui.widgets import xyz_axes

    _, model = named
    option = lambda label, kind, apply, **more: SimpleNamespace(label=label, apply=apply, **more)
    axis = xyz_axes.axis(option, "[Clip Skip] T5 / LLM", xyz_axes.NAMED)
    p = SimpleNamespace(scripts=None, override_settings={}, extra_generation_params={})
    axis.confirm(p, [1.0, float(deepest(model))])
    with pytest.raises(ValueError):
        axis.confirm(p, [deepest(model) + 1.0])
    assert axis.choices() == [str(value) for value in range(model.engine.native, deepest(model) + 1)]
    axis.apply(p, 3.0, [3.0])
    made = host.generate([TEXT], ["bad"], overrides_of=p)
    at = min(3, deepest(model))
    assert torch.equal(crossattn(made.c[0][0][0]), reference(model, f"{TEXT} ", max(at, model.engine.native)))
    load(host, UNKNOWN["Unheard"]())
    with pytest.raises(ValueError, match=re.escape(str(xyz_axes.NO_NAMED(model="Unheard")))):
        axis.confirm(p, [2.0])


def test_the_layers_tab_shows_it(host, named, monkeypatch):  # noqa: F811
    from clip_skip.webui.hosts.encoders import describe_model
    from clip_skip.webui.widgets import layers_tab

    _, model = named
    loaded = []
    monkeypatch.setattr(layers_tab, "load_on_device", loaded.append)
    calls = model.calls
    measured = layers_tab.measure_prompt_on_page(f"<clipskip:3>{OTHER}", "l")
    (encoder,) = (one.encoder for one in describe_model(model).named_encoders)
    assert measured.clip_skips == tuple(range(LAYERS, 0, -1)) and measured.title == encoder.name
    assert measured.native == encoder.native and loaded == [model] and model.calls == calls
    assert len(measured.tokens) == len(
        [each for each in model.engine.tokenize_line(model.engine.template.format(OTHER))[0] if each]
    )
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in encoder_of(model).modules())


def test_the_layers_tab_has_nothing_to_show_of_several_layers(host, fixed):  # noqa: F811
    from clip_skip.messages.message import MessageError
    from clip_skip.webui.widgets import layers_tab

    with pytest.raises(MessageError):
        layers_tab.measure_prompt_on_page(OTHER, "l")


def test_an_encoder_that_is_built_in_another_way_is_left_alone(host):  # noqa: F811
    from clip_skip.webui import generation
    from clip_skip.webui.hosts.encoders import describe_model

    model = load(host, SINGLE["ZImage"][1]())
    model.engine.text_encoder.model = torch.nn.Identity()
    described = describe_model(model)
    assert described.named_encoders == () and not described.several
    model.engine = None
    model.get_learned_conditioning = lambda texts: torch.zeros(len(texts), 3, 4)
    p = host.generate(["<clipskip:qwen=3>a cow"])
    assert told(p) == [generation.MODEL_WITHOUT_CLIP_SKIP(model="Z-Image")]


def test_the_hires_pass_follows_the_first(host, named):  # noqa: F811
    """Its own tag, else the first pass's; `hires=` is CLIP's."""
    from clip_skip.prompt.parsed import read_marked
    from clip_skip.prompt.precedence import Texts

    tower, _ = named
    first = f"<clipskip:{tower}=3:hires=5>a"
    for prompt, value in (("b", 3), (f"b<clipskip:{tower}=4>", 4), ("b<clipskip:hires=2>", 3)):
        marked = Texts(prompt, "bad", hires=True, first_pass=first, towers=(tower,)).marked()
        assert [read_marked(text).values for text in marked] == [{tower: value}] * 2
