"""The sweep script and the X/Y/Z axes on stand-ins for the host."""

import dataclasses
import json
import re
import sys
from copy import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from clip_skip.made_for import remembered
from clip_skip.sweep.axis import COLUMN_TOO_DEEP
from clip_skip.sweep.plan import SweepPlan
from clip_skip.sweep.rows import HIRES_PASS_NEEDED, NOTHING_TO_SEARCH, ROW_KINDS, Rows
from clip_skip.sweep.settings import INFOTEXT, INFOTEXT_COLUMNS, INFOTEXT_ROWS, LABELS, NEEDS_SDXL, SweepSettings

from .host_models import MODELS
from .test_webui import Host, forget_clip_skip


@pytest.fixture
def host(standins):
    return Host()


class Batches:
    """Makes pictures of the right number and infotext, and remembers each batch."""

    def __init__(self, host):
        self.host, self.made, self.encoded = host, [], host.stage.encoded
        self.fail_above = 99
        self.before = lambda: None
        self.picture = lambda: Image.new("RGB", (16, 16))

    def __call__(self, p):
        from modules import processing

        self.before()
        if p.batch_size > self.fail_above:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        names = ("seed", "subseed", "while_sampling")
        more = {name: getattr(p, name) for name in names if hasattr(p, name)}
        done = self.host.generate([p.prompt] * p.batch_size, [p.negative_prompt] * p.batch_size, overrides_of=p, **more)
        for name in ("all_prompts", "all_negative_prompts", "all_seeds", "all_subseeds", "extra_generation_params"):
            setattr(p, name, getattr(done, name))
        p.clip_skip_state = done.clip_skip_state
        self.made.append((p, done))
        texts = [
            processing.create_infotext(p, done.all_prompts, done.all_seeds, done.all_subseeds, index=i)
            for i in range(p.batch_size)
        ]
        return processing.Processed(p, [self.picture() for _ in texts], p.seed, infotexts=texts)


class HostJob(SimpleNamespace):
    """The host's processing object, with the attributes that it has for a user's request."""

    def comment(self, text):
        self.comments[text] = 1


def job(host, **more):
    kind = type("HostJob", (HostJob,), {"make": staticmethod(Batches(host))})
    p = kind(
        prompt="a cow",
        negative_prompt="bad",
        seed=-1,
        subseed=7,
        subseed_strength=0,
        cfg_scale=7.0,
        n_iter=1,
        batch_size=1,
        width=16,
        height=16,
        steps=4,
        sampler_name="Euler",
        enable_hr=False,
        do_not_save_grid=False,
        do_not_save_samples=False,
        outpath_grids="grids",
        outpath_samples="samples",
        extra_generation_params={},
        comments={},
    )
    p.__dict__.update(more)
    return p


def test_cells_in_one_batch_with_a_value_and_a_scale_each(host):
    p = job(host)
    host.stage.encoded.clear()
    result = host.sweep_script.run(p, {"clip_skips": "1-12", "cfg_scales": "4, 7"})
    ((batch, done),) = p.make.made
    assert len(host.stage.encoded) == 2
    assert (
        done.all_seeds == [1234] * 24
        and done.all_subseeds == [7] * 24
        and batch.seed == 1234
        and batch.batch_size == 24
        and batch.n_iter == 1
    )
    assert batch.clip_skip_state.batch.cfg_scales == [4] * 12 + [7] * 12 and batch.cfg_scale == 4
    assert torch.equal(done.c[4][0][0], host.at(5, "a cow")) and torch.equal(done.uc[16][0], host.at(5, "bad"))
    assert len(result.images) == 25 and result.index_of_first_image == 1
    assert result.infotexts[1] == "a cow\nNegative prompt: bad\nCFG scale: 4, Seed: 1234"
    assert result.infotexts[17] == "a cow\nNegative prompt: bad\nCFG scale: 7, Seed: 1234, Clip skip: 5"
    assert "Script: Clip skip sweep" in result.infotexts[0]
    assert "Sweep clip skips: 1-12, Sweep CFG scales: 4, 7, Sweep apply to: both" in result.infotexts[0]
    assert "CFG scale: 7.0" in result.infotexts[0]


def test_batches_share_their_encodings(host):
    p = job(host)
    host.stage.encoded.clear()
    host.sweep_script.run(p, {"clip_skips": "1-6", "cfg_scales": "4, 7", "cells_per_batch": 5})
    assert [batch.batch_size for batch, _ in p.make.made] == [5, 5, 2]
    assert len(host.stage.encoded) == 2
    assert all(
        torch.equal(d.c[i][0][0], host.at(int(s), "a cow")) for _, d in p.make.made[1:2] for i, s in [(0, 6), (1, 1)]
    )


@pytest.mark.parametrize(("apply_to", "prompt_skip", "negative_skip"), [("prompt", 3, 1), ("negative", 1, 3)])
def test_one_side(host, apply_to, prompt_skip, negative_skip):
    p = job(host)
    result = host.sweep_script.run(p, {"clip_skips": "3", "cfg_scales": "7", "apply_to": apply_to})
    ((_, done),) = p.make.made
    assert torch.equal(done.c[0][0][0], host.at(prompt_skip, "a cow"))
    assert torch.equal(done.uc[0][0], host.at(negative_skip, "bad"))
    assert f"Clip skip panel: {prompt_skip}, Clip skip negative: {negative_skip}" in result.infotexts[1]
    assert "Clip skip panel" not in result.infotexts[0]


def test_tags_in_the_prompt(host):
    p = job(host, prompt="<clipskip:9>a cow AND <clipskip:4>b")
    result = host.sweep_script.run(p, {"clip_skips": "2, 3", "cfg_scales": "7"})
    ((_, done),) = p.make.made
    assert torch.equal(done.c[1][0][0], host.at(3, "a cow")) and torch.equal(done.c[1][1][0], host.at(4, "b"))
    assert result.infotexts[1].startswith("a cow AND <clipskip:4>b\n")
    assert '⚠ The sweep\'s values replaced the tag "<clipskip:9>".' in p.comments


def test_cells_share_no_batch_where_another_extension_cuts_the_prompt_apart(host):
    """It encodes a region once for the whole batch, so that all cells of the batch need one clip skip."""
    p = job(host, n_iter=2, while_sampling=lambda: host.model.get_learned_conditioning(["a hen"]))
    result = host.sweep_script.run(p, {"clip_skips": "1-3", "cfg_scales": "4, 7", "cells_per_batch": 6})
    batches = [(batch.batch_size, batch.seed) for batch, _ in p.make.made]
    assert batches == [(6, 1234), (2, 1234), (2, 1234), (2, 1234), (2, 1235), (2, 1235), (2, 1235)]
    thrown, *kept = [done for _, done in p.make.made]
    assert thrown.do_not_save_samples
    for done, skip in zip(kept, (1, 2, 3, 1, 2, 3)):
        assert not hasattr(done, "do_not_save_samples")
        assert torch.allclose(done.sampled[0], host.at(skip, "a hen"), atol=1e-5)
    assert len(result.images) == 2 + 12
    from clip_skip.webui.sweep.results import PIECES_SHARED

    assert f"⚠ {PIECES_SHARED}" in p.comments and PIECES_SHARED in json.loads(result.js())["clip_skip_warnings"]
    p = job(host, while_sampling=p.while_sampling)
    p.make.before = lambda: setattr(host.shared.state, "stopping_generation", True)
    result = host.sweep_script.run(p, {"clip_skips": "1-3", "cfg_scales": "7"})
    host.shared.state.stopping_generation = False
    assert len(p.make.made) == 1 and result.images == [] and (result.info, result.seed) == ("", p.seed)  # not shown


