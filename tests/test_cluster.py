"""Which maker of a Ray cluster has which cells, on a cluster of two nodes with stand-ins for the makers.

The long ones want CLIP_SKIP_RAY_LONG=1.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

ray = pytest.importorskip("ray", reason="ray is not installed")

from clip_skip.standalone.cluster import connection, spread  # noqa: E402
from clip_skip.standalone.cluster.actor import RemoteMaker, contents, local_file  # noqa: E402
from clip_skip.standalone.cluster.errors import ClusterError  # noqa: E402
from clip_skip.standalone.cluster.node_files import NOT_OURS, find_cached, full_digest, keep  # noqa: E402
from clip_skip.standalone.engine.makers import Supply, Task  # noqa: E402
from clip_skip.standalone.engine.progress import OUT_OF_MEMORY, Progress  # noqa: E402
from clip_skip.standalone.models import header  # noqa: E402

LONG = pytest.mark.skipif(not os.environ.get("CLIP_SKIP_RAY_LONG"), reason="takes long: CLIP_SKIP_RAY_LONG=1 runs it")


@pytest.fixture(scope="module")
def nodes():
    """Two nodes with a CPU each; this process is on a third, which has none."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()


class Far(RemoteMaker):
    """On a node that has no file of this machine's."""

    def ready(self, task, digest, *more):
        tempfile.tempdir = str(task.model.parent / f"node-{ray.get_runtime_context().get_node_id()}")
        Path(tempfile.tempdir).mkdir(exist_ok=True)
        return super().ready(replace(task, model=Path("/nowhere") / task.model.name), digest, *more)


class Maker:
    """A "picture" is the name of the checkpoint and the number of the cell."""

    def __init__(self, limits=None):
        self.limits = limits or {}

    def limit(self, task):
        assert task.model.read_bytes() == task.model.name.encode()
        return self.limits.get(task.model.name, 2)

    def make(self, task):
        time.sleep(0.05)
        return SimpleNamespace(pictures=[(task.model.name, cell) for cell in task.batch])


class Waiting(Maker):
    """Makes nothing before both nodes have the checkpoint."""

    def __init__(self, limits, folder):
        super().__init__(limits)
        self.folder = folder

    def make(self, task):
        until = time.monotonic() + 120
        while len(list(self.folder.glob(f"node-*/*/*/{task.model.name}"))) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        return super().make(task)


