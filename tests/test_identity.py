"""What a cell of a sweep or a study is known by: everything that it is made of, and nothing by hand."""

import json
from dataclasses import fields, replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("open_clip")
pytest.importorskip("peft")

from safetensors.torch import save_file  # noqa: E402

from clip_skip.standalone import identity  # noqa: E402
from clip_skip.standalone.cli.main import main  # noqa: E402
from clip_skip.standalone.demo.model import CHECKPOINT  # noqa: E402
from clip_skip.standalone.engine.loading import Loading  # noqa: E402
from clip_skip.standalone.engine.shots import Hires, SamplingOptions, Shot  # noqa: E402
from clip_skip.standalone.identity import NO_PART, Identities  # noqa: E402
from clip_skip.standalone.settings import CommonSettings, Settings  # noqa: E402
from clip_skip.standalone.study.folder import StudyFolder  # noqa: E402
from clip_skip.standalone.study.job import StudyJob  # noqa: E402
from clip_skip.standalone.sweep.folder import NO_RECORD, NOT_A_RECORD, OTHER_VERSION, SweepFolder  # noqa: E402
from clip_skip.standalone.sweep.job import SweepJob  # noqa: E402
from clip_skip.study.plan import StudyPlan  # noqa: E402
from clip_skip.sweep.plan import SweepPlan  # noqa: E402
from clip_skip.sweep.rows import ROW_KINDS, Rows  # noqa: E402
from tests.random_model import SMALL_SDXL, random_weights  # noqa: E402
from tests.test_families import HEADS  # noqa: E402
from tests.test_loras import write_lora  # noqa: E402


@pytest.fixture(scope="module")
def weights():
    return dict(random_weights(SMALL_SDXL))


