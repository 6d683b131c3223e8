"""Beside extensions that write prompts or give pictures to other machines, on stand-ins for the host."""

from types import SimpleNamespace

import pytest
import torch

from clip_skip.prompt.override import Override

from .test_sweep_webui import AxisOption, job
from .test_webui import Host, Job


@pytest.fixture
def host(standins):
    return Host()


def draw(p):
    """As Dynamic Prompts: another text for each picture, from the first one's, drawn by the seeds after `p.seed`."""
    drawn = [f"{p.all_prompts[0]} {p.seed + index}" for index in range(p.batch_size + 1)]
    p.all_prompts, p.all_seeds, p.n_iter = drawn, [p.seed + index for index in range(len(drawn))], 2


def test_nothing_is_on_a_generation_that_is_sent_to_workers(host):
    p = Job(is_api=True, setup_prompts=print)
    before = dict(vars(p))
    host.script.before_process(p, {"enabled": True, "clip_skip": 2})
    assert vars(p) == before


def test_cells_of_one_text_have_what_is_written_for_the_first(host):
    host.others_process = draw
    p = job(host, seed=5)
    result = host.sweep_script.run(p, {"clip_skips": "1, 3", "cfg_scales": "4, 7"})
    ((_, done),) = p.make.made
    assert done.all_prompts == ["a cow 5"] * 4 and done.all_seeds == [5] * 4 and done.n_iter == 1
    assert torch.equal(done.c[3][0][0], host.at(3, "a cow 5"))
    assert all(text.startswith("a cow 5\n") for text in result.infotexts[1:])


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        ({"rows": "prompt", "row_values": "cow, hen"}, ["a cow 5", "a hen 5"]),
        ({"rows": "seed", "row_values": "5, 9"}, ["a cow 5", "a cow 9"]),
    ],
)
def test_cells_of_different_texts_or_seeds_share_no_batch_where_something_is_written(host, arguments, texts):
    host.others_process = draw
    p = job(host, seed=5, n_iter=1)
    result = host.sweep_script.run(p, {"clip_skips": "1, 3", **arguments})
    (_, thrown), *kept = p.make.made
    assert thrown.do_not_save_samples and not any(hasattr(done, "do_not_save_samples") for _, done in kept)
    assert [done.all_prompts for _, done in kept] == [[text] * 2 for text in texts]
    for (_, done), text in zip(kept, texts):
        assert torch.equal(done.c[1][0][0], host.at(3, text))
    assert [text.partition("\n")[0] for text in result.infotexts[1:]] == [text for text in texts for _ in range(2)]


def test_a_sweep_and_an_axis_stand_in_for_tags_that_are_written_meanwhile(host):
    from clip_skip.webui.state import State

    host.others_process = lambda p: p.__dict__.update(all_prompts=["a hen <clipskip:6>"] * p.batch_size)
    p = job(host)
    host.sweep_script.run(p, {"clip_skips": "1, 3", "cfg_scales": "7"})
    ((_, done),) = p.make.made
    assert torch.equal(done.c[1][0][0], host.at(3, "a hen "))
    of_axis = SimpleNamespace(clip_skip_state=State([Override(prompt=3.0)]), extra_generation_params={})
    assert torch.equal(host.generate(["a cow"], overrides_of=of_axis).c[0][0][0], host.at(3, "a hen "))


def test_what_is_asked_of_single_pictures_stays_on_this_machine(host):
    from modules import scripts

    titles = lambda p: [script.title() for script in p.scripts.alwayson_scripts]
    runner = SimpleNamespace(
        alwayson_scripts=[SimpleNamespace(title=lambda: "Clip Skip"), SimpleNamespace(title=lambda: "Distribute")],
        callback_map={"process": "of both"},
    )
    p = job(host, scripts=runner)
    host.sweep_script.run(p, {"clip_skips": "1, 3", "cfg_scales": "7"})
    assert titles(p.make.made[0][0]) == ["Clip Skip"] and titles(p) == ["Clip Skip", "Distribute"]
    assert p.make.made[0][0].scripts.callback_map == {} and runner.callback_map == {"process": "of both"}
    plot = SimpleNamespace(axis_options=[], AxisOption=AxisOption)
    script = type("Script", (), {"__module__": "xyz_grid.py"})
    scripts.scripts_data[:] = [SimpleNamespace(script_class=script, module=plot)]
    host.callbacks["before_ui"][0]()
    plot.axis_options[0].apply(p, 2.0, [])
    assert titles(p) == ["Clip Skip"] and len(runner.alwayson_scripts) == 2
