"""Tags and panel make the right pictures, by pixels, in a running WebUI with an SD1 checkpoint."""

import os
import random
import urllib.error
from functools import partial

import pytest

from ..helpers import find_marker
from .conftest import HIRES, infotext, pixels, same

PROMPT = "a red cow on a green field, masterpiece"
NEGATIVE = "blurry, bad quality"
SKIPS = range(1, 13)
EMBEDDINGS = [name for name in [os.environ.get("CLIP_SKIP_EMBEDDING")] if name]  # Forge Neo's API names none


def panel(**values):
    return {"alwayson_scripts": {"Clip Skip": {"args": [{"enabled": True, **values}]}}}


@pytest.fixture(scope="module")
def stock(webui):
    """The host's own pictures at every value."""
    pictures = [webui.at(skip, PROMPT, NEGATIVE) for skip in SKIPS]
    assert len({picture.tobytes() for picture in pictures}) == 12, "the checkpoint does not react to clip skip"
    return dict(zip(SKIPS, pictures))


@pytest.mark.parametrize("skip", SKIPS)
def test_unused_is_the_host_without_the_extension(plain, stock, skip):
    assert same(plain.at(skip, PROMPT, NEGATIVE), stock[skip])


@pytest.mark.parametrize("skip", SKIPS)
def test_tag_is_the_header_value(webui, stock, skip):
    assert same(webui.picture(f"<clipskip:{skip}> {PROMPT}", NEGATIVE), stock[skip])
    assert same(webui.picture(f"{PROMPT}<clipskip:-{skip}>", NEGATIVE), stock[skip])


@pytest.mark.parametrize("skip", SKIPS)
def test_panel_is_the_header_value(webui, stock, skip):
    assert same(webui.picture(PROMPT, NEGATIVE, **panel(clip_skip=skip)), stock[skip])


def test_precedence(webui, stock):
    assert same(webui.at(5, f"<clipskip:2> {PROMPT}", NEGATIVE, **panel(clip_skip=3)), stock[2])
    assert same(webui.at(5, PROMPT, NEGATIVE, **panel(clip_skip=3)), stock[3])


def test_negative_prompt_at_cfg_0(webui):
    """The picture is the negative prompt's alone there."""
    if not same(*(webui.at(1, prompt, NEGATIVE, cfg_scale=0) for prompt in (PROMPT, "a dog"))):
        pytest.skip("at CFG 0 the prompt still acts in this WebUI, as in Forge Classic")
    tagged_0 = webui.picture(PROMPT, f"{NEGATIVE} <clipskip:3>", cfg_scale=0)
    assert same(tagged_0, webui.at(3, PROMPT, NEGATIVE, cfg_scale=0))
    assert not same(tagged_0, webui.at(1, PROMPT, NEGATIVE, cfg_scale=0))


def test_negative_prompt_alone(webui, stock):
    """At CFG 1 the picture is the prompt's."""
    tagged = webui.picture(PROMPT, f"{NEGATIVE} <clipskip:3>")
    assert not same(tagged, stock[1]) and not same(tagged, stock[3])
    assert same(tagged, webui.picture(f"<clipskip:1> {PROMPT}", f"<clipskip:3>{NEGATIVE}"))
    assert same(tagged, webui.picture(PROMPT, NEGATIVE, **panel(clip_skip=1, negative=3)))
    assert same(
        webui.picture(PROMPT, f"{NEGATIVE}<clipskip:3>", cfg_scale=1), webui.picture(PROMPT, NEGATIVE, cfg_scale=1)
    )
    swapped = webui.picture(f"<clipskip:3>{PROMPT}", f"{NEGATIVE}<clipskip:1>", cfg_scale=1)
    assert same(swapped, webui.at(3, PROMPT, NEGATIVE, cfg_scale=1))


@pytest.mark.parametrize("batch", [4, 1])
def test_each_picture_of_a_batch_has_its_own(webui, batch):
    """The host's prompt matrix makes four prompts of this one, in batches."""
    matrix = {"script_name": "prompt matrix", "script_args": [False, False, "positive", "comma", 0]}
    prompt = f"{PROMPT}|<clipskip:2>|<clipskip:5>"
    pictures = webui.pictures(prompt, NEGATIVE, batch_size=batch, **matrix)
    texts = (PROMPT, f"{PROMPT}, <clipskip:2>", f"{PROMPT}, <clipskip:5>", f"{PROMPT}, <clipskip:2>, <clipskip:5>")
    singles = [webui.picture(text, NEGATIVE) for text in texts]
    assert len({single.tobytes() for single in singles}) == 4
    assert len(pictures) == 4
    assert all(same(one, other, within=2 if batch > 1 else 0) for one, other in zip(singles, pictures))