def test_out_of_memory_halves_the_batch(host):
    p = job(host)
    p.make.fail_above = 3
    result = host.sweep_script.run(p, {"clip_skips": "1-8", "cfg_scales": "7"})
    assert [batch.batch_size for batch, _ in p.make.made] == [2, 2, 2, 2]
    assert len(result.images) == 9
    assert "Out of memory: the sweep went on with 2 cells per batch." in p.comments
    p = job(host, seed=6)
    p.make.fail_above = 0
    with pytest.raises(torch.cuda.OutOfMemoryError):
        host.sweep_script.run(p, {"clip_skips": "1-8", "cfg_scales": "7"})


def test_interrupt_and_skip(host):
    p = job(host)
    state = host.shared.state

    def interrupt():
        state.interrupted = len(p.make.made) == 2

    p.make.before = interrupt
    result = host.sweep_script.run(p, {"clip_skips": "1-8", "cfg_scales": "7", "cells_per_batch": 2})
    assert len(p.make.made) == 3 and len(result.images) == 1 + 4
    state.interrupted = False
    p = job(host, prompt="another")

    def skip():
        state.skipped = len(p.make.made) == 1

    p.make.before = skip
    result = host.sweep_script.run(p, {"clip_skips": "1-8", "cfg_scales": "7", "cells_per_batch": 2})
    assert len(p.make.made) == 4 and len(result.images) == 1 + 6


@pytest.fixture
def sweep(host):
    """Runs a sweep, interrupted in batch `interrupt`; returns the host's object and its answer."""

    def run(arguments, interrupt=None, **more):
        p = job(host, **{"seed": 5, **more})
        p.make.before = lambda: setattr(host.shared.state, "interrupted", len(p.make.made) == interrupt)
        try:
            return p, host.sweep_script.run(p, arguments)
        finally:
            host.shared.state.interrupted = False

    return run


def sizes(p):
    return [batch.batch_size for batch, _ in p.make.made]


def test_the_same_sweep_again_makes_the_other_cells(host, sweep):
    from clip_skip.webui.sweep.results import CELLS_DONE, REUSED, RUN_AGAIN

    arguments = {"clip_skips": "1-8", "cfg_scales": "7", "cells_per_batch": 2}
    p, result = sweep(arguments, interrupt=3)
    assert len(result.images) == 1 + 6
    message = str(RUN_AGAIN(made=6, wanted=8, seed="5"))
    assert f"⚠ {message}" in p.comments and message in json.loads(result.js())["clip_skip_warnings"]
    other, _ = sweep(arguments, interrupt=1, prompt="a hen")
    assert sizes(other) == [2, 2]
    p, result = sweep(arguments)
    assert sizes(p) == [2] and len(result.images) == 1 + 8  # another sweep came between
    assert str(REUSED(count=6, wanted=8)) in p.comments and not any("are done" in comment for comment in p.comments)
    assert result.infotexts[0].startswith("a cow\n") and "Script: Clip skip sweep" in result.infotexts[0]
    p, again = sweep(arguments)
    assert sizes(p) == [] and again.infotexts == result.infotexts  # all cells are finished
    p, _ = sweep(arguments, interrupt=1, script_args=(object(),))
    assert f"⚠ {CELLS_DONE(made=2, wanted=8)}" in p.comments
    p, _ = sweep(arguments, script_args=(object(),))
    assert sizes(p) == [2, 2, 2, 2]  # what cannot be compared is never the same


@pytest.mark.parametrize(("first", "second"), [(1, 3), (3, 1), (3, 3)])
def test_an_interrupted_sweep_goes_on_with_another_batch_count(host, sweep, first, second):
    arguments = {"clip_skips": "1-3", "cfg_scales": "7", "cells_per_batch": 1}
    sweep(arguments, interrupt=2, n_iter=first)
    p, result = sweep(arguments, n_iter=second)
    assert len(p.make.made) == 3 * second - 2
    assert result.index_of_first_image == second and len(result.images) == second + 3 * second
    assert not any("are done" in comment for comment in p.comments)
    assert [re.search(r"Seed: (\d+)", text)[1] for text in result.infotexts[:second]] == ["5", "6", "7"][:second]


def test_a_cell_is_a_cell_whatever_sweep_wants_it(host, sweep):
    sweep({"clip_skips": "1-12", "cfg_scales": "4, 7, 11"})
    p, result = sweep({"clip_skips": "1-12", "cfg_scales": "4, 7, 12"})
    assert sizes(p) == [12] and p.make.made[0][0].cfg_scale == 12 and len(result.images) == 1 + 36
    assert [re.search(r"CFG scale: (\d+)", text)[1] for text in result.infotexts[1:]] == [
        scale for scale in ("4", "7", "12") for _ in range(12)
    ]
    for changed in ({"legend": False}, {"margin": 8}, {"cells_per_batch": 3}, {"include_cells": False}):
        p, _ = sweep({"clip_skips": "1-12", "cfg_scales": "7", **changed})
        assert sizes(p) == []
    p, _ = sweep({"clip_skips": "2", "rows": "seed", "row_values": "5, 9"})
    assert sizes(p) == [1] and p.make.made[0][1].all_seeds == [9]
    p, _ = sweep({"clip_skips": "2", "rows": "prompt", "row_values": "cow, hen"})
    assert [done.all_prompts for _, done in p.make.made] == [["a hen"]]
    p, _ = sweep({"clip_skips": "2", "rows": "negative", "row_values": "2, 3"})
    assert sizes(p) == [1]  # 2 for both is what the columns of the others were
    p, _ = sweep({"clip_skips": "2", "cfg_scales": "7", "apply_to": "prompt"})
    assert sizes(p) == [1]  # the negative prompt follows the header


def test_a_reused_cell_says_what_it_said(host, sweep):
    _, before = sweep({"clip_skips": "1, 2", "rows": "prompt", "row_values": "cow, hen"}, prompt="<clipskip:x> a cow")
    p, after = sweep({"clip_skips": "1, 2", "cfg_scales": "7"}, prompt="<clipskip:x> a hen")
    assert sizes(p) == [] and after.infotexts[1:] == before.infotexts[3:]
    assert after.infotexts[0].startswith("<clipskip:x> a hen\n") and "Sweep rows" not in after.infotexts[0]
    warnings = json.loads(after.js())["clip_skip_warnings"]
    assert any("<clipskip:x>" in message for message in warnings)
    assert any("<clipskip:x>" in comment for comment in p.comments) and not any("cells" in m for m in warnings)


def test_a_grid_of_reused_cells_alone_is_named_by_their_prompt(host, sweep):
    from modules import images

    sweep({"clip_skips": "1, 2", "rows": "prompt", "row_values": "cow, hen"})
    images.saved.clear()
    p, _ = sweep({"clip_skips": "1, 2", "cfg_scales": "7"}, prompt="a hen")
    assert sizes(p) == [] and [settings["prompt"] for _, _, settings in images.saved] == ["a hen"]


