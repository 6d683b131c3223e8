"""The real script on stand-ins for the host, in the order of a generation."""

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from .test_encoder import random_encoder

SCRIPT = Path(__file__).parents[1] / "scripts" / "clip_skip.py"


class Job(SimpleNamespace):
    """The host's processing object; `while_sampling` is what another extension does then."""

    def sample(self):
        return getattr(self, "while_sampling", lambda: None)()


class Host:
    """A host with a small SD1 model and this extension."""

    def __init__(self):
        from modules import prompt_parser, script_callbacks, sd_hijack_clip, shared

        script_callbacks.clear()
        self.parser, self.callbacks, self.shared = prompt_parser, script_callbacks.registered, shared
        self.original = prompt_parser.get_learned_conditioning
        self.stage = sd_hijack_clip.FrozenCLIPEmbedderWithCustomWords(torch.nn.Module())
        self.stage.wrapped.transformer = random_encoder()
        self.model = torch.nn.Module()
        self.model.cond_stage_model = self.stage
        self.model.is_sd1 = True
        self.model.get_learned_conditioning = lambda texts: self.stage(texts)
        self.others_process = lambda p: None
        shared.sd_model = self.model
        self.load()

    def load(self):
        """As the host loads a script, also on Reload UI."""
        spec = importlib.util.spec_from_file_location("clip_skip.py", SCRIPT)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.script, self.sweep_script = module.ClipSkipScript(), module.ClipSkipSweepScript()
        self.conditioning = module.conditioning

    def generate(self, prompts, negatives=("",), args=(False,), overrides_of=None, **more):
        """The conditionings (prompt, negative) of one batch, and `p`."""
        p = Job(
            sd_model=self.model,
            prompts=list(prompts),
            negative_prompts=list(negatives),
            all_prompts=list(prompts),
            all_negative_prompts=list(negatives),
            main_prompt=prompts[0],
            main_negative_prompt=negatives[0],
            extra_generation_params={},
            comments=[],
            setup_prompts=lambda: None,
            init=lambda prompts, seeds, subseeds: None,
            all_seeds=[0] * len(prompts),
            all_subseeds=[0] * len(prompts),
            batch_size=len(prompts),
            iteration=0,
            **more,
        )
        p.comment = p.comments.append
        if overrides_of:
            p.clip_skip_state = overrides_of.clip_skip_state
            p.extra_generation_params = overrides_of.extra_generation_params
        self.script.before_process(p, *args)
        p.setup_prompts()
        self.script.process(p, *args)
        self.others_process(p)
        p.init(p.all_prompts, p.all_seeds, p.all_subseeds)
        p.prompts, p.negative_prompts = list(p.all_prompts), list(p.all_negative_prompts)
        self.script.before_process_batch(p, *args, prompts=p.prompts)
        p.prompts = self.parse(p.prompts)
        if more.get("enable_hr"):
            p.hr_prompts = self.parse(p.all_hr_prompts)
            p.hr_negative_prompts = p.all_hr_negative_prompts
        self.script.process_batch(p, *args)
        p.uc = self.parser.get_learned_conditioning(self.model, self.parser.SdConditioning(p.negative_prompts), 20)
        p.c = self.parser.get_multicond_learned_conditioning(self.model, self.parser.SdConditioning(p.prompts), 20)
        p.sampled = p.sample()
        return p

    def parse(self, prompts):
        from modules import extra_networks

        return extra_networks.parse_prompts(prompts)[0]

    def at(self, skip, text):
        """The host's own conditioning of `text` at `skip`."""
        self.shared.opts.data["CLIP_stop_at_last_layers"] = skip
        try:
            return self.stage([text])[0]
        finally:
            del self.shared.opts.data["CLIP_stop_at_last_layers"]


@pytest.fixture
def host(standins):
    return Host()


def conditioning(p, image=0, sub_prompt=0, text=0):
    return p.c[image][sub_prompt][text]


@pytest.mark.parametrize("skip", range(1, 13))
def test_tag_and_panel_are_the_hosts_value(host, skip):
    want, want_negative = host.at(skip, "a cow"), host.at(skip, "bad")
    for prompt, args in (
        (f"<clipskip:{skip}> a cow", (False,)),
        ("a cow", (True, skip)),
        ("a cow", ({"enabled": True, "clip_skip": skip},)),
    ):
        p = host.generate([prompt], ["bad"], args)
        assert torch.equal(conditioning(p), want)
        assert torch.equal(p.uc[0][0], want_negative)