def test_each_prompt_of_a_list_has_its_own(webui):
    """The host's script copies the processing object for each line."""
    both = f"--prompt '{PROMPT} <clipskip:5>' --negative_prompt '<clipskip:1>{NEGATIVE}'"
    lines = "\n".join((f"<clipskip:2> {PROMPT}", PROMPT, both))
    name = "prompts from file or textbox"
    args = [False, False, "start", lines]
    args += [one["value"] for one in webui.script_inputs(name)[len(args) :]]  # Forge's makes a picture of them all, too
    pictures = webui.pictures("", "", script_name=name, script_args=args)
    assert len(pictures) == 3
    assert same(pictures[0], webui.at(2, PROMPT))
    assert same(pictures[1], webui.at(1, PROMPT))
    assert same(pictures[2], webui.picture(f"{PROMPT} <clipskip:5>", f"<clipskip:1>{NEGATIVE}"))


@pytest.mark.parametrize(
    "prompt",
    [
        "a cow BREAK a field BREAK sky",
        " ".join(f"word{number}" for number in range(110)),
        "a (red:1.4) cow, [faint], ((bright))",
        "a [red:blue:0.5] cow [with::2] horns",
        "a [red|blue] cow",
        "a cow AND a (green:1.2) field :0.6",
        "a cow :1.3",
        "",
        "a cow # a comment\n",
        r"a \(literal\) cow [broken",
    ],
)
@pytest.mark.parametrize("emphasis", ["Original", "No norm", "None"])
def test_tags_beside_the_hosts_own_syntax(webui, prompt, emphasis):
    override = {"emphasis": emphasis}
    want = webui.picture(prompt, NEGATIVE, override_settings={**override, "CLIP_stop_at_last_layers": 4})
    anywhere = [f"<clipskip:4>{prompt}"] + ([] if "AND" in prompt else [f"{prompt}\n<clipskip:4>"])
    for tagged in anywhere:
        assert same(webui.picture(tagged, NEGATIVE, override_settings=override), want)
    if prompt:
        assert not same(want, webui.picture(prompt, NEGATIVE, override_settings=override))


def test_textual_inversion(webui):
    loaded = list(webui.call("/sdapi/v1/embeddings")["loaded"]) or EMBEDDINGS
    if not loaded:
        pytest.skip("the WebUI names no textual inversion embedding for this checkpoint, nor does CLIP_SKIP_EMBEDDING")
    prompt = f"a cow, {loaded[0]}, a field"
    for skip in (1, 4):
        want = webui.at(skip, prompt, NEGATIVE)
        assert same(webui.picture(f"<clipskip:{skip}>{prompt}", NEGATIVE), want)
        assert not same(want, webui.at(skip, "a cow, a field", NEGATIVE))
    mixed = webui.picture(f"<clipskip:4>{prompt} AND <clipskip:4>a cow", f"<clipskip:4>{loaded[0]}")
    assert same(mixed, webui.at(4, f"{prompt} AND a cow", loaded[0]))


def test_the_old_emphasis(webui):
    if "use_old_emphasis_implementation" not in webui.call("/sdapi/v1/options"):
        pytest.skip("the WebUI has no old emphasis")
    old, prompt = {"use_old_emphasis_implementation": True}, "a (red:1.4) cow, [faint]"
    want = webui.picture(prompt, NEGATIVE, override_settings={**old, "CLIP_stop_at_last_layers": 4})
    assert same(webui.picture(f"<clipskip:4>{prompt}", NEGATIVE, override_settings=old), want)
    assert not same(want, webui.picture(prompt, NEGATIVE, override_settings=old))


