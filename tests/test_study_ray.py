"""Studies and sweeps on a Ray cluster give the pictures that they give in one process.

The long ones want CLIP_SKIP_RAY_LONG=1.
"""

from __future__ import annotations

import json
import shutil
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

from PIL import Image  # noqa: E402

from clip_skip.standalone.cli.main import main  # noqa: E402
from clip_skip.standalone.cluster import connection, spread  # noqa: E402
from clip_skip.standalone.cluster.actor import RemoteMaker  # noqa: E402
from tests.test_cluster import LONG  # noqa: E402

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


def grid(out, *more):
    given = ["--skips", "1, 6", "--cfg", "4, 7", "--steps", "2", "--size", "64", "--batch", "1", "--device", "cpu"]
    assert main(["sweep", *given, "--hires", "1.5", "--report", "--out", str(out), *more]) == 0
    return json.loads((out / "sweep.json").read_text(encoding="utf-8"))


def pixels(folder):
    files = sorted(folder.rglob("*.png"))
    return {file.relative_to(folder): Image.open(file).convert("RGB").tobytes() for file in files}


@pytest.fixture(scope="class")
def local():
    with connection.connected(connection.LOCAL, limit_cpus=1):
        yield


class TestAClusterOfItsOwn:
    """It ends before the tests of nodes begin: a process is connected to one cluster at a time."""

    def test_a_cluster_makes_the_same_table(self, alone, local, tmp_path):
        assert main(command(tmp_path, tmp_path / "out", "--ray")) == 0
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / "cells.parquet"), alone)

    def test_a_cluster_makes_the_cells_that_a_sweep_lacks(self, local, tmp_path):
        here = grid(tmp_path / "here")
        shutil.copytree(tmp_path / "here", tmp_path / "there")
        for file in sorted((tmp_path / "there" / "cells").glob("*.png"))[1:]:
            file.unlink()
        there = grid(tmp_path / "there", "--ray")
        assert (there["run"]["cells_made"], there["run"]["cells_kept"]) == (3, 1)
        assert there["cells"] == here["cells"] and there["report"] == here["report"]
        assert pixels(tmp_path / "there") == pixels(tmp_path / "here")


def test_without_ray_it_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SystemExit):
        main(command(tmp_path, tmp_path / "out", "--ray"))
    assert str(connection.NEEDS_RAY()) in capsys.readouterr().err


def test_a_cluster_that_is_not_there_is_told(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(command(tmp_path, tmp_path / "out", "--ray", "127.0.0.1:9"))
    assert "--ray: 127.0.0.1:9 cannot be reached: " in capsys.readouterr().err


@LONG
def test_a_node_that_dies_loses_nothing(alone, nodes, tmp_path, monkeypatch):
    made, added = nodes
    at_work = tmp_path / "at work"
    at_work.mkdir()
    killed = []
    hand_out = spread.Spread._hand_out

    class Marking(RemoteMaker):
        def make(self, task, digest):
            (at_work / ray.get_runtime_context().get_node_id()).touch()
            return super().make(task, digest)

    def kill_then_hand_out(self):
        if not killed and (busy := [node for node in added if (at_work / node.node_id).exists()]):
            made.remove_node(busy[0], allow_graceful=False)
            killed.append(busy[0])
        hand_out(self)

    monkeypatch.setattr(connection, "RemoteMaker", Marking)
    monkeypatch.setattr(spread.Spread, "_hand_out", kill_then_hand_out)
    assert main(command(tmp_path, tmp_path / "out", "--ray", made.address)) == 0
    assert killed and len(list(at_work.iterdir())) > 1
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / "cells.parquet"), alone)


@LONG
def test_ten_kills_of_the_driver_lose_nothing(alone, nodes, tmp_path):
    made, _ = nodes
    run = [
        sys.executable,
        "-m",
        "clip_skip",
        *command(tmp_path, tmp_path / "out", "--ray", made.address, "--actors", "1"),
    ]
    for number in range(10):
        driver = subprocess.Popen(run)
        pictures = lambda: len(list((tmp_path / "out" / "pictures").rglob("*.png")))
        there = pictures()
        until = time.monotonic() + 300
        while driver.poll() is None and time.monotonic() < until and pictures() <= there:
            time.sleep(0.01 * (number + 1))
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert subprocess.run(run).returncode == 0
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / "cells.parquet"), alone)
