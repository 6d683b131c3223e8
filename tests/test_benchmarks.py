"""That the benchmarks still run: each is imported, and those that are quick at toy sizes are run."""

import importlib
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.random_model import SMALL, random_weights

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """Imports a benchmark as `python benchmarks/NAME.py` does, but runs nothing."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for path in FOLDER.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def run(benchmark, monkeypatch):
    """Runs a benchmark with arguments, in this process."""

    def main(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        benchmark(name).main()

    return main


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_a_benchmark_can_be_imported(benchmark, name):
    if name in ("page", "viewer_page"):
        pytest.importorskip("playwright")
    assert benchmark(name).__doc__


def test_the_modules_whose_import_is_measured_exist(benchmark):
    imports = benchmark("imports")
    assert [name for name in imports.OURS if find_spec(f"clip_skip.{name}") is None] == []


def test_every_start_that_is_measured_runs(benchmark, tmp_path, monkeypatch):
    """The commands in this process, what `python -c` would run as it is."""
    main = importlib.import_module("clip_skip.standalone.cli.main").main
    for arguments in benchmark("imports").ways(tmp_path).values():
        if arguments[0] == "-c":
            compile(arguments[1], "-c", "exec")
        else:
            assert arguments[:2] == ["-m", "clip_skip"]
            assert main(arguments[2:]) == 0


def test_the_page_of_many_pictures(browser):
    command = [sys.executable, str(FOLDER / "viewer_page.py"), "--pictures", "12", "24", "48", "--settle", "0.2"]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "its tab's memory" in printed.stdout, printed.stderr


def test_parallel_requests(run, capsys):
    run("parallel_requests", "--clients", "3", "--rounds", "1")
    assert "20,000 brackets" in capsys.readouterr().out


def test_the_encoder(run, capsys):
    run("encoder", "--device", "cpu", "--texts", "1", "--repeats", "1")
    assert "largest difference between ours and the hidden states: 0\n" in capsys.readouterr().out


def test_the_sweep(run, capsys):
    run(
        "standalone_sweep",
        *["--device", "cpu", "--skips", "2", "--cfg", "7", "--steps", "1", "--pixels", "64", "--batch", "2"],
    )
    assert "ours, 2 per batch" in capsys.readouterr().out


def test_a_study_in_this_process(benchmark, capsys):
    study = benchmark("study")
    study.making(study.job(prompts=1, seeds=2, steps=1), [])
    assert "24 pictures" in capsys.readouterr().out


def test_a_gpus_figures_at_toy_sizes(benchmark, monkeypatch, tmp_path, capsys):
    """All that is measured of a model runs on a CPU, so that it does the first time on a GPU."""
    gpu = benchmark("gpu")
    monkeypatch.setattr(gpu.gpu_tables, "BATCHES", (1, 2))
    monkeypatch.setattr(gpu, "TOY_PIXELS", (32, 32))
    arguments = ["gpu.py", str(tmp_path), "--device", "cpu", "--parts", "SD1", "SDXL", "--seconds", "1e6"]
    monkeypatch.setattr(sys, "argv", arguments)
    gpu.main()
    found = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert found["failed"] == []
    assert [line.partition(":")[0] for line in found["left_out"]] == ["study", "starts", "compile"]
    for family in ("SD1", "SDXL"):
        rows = found["tables"][f"{family}, 32 px, 2 steps"]
        assert [row["way"].partition(",")[0] for row in rows][:2] == ["diffusers", "ours"]
        assert all(row["seconds per cell"] > 0 for row in rows)
        assert sum(title.startswith(f"{family},") for title in found["tables"]) == 5
    assert (tmp_path / "gpu.md").read_text(encoding="utf-8") in capsys.readouterr().out


def test_what_grows_is_measured(benchmark):
    growth, works = benchmark("growth"), benchmark("growth_works").WORKS
    for name, (make, sizes, _) in works.items():
        if name != "study":  # thousands of resamples, of how ever few pictures
            seconds, memory = growth.measured(make, (sizes[0],), sizes[0])
            assert seconds > 0 and memory >= 0
    assert works.keys() >= {"sweep", "study", "folder of LoRAs", "page", "prompt"}


def test_what_there_is_no_time_for_is_told(benchmark, tmp_path):
    report = benchmark("gpu_report").Report(tmp_path, 600, {})
    assert report.affords("the first", 100)
    report.until = 0.5
    assert not report.affords("the second", 500)
    assert [line.partition(":")[0] for line in report.left_out] == ["the second"]
    report.add("A table", [{"way": "ours", "seconds": 0.12345}, {"way": "theirs", "seconds": None}])
    assert "| ours   | 0.123   |\n| theirs |         |" in report.markdown()
    assert "- the second: would take about 500 s" in report.markdown()


def test_what_a_file_says_after_its_training(benchmark):
    made_for = benchmark("made_for")
    made_for.told("LoRA at 2", made_for.lycoris_adapter("lora", 2, steps=1))
    assert made_for.ROWS[0][2].startswith("2")


def test_what_weights_say(benchmark, tmp_path):
    weights = {name: weight.half() for name, weight in random_weights(SMALL)}
    inspect_weights = benchmark("inspect_weights")
    inspect_weights.lora(weights, tmp_path / "lora.safetensors")
    inspect_weights.checkpoints(weights, tmp_path / "tuned.safetensors", tmp_path / "base.safetensors")
    tuned, base = (str(tmp_path / f"{name}.safetensors") for name in ("tuned", "base"))
    inspect_weights.seconds(lambda: inspect_weights.findings.inspect(str(tmp_path / "lora.safetensors")), repeats=1)
    inspect_weights.seconds(lambda: inspect_weights.findings.inspect(tuned, base), repeats=1)


@pytest.mark.parametrize("name", ["full_size", "inspect_weights", "page", "webui"])
def test_those_that_need_a_server_or_full_sizes_read_their_arguments(run, name):
    if name in ("page", "viewer_page"):
        pytest.importorskip("playwright")
    with pytest.raises(SystemExit) as end:
        run(name, "--help")
    assert end.value.code == 0