def test_prompt_editing_changes_the_value_on_the_way(webui):
    made = partial(webui.picture, steps=4)
    one, six = (webui.at(skip, PROMPT, NEGATIVE, steps=4) for skip in (1, 6))
    edited = made(f"[<clipskip:1>:<clipskip:6>:2]{PROMPT}", "<clipskip:1>" + NEGATIVE)
    assert not same(edited, one) and not same(edited, six)
    words = made(f"[<clipskip:1>x:<clipskip:6>x:2]{PROMPT}", "<clipskip:1>" + NEGATIVE)
    assert not same(words, edited)
    assert same(made(f"[<clipskip:1>:<clipskip:6>:4]{PROMPT}", NEGATIVE), one)
    late = made(f"[<clipskip:6>:<clipskip:1>:0]{PROMPT}", NEGATIVE)
    assert same(late, one)
    everywhere = made(f"[<clipskip:6>|<clipskip:6>]{PROMPT}", f"<clipskip:6>{NEGATIVE}")
    assert same(everywhere, six)
    turns = made(f"[<clipskip:1>|<clipskip:6>]{PROMPT}", NEGATIVE)
    assert not same(turns, one) and not same(turns, six) and not same(turns, edited)


def test_sub_prompts_have_their_own(webui):
    one, two = "a cow", "a field"
    mixed = webui.picture(f"<clipskip:2>{one} AND <clipskip:4>{two}", NEGATIVE)
    assert not same(mixed, webui.at(2, f"{one} AND {two}", NEGATIVE))
    assert not same(mixed, webui.at(4, f"{one} AND {two}", NEGATIVE))
    assert same(mixed, webui.at(2, f"{one} AND {two}<clipskip:4>", f"<clipskip:2>{NEGATIVE}"))
    assert same(webui.picture(f"<clipskip:4>{one} AND {two}", NEGATIVE), webui.at(4, f"{one} AND {two}", NEGATIVE))
    only_second = webui.picture(f"{one} :0 AND <clipskip:4>{two}", f"{NEGATIVE}<clipskip:4>")
    assert same(only_second, webui.at(4, f"{one} :0 AND {two}", NEGATIVE))


def test_hires_pass(webui):
    both = {skip: webui.at(skip, PROMPT, NEGATIVE, **HIRES) for skip in (1, 3)}
    assert same(webui.picture(f"<clipskip:3>{PROMPT}", NEGATIVE, **HIRES), both[3])
    mixed = webui.picture(f"<clipskip:3:hires=1>{PROMPT}", NEGATIVE, **HIRES)
    assert not same(mixed, both[1]) and not same(mixed, both[3])
    assert same(mixed, webui.picture(PROMPT, NEGATIVE, **HIRES, **panel(clip_skip=3, hires=1)))
    assert same(mixed, webui.picture(f"<clipskip:3>{PROMPT}", NEGATIVE, hr_prompt=f"<clipskip:1>{PROMPT}", **HIRES))
    assert same(
        webui.picture(
            f"<clipskip:hires=3>{PROMPT}", NEGATIVE, override_settings={"CLIP_stop_at_last_layers": 3}, **HIRES
        ),
        both[3],
    )
    negative = webui.picture(PROMPT, NEGATIVE, hr_negative_prompt=f"{NEGATIVE}<clipskip:3>", **HIRES)
    assert not same(negative, both[1])
    intermediate = webui.answer(f"<clipskip:3:hires=1>{PROMPT}", f"<clipskip:2>{NEGATIVE}", **HIRES)
    assert not find_marker(intermediate["info"])


def test_fractions(webui, stock):
    assert same(webui.picture(f"<clipskip:1.0>{PROMPT}", NEGATIVE), stock[1])
    assert same(webui.picture(f"<clipskip:2.0>{PROMPT}", NEGATIVE), stock[2])
    half = webui.picture(f"<clipskip:1.5>{PROMPT}", NEGATIVE)
    assert not same(half, stock[1]) and not same(half, stock[2])
    assert same(half, webui.picture(PROMPT, NEGATIVE, **panel(clip_skip=1.5)))


def test_nothing_stale(webui, stock):
    """A, B, A: with every pair of ways to ask, the picture in between changes nothing."""
    ways = {
        "tag": lambda: webui.picture(f"<clipskip:1.5>{PROMPT}", NEGATIVE),
        "panel": lambda: webui.picture(PROMPT, NEGATIVE, **panel(clip_skip=2.5)),
        "negative": lambda: webui.picture(PROMPT, NEGATIVE, **panel(clip_skip=1, negative=3)),
        "header": lambda: webui.at(4, PROMPT, NEGATIVE),
        "nothing": lambda: webui.picture(PROMPT, NEGATIVE),
    }
    first = {name: way() for name, way in ways.items()}
    assert len({picture.tobytes() for picture in first.values()}) == len(ways)
    for one in ways:
        for other in ways:
            assert same(ways[one](), first[one]) and same(ways[other](), first[other])
    assert same(first["nothing"], stock[1])