class Short(Maker):
    """Has memory for one cell."""

    def make(self, task):
        if len(task.batch) > 1:
            self.limits = dict.fromkeys([task.model.name], len(task.batch) // 2)
            return None
        return super().make(task)


class Mortal(Maker):
    """Dies with its first batch on this machine."""

    def make(self, task):
        if not (mark := task.model.with_name("died")).exists():
            mark.touch()
            os._exit(1)
        return super().make(task)


class Wrong(Maker):
    def make(self, task):
        raise header.CheckpointError("the file is broken")


def never():
    os._exit(1)


class Heard(Progress):
    def __init__(self):
        super().__init__({}, 1, 1)
        self.heard, self.counts = [], []

    def tell(self, message):
        self.heard.append(message)

    def makers(self, count):
        self.counts.append(count)


def run(folder, new, names=("a",), cells=6, progress=None, **cluster):
    """The batches of so many cells with each of the checkpoints `names`."""
    models = [folder / f"{name}.safetensors" for name in names]
    for model in models:
        model.write_bytes(model.name.encode())
    every = [(model, number) for model in models for number in range(cells)]
    supply = Supply(every, lambda cell: cell[0], lambda cells: Task(cells[0][0], [cell[1] for cell in cells], ()))
    batches = list(connection.Cluster("cpu", **cluster).run(supply, new, progress or Heard()))
    for made, batch in batches:
        assert batch.pictures == [(model.name, number) for model, number in made]
    assert sorted(cell for made, _ in batches for cell in made) == every
    return [made for made, _ in batches]


def test_checkpoints_that_nodes_lack_are_sent_once_and_batches_are_of_their_size(nodes, tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr(connection, "RemoteMaker", Far)
    monkeypatch.setattr(spread, "contents", lambda model: sent.append(model.stem) or contents(model))
    progress = Heard()
    limits = {"a.safetensors": 2, "b.safetensors": 3}
    batches = run(tmp_path, partial(Waiting, limits, tmp_path), ("a", "b"), 12, progress)
    assert sorted(sent) == ["a", "b"]
    assert {(cells[0][0].stem, len(cells)) for cells in batches} == {("a", 2), ("b", 3)}
    assert max(progress.counts) == 2 and progress.heard == []


def test_a_maker_that_dies_loses_nothing_and_none_takes_all(nodes, tmp_path):
    batches = run(tmp_path, partial(Mortal, {"a.safetensors": 64}))
    assert (tmp_path / "died").exists()
    assert sorted(map(len, batches)) == [3, 3]


@LONG
def test_makers_that_always_die_end_it(nodes, tmp_path, monkeypatch):
    monkeypatch.setattr(spread, "DEATHS", 1)
    progress = Heard()
    with pytest.raises(ClusterError, match="2 actors have died one after the other") as error:
        run(tmp_path, never, progress=progress)
    assert "exit" in str(error.value)  # how they died
    assert len(progress.heard) == 1 and dict(progress.heard[0].values)["others"] == 1


def test_too_little_memory_makes_smaller_batches(nodes, tmp_path):
    progress = Heard()
    batches = run(tmp_path, Short, cells=4, progress=progress)
    assert {len(cells) for cells in batches} == {1}
    assert set(progress.heard) == {OUT_OF_MEMORY(count=1)}


@LONG
def test_what_is_wrong_with_a_checkpoint_is_told_as_it_is(nodes, tmp_path):
    with pytest.raises(header.CheckpointError) as error:
        run(tmp_path, Wrong)
    assert str(error.value) == "the file is broken"


def test_a_process_that_is_connected_is_not_given_another_cluster(nodes):
    with pytest.raises(ClusterError) as error, connection.connected("127.0.0.1:9"):
        pass
    assert error.value.message == connection.CONNECTED_ELSEWHERE(address="127.0.0.1:9", other=nodes.address)
    with connection.connected(nodes.address) as cluster:
        assert cluster.device == "cpu"
    assert ray.is_initialized()


def test_a_cluster_without_room_says_so(nodes, tmp_path):
    with pytest.raises(ClusterError) as error:
        run(tmp_path, Maker, cpus=64)
    assert dict(error.value.message.values)["wanted"] == spread.RESOURCES(cpus="64", gpus="0")


@LONG
def test_a_cluster_whose_room_is_taken_says_so(nodes, tmp_path, monkeypatch):
    class Freeing(Heard):
        def tell(self, message):
            super().tell(message)
            for holder in holders:
                ray.kill(holder)

    class Holder:
        def there(self):
            return True

    holders = [ray.remote(Holder).options(num_cpus=1).remote() for _ in range(2)]
    ray.get([holder.there.remote() for holder in holders])
    monkeypatch.setattr(spread, "PATIENCE", 0)
    progress = Freeing()
    run(tmp_path, Maker, progress=progress)
    assert progress.heard == [spread.NONE_READY(free=spread.RESOURCES(cpus="0", gpus="0"))]


@pytest.fixture
def node(tmp_path, monkeypatch):
    """A node whose folder of temporary files is this one, and a checkpoint that it lacks."""
    (tmp_path / "node").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "node"))
    model = tmp_path / "model.safetensors"
    model.write_bytes(b"weights" * 1000)
    model.with_suffix(".yaml").write_text("sizes")
    question = model, header.digest(model), full_digest(model)
    files = contents(model)
    assert full_digest(files) == question[2] and local_file(*question) == model
    model.unlink()
    return *question, files


def test_a_checkpoint_is_written_whole_with_what_is_beside_it(node):
    *question, files = node
    assert local_file(*question) is None
    copy = local_file(*question, files)
    assert copy.read_bytes() == files["model.safetensors"] and copy.with_suffix(".yaml").read_text() == "sizes"
    assert local_file(*question) == copy and local_file(*question[:2]) is None
    assert copy.parent.name == question[2]
    if os.name == "posix":
        assert copy.parent.parent.stat().st_mode & 0o777 == 0o700 and copy.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("changed", ["model.safetensors", "model.yaml"])
def test_what_has_been_changed_on_a_node_is_not_used(changed, node):
    *question, files = node
    copy = local_file(*question, files)
    (copy.parent / changed).write_bytes(b"other" * 1000)
    assert local_file(*question) is None
    assert local_file(*question, files) == copy and copy.read_bytes() == files["model.safetensors"]


@pytest.mark.skipif(os.name != "posix", reason="links and modes as on Linux")
def test_links_on_a_node_are_not_followed(node, tmp_path):
    *question, files = node
    copy = local_file(*question, files)
    given, victim = shutil.copytree(copy.parent, tmp_path / "given"), tmp_path / "victim"
    for name in ("folder", "file"):
        shutil.rmtree(copy.parent)
        if name == "folder":
            shutil.copytree(given, tmp_path / "elsewhere")
            copy.parent.symlink_to(tmp_path / "elsewhere")
        else:
            shutil.copytree(given, copy.parent)
            copy.unlink()
            copy.symlink_to(victim)
        victim.write_bytes(files["model.safetensors"])
        assert local_file(*question) is None
        victim.write_bytes(b"precious")
        assert local_file(*question, files) == copy and not copy.is_symlink()
        assert victim.read_bytes() == b"precious"
        assert {path.name: path.read_bytes() for path in (tmp_path / "elsewhere").iterdir()} == files