def test_unused_it_is_the_host(host):
    p = host.generate(["a <lora:x:1> cow"], ["bad <b>"])
    assert p.prompts == ["a  cow"] and p.negative_prompts == ["bad <b>"]
    assert torch.equal(conditioning(p), host.at(1, "a cow"))
    assert p.extra_generation_params == {} and p.comments == []


def test_long_prompts_batches_and_sub_prompts(host):
    long = " ".join(f"word{n}" for n in range(200))
    p = host.generate([f"<clipskip:3>{long}", "a <clipskip:2>AND b", "plain"], ["<clipskip:5>bad", "bad", "bad"])
    assert torch.equal(conditioning(p), host.at(3, long)) and conditioning(p).shape == (231, 32)
    assert torch.equal(conditioning(p, 1, 0), host.at(2, "a")) and torch.equal(conditioning(p, 1, 1), host.at(2, "b"))
    assert torch.equal(conditioning(p, 2), host.at(1, "plain"))
    assert [torch.equal(row[0], host.at(skip, "bad")) for row, skip in zip(p.uc, (5, 2, 1))] == [True] * 3


def test_prompt_editing_has_two_values_in_one_call(host):
    p = host.generate(["[<clipskip:1>:<clipskip:6>:0.5]a cow"])
    want = host.stage(["a cow", "a cow"])
    assert torch.equal(conditioning(p, text=0), want[0])
    assert torch.allclose(conditioning(p, text=1), host.at(6, "a cow"), atol=1e-5)


def test_a_text_without_a_value_takes_the_hosts(host):
    host.shared.opts.data["CLIP_stop_at_last_layers"] = 4
    p = host.generate(["[<clipskip:6>::0.5]a cow"])
    assert torch.allclose(conditioning(p, text=1), host.at(4, "a cow"), atol=1e-5)
    assert torch.allclose(conditioning(p, text=0), host.at(6, "a cow"), atol=1e-5)


def test_one_text_is_encoded_once_for_all_its_values(host):
    host.stage.encoded.clear()
    p = host.generate([f"<clipskip:{skip}>a cow" for skip in range(1, 13)], ["bad"] * 12)
    assert len(host.stage.encoded) == 2
    assert all(torch.equal(conditioning(p, skip - 1), host.at(skip, "a cow")) for skip in range(1, 13))


def test_a_value_for_an_encoder_that_is_not_there(host):
    p = host.generate(["<clipskip:g=3>a cow"])
    assert torch.equal(conditioning(p), host.at(1, "a cow"))


def test_pieces_that_another_extension_encodes_follow_the_prompt(host):
    """A region or a word of negative weight, cut out of the prompt and encoded alone, by either way."""
    from clip_skip.webui import generation

    parser, pieces = host.parser, ["a hen", "a dog"]

    def by_the_parser():
        return [one[0] for one in parser.get_learned_conditioning(host.model, parser.SdConditioning(pieces), 20)]

    def by_the_model():
        return host.model.get_learned_conditioning(parser.SdConditioning(pieces))

    def of_the_negative_prompt():
        return host.model.get_learned_conditioning(parser.SdConditioning(pieces, is_negative_prompt=True))

    before = dict(host.model.__dict__)
    for way, skip in ((by_the_parser, 3), (by_the_model, 3), (of_the_negative_prompt, 5)):
        made = host.generate(["<clipskip:3>a cow"], ["<clipskip:5>bad"], while_sampling=way).sampled
        want = torch.stack([host.at(skip, piece) for piece in pieces])
        assert torch.allclose(torch.stack(list(made)), want, atol=1e-5)
    p = host.generate(["<clipskip:3>a cow", "a cow"], ["", ""], while_sampling=by_the_model)
    assert torch.allclose(p.sampled[0], host.at(1, "a hen"), atol=1e-5)  # the pictures differ: the host's own
    assert p.clip_skip_state.warnings == [generation.SHARED_PIECES] and generation.SHARED_PIECES in p.comments[0]
    p = host.generate(["<clipskip:3>a cow", "<clipskip:3>a dog"], ["", ""], while_sampling=by_the_model)
    assert torch.allclose(p.sampled[0], host.at(3, "a hen"), atol=1e-5) and p.clip_skip_state.warnings == []
    marked = lambda: host.model.get_learned_conditioning(parser.SdConditioning([p_text]))
    p_text = host.generate(["<clipskip:4>a cow"]).prompts[0]
    made = host.generate(["<clipskip:3>a cow"], while_sampling=marked).sampled
    assert torch.allclose(made[0], host.at(4, "a cow"), atol=1e-5)
    with pytest.raises(ZeroDivisionError):
        host.generate(["<clipskip:3>a cow"], while_sampling=lambda: 1 / 0)
    assert host.model.__dict__ == before
    assert torch.equal(by_the_model()[0], host.stage(pieces)[0])