def test_img2img(webui, stock):
    import base64
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(stock[1].astype("uint8")).save(buffer, "PNG")
    start = {
        "route": "img2img",
        "init_images": [base64.b64encode(buffer.getvalue()).decode()],
        "denoising_strength": 0.8,
    }
    assert same(webui.picture(f"<clipskip:3>{PROMPT}", NEGATIVE, **start), webui.at(3, PROMPT, NEGATIVE, **start))


@pytest.mark.parametrize(
    "made",
    [
        {"prompt": f"<clipskip:2.5>{PROMPT}", "negative": f"<clipskip:3>{NEGATIVE}"},
        {"prompt": PROMPT, "negative": NEGATIVE, **panel(clip_skip=2.5, negative=3)},
        {"prompt": PROMPT, "negative": NEGATIVE, **panel(clip_skip=2)},
        {"prompt": f"<clipskip:4>{PROMPT}", "negative": NEGATIVE, "override_settings": {"CLIP_stop_at_last_layers": 2}},
    ],
)
def test_pasted_back_it_is_the_same_picture(webui, made):
    first = webui.answer(**made)["images"][0]
    again = webui.again(first)
    assert same(pixels(first), pixels(again))
    assert infotext(first) == infotext(again)


@pytest.mark.parametrize(
    ("prompt", "settings", "skip"),
    [
        (f"<clipskip:4>{PROMPT}", {}, 4),
        (f"<clipskip:4>{PROMPT} AND a field", {}, 4),
        (PROMPT, panel(clip_skip=4), 4),
        (f"<clipskip:1>{PROMPT}", {"override_settings": {"CLIP_stop_at_last_layers": 3}}, 1),
        (f"<clipskip:4>{PROMPT}", HIRES, 4),
    ],
)
def test_what_the_host_can_make_it_makes_without_the_extension(webui, plain, prompt, settings, skip):
    answer = webui.answer(prompt, NEGATIVE, **settings)
    said = infotext(answer["images"][0])
    assert (f", Clip skip: {skip}," in said) if skip > 1 else (", Clip skip: " not in said)
    if settings is not HIRES:  # v1.10.1 itself fails on a pasted hires infotext without a prompt of its own
        plain.check_clip_skip_is_pasted()
        again = plain.again(answer["images"][0])
        assert same(pixels(again), pixels(answer["images"][0]))


def test_infotext_of_every_batch(webui):
    matrix = {"script_name": "prompt matrix", "script_args": [False, False, "positive", "comma", 0]}
    answer = webui.answer(f"{PROMPT}|<clipskip:2>|<clipskip:5>", NEGATIVE, batch_size=1, **matrix)
    said = [infotext(image) for image in answer["images"][answer["info"]["index_of_first_image"] :]]
    assert [text.rpartition("Clip skip: ")[2][:1] if "Clip skip: " in text else "1" for text in said] == list("1255")
    listed = answer["info"]["infotexts"][answer["info"]["index_of_first_image"] :]
    assert listed == said


@pytest.mark.parametrize("text", ["\ue0c0l=5\ue0c1", "\ue0c0l=x\ue0c1", "\u206a\u206b\u206f", "\u206a" * 14 + "\u206f"])
def test_a_persons_text_is_never_taken_for_a_marker(webui, plain, text):
    assert same(webui.picture(f"{text}{PROMPT}", NEGATIVE), plain.picture(f"{text}{PROMPT}", NEGATIVE))
    tagged = webui.picture(f"<clipskip:3>{text}{PROMPT}", f"{text}{NEGATIVE}")
    assert same(tagged, plain.at(3, f"{text}{PROMPT}", f"{text}{NEGATIVE}"))