def test_cells_whose_texts_another_extension_has_changed_are_made_again(host, sweep):
    host.others_process = lambda p: p.__dict__.update(all_prompts=[f"{text} of the day" for text in p.all_prompts])
    arguments = {"clip_skips": "1, 2", "cfg_scales": "7"}
    assert sizes(sweep(arguments)[0]) == [2]
    assert sizes(sweep(arguments)[0]) == [2]


def test_reused_cells_are_saved_where_new_ones_would_be(host, sweep, tmp_path):
    from modules import images

    arguments = {"clip_skips": "1, 2", "cfg_scales": "7"}
    images.saved.clear()
    _, result = sweep(arguments, do_not_save_grid=True)
    assert images.saved == []  # cells are not to be saved
    sweep({**arguments, "save_cells": True}, do_not_save_grid=True, outpath_samples=str(tmp_path))
    assert [(path, settings["seed"], settings["prompt"]) for path, _, settings in images.saved] == [
        (str(tmp_path), 5, "a cow")
    ] * 2
    assert [settings["info"] for _, _, settings in images.saved] == result.infotexts[1:]
    assert all(settings["p"].all_seeds == [5, 5] for _, _, settings in images.saved)  # the host names files by it
    images.saved.clear()
    for number, picture in enumerate(result.images[1:]):
        picture.already_saved_as = str(tmp_path / f"{number}.png")
    (tmp_path / "0.png").write_bytes(b"")
    sweep({**arguments, "save_cells": True}, do_not_save_grid=True, outpath_samples=str(tmp_path))
    assert [settings["info"] for _, _, settings in images.saved] == [result.infotexts[2]]  # the other is still there
    images.saved.clear()
    host.shared.opts.data["samples_save"] = False
    sweep({**arguments, "save_cells": True}, do_not_save_grid=True)
    assert images.saved == []


def test_columns_that_are_one_picture_are_made_once(host, sweep):
    from modules import sd_models

    from clip_skip.webui.sweep.results import SAME_PICTURE
    from clip_skip.webui.widgets import sweep_widgets

    host.model = host.shared.sd_model = sd_models.model_data.sd_model = MODELS["A1111 SDXL"]()
    settings = SweepSettings(clip_skips="1-4", cfg_scales="4, 7")
    message = str(sweep_widgets.SAME_PICTURE(values="1, 2"))
    assert message in sweep_widgets.count_text(*dataclasses.astuple(settings))  # before they are made
    p, result = sweep({"clip_skips": "1-4", "cfg_scales": "4, 7"})
    assert sizes(p) == [6] and len(result.images) == 1 + 8
    assert result.images[1] is result.images[2] and result.images[2] is not result.images[3]
    assert result.images[5] is result.images[6]
    assert str(SAME_PICTURE(values="1, 2")) in p.comments
    p, result = sweep({"clip_skips": "2, 1", "cfg_scales": "4, 7", "columns": "clip_l"}, interrupt=0)
    assert sizes(p) == [] and len(result.images) == 1 + 4  # CLIP-G at its own 2 is what 2 for both was
    alone = SweepSettings(clip_skips="2-4", cfg_scales="7")
    assert "<br>" not in sweep_widgets.count_text(*dataclasses.astuple(alone))


def test_interrupted_and_skipped_cells_are_never_used_again(host, sweep):
    arguments = {"clip_skips": "1-4", "cfg_scales": "7", "cells_per_batch": 2}
    sweep(arguments, interrupt=1)
    skipped = job(host, seed=5)
    skipped.make.before = lambda: setattr(host.shared.state, "skipped", True)
    host.sweep_script.run(skipped, arguments)
    host.shared.state.skipped = False
    assert sizes(skipped) == [2]  # of the second batch there is nothing
    p, result = sweep(arguments)
    assert sizes(p) == [2] and len(result.images) == 1 + 4


def test_the_memory_for_finished_cells_is_a_setting(host, sweep):
    one = 16 * 16 * 3
    arguments = {"clip_skips": "1-4", "cfg_scales": "7"}
    host.shared.opts.data["clip_skip_finished_cells"] = 2.5 * one / 2**20
    sweep(arguments)
    p, _ = sweep(arguments)
    assert sizes(p) == [2]  # the last two are kept
    host.shared.opts.data["clip_skip_finished_cells"] = 0
    sweep(arguments)
    assert sizes(sweep(arguments)[0]) == [4]


def test_nothing_large_is_kept_beside_the_pictures(host, sweep):
    p, _ = sweep(
        {"clip_skips": "1, 2", "cfg_scales": "7"}, init_images=[Image.new("RGB", (8, 8))], init_latent=torch.ones(1)
    )
    (batch, _), *_ = p.make.made
    assert batch.init_images is None and batch.init_latent is None
    assert p.init_images is not None  # of the user's own request nothing is taken


def test_a_sweep_that_failed_keeps_its_cells(host):
    arguments = {"clip_skips": "1-6", "cfg_scales": "7", "cells_per_batch": 2}
    p = job(host, seed=5)

    def fail():
        if len(p.make.made) == 2:
            raise RuntimeError("no luck")

    p.make.before = fail
    with pytest.raises(RuntimeError, match="no luck"):
        host.sweep_script.run(p, arguments)
    p = job(host, seed=5)
    result = host.sweep_script.run(p, arguments)
    assert sizes(p) == [2] and len(result.images) == 1 + 6


def test_a_full_disk_costs_no_cell(host, tmp_path, caplog):
    """Pictures that cannot be saved are made again and shown, and it is said once."""
    p = job(host, outpath_grids=str(tmp_path))
    made = p.make

    def full(batch):
        if not batch.do_not_save_samples:
            raise OSError(28, "No space left on device")
        return made(batch)

    p.make = full
    host.shared.state.job_count = 0
    arguments = {"clip_skips": "1-6", "cfg_scales": "7", "cells_per_batch": 2, "save_cells": True}
    result = host.sweep_script.run(p, arguments)
    assert len(result.images) == 1 + 6 and host.shared.state.job_count == 3 + 1
    said = "The pictures could not be saved: [Errno 28] No space left on device"
    assert [message for message in json.loads(result.js())["clip_skip_warnings"] if "saved" in message] == [said]
    assert f"⚠ {said}" in p.comments
    assert [record.exc_info[1].errno for record in caplog.records] == [28]  # the log has the traceback


def test_reused_cells_that_cannot_be_saved_are_shown(host, sweep, monkeypatch):
    from modules import images

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    arguments = {"clip_skips": "1-3", "cfg_scales": "7"}
    sweep(arguments)
    monkeypatch.setattr(images, "save_image", full)
    p, result = sweep({**arguments, "save_cells": True}, do_not_save_grid=True)
    assert sizes(p) == [] and len(result.images) == 1 + 3
    assert any("could not be saved: [Errno 28]" in comment for comment in p.comments)


@pytest.mark.parametrize("side", ["both", "prompt", "negative"])
def test_a_tag_that_the_columns_replace_is_named(host, sweep, side):
    p, _ = sweep({"clip_skips": "1, 2", "cfg_scales": "7", "apply_to": side}, prompt="<clipskip:3> a cow")
    assert any("<clipskip:3>" in comment for comment in p.comments) == (side != "negative")