@pytest.mark.skipif(os.name != "posix", reason="links as on Linux")
def test_a_link_in_the_place_of_a_new_file_is_not_followed(node, tmp_path, monkeypatch):
    *question, files = node
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "model.safetensors").symlink_to(tmp_path / "victim")
    monkeypatch.setattr("tempfile.mkdtemp", lambda **options: str(tmp_path / "unfinished"))
    with pytest.raises(FileExistsError):
        local_file(*question, files)
    assert not (tmp_path / "victim").exists()


def test_no_name_leads_out_of_the_folder(node, tmp_path):
    files = {"../../../x.safetensors": b"x"}
    kept = keep("../../../x.safetensors", "0" * 64, files)
    assert kept.parent.name == "0" * 64 and kept.read_bytes() == b"x"
    other = kept.parents[1] / "other.safetensors"
    other.write_bytes(b"x")
    (kept.parents[1] / full_digest(other)).mkdir()
    assert find_cached("../other.safetensors", full_digest(other)) is None


@pytest.mark.skipif(os.name != "posix", reason="modes as on Linux")
def test_a_folder_of_others_is_not_used(node, tmp_path):
    *question, files = node
    folder = local_file(*question, files).parent.parent
    folder.chmod(0o777)
    with pytest.raises(ClusterError) as error:
        local_file(*question)
    assert error.value.message == NOT_OURS(folder=str(folder))
    shutil.rmtree(folder)
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ClusterError):
        local_file(*question, files)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="links and users as on Linux")
@pytest.mark.parametrize("what", ["file", "link", "user"])
def test_what_is_no_folder_of_this_user_is_not_used(what, node, tmp_path, monkeypatch):
    """A link is told by itself, where its mode says nothing, as on Windows."""
    *question, files = node
    user = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: user)
    if what != "user":
        monkeypatch.delattr(os, "getuid")
        user = 0
    folder = tmp_path / "node" / f"clip-skip-checkpoints-{user}"
    if what == "file":
        folder.touch()
    elif what == "link":
        (tmp_path / "elsewhere").mkdir()
        folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ClusterError) as error:
        local_file(*question, files)
    assert error.value.message == NOT_OURS(folder=str(folder))


def test_what_has_not_been_used_for_a_while_is_removed(node):
    *question, files = node
    copy = local_file(*question, files)
    other = copy.parent.with_name("0" * 64)
    other.mkdir()
    os.utime(other, (0, 0))
    (copy.parent.parent / "file").touch()
    os.utime(copy.parent.parent / "file", (0, 0))
    os.utime(copy.parent, (0, 0))
    assert local_file(*question) == copy  # which is in use again
    keep("another.safetensors", full_digest({"another.safetensors": b"x"}), {"another.safetensors": b"x"})
    assert copy.is_file() and not other.exists() and not (copy.parent.parent / "file").exists()


LISTENING = """
import json, sys
import psutil
from clip_skip.standalone.cluster.connection import LOCAL, connected

with connected(LOCAL, limit_cpus=1):
    import ray
    assert ray.get(ray.remote(lambda: 1).remote()) == 1
    raylet = ray._raylet
    has_tokens = hasattr(raylet, "AuthenticationMode")
    asks = raylet.get_authentication_mode() == raylet.AuthenticationMode.TOKEN if has_tokens else None
    here = psutil.Process()
    found = {
        connection.laddr.ip
        for process in [here, *here.children(recursive=True)]
        for connection in getattr(process, "net_connections", process.connections)("inet")
        if connection.status == psutil.CONN_LISTEN
    }
print(json.dumps([asks, sorted(found)]))
"""


def test_a_ray_of_ones_own_asks_for_a_token(monkeypatch):
    monkeypatch.delitem(sys.modules, "ray")
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    tokens = []
    for _ in range(2):
        with connection.private():
            assert os.environ["RAY_AUTH_MODE"] == "token"
            tokens.append(os.environ["RAY_AUTH_TOKEN"])
        assert not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} & set(os.environ)
    assert len(set(tokens)) == 2 and min(map(len, tokens)) >= 32


def test_a_local_cluster_listens_to_this_machine_alone():
    pytest.importorskip("psutil", reason="psutil is not installed")
    root = Path(__file__).parents[1]
    unset = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_MODE"}
    made = subprocess.run([sys.executable, "-c", LISTENING], capture_output=True, text=True, cwd=root, env=unset)
    assert made.returncode == 0, made.stderr
    asks_for_a_token, addresses = json.loads(made.stdout.splitlines()[-1])
    assert addresses and all(ipaddress.ip_address(a.removeprefix("::ffff:")).is_loopback for a in addresses), addresses
    assert asks_for_a_token in (True, None)  # versions before 2.52 have no tokens