def test_infotext(webui):
    text = infotext(webui.answer(PROMPT, NEGATIVE, **panel(clip_skip=1.5, negative=2, hires=3))["images"][0])
    assert "Clip skip panel: 1.5, Clip skip negative: 2, Clip skip hires: 3" in text
    assert "Clip skip: " not in text
    assert infotext(webui.answer(f"<clipskip:2> {PROMPT}", NEGATIVE)["images"][0]).startswith(
        f"<clipskip:2> {PROMPT}\n"
    )
    unused = infotext(webui.answer(PROMPT, NEGATIVE)["images"][0])
    assert "lip skip" not in webui.without_what_neo_says(unused)


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ([{"enabled": True, "clip_skip": "two"}], "clip_skip"),
        ([{"enabled": True, "clip_skip": 13}], "clip_skip"),
        ([{"enabled": True, "negative": 0.5}], "negative"),
        ([{"enabled": 1}], "enabled"),
        ([{"skip": 2}], "skip"),
        ([True, 2, 3, 4, 99], "clip_g"),
        ([True, [2]], "clip_skip"),
    ],
)
def test_wrong_arguments_are_refused(webui, args, named):
    with pytest.raises(urllib.error.HTTPError) as error:
        webui.answer(PROMPT, alwayson_scripts={"Clip Skip": {"args": args}})
    assert error.value.code == 422
    assert named in error.value.read().decode()


def test_arguments_by_position(webui, stock):
    args = {"alwayson_scripts": {"Clip Skip": {"args": [True, 3, 0, 0, 0]}}}
    assert same(webui.picture(PROMPT, NEGATIVE, **args), stock[3])


def test_after_a_failure_the_next_picture_is_plain(webui, stock):
    before = webui.call("/sdapi/v1/options")
    with pytest.raises(urllib.error.HTTPError):
        webui.answer(f"<clipskip:3>{PROMPT}", NEGATIVE, enable_hr=True, hr_upscaler="no such upscaler")
    with pytest.raises(urllib.error.HTTPError):
        webui.answer(PROMPT, sampler_name="Euler", width=64, refiner_checkpoint="no such model", **panel(clip_skip=4))
    assert same(webui.picture(PROMPT, NEGATIVE), stock[1])
    assert webui.call("/sdapi/v1/options") == before


def test_after_an_interrupt_the_next_picture_is_plain(webui, stock):
    import threading
    import time

    before = webui.call("/sdapi/v1/options")
    job = threading.Thread(target=webui.answer, args=(f"<clipskip:3>{PROMPT}",), kwargs={"steps": 150, "width": 128})
    job.start()
    for _ in range(200):
        time.sleep(0.02)
        if webui.call("/sdapi/v1/progress")["state"]["sampling_step"] > 2:
            break
    webui.call("/sdapi/v1/interrupt", {})
    job.join()
    assert same(webui.picture(PROMPT, NEGATIVE), stock[1])
    assert webui.call("/sdapi/v1/options") == before


def test_bad_tags_are_told(webui, stock):
    answer = webui.answer(f"<clipskip:abc> {PROMPT}", f"<clipskip:99>{NEGATIVE}")
    told = " ".join(answer["info"]["clip_skip_warnings"])
    assert '"<clipskip:abc>"' in told and "99" in told and "12" in told
    assert same(webui.picture(f"<clipskip:99> {PROMPT}", NEGATIVE), stock[12])
    for bad in ("<clipskip:>", "<clipskip:0>", "<clipskip:nan>", "<clipskip:1e999>", "<clipskip:x=2>", "<clipskip>"):
        answer = webui.answer(f"{bad} {PROMPT}", NEGATIVE)
        assert same(pixels(answer["images"][0]), stock[1])
        assert bad in " ".join(answer["info"]["clip_skip_warnings"])


def test_nothing_typed_in_a_tag_fails(webui):
    """500 random tags, 500 pictures, and a warning for each bad one."""
    from clip_skip.prompt.parsed import find_warnings, parse_prompt

    draw = random.Random(2881122569)
    alphabet = "0123456789.-+=:lghires ,[](){}|\\\"'<AND\n\té漢\U0001f600\ue0c0\ue0c1\0%e"
    for _ in range(500):
        body = "".join(draw.choice(alphabet) for _ in range(draw.randrange(0, 12)))
        prompt = f"a <clipskip:{body}> cow"
        answer = webui.answer(prompt, f"<clipskip:{body}>", steps=1)
        assert len(answer["images"]) == 1
        for warning in map(str, find_warnings([parse_prompt(prompt)])):
            assert warning in answer["info"]["clip_skip_warnings"]