def test_a_grid_that_cannot_be_saved_is_shown(host, monkeypatch):
    from modules import images

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(images, "save_image", full)
    result = host.sweep_script.run(job(host), {"clip_skips": "1-2", "cfg_scales": "7"})
    assert len(result.images) == 1 + 2
    told = json.loads(result.js())["clip_skip_warnings"]
    assert "The grid could not be saved: [Errno 28] No space left on device" in told


def test_the_report_comes_second(host):
    p = job(host, width=16, height=16)
    result = host.sweep_script.run(p, {"clip_skips": "1, 2", "cfg_scales": "4, 7", "report": True})
    assert result.index_of_first_image == 2 and len(result.images) == 2 + 4
    assert result.images[1].width > 500 and result.images[2].size == (16, 16)


@pytest.mark.parametrize(("rows", "told"), [("4, 7", "% (95% interval "), ("7", "the change from clip skip 1 to 2 is")])
def test_the_report_is_over_all_seeds_of_the_batch_count(host, rows, told, monkeypatch):
    from clip_skip.sweep import over_seeds_figure
    from clip_skip.webui.sweep import results

    drawn, draw = [], over_seeds_figure.draw_over_seeds
    monkeypatch.setattr(over_seeds_figure, "draw_over_seeds", lambda *args: drawn.append(args) or draw(*args))
    p = job(host, width=16, height=16, n_iter=3, seed=10)
    noise = np.random.default_rng(1)
    p.make.picture = lambda: Image.fromarray(noise.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    result = host.sweep_script.run(p, {"clip_skips": "1, 2", "cfg_scales": rows, "report": True})
    assert result.index_of_first_image == 3 + 1  # three grids, one report
    assert [args[-1] for args in drawn] == [results.translate] * ("," in rows)
    assert result.images[3].width > 500 and result.images[4].size == (16, 16)
    (said,) = [comment for comment in p.comments if "seeds" in comment]
    assert said.startswith("Over 3 seeds") and told in said


def test_the_report_leaves_out_seeds_that_lack_cells(host):
    from clip_skip.webui.state import State, SweepGrid
    from clip_skip.webui.sweep import results as sweep_results

    p = job(host, width=16, height=16, n_iter=3, seed=10)
    cells = SweepPlan((1, 2), Rows((4, 7))).cells
    picture = Image.new("RGB", (16, 16))
    grids = []
    for number in range(3):
        one = copy(p)
        one.seed, one.clip_skip_state = (
            10 + number,
            State(job=SweepGrid(SweepSettings(), SweepPlan((1, 2), Rows((4, 7))))),
        )
        grids.append((one, dict.fromkeys(cells[: 4 - number % 2], (picture, ""))))
    assert sweep_results.draw_figure(p, SweepPlan((1, 2), Rows((4, 7))), grids) is not None
    assert str(sweep_results.REPORT_OF_SEEDS(made=2, wanted=3)) in p.comments
    assert sweep_results.draw_figure(p, SweepPlan((1, 2), Rows((4, 7))), grids[1:2]) is None


def test_how_many_pictures_is_said_before(host, capsys):
    from modules import sd_models

    from clip_skip.webui.widgets.sweep_widgets import count_text

    sd_models.model_data.sd_model = host.model

    def told(grids=1, **settings):
        return count_text(*dataclasses.astuple(SweepSettings(**settings)), grids)

    assert told() == "36 pictures (12 × 3), batched to fit memory"
    assert told(cells_per_batch=8) == "36 pictures (12 × 3), in 5 batches"
    assert told(cells_per_batch=36) == "36 pictures (12 × 3), in 1 batch"
    assert told(clip_skips="2", cfg_scales="7") == "1 picture"
    assert told(3, cells_per_batch=8) == "108 pictures (12 × 3, 3 seeds), in 15 batches"
    assert told(3, rows="seed", seeds="1-5, -1") == "72 pictures (12 × 6), batched to fit memory"
    assert told(rows="prompt", replacements="") == f"{LABELS['replacements']}: {NOTHING_TO_SEARCH}"
    assert told(clip_skips="1-13") == f"Clip skips: {COLUMN_TOO_DEEP(value=13, layers=12)}"
    assert told(
        clip_skips="1-x", cfg_scales="<b>"
    ) == "Clip skips: &quot;1-x&quot; is neither a number nor a range such as 1-12, " + ("1-3 (+0.5) or 1-12 [4]")
    host.sweep_script.run(job(host), {"clip_skips": "1-8", "cfg_scales": "7", "cells_per_batch": 3})
    assert "Clip skip sweep: 8 pictures in 3 batches of up to 3." in capsys.readouterr().out


def test_the_example_can_be_taken_back(host):
    from clip_skip.webui.widgets import preset_widgets, sweep_widgets

    host.sweep_script.is_img2img = False
    prompt, seed = object(), object()
    buttons, before = [], []
    gradio = sweep_widgets.gr
    make = gradio.Button

    def button(*values, **settings):
        buttons.append(make(*values, **settings))
        return buttons[-1]

    gradio.Button = button
    try:
        presets = preset_widgets.Presets(host.sweep_script)
        sweep_widgets.build_sweep_widgets(host.sweep_script, {"txt2img_prompt": prompt, "txt2img_seed": seed}, presets)
    finally:
        gradio.Button = make
    example, back = (one.clicked for one in buttons[-2:])
    assert prompt in example[1] and seed in example[1]
    *filled, before, _ = example[0]("1, 2", "7", "Prompt", "Seed", "Clip skip", "my prompt", 4)
    assert 2881122569 in filled and any(str(value).startswith("best quality") for value in filled)
    assert back[0](before)[:7] == ["1, 2", "7", "Prompt", "Seed", "Clip skip", "my prompt", 4]
    assert back[1][:7] == example[1][:7]


def test_batch_count_makes_grids(host):
    p = job(host, n_iter=3, seed=10)
    result = host.sweep_script.run(p, {"clip_skips": "1, 2", "cfg_scales": "7"})
    assert [done.all_seeds for _, done in p.make.made] == [[10] * 2, [11] * 2, [12] * 2]
    assert result.index_of_first_image == 3 and len(result.images) == 3 + 6
    assert [re.search(r"Seed: (\d+)", text)[1] for text in result.infotexts[:3]] == ["10", "11", "12"]


@pytest.mark.parametrize("strength", [0, 0.5])
def test_the_grids_of_the_batch_count_have_the_seeds_of_the_hosts_batches(host, strength):
    p = job(host, n_iter=3, seed=10, subseed_strength=strength)
    host.sweep_script.run(p, {"clip_skips": "2", "cfg_scales": "7"})
    seeds = [done.all_seeds + done.all_subseeds for _, done in p.make.made]
    assert seeds == [[10 if strength else 10 + number, 7 + number] for number in range(3)]
    assert p.n_iter == 3 and p.seed == 10


@pytest.mark.parametrize(("hires", "passes", "steps"), [({}, 1, 4), ({"hr_second_pass_steps": 3}, 2, 7), ({}, 2, 8)])
def test_the_hosts_progress_is_of_all_batches_and_both_passes(host, monkeypatch, hires, passes, steps):
    totals = []
    monkeypatch.setattr(host.shared.total_tqdm, "updateTotal", totals.append)
    p = job(host, **{"enable_hr": passes == 2, "hr_second_pass_steps": 0, **hires})
    host.sweep_script.run(p, {"clip_skips": "1-4", "cfg_scales": "7", "cells_per_batch": 2})
    assert totals == [2 * steps] and host.shared.state.job_count == 2 * passes
    assert host.shared.state.processing_has_refined_job_count
    p = job(host, **{"enable_hr": passes == 2, "hr_second_pass_steps": 0, **hires, "seed": 6})
    p.make.fail_above = 2
    host.sweep_script.run(p, {"clip_skips": "1-4", "cfg_scales": "7"})
    assert host.shared.state.job_count == 2 * passes  # one, and one more because the batch was halved


def test_a_batch_of_several_cfg_scales_runs_as_a_scale_that_can_be_multiplied(host):
    for seed, (text, scale) in enumerate((("1, 0, 7", 7), ("1, 0", 2), ("1", 1), ("4, 1", 4))):
        p = job(host, seed=seed)
        host.sweep_script.run(p, {"clip_skips": "2", "cfg_scales": text})
        ((batch, _),) = p.make.made
        assert batch.cfg_scale == scale
        assert batch.clip_skip_state.batch.cfg_scales == (None if text == "1" else [*map(float, text.split(","))])


@pytest.mark.parametrize(
    "shown", [("return_mask",), ("return_mask_composite",), ("return_mask", "return_mask_composite")]
)
def test_the_masks_between_the_hosts_pictures_are_no_cells(host, shown):
    p = job(host)
    made, mask = p.make, Image.new("L", (8, 8))

    def with_masks(batch):
        batch.mask_for_overlay = mask
        done = made(batch)
        done.images = [one for picture in done.images for one in (picture, *[mask] * len(shown))]
        return done

    p.make = with_masks
    host.shared.opts.data.update(dict.fromkeys(shown, True))
    result = host.sweep_script.run(p, {"clip_skips": "1, 2", "cfg_scales": "4, 7"})
    assert [picture.size for picture in result.images[1:]] == [(16, 16)] * 4


def test_samplers_across_the_batch_go_one_at_a_time(host):
    from clip_skip.webui.sweep import batch_size

    arguments = {"clip_skips": "1, 2", "cfg_scales": "7"}
    p = job(host, sampler_name="DPM adaptive")
    host.sweep_script.run(p, arguments)
    assert [batch.batch_size for batch, _ in p.make.made] == [1, 1]
    assert str(batch_size.ONE_AT_A_TIME(sampler="DPM adaptive")) in p.comments
    for asked in ({"cells_per_batch": 1}, {"clip_skips": "3"}):
        p = job(host, sampler_name="DPM adaptive", seed=6)
        host.sweep_script.run(p, {**arguments, **asked})
        assert not p.comments


def test_the_cells_of_a_batch_follow_from_the_free_memory(host, monkeypatch):
    import psutil
    from modules import devices

    from clip_skip.webui.sweep.batch_size import batch_limit

    picture = 16 * 16 * 5000  # bytes, in float32
    free = SimpleNamespace(available=10.5 * picture / 0.4)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    limit = lambda cells=100, wanted=0, **more: batch_limit(job(host, **more), cells, wanted)
    assert (limit(), limit(4), limit(100, 3), limit(4, 30)) == (10, 4, 3, 4)
    assert limit(enable_hr=True, hr_scale=2) == 2 and limit(hr_scale=2) == limit(enable_hr=True) == 10
    assert limit(width=1600, height=1600) == 1
    monkeypatch.setattr(devices, "dtype_unet", torch.float16)
    assert limit() == 21
    monkeypatch.setattr(host.model, "is_sdxl", True, raising=False)
    assert limit() == 10
    monkeypatch.setattr(devices, "device", torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (20.5 * picture / 0.8, 10**12))
    assert limit() == 20


def test_size_is_checked_first(host):
    p = job(host, width=4096, height=4096)
    with pytest.raises(ValueError, match="Clip skips, CFG scales: the grid would be too large"):
        host.sweep_script.run(p, {})
    assert p.make.made == []


@pytest.mark.parametrize(
    ("hires", "megapixels"), [({}, 2), ({"enable_hr": True, "hr_scale": 2}, 8), ({"hr_scale": 2}, 2)]
)
def test_a_grid_may_be_as_large_as_the_host_allows(host, monkeypatch, hires, megapixels):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    size = {"width": 1000, "height": 1000, "hr_second_pass_steps": 0, **hires}
    host.shared.opts.data["img_max_size_mp"] = megapixels
    with pytest.raises(ValueError, match=f"{megapixels} megapixels; the settings allow {megapixels}"):
        host.sweep_script.run(job(host, **size), {"clip_skips": "1, 2", "cfg_scales": "7"})
    host.shared.opts.data["img_max_size_mp"] = megapixels + 1
    assert host.sweep_script.run(job(host, **size), {"clip_skips": "1, 2", "cfg_scales": "7"}).images
    assert Image.MAX_IMAGE_PIXELS is None


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (({"clip_skips": "0"},), 'Clip skips: "0"'),
        (({"cfg_scales": "4, x"},), 'CFG scales: "x"'),
        (({"apply_to": "all"},), "apply_to"),
        (({"margin": -1},), "margin"),
        (({"legend": 1},), "legend"),
        (({"cells_per_batch": 1.5},), "cells_per_batch"),
        (({"cells": 1},), "cells"),
        (("1-12", 7), "cfg_scales"),
    ],
)
def test_wrong_arguments(host, args, named):
    with pytest.raises(ValueError, match=named):
        host.sweep_script.run(job(host), *args)