def test_nothing_follows_a_generation_that_has_ended(host):
    """Although the host keeps its object: other scripts encode texts between generations."""
    kept = host.generate(["<clipskip:3>a cow"])
    made = host.parser.get_learned_conditioning(host.model, host.parser.SdConditioning(["a hen"]), 20)
    assert torch.equal(made[0][0], host.at(1, "a hen")) and kept.clip_skip_state.unmarked
    original, host.model.get_learned_conditioning = host.model.get_learned_conditioning, lambda texts: 1 / 0
    with pytest.raises(ZeroDivisionError) as error:
        host.generate(["<clipskip:3>a cow"])
    host.model.get_learned_conditioning = original
    assert torch.equal(conditioning(host.generate(["a hen"])), host.at(1, "a hen")) and error.tb


def test_encodings_are_remembered_for_one_checkpoint_and_its_networks(host):
    """While a sweep runs: its hires pass may have another checkpoint, its rows other weights of a LoRA."""

    def encode(checkpoint, weight):
        networks = {"lora": [SimpleNamespace(items=["x", weight])]} if weight else {}
        host.model.sd_checkpoint_info = SimpleNamespace(filename=checkpoint)
        host.script.after_extra_networks_activate(None, False, extra_network_data=networks)
        host.stage.encoded.clear()
        made = host.parser.get_learned_conditioning(host.model, ["<clipskip:3>a cow"], 20)[0][0]
        return made, len(host.stage.encoded)

    with host.conditioning.remember({}):
        assert encode("a", None)[1] == 1 and encode("a", None)[1] == 0
        for checkpoint, weight in (("b", None), ("b", "1"), ("b", "0.5")):
            for parameter in host.stage.wrapped.transformer.parameters():
                parameter *= 1.1
            made, runs = encode(checkpoint, weight)
            assert torch.equal(made, host.at(3, "a cow")) and runs == 1
            assert encode(checkpoint, weight)[1] == 0
    assert encode("b", "0.5")[1] == 1


def test_each_generation_has_a_state_of_its_own(host):
    from copy import copy

    from clip_skip.webui.state import state_of

    outer = host.generate(["<clipskip:x>a <clipskip:5>cow"], args=[{"enabled": True, "clip_skip": 5}])
    kept, warnings = outer.clip_skip_state, list(outer.clip_skip_state.warnings)
    inner = copy(outer)
    host.script.process(inner, False)
    assert warnings and inner.clip_skip_state.warnings == [] and not inner.clip_skip_state.panels[0].enabled
    assert outer.clip_skip_state is kept and kept.warnings == warnings and kept.panels[0].enabled
    host.script.process(outer, False)  # as Loopback does with one and the same object
    assert outer.clip_skip_state.warnings == [] and outer.clip_skip_state.unmarked == {}
    untouched = SimpleNamespace()
    assert state_of(untouched).overrides == () and vars(untouched) == {}


def test_the_hosts_own_attribute_is_left_alone(host):
    """`p.clip_skip` is the number that the hosts write into the infotext."""
    assert not hasattr(host.generate(["<clipskip:2>a cow"]), "clip_skip")


def test_an_extension_may_name_its_arguments(host):
    """The shadow of the model's function takes what the function itself takes, while a tag is active and while not."""
    seen = []

    def get_learned_conditioning(c, force=False, *, scale=1.0):
        seen.append((force, scale))
        return host.stage(c)

    host.model.get_learned_conditioning = get_learned_conditioning
    ways = (
        lambda: host.model.get_learned_conditioning(c=["a hen"]),
        lambda: host.model.get_learned_conditioning(["a hen"], True, scale=2.0),
        lambda: host.model.get_learned_conditioning(c=["a hen"], force=True, scale=2.0),
        lambda: host.model.get_learned_conditioning(scale=2.0, force=True, c=["a hen"]),
    )
    for way, arguments in zip(ways, ((False, 1.0), *[(True, 2.0)] * 3)):
        for prompt, skip in (("a cow", 1), ("<clipskip:3>a cow", 3)):
            made = host.generate([prompt], while_sampling=way).sampled
            assert torch.allclose(made[0], host.at(skip, "a hen"), atol=1e-5) and seen[-1] == arguments
    with pytest.raises(TypeError, match="unknown"):
        host.generate(["<clipskip:3>a"], while_sampling=lambda: host.model.get_learned_conditioning(["a"], unknown=1))
    with pytest.raises(TypeError):
        host.generate(["<clipskip:3>a cow"], while_sampling=lambda: host.model.get_learned_conditioning())


