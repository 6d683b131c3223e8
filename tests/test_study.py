"""A study without a WebUI, on the bundled demo model: options, folder, scores, statistics, page."""

from __future__ import annotations

import json
import math
import re
import shutil
import warnings

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
pytest.importorskip("statsmodels")
torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
open_clip = pytest.importorskip("open_clip")

from PIL import Image  # noqa: E402

from clip_skip.standalone.cli.main import main  # noqa: E402
from clip_skip.standalone.cli.study import NO_STUDY_FILE, prompts_of  # noqa: E402
from clip_skip.standalone.demo.model import CHECKPOINT  # noqa: E402
from clip_skip.standalone.engine.makers import Maker  # noqa: E402
from clip_skip.standalone.study.folder import NOT_A_RECORD, StudyFolder  # noqa: E402
from clip_skip.standalone.study.folder import _lines as read_scores  # noqa: E402
from clip_skip.standalone.study.scores import Clip, ScoreError, load_scores  # noqa: E402
from clip_skip.study import sentence as study_sentence  # noqa: E402
from clip_skip.study import statistics  # noqa: E402
from clip_skip.study.statistics import Measure  # noqa: E402

PROMPTS = ["yellow ring, black background", "a large blue square below a small orange circle"]
SKIPS = range(1, 13)
SCORE = Measure("score", "the score")


def study(out, *more, prompts=PROMPTS):
    file = out.parent / "prompts.txt"
    file.write_text("\n".join(prompts), encoding="utf-8")
    given = [
        "--prompts",
        str(file),
        "--seeds",
        "1-2",
        "--skips",
        "1, 6",
        "--steps",
        "2",
        "--size",
        "64",
        "--batch",
        "3",
    ]
    return main(["study", *given, "--device", "cpu", "--score", "right", "difference", "--out", str(out), *more])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "out"
    sizes = ["--size", "128"]
    assert study(out, *sizes) == 0
    return out


def cells(out):
    return pd.read_parquet(out / "cells.parquet")


def test_every_combination_has_a_row_and_a_picture(made):
    table = cells(made)
    assert len(table) == 8
    assert set(zip(table.prompt, table.seed, table.clip_skip)) == {
        (prompt, seed, skip) for prompt in PROMPTS for seed in (1, 2) for skip in (1.0, 6.0)
    }
    assert table.pixels.nunique() == 8
    for row in table.itertuples():
        with Image.open(made / row.file) as picture:
            assert picture.size == (128, 128)
            assert f"Seed: {row.seed}" in picture.info["parameters"]
    published = table[table.clip_skip == 1]
    assert (published.rms == 0).all() and (published.ssim == 1).all()
    assert (table[table.clip_skip == 6].rms > 0).all()
    assert table.right.between(0, 1).all()


def test_the_files_of_the_result(made, capsys):
    record = json.loads((made / "study.json").read_text(encoding="utf-8"))
    page = (made / "index.html").read_text(encoding="utf-8")
    assert len(record["sentences"]) == 1 and "clip-skip-demo" in record["sentences"][0]
    assert record["run"]["cells_made"] == 8 and record["run"]["cells_per_batch"] == 3
    assert record["run"]["seconds"] >= record["run"]["seconds_making"] > 0
    assert all(prompt in page for prompt in PROMPTS) and "<svg" in page
    assert {"right", "rms", "ssim"} <= set(pd.read_csv(made / "table.csv").measure)


def test_the_same_command_makes_and_scores_only_what_is_missing(made, tmp_path, monkeypatch):
    out = tmp_path / "out"
    shutil.copytree(made, out)
    before = cells(out)
    lost = before.file[3:5]
    for file in lost:
        (out / file).unlink()
    counted = []
    make = Maker.make
    monkeypatch.setattr(
        Maker, "make", lambda self, task, *a: counted.append(len(task.batch.shots)) or make(self, task, *a)
    )
    lines = (out / "scores" / "right.jsonl").read_text().split()
    assert study(out, "--size", "128") == 0
    assert counted == [2]
    assert (out / "scores" / "right.jsonl").read_text().split() == lines  # the same pixels, so they are scored
    pd.testing.assert_frame_equal(cells(out), before)