@pytest.mark.parametrize(("thread", "lost"), [({}, True), ({"last_exception": None}, False)])
def test_a_page_that_shows_no_errors_shows_the_words(host, monkeypatch, thread, lost):
    """As in reForge and Forge Classic; Forge shows them."""
    monkeypatch.setitem(sys.modules, "modules_forge", SimpleNamespace(main_thread=SimpleNamespace(**thread)))
    wrong, said = {"clip_skips": "1-13"}, "lip skips: 13 is too deep: the loaded model has 12 layers"
    if lost:
        p = job(host)
        assert host.sweep_script.run(p, wrong).images == [] and [*p.comments] == [f"Clip Skip: C{said}"]
    for p in (job(host, is_api=True), *([] if lost else [job(host)])):
        with pytest.raises(ValueError, match="is too deep"):
            host.sweep_script.run(p, wrong)


def test_the_api_answers_with_the_fields_name(host):
    for args, detail in (
        ({"clip_skips": "1-13"}, "clip_skips: 13 is too deep: the loaded model has 12 layers"),
        ({"cfg_scales": "x"}, 'cfg_scales: "x" is neither'),
        ({"clip_skips": 5}, 'clip_skips: "5" is not a text'),
        ({"margin": 10**400}, 'margin: "1000'),
        ({"sauce": 1}, '"sauce" is not a field'),
        ({"cfg_scales": "0-100", "clip_skips": "1-12 (+0.01)"}, "clip_skips: "),
        ({"cfg_scales": "0-100"}, "clip_skips, cfg_scales: the grid would be too large"),
    ):
        p = job(host, is_api=True, width=2048, height=2048)
        with pytest.raises(ValueError) as error:
            host.sweep_script.run(p, args)
        assert error.value.status_code == 422 and detail in error.value.detail
        assert len(error.value.detail) < 250 and p.make.made == []