@pytest.mark.parametrize("args", [(False,), (True, "deep")])
def test_an_extension_may_name_the_arguments_of_init(host, args):
    """Ours is in the place of the host's where a request is rejected, and in a sweep."""
    from clip_skip.prompt.override import Override
    from clip_skip.webui.generation import ClipSkip
    from clip_skip.webui.state import State

    inits = []
    p = Job(
        is_api=True,
        all_prompts=["a"],
        all_negative_prompts=[""],
        all_seeds=[1],
        all_subseeds=[2],
        main_prompt="a",
        main_negative_prompt="",
        extra_generation_params={},
        setup_prompts=lambda: None,
        init=lambda *arguments: inits.append(arguments),
        clip_skip_state=State(overrides=(Override(),)),
    )
    host.script.process(p, *args)
    named = lambda: p.init(all_prompts=p.all_prompts, all_seeds=p.all_seeds, all_subseeds=p.all_subseeds)
    if args[0]:
        with pytest.raises(ClipSkip):
            named()
    else:
        named()
        assert inits == [(["a"], [1], [2])]


def test_an_encoder_is_run_with_all_its_arguments(host):
    original, seen = host.stage.encode_with_transformers, []

    def encode_with_transformers(tokens, mask=None):
        seen.append(mask)
        return original(tokens)

    host.stage.encode_with_transformers = encode_with_transformers
    host.model.get_learned_conditioning = lambda texts: host.stage.encode_with_transformers(
        tokens=host.stage.pad([[sum(map(ord, word)) % 97 for word in text.split()] for text in texts]), mask="m"
    )
    p = host.generate(["<clipskip:3>a cow"])
    assert {*seen} == {"m"} and torch.equal(conditioning(p), host.at(3, "a cow"))


def test_a_last_batch_without_pictures(host):
    p = host.generate(["<clipskip:3>a cow"])
    p.prompts, p.negative_prompts, p.iteration = [], [], 1
    host.script.before_process_batch(p)
    host.script.process_batch(p)
    assert p.prompts == [] and p.all_prompts == ["<clipskip:3>a cow"]


def test_an_extension_that_encodes_other_rows_does_not_end_the_generation(host, caplog):
    """Cutoff runs the encoder again, on variants of the text, in the middle of it."""
    host.model.get_learned_conditioning = lambda texts: host.stage([*texts, "a variant"])[:-1]
    p = host.generate(["<clipskip:3>a cow"])
    assert torch.allclose(conditioning(p), host.at(3, "a cow"), atol=1e-5) and not caplog.records
    p = host.generate(["[<clipskip:3>a:<clipskip:4>b:0.5]cow"])
    assert torch.allclose(conditioning(p), host.at(1, "acow"), atol=1e-5)
    assert "3 rows of tokens for 2 texts" in caplog.text


@pytest.mark.parametrize(
    ("prompt", "negative", "args", "header", "said"),
    [
        ("<clipskip:3>a cow", "bad", (False,), 1, "3"),
        ("<clipskip:1>a cow", "bad", (False,), 2, None),
        ("a cow", "bad", (True, 3), 1, "3"),
        ("<clipskip:3>a cow", "<clipskip:3>bad", (True, 5), 1, "3"),
        ("<clipskip:99>a cow", "bad", (False,), 1, "12"),
        ("<clipskip:3>a AND b", "bad", (False,), 1, "3"),
        ("[<clipskip:3>::0.5]a", "bad", (False,), 3, "3"),
        ("<clipskip:2:g=9:hires=4>a", "bad", (False,), 1, "2"),
        # what the host alone cannot make has its own value only where a text is encoded at that
        ("<clipskip:1.5>a cow", "bad", (False,), 1, None),
        ("<clipskip:1.5>a cow", "bad", (False,), 2, None),
        ("<clipskip:3>a cow", "<clipskip:4>bad", (False,), 2, None),
        ("a AND <clipskip:3>b", "bad", (False,), 2, "2"),
        ("[<clipskip:3>::0.5]a", "bad", (False,), 2, "2"),
        ("a cow", "bad", (True, 3, 4), 2, None),
    ],
)
def test_the_hosts_own_infotext_key_says_what_the_host_can_make(host, prompt, negative, args, header, said):
    host.shared.opts.data["CLIP_stop_at_last_layers"] = header
    p = host.generate([prompt], [negative], args)
    assert p.extra_generation_params["Clip skip"](p=p, index=0, all_prompts=p.all_prompts) == said
    untouched = host.generate(["a cow"], ["bad"])
    assert untouched.extra_generation_params == {}


