"""A study on a Ray cluster gives the pictures that it gives in one process. The long ones want CLIP_SKIP_RAY_LONG=1."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("statsmodels")
pytest.importorskip("diffusers")
pytest.importorskip("open_clip")
ray = pytest.importorskip("ray", reason="ray is not installed")

from clip_skip.standalone import cluster  # noqa: E402
from clip_skip.standalone.cli.main import main  # noqa: E402

LONG = pytest.mark.skipif(not os.environ.get("CLIP_SKIP_RAY_LONG"), reason="minutes long: CLIP_SKIP_RAY_LONG=1 runs it")
PROMPTS = "yellow ring, black background\na large blue square below a small orange circle\n"


def command(folder, out, *more):
    file = folder / "prompts.txt"
    file.write_text(PROMPTS, encoding="utf-8")
    given = ["--prompts", str(file), "--seeds", "1-3", "--skips", "1, 6", "--steps", "2", "--batch", "2"]
    return ["study", *given, "--device", "cpu", "--score", "difference", "--size", "128", "--out", str(out), *more]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The study in one process, on one thread, as an actor of one CPU has it."""
    import torch

    folder = tmp_path_factory.mktemp("alone")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    assert main(command(folder, folder / "out")) == 0
    torch.set_num_threads(before)
    return pd.read_parquet(folder / "out" / "cells.parquet")


@pytest.fixture
def nodes():
    """Three nodes with a CPU each; this process is on a fourth, which has none."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    added = [made.add_node(num_cpus=1) for _ in range(3)]
    yield made, added
    ray.shutdown()
    made.shutdown()


def test_a_cluster_makes_the_same_table(alone, tmp_path):
    with cluster.connected(cluster.LOCAL, limit_cpus=1):
        assert main(command(tmp_path, tmp_path / "out", "--ray")) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / "cells.parquet"), alone)


def test_a_checkpoint_that_a_node_lacks_is_written_there(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "node"))
    model = tmp_path / "model.safetensors"
    model.write_bytes(b"weights" * 1000)
    model.with_suffix(".yaml").write_text("sizes")
    digest, files = cluster.header.digest(model), cluster.sent(model)
    assert cluster.local_file(model, digest) == model
    model.unlink()
    assert cluster.local_file(model, digest) is None
    copy = cluster.local_file(model, digest, files)
    assert copy.read_bytes() == files["model.safetensors"] and copy.with_suffix(".yaml").read_text() == "sizes"
    assert cluster.local_file(model, digest) == copy


def test_without_ray_it_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SystemExit):
        main(command(tmp_path, tmp_path / "out", "--ray"))
    assert "--ray needs Ray: pip install clip-skip[ray]" in capsys.readouterr().err


@LONG
def test_a_node_that_dies_loses_nothing(alone, nodes, tmp_path, monkeypatch):
    made, added = nodes
    save = cluster._Spread._fill
    killed = []

    def kill_then(self, maker):
        if len(self._limits) == 3 and not killed:
            killed.append(made.remove_node(added[0], allow_graceful=False))
        save(self, maker)

    monkeypatch.setattr(cluster._Spread, "_fill", kill_then)
    assert main(command(tmp_path, tmp_path / "out", "--ray", made.address)) == 0
    assert killed
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / "cells.parquet"), alone)


@LONG
def test_ten_kills_of_the_driver_lose_nothing(alone, nodes, tmp_path):
    made, _ = nodes
    run = [sys.executable, "-m", "clip_skip", *command(tmp_path, tmp_path / "out", "--ray", made.address)]
    for number in range(10):
        driver = subprocess.Popen(run)
        there = len(list(tmp_path.rglob("*.png")))
        until = time.monotonic() + 60
        while driver.poll() is None and time.monotonic() < until and len(list(tmp_path.rglob("*.png"))) <= there:
            time.sleep(0.01 * (number + 1))
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert subprocess.run(run).returncode == 0
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / "cells.parquet"), alone)
