"""Work done on many machines, by a Dask scheduler: units of plain data, in a window.

A unit goes out as the name of a function of ours and a map of numbers and texts; what comes back is
as plain. It knows nothing of checks: `gradcheck.plugin.distribution` and `gradcheck.fuzzing` say
what is to be done.
"""

from __future__ import annotations

import socket
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module, metadata
from importlib.util import find_spec
from queue import Empty, SimpleQueue
from typing import Any

from gradcheck.errors import UsageError

Unit = dict[str, Any]
"""What a function on a worker is told: numbers, texts, and lists and maps of them."""

_PATIENCE = 10.0  # seconds for a scheduler, or its first worker, to answer
_DESERTED = 60.0  # seconds without any worker, until what is left is given up
_LOOK = 0.2  # seconds between two looks at Ctrl-C
_REFRESH = 2.0  # seconds for which what workers there are is taken for known
_AHEAD = 2  # units in the window for each thread: one is done, the next lies ready
_SAME = ("gradcheck", "torch")


@dataclass(frozen=True, slots=True)
class Feed:
    """Units in order, taken one by one, all of them for workers that offer ``resources``."""

    units: Iterator[Unit]
    resources: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """A unit and its ``answer``; None where no worker outlived it, even alone."""

    unit: Unit
    answer: Any


class ClusterLost(RuntimeError):
    """The scheduler, or every worker, went away while there was work; says what is to be done."""


