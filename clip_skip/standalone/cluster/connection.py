"""A Ray cluster: the connection, and its makers, one for each GPU, or for each CPU where there is no GPU.

Ray places them. The pictures come back to this process, so no shared file system is needed.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from clip_skip.standalone.cluster.actor import RemoteMaker
from clip_skip.standalone.cluster.spread import ClusterError, Spread, said
from clip_skip.standalone.engine.makers import Maker, Supply
from clip_skip.standalone.engine.progress import Progress

if TYPE_CHECKING:
    from clip_skip.standalone.engine.engine import Made

__all__ = ["LOCAL", "Cluster", "ClusterError", "connected"]

LOCAL = "local"
"""The address that means a Ray of this machine's own, which ends with the command."""

C = TypeVar("C")


@dataclass(frozen=True)
class Cluster:
    """A Ray that this process is connected to.

    device: what the makers use, "cuda" where the cluster has a GPU, else "cpu"
    actors: how many makers; 0 is as many as there is room for
    cpus:   what each of them takes, and a GPU if there is one
    """

    device: str
    actors: int = 0
    cpus: int = 1

    def run(
        self, supply: Supply[C], new: Callable[[], Maker], progress: Progress
    ) -> Iterator[tuple[tuple[C, ...], Made]]:
        """Make all of `supply`, in no order.

        Raises what a maker raises, and ClusterError where there is no room for one, or all have died.
        """
        import ray

        wanted = {"CPU": self.cpus, **({"GPU": 1} if self.device == "cuda" else {})}
        there = room(wanted)
        options = {"num_cpus": self.cpus, "num_gpus": wanted.get("GPU", 0), "max_restarts": 0}
        actor = ray.remote(RemoteMaker).options(**options)
        spread = Spread(supply, lambda: actor.remote(new, self.cpus), self.actors or there, progress)
        try:
            yield from spread.run()
        finally:
            for place in spread.places:
                ray.kill(place.maker)


def room(wanted: Mapping[str, int]) -> int:
    """How many makers that take so much the nodes have room for. ClusterError where it is for none."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    count = sum(int(min(has.get(name, 0) // amount for name, amount in wanted.items())) for has in nodes)
    if not count:
        there = "; ".join(said(has) for has in nodes)
        raise ClusterError(f"--ray: no node has room for an actor, which takes {said(wanted)}. The nodes have {there}")
    return count


def knock(address: str) -> None:
    """OSError where nobody is at HOST:PORT, which Ray finds out in a quarter of an hour."""
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "//" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


@contextmanager
def connected(address: str, actors: int = 0, cpus: int = 1, limit_cpus: int | None = None) -> Iterator[Cluster]:
    """A cluster while the block runs: that at `address`, or for `LOCAL` one of this machine's own.

    actors, cpus: as `Cluster` has them
    limit_cpus:   how many CPUs a local one may use
    ClusterError where Ray is not installed or not there. Nodes need what `clip-skip[standalone]` needs; this package is
    sent to them.
    """
    try:
        import ray
    except ImportError as error:
        raise ClusterError("--ray needs Ray: pip install clip-skip[ray]") from error
    import clip_skip

    quiet = {"log_to_driver": False, "include_dashboard": False, "logging_level": "ERROR"}
    mine = not ray.is_initialized()
    try:
        if not mine:
            pass
        elif address == LOCAL:
            ray.init(address="local", num_cpus=limit_cpus, **quiet)
        else:
            knock(address)
            del quiet["include_dashboard"]
            package = str(Path(clip_skip.__file__).parent)
            ray.init(address=address, runtime_env={"py_modules": [package]}, **quiet)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise ClusterError(f"--ray: {address} cannot be reached: {str(error).splitlines()[0]}") from error
    try:
        device = "cuda" if ray.cluster_resources().get("GPU", 0) >= 1 else "cpu"
        yield Cluster(device, actors, cpus)
    finally:
        if mine:
            ray.shutdown()
