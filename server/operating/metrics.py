"""Prometheus metrics of a coordinator: read from its home when a scraper asks, and counted nowhere.

Nothing here is about users: bytes, steps, sites and named codes, as `recommons coordinator status`
shows them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from recommons.common.errors import RecommonsError
from recommons.server.operating.attendance import is_attended
from recommons.server.operating.processes import process_states
from recommons.server.operating.status import RunStatus, Status
from recommons.server.operating.status_reading import read_status
from recommons.server.records.home import CoordinatorHome
from recommons.server.records.releases import RELEASES
from recommons.server.records.runs import RUNS, Runs

__all__ = ["coordinator_registry", "reasons"]

_STATES = ("running", "waiting", "stopped", "failed", "finished", "damaged")
_PREFIX = "recommons_coordinator"

Online = Callable[[], frozenset[str] | None]
"""The sites that are connected, as of a few seconds ago; None where nobody knows."""


def reasons(home: CoordinatorHome, online: Online) -> list[str]:
    """Why no run can be carried out just now, by named codes; empty where one can."""
    found = []
    try:
        Runs(home.folder).federation()
    except (RecommonsError, OSError) as error:
        found.append(error.code if isinstance(error, RecommonsError) else "coordinator/home")
    processes = process_states(home.folder / "superlink")
    if not processes or not all(process["up"] for process in processes):
        found.append("coordinator/process")
    if online() is None:
        found.append("coordinator/superlink")
    return found


def coordinator_registry(home: CoordinatorHome, online: Online) -> CollectorRegistry:
    """Metrics of the supervisor's own process, and of the home."""
    registry = CollectorRegistry()
    registry.register(_Home(home, online))
    ProcessCollector(registry=registry)
    return registry


class _Home(Collector):
    """What is the case when a scraper asks."""

    def __init__(self, home: CoordinatorHome, online: Online) -> None:
        self._home, self._online = home, online
        self._read: tuple[object, Status] | None = None

    def describe(self) -> Iterable[Metric]:
        """Nothing to read when it is registered."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Read the home."""
        try:
            status = self._status()
        except (RecommonsError, OSError) as error:
            yield _fault(error.code if isinstance(error, RecommonsError) else "coordinator/home")
            return
        if status.fault is not None:
            yield _fault(status.fault[0])
        yield InfoMetricFamily(
            _PREFIX,
            "The federation and the software.",
            {"federation": status.federation, "version": version("recommons")},
        )
        yield from _of_sites(status)
        yield from _of_processes(status)
        yield from _of_runs(status)

    def _status(self) -> Status:
        """As `read_status`, which adds up what every run has cost: anew where something changed."""
        online, folder = self._online(), self._home.folder
        of_now = (online, _changed(folder))
        if self._read is None or self._read[0] != of_now:
            self._read = of_now, read_status(self._home, online=online)
        return replace(self._read[1], processes=tuple(process_states(folder / "superlink")))


def _changed(home: Path) -> tuple[object, ...]:
    """Changes with every file of a home that its status is read from, and with who is at work."""
    runs = sorted((home / RUNS).glob("*/"))
    files = [
        *(home / name for name in ("ledger.jsonl", "federation.json", "sites.json", RELEASES)),
        *(path for run in runs for path in sorted(run.glob("*.json"))),
    ]
    return (*map(_stamp, files), *map(is_attended, runs))


def _stamp(path: Path) -> tuple[Path, int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return path, found.st_ino, found.st_size, found.st_mtime_ns


def _of_sites(status: Status) -> Iterator[Metric]:
    if status.epoch is not None:
        yield _gauge("roster_epoch", "Epoch of the roster in force.", status.epoch)
    yield _gauge("sites", "Sites that are let in.", sum(site.member for site in status.sites))
    # As the alert reads it: a site that is gone is 0, and one that nobody knows about is not there.
    connected = GaugeMetricFamily(
        f"{_PREFIX}_site_connected", "Whether a site is connected.", labels=("site",)
    )
    for site in status.sites:
        if site.connected is not None:
            connected.add_metric((site.site,), site.connected)
    yield connected


def _of_processes(status: Status) -> Iterator[Metric]:
    up = GaugeMetricFamily(
        f"{_PREFIX}_process_up", "Whether a process of the coordinator's is up.", labels=("name",)
    )
    starts = CounterMetricFamily(
        f"{_PREFIX}_process_starts", "How often it was started.", labels=("name",)
    )
    since = GaugeMetricFamily(
        f"{_PREFIX}_process_start_timestamp_seconds", "When it was.", labels=("name",)
    )
    for process in status.processes:
        name = (str(process["name"]),)
        up.add_metric(name, bool(process["up"]))
        starts.add_metric(name, float(process["starts"]))
        if process["since"]:
            since.add_metric(name, datetime.fromisoformat(process["since"]).timestamp())
    yield from (up, starts, since)


def _of_runs(status: Status) -> Iterator[Metric]:
    states = Counter(run.state for run in status.runs)
    runs = GaugeMetricFamily(f"{_PREFIX}_runs", "Runs by state.", labels=("state",))
    for state in _STATES:
        runs.add_metric((state,), states[state])
    yield runs
    yield _gauge("releases", "Models released.", len(status.releases))
    aborts = CounterMetricFamily(
        f"{_PREFIX}_aborted_attempts", "Attempts that came to nothing, by code.", labels=("code",)
    )
    for code, count in Counter(a["code"] for run in status.runs for a in run.aborts).items():
        aborts.add_metric((code,), count)
    yield aborts
    if status.runs:
        yield from _of_latest(status.runs[-1])


def _of_latest(run: RunStatus) -> Iterator[Metric]:
    yield _gauge("run_round", "The latest run's round in hand, from 1.", run.round)
    yield _gauge("run_rounds", "Rounds of its plan.", run.rounds)
    yield _gauge("run_attempt", "The attempt at the round, from 1.", run.attempt)
    yield _gauge("run_dropped_sites", "Sites lost in the attempt in hand.", len(run.dropped))
    moved = GaugeMetricFamily(
        f"{_PREFIX}_run_bytes", "Bytes since it was taken up.", labels=("direction",)
    )
    moved.add_metric(("in",), run.bytes_up)
    moved.add_metric(("out",), run.bytes_down)
    yield moved
    if run.epsilon_spent is not None and run.epsilon_reserved is not None:
        yield _gauge("run_epsilon_released", "ε of what it has released.", run.epsilon_spent)
        yield _gauge("run_epsilon_reserved", "ε that sites reserved.", run.epsilon_reserved)
    if run.updated is not None:
        with suppress(ValueError):  # e.g. the 31st of February, which the ledger's schema lets pass
            moment = datetime.fromisoformat(run.updated).timestamp()
            yield _gauge("run_updated_timestamp_seconds", "When it was last heard of.", moment)


def _fault(code: str) -> GaugeMetricFamily:
    said = "The ledger or another file of the home cannot be read, by the fault's code."
    fault = GaugeMetricFamily(f"{_PREFIX}_fault", said, labels=["code"])
    fault.add_metric([code], 1)
    return fault


def _gauge(name: str, said: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{_PREFIX}_{name}", said, value)