def test_deeper_than_a_model_that_is_loaded_with_the_first_cell(host):
    p = job(host, override_settings={"sd_model_checkpoint": "other"}, is_api=True)
    with pytest.raises(ValueError, match="clip_skips: 20 is too deep: the loaded model has 12 layers") as error:
        host.sweep_script.run(p, {"clip_skips": "1-20", "cfg_scales": "7", "cells_per_batch": 4})
    assert error.value.status_code == 422 and p.make.made == []


def test_a_wrong_axis_is_told_in_the_hosts_language(host, monkeypatch):
    monkeypatch.setattr(host.shared.opts, "localization", "ja_JP", raising=False)
    with pytest.raises(ValueError, match='Clip skipの値："0"は1から12の範囲にありません'):
        host.sweep_script.run(job(host), {"clip_skips": "0"})


def test_public_names_stay():
    assert list(SweepSettings.__dataclass_fields__) == [
        "clip_skips",
        "cfg_scales",
        "apply_to",
        "cells_per_batch",
        "legend",
        "include_cells",
        "save_cells",
        "margin",
        "report",
        "rows",
        "seeds",
        "negative_skips",
        "clip_g_skips",
        "hires_skips",
        "replacements",
        "lora_weights",
        "columns",
    ]
    assert SweepSettings() == SweepSettings("1-12", "4, 7, 11", "both", 0, True, True, False, 0, False, "cfg")
    assert list(INFOTEXT.values()) == ["Sweep clip skips", "Sweep CFG scales", "Sweep apply to"]
    assert (*INFOTEXT_ROWS, INFOTEXT_COLUMNS) == ("Sweep rows", "Sweep row values", "Sweep columns")
    assert list(ROW_KINDS) == ["cfg", "seed", "negative", "clip_g", "hires", "prompt", "lora"]


def test_ui(host):
    host.sweep_script.is_img2img = False
    prompt = object()
    host.sweep_script.after_component(prompt, elem_id="txt2img_prompt")
    components = host.sweep_script.ui(False)
    assert SweepSettings.from_args([component.value for component in components]) == SweepSettings()
    infotext = {"Sweep clip skips": "1", "Sweep apply to": "negative", "Sweep rows": "seed", "Sweep row values": "5-7"}
    restored = [target(infotext) for _, target in host.sweep_script.infotext_fields]
    assert restored == ["1", None, "Negative prompt", "Seed", "Clip skip", "5-7", None, None, None, None, None]
    assert [target({"Seed": "1"}) for _, target in host.sweep_script.infotext_fields] == [None] * 11


def test_each_kind_of_row_has_a_box_that_keeps_its_text(host):
    host.sweep_script.is_img2img = False
    components = dict(zip(SweepSettings.__dataclass_fields__, host.sweep_script.ui(False)))
    rows, boxes = components["rows"], [components[kind.field] for kind in ROW_KINDS.values()]
    assert [box.visible for box in boxes] == [True] + [False] * 6
    from clip_skip.webui.widgets.sweep_widgets import row_box_updates

    assert [update["visible"] for update in row_box_updates("Prompt S/R")] == [False] * 5 + [True, False]
    assert all("value" not in update for update in row_box_updates("Seed"))
    rows.init_field("Seed")  # what the host does where the user has saved that as the default
    assert [box.visible for box in boxes] == [False, True] + [False] * 5
    host.sweep_script.is_img2img = True
    rows = dict(zip(SweepSettings.__dataclass_fields__, host.sweep_script.ui(True)))["rows"]
    assert "Clip skip of the hires pass" not in rows.choices and len(rows.choices) == 6


def test_arguments_that_the_host_has_filled_up(host):
    """Its API puts what it was given in the place of the script's arguments, so the next script's move up."""
    from clip_skip.webui.sweep.checks import sweep_arguments

    script = SimpleNamespace(args_from=3, args_to=20)
    p = SimpleNamespace(script_args=[0] * 15, scripts=SimpleNamespace(inputs=[None] * 30))
    assert sweep_arguments(script, p, ["1, 2", "7", *"abcdefghijklmno"]) == ["1, 2", "7"]
    p.script_args = [0] * 30
    assert sweep_arguments(script, p, list(range(17))) == list(range(17))
    assert sweep_arguments(script, SimpleNamespace(), [{}]) == [{}]


@pytest.mark.parametrize(
    ("arguments", "skips", "negatives", "seeds"),
    [
        ({"rows": "seed", "row_values": "5, 9"}, (2, 3, 2, 3), (2, 3, 2, 3), (5, 5, 9, 9)),
        ({"rows": "negative", "row_values": "4, 6"}, (2, 3, 2, 3), (4, 4, 6, 6), (1234,) * 4),
    ],
)
def test_rows_in_one_batch(host, arguments, skips, negatives, seeds):
    p = job(host)
    host.stage.encoded.clear()
    result = host.sweep_script.run(p, {"clip_skips": "2, 3", **arguments})
    assert f"Seed: {seeds[0]}," in result.infotexts[0] and result.seed == seeds[0]
    ((batch, done),) = p.make.made
    assert len(host.stage.encoded) == 2 and done.all_seeds == list(seeds) and batch.cfg_scale == 7.0
    assert batch.clip_skip_state.batch.cfg_scales is None and batch.prompt == "a cow" and batch.negative_prompt == "bad"
    for index, (skip, negative) in enumerate(zip(skips, negatives)):
        assert torch.allclose(done.c[index][0][0], host.at(skip, "a cow"), atol=1e-5)
        assert torch.allclose(done.uc[index][0], host.at(negative, "bad"), atol=1e-5)
        assert f"Seed: {seeds[index]}" in result.infotexts[1 + index]
    assert f"Sweep rows: {arguments['rows']}, Sweep row values: {arguments['row_values']}" in result.infotexts[0]
    assert "Sweep CFG scales" not in result.infotexts[0] and "CFG scale: 7.0" in result.infotexts[1]


def test_a_grid_and_its_cells_say_the_variation_seed(host, sweep):
    _, result = sweep({"clip_skips": "2, 3", "cfg_scales": "7"}, subseed_strength=0.5)
    assert all("Variation seed: 7" in text for text in result.infotexts)


def test_rows_of_replaced_text(host):
    p = job(host, prompt="<clipskip:9>a cow", negative_prompt="no cow")
    host.stage.encoded.clear()
    result = host.sweep_script.run(p, {"clip_skips": "2, 3", "rows": "prompt", "row_values": "cow, hen"})
    ((batch, done),) = p.make.made
    assert batch.prompt == "<clipskip:9>a cow"  # as other extensions know it: one for all
    assert len(host.stage.encoded) == 4
    assert torch.allclose(done.c[3][0][0], host.at(3, "a hen"), atol=1e-5)
    assert torch.allclose(done.uc[2][0], host.at(2, "no hen"), atol=1e-5)
    assert [text.partition("\n")[0] for text in result.infotexts] == [
        "<clipskip:9>a cow",
        *["a cow"] * 2,
        *["a hen"] * 2,
    ]
    negatives = [re.search("Negative prompt: (.*)", text)[1] for text in result.infotexts]
    assert negatives == ["no cow", "no cow", "no cow", "no hen", "no hen"]
    p = job(host, negative_prompt="no cow", seed=8)
    arguments = {"clip_skips": "2, 3", "rows": "prompt", "row_values": "cow, hen", "cells_per_batch": 2}
    assert "Negative prompt: no cow" in host.sweep_script.run(p, arguments).infotexts[0]