class Cluster:
    """The workers of a scheduler. Its state is the connection, and what is known of them."""

    def __init__(self, client: Any, address: str) -> None:
        self.client, self.address = client, address
        self._looked = 0.0
        self._known: dict[str, Any] = {}

    def workers(self) -> dict[str, Any]:
        """What the scheduler tells of each worker, by its address; a moment old at most."""
        if time.monotonic() > self._looked + _REFRESH:
            self._known = self.client.scheduler_info(n_workers=-1)["workers"]
            self._looked = time.monotonic()
        return self._known

    def capacity(self, resources: dict[str, float]) -> int:
        """Return how many units with such needs run at once."""
        count = 0
        for worker in self.workers().values():
            offered = worker.get("resources") or {}
            fits = [int(offered.get(name, 0) // amount) for name, amount in resources.items()]
            count += min([worker["nthreads"], *fits])
        return count

    def everywhere(self, work: str) -> dict[str, Any]:
        """Return what a function without arguments says on each worker, an exception included."""
        found: dict[str, Any] = self.client.run(perform, work, None, {}, on_error="return")
        return found

    def close(self) -> None:
        with suppress(Exception):  # it may be gone already, or be going
            self.client.close(timeout=2)


def connect(address: str, spelling: str = "--scheduler") -> Cluster:
    """Return the workers of the scheduler at an address, all of which are as this process is.

    Errors: UsageError where there is none, or no worker, or one with other versions.
    """
    if find_spec("distributed") is None:
        raise UsageError(
            f"{spelling} needs Dask's distributed, which is not installed",
            "distributed in the same environment as gradcheck",
            "pip install 'gradcheck[dask]'",
        )
    cluster = Cluster(_client(address, spelling), address)
    try:
        _wait_for_a_worker(cluster, spelling)
        _refuse_others(cluster, spelling)
    except BaseException:
        cluster.close()
        raise
    return cluster


def _client(address: str, spelling: str) -> Any:
    from distributed import Client  # half a second, for those who ask for it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions, which are compared here
            return Client(address, timeout=_PATIENCE, set_as_default=False)  # type: ignore[no-untyped-call]
    except Exception as error:  # of many kinds, by what is wrong with the address
        reason = (str(error) or type(error).__name__).partition("\n")[0]
        raise UsageError(
            f"{spelling} {address}: no scheduler answers there ({reason})",
            "the address of a running Dask scheduler, such as tcp://host:8786",
            "start one by `dask scheduler`, which prints it; a firewall must let it through",
        ) from None


def _wait_for_a_worker(cluster: Cluster, spelling: str) -> None:
    try:
        cluster.client.wait_for_workers(1, timeout=_PATIENCE)
    except Exception:
        raise UsageError(
            f"{spelling} {cluster.address}: the scheduler has no worker",
            "a worker at least",
            f"start `dask worker {cluster.address} --nthreads 1`, one for each core",
        ) from None


def _refuse_others(cluster: Cluster, spelling: str) -> None:
    """Errors: UsageError for the workers that are not as this process is."""
    complaints = []
    for worker, found in sorted(cluster.everywhere("gradcheck.cluster:versions").items()):
        complaint = _complaint(found)
        if complaint:
            complaints.append(f"the worker {worker} {complaint}")
    if complaints:
        more = f" (and {len(complaints) - 1} more)" if len(complaints) > 1 else ""
        raise UsageError(f"{spelling} {cluster.address}: {complaints[0]}{more}", _ALIKE, _UPDATE)


_ALIKE = "the same releases of gradcheck and torch on every machine"
_UPDATE = "install them in the worker's environment, and start it again"


def _complaint(found: Any) -> str:
    if isinstance(found, BaseException):
        return f"has no such gradcheck: {type(found).__name__}: {found}"
    theirs = found["answer"]
    for name, ours in versions().items():
        if theirs.get(name) != ours:
            return f"has {name} {theirs.get(name)}, and this process {ours}"
    return ""


def versions() -> dict[str, str]:
    """Return the releases that must be the same everywhere."""
    return {name: metadata.version(name) for name in _SAME}


def perform(work: str, unit: Unit | None, expected: dict[str, str]) -> dict[str, Any]:
    """On a worker: call the function that ``work`` names (``module:name``) with a unit.

    A worker may come late, so each unit says which releases it is for. What the function finds
    amiss with this machine (UsageError) is an answer too, which ends the campaign.
    """
    here = versions() if expected else {}
    if here != expected:
        return {"refused": (f"the worker on {socket.gethostname()} has {here}", _ALIKE, _UPDATE)}
    module, _, name = work.partition(":")
    function = getattr(import_module(module), name)
    try:
        return {"answer": function() if unit is None else function(unit)}
    except UsageError as error:
        return {"refused": error.args}


def _itself(unit: Unit) -> Sequence[Unit]:
    return [unit]


def _nothing() -> None:
    pass


def done(
    cluster: Cluster,
    work: str,
    feeds: Iterable[Feed],
    *,
    parts: Callable[[Unit], Sequence[Unit]] = _itself,
    while_waiting: Callable[[], None] = _nothing,
) -> Iterator[Done]:
    """Have every unit done by the function that ``work`` names; yield each as it ends.

    No more units are out than the workers need to be busy. Those of a worker that was lost are done
    again. Where several workers were lost over a unit, it may be another's doing: once all others
    have ended, its ``parts`` are done one by one, and one over which workers are lost again is to
    blame. ``while_waiting`` is called now and then, and may raise.

    Errors: UsageError for a worker that cannot do a unit; ClusterLost; what a unit raised.
    """
    campaign = _Campaign(cluster, work)
    suspects: deque[tuple[Unit, dict[str, float]]] = deque()
    pending = list(feeds)
    try:
        while True:
            if not suspects:
                pending = [feed for feed in pending if campaign.fill(feed)]
            elif not campaign.running:
                campaign.submit(*suspects.popleft(), alone=True)
            if not campaign.running:
                return
            sent, answer = campaign.next(while_waiting)
            if answer is not None or sent.alone:
                yield Done(sent.unit, answer)
            else:
                suspects += [(part, sent.resources) for part in parts(sent.unit)]
    finally:
        campaign.cancel()


@dataclass(frozen=True, slots=True)
class _Sent:
    unit: Unit
    resources: dict[str, float]
    alone: bool
    future: Any


class _Campaign:
    """The units that are out, by their keys; they change as units come and go."""

    def __init__(self, cluster: Cluster, work: str) -> None:
        self.cluster, self.work, self.expected = cluster, work, versions()
        self.running: dict[str, _Sent] = {}
        self.arrived: SimpleQueue[str] = SimpleQueue()
        self.deserted_since: float | None = None

    def submit(self, unit: Unit, resources: dict[str, float], *, alone: bool = False) -> None:
        future = self.cluster.client.submit(
            perform, self.work, unit, self.expected, pure=False, resources=resources or None
        )
        self.running[future.key] = _Sent(unit, resources, alone, future)
        future.add_done_callback(lambda future: self.arrived.put(future.key))

    def fill(self, feed: Feed) -> bool:
        """Send units until the window is full; whether there may be more."""
        room = max(1, _AHEAD * self.cluster.capacity(feed.resources))
        out = sum(sent.resources == feed.resources for sent in self.running.values())
        for _ in range(room - out):
            unit = next(feed.units, None)
            if unit is None:
                return False
            self.submit(unit, feed.resources)
        return True

    def next(self, while_waiting: Callable[[], None]) -> tuple[_Sent, Any]:
        """The next unit that ends, with its answer; None where workers were lost over it."""
        while True:
            while_waiting()
            with suppress(Empty):
                sent = self.running.pop(self.arrived.get(timeout=_LOOK))
                return sent, self._answer(sent.future)
            self._look_for_workers()

    def _answer(self, future: Any) -> Any:
        from distributed import KilledWorker

        if future.status == "error":
            error = future.exception()
            if isinstance(error, KilledWorker):
                return None
            raise error
        if future.status != "finished":
            raise ClusterLost(f"the scheduler at {self.cluster.address} is gone")
        told = future.result()
        if "refused" in told:
            raise UsageError(*told["refused"])
        return told["answer"]

    def _look_for_workers(self) -> None:
        if self.cluster.client.status != "running" or self.cluster.workers():
            self.deserted_since = None
            return
        now = time.monotonic()
        self.deserted_since = self.deserted_since or now
        if now > self.deserted_since + _DESERTED:
            raise ClusterLost(
                f"the scheduler at {self.cluster.address} has had no worker for {_DESERTED:g} s"
            )

    def cancel(self) -> None:
        """Call back what has not begun; a worker ends what it is at, and tells nobody."""
        futures = [sent.future for sent in self.running.values()]
        self.running.clear()
        if futures and self.cluster.client.status == "running":
            with suppress(Exception):
                self.cluster.client.cancel(futures)