def forget_clip_skip(host, monkeypatch, is_sd1=True):
    """Makes the host Forge Neo: it throws its own key away when it is pasted, and writes it on SD1 alone."""
    from modules import infotext_utils

    parse = infotext_utils.parse_generation_parameters
    forgets = lambda text: {key: value for key, value in parse(text).items() if key != "Clip skip"}
    monkeypatch.setattr(infotext_utils, "parse_generation_parameters", forgets)
    monkeypatch.setattr(host.shared.sd_model, "is_sd1", is_sd1, raising=False)


@pytest.mark.parametrize(
    ("is_sd1", "tag", "header", "said"), [(True, 1, 2, "1"), (True, 3, 1, "3"), (False, 3, 2, None)]
)
def test_the_hosts_own_infotext_key_is_written_as_forge_neo_does(host, monkeypatch, is_sd1, tag, header, said):
    forget_clip_skip(host, monkeypatch, is_sd1)
    host.shared.opts.data["CLIP_stop_at_last_layers"] = header
    p = host.generate([f"<clipskip:{tag}>a cow", "a cow"], ["bad", "bad"])
    entry = p.extra_generation_params["Clip skip"]
    values = [entry(p=p, index=index, all_prompts=p.all_prompts) for index in range(2)]
    assert values == [said, str(header) if is_sd1 else None]


def test_the_hosts_own_infotext_key_of_each_picture_and_batch(host):
    p = host.generate(["<clipskip:3>a", "b", "<clipskip:1.5>c"], ["", "", ""])
    entry = p.extra_generation_params["Clip skip"]
    assert [entry(p=p, index=i, all_prompts=p.all_prompts) for i in range(3)] == ["3", None, None]
    p.all_prompts, p.all_negative_prompts = [*p.all_prompts, "<clipskip:4>d"], ["", "", "", ""]
    p.iteration, p.batch_size, p.prompts, p.negative_prompts = 3, 1, ["<clipskip:4>d"], [""]
    host.script.before_process_batch(p)
    assert entry(p=p, index=0, all_prompts=["<clipskip:4>d"]) == "4"
    assert entry(p=p, index=3, all_prompts=p.all_prompts) == "4"
    json.dumps(p.extra_generation_params)  # Forge Classic does, and knows no way out


def test_the_hosts_own_infotext_key_is_of_both_passes(host):
    hires = {"enable_hr": True, "all_hr_prompts": ["a dog"], "all_hr_negative_prompts": [""]}
    for prompt, said in (("<clipskip:3>a", "3"), ("<clipskip:3:hires=4>a", None), ("<clipskip:3:hires=3>a", "3")):
        p = host.generate([prompt], **hires)
        assert p.extra_generation_params["Clip skip"](p=p, index=0, all_prompts=p.all_prompts) == said
        assert p.all_hr_prompts == ["a dog"]


def test_hires_prompts(host):
    hires = {"enable_hr": True, "all_hr_prompts": ["<lora:x:1>a <clipskip:3>cow"], "all_hr_negative_prompts": ["bad"]}
    p = host.generate(["<clipskip:2:hires=4>a cow"], ["bad"], **hires)
    hr = host.parser.get_multicond_learned_conditioning(host.model, host.parser.SdConditioning(p.hr_prompts), 20)
    assert torch.equal(hr[0][0][0], host.at(3, "a cow"))
    assert torch.equal(conditioning(p), host.at(2, "a cow"))
    hires["all_hr_prompts"] = ["a dog"]
    p = host.generate(["<clipskip:2:hires=4>a cow"], ["bad"], **hires)
    hr = host.parser.get_multicond_learned_conditioning(host.model, host.parser.SdConditioning(p.hr_prompts), 20)
    assert torch.equal(hr[0][0][0], host.at(4, "a dog"))
    assert p.all_hr_prompts == ["a dog"]