def test_rows_of_loras_have_a_batch_each(host):
    p = job(host, prompt="a <lora:x:1> cow")
    host.sweep_script.run(p, {"clip_skips": "2, 3", "rows": "lora", "row_values": "0, 0.5", "cells_per_batch": 4})
    assert [batch.prompt for batch, _ in p.make.made] == ["a <lora:x:0> cow", "a <lora:x:0.5> cow"]
    assert host.shared.state.job_count == 2
    p = job(host, prompt="a <lora:x:1> cow")
    rows = {"rows": "prompt", "row_values": "x:1, x:0.25, y:1"}
    host.sweep_script.run(p, {"clip_skips": "2, 3", **rows})
    assert [batch.batch_size for batch, _ in p.make.made] == [2, 2, 2]


def test_replaced_texts_share_no_batch_where_another_extension_cuts_the_prompt_apart(host):
    p = job(host, while_sampling=lambda: host.model.get_learned_conditioning(["a hen"]))
    rows = {"rows": "prompt", "row_values": "cow, hen"}
    host.sweep_script.run(p, {"clip_skips": "2", **rows})
    assert [done.all_prompts for _, done in p.make.made] == [["a cow", "a hen"], ["a cow"], ["a hen"]]


def test_replaced_text_stands_in_styles_and_in_what_others_have_changed(host):
    from clip_skip.sweep.rows import parse_rows
    from clip_skip.webui.overrides import put_texts
    from clip_skip.webui.state import RowTexts, State, SweepBatch

    rows = parse_rows(ROW_KINDS["prompt"], "cow, hen", "rows")
    p = SimpleNamespace(
        clip_skip_state=State(batch=SweepBatch([0] * 3, RowTexts(rows, ["cow", "hen", "hen"], "a cow", "bad"))),
        all_prompts=["a cow, cowboy style", "a cow, cowboy style", "cow changed"],
        all_negative_prompts=["bad, cow"] * 3,
        all_hr_prompts=["a cow, cowboy style"] * 3,
        all_hr_negative_prompts=["no cow"] * 3,
        hr_prompt="",
        hr_negative_prompt="no cow",
    )
    put_texts(p)
    assert p.all_prompts == ["a cow, cowboy style", "a hen, cowboy style", "hen changed"]
    assert p.all_negative_prompts == ["bad, cow"] * 3
    assert p.all_hr_prompts == ["a cow, cowboy style", *["a hen, cowboy style"] * 2]
    assert p.all_hr_negative_prompts == ["no cow"] * 3


def test_random_seeds_are_drawn_once_and_named(host):
    from clip_skip.webui.sweep.results import RUN_AGAIN_WITH_SEEDS
    from clip_skip.webui.sweep.run import ROWS_ARE_SEEDS

    state = host.shared.state
    p = job(host, n_iter=2)
    p.make.before = lambda: setattr(state, "interrupted", len(p.make.made) == 1)
    result = host.sweep_script.run(
        p, {"clip_skips": "1, 2", "rows": "seed", "row_values": "-1, 7", "cells_per_batch": 2}
    )
    state.interrupted = False
    drawn = re.search(r"Sweep row values: (\d+), 7", result.infotexts[0])[1]
    assert p.make.made[0][1].all_seeds == [int(drawn)] * 2 and f"Seed: {drawn}" in result.infotexts[1]
    assert f"⚠ {RUN_AGAIN_WITH_SEEDS(made=2, wanted=4, seeds=f'{drawn}, 7')}" in p.comments
    assert ROWS_ARE_SEEDS in p.comments
    p = job(host)
    host.sweep_script.run(p, {"clip_skips": "1, 2", "rows": "seed", "row_values": f"{drawn}, 7", "cells_per_batch": 2})
    assert [done.all_seeds for _, done in p.make.made] == [[7, 7]]


@pytest.mark.parametrize(
    ("args", "detail"),
    [
        ({"rows": "clip_g", "row_values": "2"}, f"rows: {NEEDS_SDXL}"),
        ({"columns": "clip_l"}, f"columns: {NEEDS_SDXL}"),
        ({"rows": "hires", "row_values": "2"}, f"rows: {HIRES_PASS_NEEDED}"),
        ({"rows": "negative", "row_values": "13"}, "row_values: 13 is too deep: the loaded model has 12 layers"),
        ({"rows": "seed", "seeds": "x"}, 'seeds: "x" is neither a number'),
        ({"rows": "prompt", "row_values": "dog, hen"}, 'row_values: "dog" is neither in the prompt nor'),
        ({"rows": "lora", "row_values": "1"}, 'row_values: "<lora:...>" is not in the prompt'),
        ({"rows": "sampler"}, "rows: it must be one of cfg, seed"),
    ],
)
def test_rows_that_cannot_be(host, args, detail):
    p = job(host, is_api=True)
    with pytest.raises(ValueError) as error:
        host.sweep_script.run(p, args)
    assert error.value.status_code == 422 and error.value.detail.startswith(detail) and p.make.made == []


