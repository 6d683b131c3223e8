"""A Ray cluster: the connection, and its makers, one for each GPU, or for each CPU without one.

Ray places them. The pictures come back to this process, so no shared file system is needed.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from clip_skip.messages.message import Template, join
from clip_skip.standalone.cluster.actor import RemoteMaker
from clip_skip.standalone.cluster.errors import ClusterError
from clip_skip.standalone.cluster.spread import Spread, resources_in_words
from clip_skip.standalone.engine.makers import Maker, Supply
from clip_skip.standalone.engine.progress import Progress

if TYPE_CHECKING:
    from clip_skip.standalone.engine.engine import BatchOutput

__all__ = ["LOCAL", "Cluster", "ClusterError", "connected"]

LOCAL = "local"
"""The address that means a local Ray, which ends with the command."""

NO_ROOM = Template("--ray: no node has room for an actor, which takes {wanted}. The nodes have {nodes}")
NEEDS_RAY = Template('--ray needs Ray. In the folder of Clip Skip run pip install ".[ray]"')
UNREACHABLE = Template("--ray: {address} cannot be reached: {problem}")
CONNECTED_ELSEWHERE = Template("--ray: this process is already connected to the cluster at {other}, not to {address}")

C = TypeVar("C")


@dataclass(frozen=True)
class Cluster:
    """A Ray that this process is connected to.

    device: the device that the makers use, "cuda" where the cluster has a GPU, else "cpu"
    actors: how many makers; 0 is as many as there is room for
    cpus:   the CPUs that each of them takes, besides a GPU if there is one
    """

    device: str
    actors: int = 0
    cpus: int = 1

    def run(
        self, supply: Supply[C], new: Callable[[], Maker], progress: Progress
    ) -> Iterator[tuple[tuple[C, ...], BatchOutput]]:
        """Make all of `supply`, in no order.

        Raises what a maker raises, and ClusterError where there is no room for one, or all have died.
        """
        import ray

        resources = {"CPU": self.cpus, **({"GPU": 1} if self.device == "cuda" else {})}
        most = room_for(resources)
        options = {"num_cpus": self.cpus, "num_gpus": resources.get("GPU", 0), "max_restarts": 0}
        actor = ray.remote(RemoteMaker).options(**options)
        spread = Spread(supply, lambda: actor.remote(new, self.cpus), self.actors or most, progress)
        try:
            yield from spread.run()
        finally:
            for place in spread.places:
                ray.kill(place.maker)


def room_for(resources: Mapping[str, int]) -> int:
    """The number of makers with these requirements that fit on the nodes. ClusterError if none fits."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    count = sum(int(min(has.get(name, 0) // amount for name, amount in resources.items())) for has in nodes)
    if not count:
        nodes_have = join(map(resources_in_words, nodes), "; ")
        raise ClusterError(NO_ROOM(wanted=resources_in_words(resources), nodes=nodes_have))
    return count


def check_reachable(address: str) -> None:
    """OSError if nothing listens at HOST:PORT; Ray itself takes a quarter of an hour to notice."""
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "//" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def check_is_connected_to(connected_to: str, address: str) -> None:
    """ClusterError if `address` is another HOST:PORT than the one that this process is connected to."""
    if address.rpartition(":")[2].isdecimal() and "//" not in address and address != connected_to:
        raise ClusterError(CONNECTED_ELSEWHERE(address=address, other=connected_to))


@contextmanager
def private() -> Iterator[None]:
    """While open, a Ray that this process starts serves this machine alone, and requires a token.

    Ray reads these variables when it is first imported. The first one makes it listen on 127.0.0.1, as it does by
    itself on Windows and macOS; versions before 2.52 have no tokens and ignore the others.
    """
    values = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    if "RAY_AUTH_MODE" not in os.environ:
        values |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    before = {name: os.environ.get(name) for name in values}
    if "ray" not in sys.modules:
        os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def connected(address: str, actors: int = 0, cpus: int = 1, limit_cpus: int | None = None) -> Iterator[Cluster]:
    """A cluster while the block runs: that at `address`, or for `LOCAL` one of this machine's own.

    actors, cpus: as `Cluster` has them
    limit_cpus:   how many CPUs a local one may use
    A local one listens on 127.0.0.1 alone. If this process is already connected, that cluster is used, and stays
    connected. ClusterError if Ray is not installed, cannot be reached, or if this process is connected to another
    address. Nodes need the requirements of the extra `standalone`; this package is sent to them.
    """
    with private() if address == LOCAL else nullcontext():
        try:
            import ray
        except ImportError as error:
            raise ClusterError(NEEDS_RAY()) from error
        yield from connected_by(ray, address, actors, cpus, limit_cpus)


def connected_by(ray: Any, address: str, actors: int, cpus: int, limit_cpus: int | None) -> Iterator[Cluster]:
    """The cluster of `connected`, by the module `ray`."""
    import clip_skip

    quiet = {"log_to_driver": False, "include_dashboard": False, "logging_level": "ERROR"}
    mine = not ray.is_initialized()
    if not mine:
        check_is_connected_to(ray.get_runtime_context().gcs_address, address)
    try:
        if not mine:
            pass
        elif address == LOCAL:
            ray.init(address="local", num_cpus=limit_cpus, **quiet)
        else:
            check_reachable(address)
            del quiet["include_dashboard"]
            package = str(Path(clip_skip.__file__).parent)
            ray.init(address=address, runtime_env={"py_modules": [package]}, **quiet)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        problem = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ClusterError(UNREACHABLE(address=address, problem=problem)) from error
    try:
        device = "cuda" if ray.cluster_resources().get("GPU", 0) >= 1 else "cpu"
        yield Cluster(device, actors, cpus)
    finally:
        if mine:
            ray.shutdown()