@pytest.fixture(scope="module")
def model(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "xl.safetensors"
    save_file(weights, path, HEADS["SDXL"])
    return path


@pytest.fixture
def loras(weights, tmp_path):
    for seed, name in enumerate("ab"):
        write_lora(tmp_path / "loras" / f"{name}.safetensors", weights, seed)
    return tmp_path / "loras"


@pytest.fixture
def sweep(model, loras, tmp_path, monkeypatch, capsys):
    """Runs a sweep of one cell in the default folder, and returns how many cells it made and kept."""
    monkeypatch.chdir(tmp_path)

    def run(*more, prompt="a cow"):
        arguments = ["sweep", "--model", str(model), "--prompt", prompt, "--steps", "1", "--size", "64"]
        arguments += ["--device", "cpu", "--loras", str(loras), "--skips", "6", "--cfg", "7"]
        assert main([*arguments, *more]) == 0
        words = capsys.readouterr().out.split()
        return int(words[0]), int(words[words.index("kept,") - 1])

    return run


def test_columns_of_clip_l_alone_are_other_cells(sweep):
    assert sweep() == (1, 0)
    assert sweep("--columns", "clip_l") == (1, 0)
    assert sweep() == (0, 1) == sweep("--columns", "clip_l")


def test_the_weights_of_another_lora_are_other_cells(sweep):
    for name in "ba":
        rows = ("--rows", "lora", "--row-values", f"{name}: 0.5")
        assert sweep(*rows, prompt="a cow <lora:a:1> <lora:b:1>") == (1, 0)


@pytest.mark.parametrize(
    "naming",
    [
        ("--hires", "1.5", "--hires-steps", "1", "--hires-prompt", "a hen <lora:a:1>"),
        ("--rows", "prompt", "--row-values", "cow, <lora:a:1>"),
    ],
    ids=["hires prompt", "Prompt S/R"],
)
def test_a_lora_that_was_trained_again_makes_other_cells(sweep, loras, weights, naming):
    made, kept = sweep(*naming)
    assert kept == 0
    write_lora(loras / "a.safetensors", weights, 5)
    changed = 1  # the other row of Prompt S/R has no LoRA
    assert sweep(*naming) == (changed, made - changed)


def test_a_folder_of_loras_is_searched_once_for_each_name(tmp_path, monkeypatch):
    """It may hold thousands, and a study has thousands of cells."""
    searched = []
    monkeypatch.setattr(identity, "find_lora", lambda name, folder: searched.append(name) or CHECKPOINT)
    prompt = "a cow <lora:a:1> <lora:b:1>"
    settings = Settings(1, 64, 64, model="demo", prompt=prompt, seed=1)
    plan = SweepPlan((1.0, 2.0), Rows(("<lora:b:1>", "<lora:c:1>"), ROW_KINDS["prompt"]))
    job = SweepJob(CHECKPOINT, settings, plan, "cpu", 1, tmp_path, False, Loading(loras=tmp_path))
    assert len({job.identity(cell) for cell in plan.cells}) == 4
    assert searched == ["a", "b", "c"]


def test_an_embedding_that_was_trained_again_makes_other_cells(sweep, tmp_path):
    def train(seed):
        generator = torch.Generator().manual_seed(seed)
        vectors = {"clip_l": torch.randn(1, 64, generator=generator), "clip_g": torch.randn(1, 80, generator=generator)}
        (tmp_path / "embeddings").mkdir(exist_ok=True)
        save_file(vectors, tmp_path / "embeddings" / "wordy.safetensors")

    train(1)
    for beside in ("wordy.txt", "wordy.preview.png", "wordy.yaml"):
        (tmp_path / "embeddings" / beside).write_text("what other programs put beside it")
    hires = ("--hires", "1.5", "--hires-steps", "1", "--hires-negative", "wordy")
    naming = (*hires, "--embeddings", str(tmp_path / "embeddings"))
    assert sweep(*naming) == (1, 0)
    train(2)
    assert sweep(*naming) == (1, 0)
    assert sweep(*naming) == (0, 1)


def identity_of(prompt, **loading):
    settings = Settings(1, 64, 64, model="demo", prompt=prompt, seed=1)
    return Identities(Loading(**loading), "cpu").of(CHECKPOINT, settings.batch((Shot(prompt, "", None, 7.0, 1),)))


def test_two_loras_of_one_name_in_two_folders_both_count(tmp_path):
    for folder, alias in (("a", "first"), ("b", "second")):
        (tmp_path / folder).mkdir()
        save_file({"x": torch.zeros(1)}, tmp_path / folder / "x.safetensors", {"ss_output_name": alias})
    naming = "a cow <lora:first:1> <lora:second:1>"
    before = identity_of(naming, loras=tmp_path)
    for folder, alias in (("a", "first"), ("b", "second")):
        save_file({"x": torch.ones(1)}, tmp_path / folder / "x.safetensors", {"ss_output_name": alias})
        after = identity_of(naming, loras=tmp_path)
        assert after != before
        before = after


def test_all_of_a_file_that_a_text_names_counts(tmp_path):
    """A few of many weights are changed, as by a tool that edits one block."""
    weights = torch.zeros(2_000_000)
    save_file({"x": weights}, tmp_path / "a.safetensors")
    before = identity_of("a cow <lora:a:1>", loras=tmp_path)
    for place in (25_000, 1_975_000):
        weights[place] = 1
        save_file({"x": weights}, tmp_path / "a.safetensors")
        after = identity_of("a cow <lora:a:1>", loras=tmp_path)
        assert after != before
        before = after


# One field at a time, over all that there are


def another(value, name):
    """Another value of the field `name`. A field of a new type needs a line here."""
    if name == "hires":
        return Hires(3.0)
    if name == "resize":
        return (96, 96)
    if isinstance(value, str):
        return value + "x"
    return 1.0 if value is None else value + 1


def changed_fields(value):
    """`value` with each of its fields changed in turn, by the field's name, but for those in NO_PART."""
    for name in (one.name for one in fields(value)):
        if f"{type(value).__name__}.{name}" not in NO_PART:
            yield name, replace(value, **{name: another(getattr(value, name), name)})


SETTINGS = Settings(2, 64, 64, "Euler", Hires(), model=CHECKPOINT.stem, prompt="a cow", negative="dark", seed=1)
SHOT = Shot("a cow", "dark", 2.0, 7.0, 1)


def test_every_field_of_what_is_made_counts():
    known = Identities(Loading(), "cpu")
    one_pass, two_passes = SamplingOptions(2), SamplingOptions(2, hires=Hires())
    batch = lambda sampling: sampling.batch((SHOT,))
    kinds = (
        (SHOT, lambda shot: known.of(CHECKPOINT, one_pass.batch((shot,)))),
        (one_pass, lambda sampling: known.of(CHECKPOINT, batch(sampling))),
        (Hires(), lambda hires: known.of(CHECKPOINT, batch(replace(two_passes, hires=hires)))),
        (Loading(), lambda loading: Identities(loading, "cpu").of(CHECKPOINT, batch(one_pass))),
    )
    for value, identify in kinds:
        identities = {name: identify(one) for name, one in changed_fields(value)}
        left_out = [name for name in NO_PART if name.startswith(f"{type(value).__name__}.")]
        assert len(identities) == len(fields(value)) - len(left_out)
        assert len({*identities.values(), identify(value)}) == len(identities) + 1, identities


PLANS = {
    "cfg": SweepPlan((2.0,), Rows((7.0,))),
    "clip_l": SweepPlan((2.0,), Rows((7.0,)), "clip_l"),
    **{
        name: SweepPlan((2.0,), Rows((value,), ROW_KINDS[name]))
        for name, value in {"seed": 4, "negative": 3.0, "clip_g": 4.0, "hires": 3.0, "prompt": "cow"}.items()
    },
    "lora a": SweepPlan((2.0,), Rows((0.5,), ROW_KINDS["lora"], "a")),
    "lora b": SweepPlan((2.0,), Rows((0.5,), ROW_KINDS["lora"], "b")),
}


def sweep_job(path, settings=SETTINGS, plan=PLANS["cfg"], **more):
    return SweepJob(CHECKPOINT, settings, plan, "cpu", 0, path, False, **more)


def test_every_setting_of_a_sweep_is_another_cell_another_file_and_another_folder(tmp_path):
    jobs = {"": sweep_job(tmp_path), "device": replace(sweep_job(tmp_path), device="cuda")}
    own_rows = replace(PLANS["seed"], rows=replace(PLANS["seed"].rows, values=(1,)))  # in which cfg_scale counts
    jobs = {name: replace(job, plan=own_rows) for name, job in jobs.items()}
    for name, one in changed_fields(SETTINGS):
        jobs[name] = sweep_job(tmp_path, one, PLANS["cfg"] if name == "seed" else own_rows)
    jobs["dtype"] = sweep_job(tmp_path, plan=own_rows, loading=Loading("float16"))
    cells = [next(iter(job.plan.cells)) for job in jobs.values()]
    for known in (
        [job.identity(cell) for job, cell in zip(jobs.values(), cells)],
        [SweepFolder(job).name(cell) for job, cell in zip(jobs.values(), cells)],
        [job.name for job in jobs.values()],
    ):
        assert len(set(known)) == len(known) == len(jobs), dict(zip(jobs, known))


def test_every_kind_of_rows_and_columns_is_another_cell(tmp_path):
    settings = replace(SETTINGS, prompt="a cow <lora:a:1> <lora:b:1>")
    for name in "ab":
        (tmp_path / f"{name}.safetensors").write_bytes(b"")
    jobs = {name: sweep_job(tmp_path, settings, plan, loading=Loading(loras=tmp_path)) for name, plan in PLANS.items()}
    known = {name: job.identity(next(iter(job.plan.cells))) for name, job in jobs.items()}
    same = known.pop("prompt")  # "cow" in the place of "cow": the first of them, whatever sweep it is in
    assert known["cfg"] == same and len(set(known.values())) == len(PLANS) - 1


def test_every_setting_of_a_study_is_another_cell_another_file_and_another_folder(tmp_path):
    plan = StudyPlan({"m": (2.0, 3.0)}, {"m": 1.0}, ("a cow", "a hen"), (1, 2), (7.0, 8.0))
    common = CommonSettings(2, 64, 64, "Euler", Hires(), negative="dark")
    job = StudyJob({"m": CHECKPOINT}, common, plan, "cpu", tmp_path)
    known = [job.identity(cell) for cell in plan.cells]
    files = [StudyFolder(job).file(cell) for cell in plan.cells]
    changed = dict(changed_fields(common))
    for other in [replace(job, settings=one) for one in changed.values()]:
        assert other.made_with != job.made_with
        known.append(other.identity(next(iter(plan.cells))))
        files.append(StudyFolder(other).file(next(iter(plan.cells))))
    assert len(set(known)) == len(set(files)) == len(known) == 16 + len(changed)


# Records that are broken, or of the version before

BROKEN = {
    "not a record": b'{"made_with": [1]}',
    "a text": b'"made_with"',
    "deep": b"[" * 100_000,
    "not UTF-8": b"\xff\xfe\x00",
    "empty": b"",
}
BEFORE = {"made_with": {"model": "0", "prompt": "a cow", "seed": 1, "steps": 1, "device": "cpu", "dtype": "float32"}}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_record_is_named_and_can_be_replaced(sweep, tmp_path, capsys, content):
    out = tmp_path / "out"
    out.mkdir()
    (out / "sweep.json").write_bytes(content)
    with pytest.raises(SystemExit):
        sweep("--out", str(out))
    assert str(NOT_A_RECORD(file=str(out / "sweep.json"))) in capsys.readouterr().err
    assert (out / "sweep.json").read_bytes() == content
    assert sweep("--out", str(out), "--replace") == (1, 0)


def test_a_folder_of_the_version_before_is_refused_in_words(sweep, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "sweep.json").write_text(json.dumps(BEFORE), encoding="utf-8")
    with pytest.raises(SystemExit):
        sweep("--out", str(out))
    assert str(OTHER_VERSION(folder=str(out))) in capsys.readouterr().err
    (out / "sweep.json").unlink()
    (out / "cells").mkdir()
    (out / "cells" / "clip-skip-6_cfg-7.png").write_bytes(b"")
    with pytest.raises(SystemExit):
        sweep("--out", str(out))
    assert str(NO_RECORD(folder=str(out), found="cells")) in capsys.readouterr().err
    assert sweep("--out", str(out), "--replace") == (1, 0)


def test_broken_latents_are_made_again_for_a_report(sweep, tmp_path):
    pytest.importorskip("matplotlib")
    assert sweep("--skips", "5, 6") == (2, 0)
    latents, _ = (tmp_path / "sweeps").glob("*/cells/*.npy")
    for content in (b"", latents.read_bytes()[:-10]):
        latents.write_bytes(content)
        assert sweep("--skips", "5, 6") == (0, 2)
        assert sweep("--skips", "5, 6", "--report") == (1, 1)