@pytest.mark.parametrize("changed", [False, True])
def test_hires_prompts_of_a_later_batch_are_as_they_were_written(host, changed):
    written = ["<clipskip:3>x", "<clipskip:4>y", "<clipskip:5>z"]
    hires = {"enable_hr": True, "all_hr_prompts": list(written), "all_hr_negative_prompts": ["bad"] * 3}
    p = host.generate(["a"], ["bad"], **hires)
    p.all_prompts, p.all_negative_prompts = ["a", "b", "c"], ["bad"] * 3
    p.iteration, p.prompts, p.negative_prompts = 1, ["b"], ["bad"]
    host.script.before_process_batch(p)
    assert [p.all_hr_prompts[0], p.all_hr_prompts[2]] == [written[0], written[2]]
    hr = host.parser.get_multicond_learned_conditioning(host.model, host.parse(p.all_hr_prompts[1:2]), 20)
    assert torch.equal(hr[0][0][0], host.at(4, "y"))
    if changed:
        p.all_hr_prompts[1] = "of another extension"
    host.script.process_batch(p)
    assert p.all_hr_prompts == [written[0], "of another extension" if changed else written[1], written[2]]
    assert p.all_hr_negative_prompts == ["bad"] * 3


def test_an_empty_prompt_is_empty_again(host):
    seen = []
    host.model.get_learned_conditioning = lambda texts: seen.append(list(texts)) or host.stage(texts)
    host.generate(["<clipskip:2>"], [" <clipskip:3> "])
    assert seen == [[""], [""]]


def test_the_conditioning_keeps_its_attributes(host):
    seen = []
    host.model.get_learned_conditioning = lambda texts: seen.append(texts) or host.stage(texts)
    prompts = host.parser.SdConditioning(["<clipskip:2>x"], is_negative_prompt=True)
    host.parser.get_learned_conditioning(host.model, prompts, 20)
    assert seen[0].is_negative_prompt and type(seen[0]) is host.parser.SdConditioning


def test_models_without_an_encoder_of_ours(host):
    from clip_skip.webui import generation

    host.model.cond_stage_model = torch.nn.Module()
    host.model.is_sd1, host.model.is_sd3 = False, True
    p = host.generate(["<clipskip:2>a cow"], ["<clipskip:3>bad"])
    assert p.prompts == ["a cow"] and p.negative_prompts == ["bad"]
    warning = f"⚠ {generation.MESSAGE(message=generation.MODEL_WITHOUT_CLIP_SKIP(model='SD3'))}"
    assert p.comments == [warning] == host.generate(["a cow"], args=(True, 2)).comments
    assert host.generate(["a cow"]).comments == []


def test_warnings_reach_the_user_once_and_the_api(host, caplog):
    p = host.generate(["<clipskip:x>a<clipskip:99>"] * 2, ["bad"] * 2)
    assert len(p.comments) == 2
    assert '"<clipskip:x>" was ignored' in p.comments[0]
    assert p.comments[1] == "⚠ Clip skip 99 is deeper than the 12 layers of CLIP ViT-L/14; 12 was used."
    assert [f"⚠ {record.getMessage()}" for record in caplog.records] == p.comments
    processed = SimpleNamespace(js=lambda: '{"seed": 1}')
    host.script.postprocess(p, processed)
    answer = json.loads(processed.js())
    assert answer["seed"] == 1 and len(answer["clip_skip_warnings"]) == 2


def test_wrong_arguments_end_the_generation(host):
    with pytest.raises(ValueError, match="clip_skip") as error:
        host.generate(["a cow"], args=({"clip_skip": 33},))
    assert error.value.status_code == 422 and "clip_skip" in error.value.detail
    with pytest.raises(ValueError, match="negative"):
        host.generate(["a cow"], args=(True, 3, 0.4), is_api=True)
    host.generate(["a cow"], args=(True, 3, 0.4))  # a slider between 0 and 1 stands at its minimum
    deep = ({"enabled": True, "hires": 13},)
    with pytest.raises(ValueError, match="hires: 13 is too deep: the loaded model has 12 layers") as error:
        host.generate(["a cow"], args=deep, is_api=True)
    assert error.value.status_code == 422 and "hires" in error.value.detail


def test_nothing_stays_on_the_model(host):
    before = dict(host.model.__dict__), dict(host.stage.__dict__)
    assert "sample" not in vars(host.generate(["<clipskip:2>a cow"]))
    own = lambda: "another extension's"
    p = host.generate(["<clipskip:2>a cow"], sample=own)
    assert p.sampled == own() and p.sample is own
    host.stage.wrapped.transformer.forward, forward = None, host.stage.wrapped.transformer.forward
    with pytest.raises(TypeError):
        host.generate(["<clipskip:2>a cow"])
    host.stage.wrapped.transformer.forward = forward
    assert (host.model.__dict__, host.stage.__dict__) == before