def test_saved_like_the_hosts_grids(host):
    from modules import images

    images.saved.clear()
    host.sweep_script.run(job(host), {"clip_skips": "1, 2", "cfg_scales": "7", "include_cells": False})
    ((path, name, settings),) = images.saved
    assert (path, name, settings["grid"], settings["extension"]) == ("grids", "clip_skip_sweep", True, "png")
    assert (settings["prompt"], settings["seed"], settings["short_filename"]) == ("a cow", 1234, True)
    p = job(host, do_not_save_grid=True)
    result = host.sweep_script.run(p, {"clip_skips": "1, 2", "cfg_scales": "7"})
    assert len(images.saved) == 1
    assert settings["info"] == result.info == result.infotexts[0] == result.images[0].info["parameters"]
    host.shared.opts.data["enable_pnginfo"] = False
    result = host.sweep_script.run(p, {"clip_skips": "1, 2", "cfg_scales": "7"})
    assert "parameters" not in result.images[0].info


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        ({}, [1, 12, None]),
        ({"apply_to": "prompt"}, [None] * 3),
        ({"rows": "negative", "row_values": "2"}, [None] * 3),
        ({"rows": "hires", "row_values": "2"}, [None] * 3),
        ({"rows": "seed", "row_values": "5"}, [1, 12, None]),
    ],
)
def test_the_pages_viewer_knows_which_columns_the_header_alone_makes(host, arguments, values):
    p = job(host, enable_hr=arguments.get("rows") == "hires", hr_scale=1, hr_second_pass_steps=0)
    result = host.sweep_script.run(p, {"clip_skips": "1, 12, 1.5", "cfg_scales": "4, 7"} | arguments)
    (grid,) = json.loads(result.js())["clip_skip_cells"]
    assert grid["header_values"] == values and grid["size"] == 16 and grid["reference"] == 0
    assert grid["cells"] == [[index % 3, index // 3, 1 + index] for index in range(len(result.images) - 1)]
    assert json.loads(host.sweep_script.run(job(host, is_api=True), {"clip_skips": "1"}).js()) == {}
    alone = host.sweep_script.run(job(host), {"clip_skips": "1", "include_cells": False})
    assert "clip_skip_cells" not in json.loads(alone.js())


def test_the_viewer_beside_the_saved_grid(host, tmp_path, capsys):
    from clip_skip.webui.sweep.results import COMPARE

    settings = {"clip_skips": "1, 2", "cfg_scales": "7", "save_cells": True}
    p = job(host, outpath_grids=str(tmp_path))
    host.sweep_script.run(p, settings)
    assert str(COMPARE(file=(tmp_path / "clip_skip_sweep.html").as_posix())) in p.comments
    assert capsys.readouterr().out == "Clip skip sweep: 2 pictures in 1 batch.\n"
    host.sweep_script.run(job(host, prompt="a hen"), {"clip_skips": "1", "cfg_scales": "7"})
    assert capsys.readouterr().out == "Clip skip sweep: 1 picture in 1 batch.\n"
    page = (tmp_path / "clip_skip_sweep.html").read_text(encoding="utf8")
    assert page.count("data:image/png") == 2 and "Clip skip: 2" in page and "Seed: 1234" in page
    assert '"reference": 0' in page and '"column": 1, "row": 0' in page


def test_the_column_of_the_checkpoints_own_clip_skip_is_marked(host, tmp_path, monkeypatch):
    from clip_skip.webui.sweep import results

    remembered.remember(str(tmp_path / "own.safetensors"), 2)
    host.model.sd_checkpoint_info = SimpleNamespace(model_name="own", filename=str(tmp_path / "own.safetensors"))
    drawn, draw_grid = [], results.draw_grid
    monkeypatch.setattr(results, "draw_grid", lambda *args, **kw: drawn.append((args, kw)) or draw_grid(*args, **kw))
    host.sweep_script.run(job(host), {"clip_skips": "1, 2", "cfg_scales": "7"})
    (((_, columns, _, _), texts),) = drawn
    assert columns == ["1", "[2]"] and texts["title"][-1] == "Clip skip 2 is remembered for this checkpoint."
    assert any("own" in line.split(", ") for line in texts["title"])  # the checkpoint's name


def test_cfg_scale_for_each_picture(standins):
    from clip_skip.webui.hosts.cfg import apply_cfg_scales
    from clip_skip.webui.state import State, SweepBatch

    class Denoiser:
        def combine_denoised(self, x_out, conds_list, uncond, cond_scale):
            return torch.stack([x * cond_scale for x in x_out])

    p = SimpleNamespace(
        sd_model=None,
        cfg_scale=4.0,
        clip_skip_state=State(batch=SweepBatch([0, 0], cfg_scales=[4, 7])),
        sampler=SimpleNamespace(model_wrap_cfg=Denoiser()),
    )
    apply_cfg_scales(p)
    combine = p.sampler.model_wrap_cfg.combine_denoised
    x_out = torch.tensor([1.0, 10.0])
    assert combine(x_out, None, None, 4.0).tolist() == [4, 70]
    assert combine(x_out, None, None, 2.0).tolist() == [2, 35]  # another extension halves this step's scale
    assert combine(x_out, None, None, 1.0).tolist() == [1, 10]  # a step without the negative prompt
    plain = SimpleNamespace(cfg_scale=4.0, sampler=SimpleNamespace(model_wrap_cfg=Denoiser()))
    apply_cfg_scales(plain)
    assert "combine_denoised" not in plain.sampler.model_wrap_cfg.__dict__


class AxisOption:
    def __init__(self, label, type, apply, format_value=None, confirm=None, choices=None):
        self.__dict__.update(locals())


def test_axes_are_added_once_and_set_their_part(host):
    from modules import scripts

    plot = SimpleNamespace(axis_options=[], AxisOption=AxisOption)
    script = type("Script", (), {"__module__": "xyz_grid.py"})
    scripts.scripts_data[:] = [SimpleNamespace(script_class=script, module=plot)]
    for _ in range(3):
        host.callbacks["before_ui"][0]()
    axes = {option.label: option for option in plot.axis_options}
    assert list(axes) == [
        "[Clip Skip] Prompt and negative",
        "[Clip Skip] Prompt",
        "[Clip Skip] Negative",
        "[Clip Skip] Hires",
        "[Clip Skip] T5 / LLM",
    ]
    both, prompt = axes["[Clip Skip] Prompt and negative"], axes["[Clip Skip] Prompt"]
    assert both.choices() == [str(n) for n in range(1, 13)]
    assert both.format_value(None, both, 1.5) == "Clip skip: 1.5"
    assert prompt.format_value(None, prompt, 2.0) == "Clip skip (prompt): 2"
    with pytest.raises(ValueError, match="below 1"):
        both.confirm(None, [1.0, 0.5])
    for value, reason in ((13.0, "13 is too deep: the loaded model has 12 layers"), (0.0, "0 is below 1")):
        with pytest.raises(ValueError, match=reason) as error:
            both.confirm(None, [1.0, value])
        assert error.value.status_code == 422 and "[Clip Skip] Prompt and negative" in error.value.detail
    p = SimpleNamespace(extra_generation_params={})
    both.apply(p, 2.0, [])
    done = host.generate(["a cow"], ["bad"], overrides_of=p)
    assert torch.equal(done.c[0][0][0], host.at(2, "a cow")) and torch.equal(done.uc[0][0], host.at(2, "bad"))
    assert done.extra_generation_params == {"Clip skip": "2"}
    prompt.apply(p, 3.0, [])
    done = host.generate(["a cow"], ["bad"], overrides_of=p)
    assert torch.equal(done.c[0][0][0], host.at(3, "a cow")) and torch.equal(done.uc[0][0], host.at(2, "bad"))
    both.apply(p, 1.0, [])
    assert host.generate(["a"], ["b"], overrides_of=p).extra_generation_params == {"Clip skip": None}


def test_where_the_host_forgets_its_own_value_a_cell_says_the_panels_too(host, monkeypatch):
    """Forge Neo writes `Clip skip`, at 1 as well, and throws it away when it is pasted."""
    forget_clip_skip(host, monkeypatch)
    result = host.sweep_script.run(job(host), {"clip_skips": "1, 5", "cfg_scales": "7"})
    first, second = (text.rpartition("\n")[2].split(", ") for text in result.infotexts[1:])
    assert {"Clip skip panel: 1", "Clip skip: 1"} <= set(first)
    assert {"Clip skip panel: 5", "Clip skip: 5"} <= set(second)


def test_the_folder_for_temporary_pictures_is_made_first(host, sweep, tmp_path, monkeypatch):
    """Forge Neo expects it to be there, and showed nothing of a finished sweep where it was not."""
    from clip_skip.webui.sweep.run import NO_TEMPORARY_FOLDER

    folder = tmp_path / "tmp" / "pictures"
    monkeypatch.setitem(host.shared.opts.data, "temp_dir", str(folder))
    _, processed = sweep({"clip_skips": "1", "cfg_scales": "7"})
    assert folder.is_dir() and processed.images
    (tmp_path / "file").write_text("")
    monkeypatch.setitem(host.shared.opts.data, "temp_dir", str(tmp_path / "file" / "x"))
    with pytest.raises(ValueError, match=str(NO_TEMPORARY_FOLDER(error=""))):
        sweep({"clip_skips": "1", "cfg_scales": "7"})