def test_a_larger_study_keeps_what_is_there(made, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(made, out)
    assert study(out, "--size", "128", "--skips", "1, 2, 6") == 0
    assert "4 pictures made, 8 kept" in capsys.readouterr().out


def test_a_study_of_other_settings_is_not_touched(made, capsys):
    with pytest.raises(SystemExit):
        study(made, "--size", "128", "--steps", "3")
    assert 'has a study with other settings in it: {"steps": 2}, not {"steps": 3}' in capsys.readouterr().err


def test_a_half_written_batch_and_score_are_made_again(made, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(made, out)
    before = cells(out)
    (out / ".unfinished").mkdir()
    (out / ".unfinished" / "half.png").write_bytes(b"x")
    (out / ".table.csv.0123abcd.unfinished").write_bytes(b"x")
    scores = out / "scores" / "right.jsonl"
    scores.write_text(scores.read_text()[:-20])
    (out / before.file[0]).rename(out / "aside.png")
    (out / ".finished" / before.file[0]).parent.mkdir(parents=True)
    (out / "aside.png").rename(out / ".finished" / before.file[0])  # a kill came before it was at its place
    assert study(out, "--size", "128") == 0
    assert not [path.name for path in out.iterdir() if "finished" in path.name]
    pd.testing.assert_frame_equal(cells(out), before)


def test_lines_that_are_no_scores_are_left_out(tmp_path):
    path = tmp_path / "right.jsonl"
    other = [
        "5",
        "[1, 2]",
        '["a", 5]',
        '["a", {"right": "x"}]',
        '["a", {"right": [1]}]',
        "[" * 100_000,
        '["a", {"ri',
        "\udcff",
    ]
    other.append('["a", {"right": 1' + "0" * 400 + "}]")
    lines = ['["a", {"right": 1.0, "right_place": NaN}]', *other, '["b", {"right": 0}]']
    path.write_text("\n".join(lines), encoding="utf-8", errors="surrogateescape")
    scores = dict(read_scores(path))
    assert set(scores) == {"a", "b"} and scores["a"]["right"] == 1 and math.isnan(scores["a"]["right_place"])


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[]", b'"made_with"', b'{"made_with": [1]}', b"[" * 100_000, b"{}"]
)
def test_a_broken_record_is_named_and_left_alone(tmp_path, capsys, content):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "study.json").write_bytes(content)
    with pytest.raises(SystemExit):
        study(tmp_path / "out", "--size", "128")
    assert str(NOT_A_RECORD(file=str(tmp_path / "out" / "study.json"))) in capsys.readouterr().err
    assert (tmp_path / "out" / "study.json").read_bytes() == content and not list(tmp_path.rglob("*.png"))


def test_no_cell_of_the_table_is_a_formula(tmp_path):
    shutil.copy(CHECKPOINT, tmp_path / "=1+1.safetensors")
    more = ["--models", str(tmp_path / "=1+1.safetensors"), "--seeds", "1", "--score", "difference"]
    assert study(tmp_path / "out", *more, prompts=PROMPTS[:1]) == 0
    assert set(pd.read_csv(tmp_path / "out" / "table.csv").model) == {"'=1+1"}


def test_the_options_may_be_a_file(made, tmp_path, capsys):
    file = tmp_path / "study.toml"
    out = tmp_path / "out"
    shutil.copytree(made, out)
    file.write_text(
        f"prompts = {json.dumps(PROMPTS)}\nseeds = '1-2'\nskips = [1, 6]\nsteps = 2\nsize = 128\nbatch = 3\n"
        f"score = ['right']\ndevice = 'cpu'\nout = {json.dumps(str(out))}\n"
    )
    assert main(["study", str(file)]) == 0
    assert "0 pictures made, 8 kept" in capsys.readouterr().out
    assert main(["study", str(file), "--emphasis", "Original"]) == 0  # as good as not given
    file.write_text(file.read_text() + "emphasis = 'Ignore'\n")
    with pytest.raises(SystemExit):
        main(["study", str(file)])
    assert '{"emphasis": "Original"}, not {"emphasis": "Ignore"}' in capsys.readouterr().err
    assert main(["study", str(file), "--emphasis", "Original"]) == 0
    file.write_text("prompt = 'a'\n")
    with pytest.raises(SystemExit):
        main(["study", str(file)])
    assert '"prompt" is not one of' in capsys.readouterr().err


def test_a_file_of_options_that_is_not_there_or_not_toml_is_named(tmp_path, capsys):
    (tmp_path / "broken.toml").write_text("seeds = ", encoding="utf-8")
    (tmp_path / "typed.toml").write_text("steps = 'many'\nnegative = 3\n", encoding="utf-8")
    for name, message in (
        ("nope.toml", NO_STUDY_FILE),
        ("broken.toml", "it is not a TOML file: "),
        ("typed.toml", "--negative: "),
        (".", "Is a directory"),
    ):
        with pytest.raises(SystemExit):
            main(["study", str(tmp_path / name)])
        error = capsys.readouterr().err
        assert message in error and "Errno" not in error


@pytest.mark.parametrize(
    "line",
    ["models = 3", "models = [1]", "score = 5", "score = [1]", "prompts = 5", "prompts = {a = 1}", "out = 5",
     "clip = 5", "clip = [1]", "device = 1", "dtype = 5", "loras = 5", "embeddings = [1]", "ray = 5", "ray = true",
     'batch = "many"', "actors = 1.5", "actor_cpus = true", 'low_memory = "yes"', "size = [64, 64]",
     "seeds = {a = 1}", "skips = true", "cfg = nan", "negative = 3", "sampler = 3", 'steps = "many"', "steps = 1e400"],
)  # fmt: skip
def test_what_another_kind_of_value_is_in_a_file_of_options_is_named(line, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(StudyFolder, "__init__", lambda *args: pytest.fail("something is made"))
    (tmp_path / "study.toml").write_text(line, encoding="utf-8-sig")
    out = [] if line.startswith("out") else ["--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as end:
        main(["study", str(tmp_path / "study.toml"), "--device", "cpu", *out][: None if "device" not in line else 2])
    error = capsys.readouterr().err
    assert end.value.code == 2 and re.search(rf"error: (--)?{line.partition(' ')[0]}: ", error), error


def test_a_byte_order_mark_is_no_part_of_a_prompt(tmp_path):
    (tmp_path / "prompts.txt").write_text("a red cow\na horse\n", encoding="utf-8-sig")
    assert prompts_of(str(tmp_path / "prompts.txt"), False) == ["a red cow", "a horse"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--skips", "1-13"], '--skips: "1-13" is outside 1 to 12'),
        (["--seeds", "1.5"], '--seeds: "1.5" is not a whole number'),
        (["--score", "beauty"], '--score: "beauty" is not one of right, clip, difference'),
        (["--score", "clip"], "--score clip needs --clip MODEL:FILE"),
        (["--score", "clip", "--clip", "ViT-B-32:none.pt"], "there is no file none.pt"),
        (["--score", "clip", "--clip", "NoSuch:none.pt"], 'open_clip has no model "NoSuch"'),
        (["--sampler", "Heun"], '--sampler: "Heun" is not one of'),
        (["--models", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--models", "demo", "demo"], "two of them are called clip-skip-demo"),
        (["--prompts", "nowhere.txt"], "--prompts:"),
        (["--steps", "0"], "--steps: 0 is outside 1 to 1000"),
        (["--sampler", "euler B"], '--sampler: "euler B" is not known; did you mean Euler a?'),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_made(tmp_path, capsys, more, said):
    with pytest.raises(SystemExit):
        study(tmp_path / "out", *more)
    assert said in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.png"))


def test_a_prompt_that_is_no_caption_cannot_be_judged():
    with pytest.raises(ScoreError, match=r"--score right: .*a red cow"):
        load_scores(["right"], "", "cpu", ["a red cow"], (128, 128))


def test_clip_fits_pictures_to_prompts(tmp_path, monkeypatch):
    """A tiny model of random weights: the same numbers as open_clip's own, and its weights tell its scores apart."""
    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    (tmp_path / "tiny.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "tiny.json")
    names = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        torch.save(open_clip.create_model("tiny").state_dict(), tmp_path / f"{seed}.pt")
        names.append(Clip(f"tiny:{tmp_path / f'{seed}.pt'}", "cpu").name)
    assert names[0] != names[1]
    score = Clip(f"tiny:{tmp_path / '1.pt'}", "cpu")
    pictures = [Image.fromarray(np.full((40, 40, 3), shade, np.uint8)) for shade in (20, 200)]
    prompts = ["a cow", "<clipskip:2> a field <lora:none:1>"]
    got = [values["clip"] for values in score.score(pictures, prompts, pictures)]
    model, _, see = open_clip.create_model_and_transforms("tiny", str(tmp_path / "1.pt"))
    model.eval()
    with torch.no_grad():
        image = model.encode_image(torch.stack([see(picture) for picture in pictures]), normalize=True)
        text = model.encode_text(open_clip.get_tokenizer("tiny")(["a cow", "a field"]), normalize=True)
    assert got == pytest.approx((image * text).sum(1).tolist(), abs=1e-6)


def data(effect, prompts=24, seeds=3, cfg=(7.0,), random=None, spread=0.1):
    """Scores of which the share of clip skip is known: `effect` by clip skip, prompts and their own answer to it."""
    random = random or np.random.default_rng(0)
    rows = []
    for prompt in range(prompts):
        base = random.normal()
        own = random.normal(0, spread, len(SKIPS))
        for seed in range(seeds):
            for scale in cfg:
                for skip, of_prompt in zip(SKIPS, own):
                    value = base + effect.get(skip, 0) + of_prompt * (skip != 1) + random.normal(0, 0.1)
                    rows.append(("m", f"prompt {prompt}", seed, scale, float(skip), value))
    return pd.DataFrame(rows, columns=["model", "prompt", "seed", "cfg_scale", "clip_skip", "score"])


def test_a_known_effect_is_found_and_said():
    found = statistics.compare(data({8: -0.5, 2: 0.4}), "score", {"m": 1.0})
    by_skip = {one.clip_skip: one for one in found}
    assert (
        by_skip[8].difference == pytest.approx(-0.5, abs=0.1)
        and by_skip[8].low < by_skip[8].difference < by_skip[8].high
    )
    assert {one.clip_skip for one in found if one.sure} == {2, 8}
    message = study_sentence.sentence(found, SCORE, 864)
    better = study_sentence.BETTER(skip="2", published="1", difference=study_sentence._difference(by_skip[2]))
    worse = study_sentence.ONE_WORSE(skip="8", difference=study_sentence._difference(by_skip[8]))
    verdict = dict(message.values)["verdict"]
    assert message.template == study_sentence.VERDICT and str(verdict) == f"{better}; {worse}"
    assert re.fullmatch(
        r"0\.[345]\d* \(95% interval of the difference 0\.\d+ to 0\.\d+\)", str(dict(better.values)["difference"])
    )


def test_several_values_that_are_better_or_worse_are_listed():
    found = statistics.compare(data({2: 0.4, 3: 0.6, 4: 0.5, 8: -0.5, 9: -0.7, 12: -0.6}), "score", {"m": 1.0})
    text = str(study_sentence.sentence(found, SCORE, 864))
    assert re.search(r"clip skip 3 is better than the published 1 by .* \(so are 2 and 4, by less\)", text)
    assert re.search(r"clip skips 8, 9 and 12 are worse, 9 the most, by 0\.", text)


def test_a_measure_that_is_neither_good_nor_bad_has_its_ends_named():
    likeness = Measure("score", "the likeness", "")
    found = statistics.compare(data({2: 0.1, 12: 5}, spread=0.0), "score", {"m": 1.0})
    message = study_sentence.sentence(found, likeness, 864)
    assert message.template == study_sentence.MEANS and str(message).endswith("at clip skip 12.")
    assert str(message).count("95% interval") == 2


def test_no_effect_is_said_to_be_none():
    found = statistics.compare(data({}), "score", {"m": 1.0})
    assert not any(one.sure for one in found)
    message = study_sentence.sentence(found, SCORE, 864)
    values = dict(message.values)
    assert message.template == study_sentence.NO_DIFFERENCE and values["difference"][0] in "+−"
    largest = max(found, key=lambda one: abs(one.difference))
    assert values["skip"] == f"{largest.clip_skip:g}" and values["published"] == "1"
    equal = statistics.compare(data({}).assign(score=1.0), "score", {"m": 1.0})
    assert study_sentence.sentence(equal, SCORE, 864).template == study_sentence.NO_EFFECT


def test_the_pairing_takes_away_what_prompts_and_seeds_do():
    scores = data({})
    scores["score"] += scores.prompt.str[7:].astype(int) * 10 + scores.seed * 100
    before, after = (statistics.compare(one, "score", {"m": 1.0}) for one in (data({}), scores))
    assert [one.difference for one in after] == pytest.approx([one.difference for one in before], abs=1e-9)
    assert [one.high for one in after] == pytest.approx([one.high for one in before], abs=1e-9)


def test_cells_of_one_prompt_are_not_independent():
    """The interval is that of 8 prompts, however many seeds each of them has."""
    few, many = (statistics.compare(data({}, 8, seeds, spread=1.0), "score", {"m": 1.0})[3] for seeds in (1, 20))
    assert many.high - many.low > 0.5 * (few.high - few.low)


def test_the_intervals_cover():
    """Of 400 studies with the known difference 0.3, some 95 % of the intervals hold it; over prompts alone they do."""
    random = np.random.default_rng(5)
    covered = 0
    for _ in range(40):
        differences = random.normal(0.3, 1, (30, 10))
        low, high = statistics.interval(differences)
        covered += int(((low <= 0.3) & (high >= 0.3)).sum())
    assert 0.91 <= covered / 400 <= 0.98


def test_twelve_comparisons_of_nothing_rarely_find_something(monkeypatch):
    """At 5 % for each of eleven values, uncorrected, 43 % of studies would; Holm keeps it at 5 %."""
    monkeypatch.setattr(statistics, "RESAMPLES", 999)
    random = np.random.default_rng(6)
    false = sum(
        (statistics.corrected(statistics.p_values(random.normal(size=(20, 11))), [False] * 11) < 0.05).any()
        for _ in range(30)
    )
    assert false <= 6  # of 30; more than that has a chance of 1 in 1,000 at 5 %


def test_one_prompt_cannot_tell():
    found = statistics.compare(data({8: -0.5}, prompts=1), "score", {"m": 1.0})
    assert math.isnan(found[3].low) and math.isnan(found[3].p)
    assert study_sentence.sentence(found, SCORE, 36) == study_sentence.ONE_PROMPT(pictures=36, model="m")
    assert study_sentence.sentence([], SCORE, 0) == study_sentence.NO_PICTURES
    alone = statistics.compare(data({}).query("clip_skip == 1"), "score", {"m": 1.0})
    assert study_sentence.sentence(alone, SCORE, 72).template == study_sentence.ONE_VALUE


def test_incomplete_rows_are_left_out_for_all_values():
    scores = data({})
    scores = scores[~((scores.prompt == "prompt 3") & (scores.clip_skip == 5))]
    assert {one.prompts for one in statistics.compare(scores, "score", {"m": 1.0})} == {23}


def test_the_shares_add_up_and_go_where_the_effect_is():
    parts = statistics.shares(data({8: -5.0}, cfg=(4.0, 7.0)), "score")
    assert sum(parts.values()) == pytest.approx(1)
    assert set(parts) == {"clip skip", "CFG", "clip skip and CFG together", "prompt", "seed", "the rest"}
    assert parts["clip skip"] > 0.5 and parts["CFG"] < 0.01 and parts["clip skip and CFG together"] < 0.01
    assert statistics.shares(data({}).assign(score=1.0), "score") == {}


@pytest.mark.parametrize("skips", [[1.0], [1.0, 2.0]])
@pytest.mark.parametrize("prompts, seeds", [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_a_study_in_which_little_varies_gives_no_warnings(prompts, seeds, skips):
    scores = data({}, prompts, seeds)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        few = scores[scores.clip_skip.isin(skips)]
        parts = statistics.shares(few, "score")
        statistics.compare(few, "score", {"m": 1.0})
    assert parts == {} or sum(parts.values()) == pytest.approx(1)