def test_reload_and_unload(host):
    for _ in range(10):
        host.callbacks["script_unloaded"][0]()
        assert host.parser.get_learned_conditioning is host.original
        host.callbacks.clear()
        host.load()
    assert {name: len(callbacks) for name, callbacks in host.callbacks.items()} == {
        "script_unloaded": 1,
        "before_ui": 1,
        "ui_settings": 1,
        "before_token_counter": 1,
        "ui_tabs": 1,
        "app_started": 1,
    }
    assert torch.equal(conditioning(host.generate(["<clipskip:2>a cow"])), host.at(2, "a cow"))


def test_another_extensions_wrapper_stays(host):
    ours = host.parser.get_learned_conditioning
    theirs = lambda *args, **kwargs: ours(*args, **kwargs)
    host.parser.get_learned_conditioning = theirs
    host.callbacks["script_unloaded"][0]()
    assert host.parser.get_learned_conditioning is theirs
    encoded = theirs(host.model, ["<clipskip:2>a"], 20)
    assert torch.equal(encoded[0][0], host.stage(["<clipskip:2>a"])[0])


def test_token_counter(host):
    params = SimpleNamespace(prompt="[<clipskip:1>:<clipskip:>:0.5] cow")
    host.callbacks["before_token_counter"][0](params)
    assert params.prompt == "[::0.5] cow"


def test_ui_has_no_side_effects_and_pastes(host):
    inputs = [host.script.ui(False), host.script.ui(False)]
    assert [len(one) for one in inputs] == [5, 5]
    assert [component.value for component in inputs[0]] == [False, 1.0, 0.0, 0.0, 0.0]
    p = host.generate(["a"], args=(True, 1.5, 3, 0, 0))
    pasted = [target(p.extra_generation_params) for _, target in host.script.infotext_fields]
    assert pasted == [True, 1.5, 3.0, 0.0, 0.0]
    assert [target({"Clip skip": "2"}) for _, target in host.script.infotext_fields] == [False, *[None] * 4]


def test_header_slider_is_added_once(host):
    from modules.shared import DEFAULT_QUICKSETTINGS, Options

    from clip_skip.webui.widgets.header_slider import add_slider

    opts = Options()
    add_slider(opts)
    assert opts.quicksettings_list == ["sd_model_checkpoint", "CLIP_stop_at_last_layers"]
    assert DEFAULT_QUICKSETTINGS == ["sd_model_checkpoint"]
    add_slider(opts)
    assert opts.quicksettings_list == ["sd_model_checkpoint", "CLIP_stop_at_last_layers"]
    removed = Options({**json.loads(json.dumps(opts.data)), "quicksettings_list": ["sd_model_checkpoint"]})
    add_slider(removed)
    assert removed.quicksettings_list == ["sd_model_checkpoint"]
    own = Options({"quicksettings_list": ["CLIP_stop_at_last_layers", "sd_vae"]})
    add_slider(own)
    assert own.quicksettings_list == ["CLIP_stop_at_last_layers", "sd_vae"]


def test_api_route(host):
    routes = {}
    app = SimpleNamespace(add_api_route=lambda path, answer, **more: routes.update({path: answer}))
    host.callbacks["app_started"][0](None, app)
    loaded = routes["/clip-skip/v1/encoders"]
    others = {"named": [], "several_layers": False, "guide": "./clip-skip/v1/docs/guide.md"}
    nothing = {"model": None, "checkpoint": None, "header_acts": False, "encoders": []}
    assert loaded() == {**nothing, "loads_later": False, **others, "loading": True}
    answer = lambda: {name: value for name, value in loaded().items() if name != "loading"}
    from modules import sd_models

    sd_models.model_data.sd_model = host.model
    encoder = {"name": "CLIP ViT-L/14", "tower": "l", "layers": 12, "native": 1, "header": {"offset": 0, "least": 1}}
    assert answer() == {"model": "SD1", "checkpoint": None, "header_acts": True, "encoders": [encoder], **others}
    read = routes["/clip-skip/v1/read"]
    told = read({"prompt": "<clipskip:3:g=5>a", "negative": "<clipskip:x>"})
    assert told["tag"] == "<clipskip:3:g=5>" and told["values"] == {"l": 3.0, "g": 5.0, "h": 3.0}
    assert told["warnings"] == [*told["boxes"]["prompt"], *told["boxes"]["negative"]]
    assert told["boxes"]["prompt"] == ['g= in "<clipskip:3:g=5>" has no effect on SD1.']
    assert '"<clipskip:x>" was ignored' in told["boxes"]["negative"][0]
    nothing = {"prompt": [[{}]], "negative": [[{}]]}
    empty = {"tag": None, "tag_in_style": False, "values": {}, "warnings": [], "suggestions": [], "problems": []}
    boxes = {"prompt": [], "negative": [], "hires_prompt": [], "hires_negative": [], "styles": []}
    assert read({}) == {**empty, "boxes": boxes, "passes": {"first": nothing, "hires": nothing}}
    assert routes["/clip-skip/v1/put"]({"text": "a <clipskip:3>", "tag": "<clipskip:2>"}) == {"text": "a <clipskip:2>"}
    sd_models.model_data.forge_loading_parameters = {"checkpoint_info": object()}
    assert answer()["model"] is None  # Forge loads what is selected with the first picture
    listed = lambda name: SimpleNamespace(filename=name, name=name)
    host.model.sd_checkpoint_info = listed("one")
    for name, model in (("one", "SD1"), ("two", None)):
        sd_models.model_data.forge_loading_parameters = {"checkpoint_info": listed(name)}  # Neo lists them again
        assert answer()["model"] == model
    del sd_models.model_data.forge_loading_parameters, host.model.sd_checkpoint_info
    sd_models.model_data.sd_model = torn = torch.nn.Linear(1, 1)
    torn._parameters = None  # as reForge leaves it while it loads another
    assert answer()["model"] is None
    sd_models.model_data.sd_model = None


def test_a_tag_of_another_extension_is_no_mistake(host, monkeypatch):
    """Randomizer Keywords has `<clip_skip:1>`."""
    from modules import extra_networks

    from clip_skip.webui.page import routes

    prompt = "<clip_skip:1>a cow"
    assert len(host.generate([prompt]).clip_skip_state.warnings) == 1
    assert len(routes.resolve_prompts({"prompt": prompt})["boxes"]["prompt"]) == 1
    monkeypatch.setattr(extra_networks, "extra_network_registry", {"clip_skip": object()}, raising=False)
    assert host.generate([prompt]).clip_skip_state.warnings == []
    assert routes.resolve_prompts({"prompt": prompt})["boxes"]["prompt"] == []


@pytest.mark.parametrize("enabled", [True, False])
def test_the_page_is_told_of_the_text_without_comments(host, enabled):
    """The host leaves them out before it makes a picture, where its settings say so."""
    from clip_skip.webui.page import routes

    host.shared.opts.data["enable_prompt_comments"] = enabled
    answer = routes.resolve_prompts({"prompt": "a cow # <clipskip:9>", "negative": "#<clipskip:x>\nbad"})
    assert answer["tag"] == (None if enabled else "<clipskip:9>")
    assert len(answer["boxes"]["negative"]) == (0 if enabled else 1)


def test_the_page_is_told_what_styles_edits_and_ands_come_to(host, monkeypatch):
    from modules import prompt_parser, sd_models, shared

    from clip_skip.webui.page import routes

    monkeypatch.setattr(sd_models.model_data, "sd_model", host.model)
    style = lambda text, names: text + ", <clipskip:2> <clipskip:x>" if names == ["s"] else text
    styles = SimpleNamespace(apply_styles_to_prompt=style, apply_negative_styles_to_prompt=lambda text, names: text)
    monkeypatch.setattr(shared, "prompt_styles", styles, raising=False)
    at = lambda value: {"l": value, "g": value, "h": value}
    edited = {"prompt": "[<clipskip:1>:<clipskip:3>:0.5] a AND <clipskip:4> b", "negative": "<clipskip:5>"}
    told = routes.resolve_prompts(edited)
    assert told["passes"]["first"] == {"prompt": [[at(1), at(3)], [at(4)]], "negative": [[at(5)]]}
    old = prompt_parser.get_learned_conditioning_prompt_schedules
    monkeypatch.setattr(prompt_parser, old.__name__, lambda texts, steps, hires=None: old(texts, steps, hires))
    assert routes.resolve_prompts(edited) == told  # Forge Neo has but one way of scheduling
    told = routes.resolve_prompts({"prompt": "a", "styles": ["s"]})
    assert told["tag"] == "<clipskip:2>" and told["tag_in_style"] and told["boxes"]["prompt"] == []
    assert '"<clipskip:x>" was ignored' in told["boxes"]["styles"][0]
    assert told["passes"]["hires"]["negative"] == [[at(2)]]
    told = routes.resolve_prompts(
        {"prompt": "a <clipskip:2:hires=3>", "hires_prompt": "b <clipskip:99>", "styles": "s"}
    )
    assert told["passes"]["hires"] == {"prompt": [[at(99)]], "negative": [[at(99)]]}
    assert "deeper than the" in told["boxes"]["hires_prompt"][0]
    monkeypatch.delattr(shared, "prompt_styles")
    assert routes.resolve_prompts({"prompt": "a", "styles": ["s"]})["tag"] is None
