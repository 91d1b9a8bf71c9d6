"""Prometheus metrics of a site's agent; none says anything about users or their number.

What happens is counted from the agent's own log events, so that metrics and logs cannot disagree.
What is the case (paused, halted, the data's health) is read from the folder when a scraper asks.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from recommons.client.operating.status import SiteStatus, read_status
from recommons.common.errors import RecommonsError

__all__ = ["SiteMetrics"]

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
_PARTS = ("fetching", "computing", "sending")


class SiteMetrics(logging.Handler):
    """Counts what the agent logs; add it to the agent's logger.

    Args:
        folder: The site's folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.registry = CollectorRegistry()
        self.connected = False
        self.registry.register(_Present(folder))
        ProcessCollector(registry=self.registry)
        own: dict[str, Any] = {"registry": self.registry, "namespace": "recommons_site"}
        self._connected = Gauge("connected", "The agent holds a lease.", **own)
        self._messages = Counter(
            "messages",
            "Messages of the coordinator, by kind and outcome.",
            ("kind", "outcome"),
            **own,
        )
        self._seconds = Histogram(
            "message_seconds", "Time of a message.", ("kind", "part"), buckets=_SECONDS, **own
        )
        self._bytes = Counter("bytes", "Bytes of messages.", ("direction",), **own)
        self._last = Gauge(
            "last_message_timestamp_seconds", "When a message was last answered.", **own
        )
        self._failures = Counter(
            "link_failures", "Failures of the line, by code.", ("code",), **own
        )
        self._chores = Counter("chore_failures", "Failed chores, by code.", ("code",), **own)

    def emit(self, record: logging.LogRecord) -> None:
        """Count one event."""
        fields: Mapping[str, Any] = getattr(record, "fields", {})
        code = str(fields.get("code"))
        match record.getMessage():
            case "connected":
                self._stand(connected=True)
            case "line lost":
                self._stand(connected=False)
                self._failures.labels(code=code).inc()
            case "stopped":
                self._stand(connected=False)
            case "message dropped":
                self._failures.labels(code=code).inc()
            case "chore failed":
                self._chores.labels(code=code).inc()
            case ("answered" | "refused") as outcome:
                self._count(outcome, fields)

    def _stand(self, *, connected: bool) -> None:
        self.connected = connected
        self._connected.set(connected)

    def _count(self, outcome: str, fields: Mapping[str, Any]) -> None:
        kind = str(fields["kind"])
        how = "failed" if outcome == "answered" and fields["failed"] else outcome
        self._messages.labels(kind=kind, outcome=how).inc()
        for part in _PARTS:
            seconds = fields[f"seconds_{part}"]
            if seconds is not None:  # the agent keeps to itself what would tell how many users
                self._seconds.labels(kind=kind, part=part).observe(seconds)
        self._bytes.labels(direction="in").inc(fields["bytes_in"])
        self._bytes.labels(direction="out").inc(fields["bytes_out"])
        self._last.set(time.time())


class _Present(Collector):
    """What is the case when a scraper asks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self) -> Iterable[Metric]:
        """Nothing to read when it is registered."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Read the folder."""
        try:
            status = read_status(self._folder)
        except RecommonsError as error:
            said = "The folder cannot be read, by the fault's code."
            fault = GaugeMetricFamily("recommons_site_fault", said, labels=["code"])
            fault.add_metric([error.code], 1)
            yield fault
            return
        yield InfoMetricFamily(
            "recommons_site",
            "The site and its software.",
            {
                "site": status.site,
                "federation": status.federation or "",
                "version": version("recommons"),
            },
        )
        for name, said, value in _gauges(status):
            yield GaugeMetricFamily(f"recommons_site_{name}", said, value)


def _gauges(status: SiteStatus) -> Iterable[tuple[str, str, float]]:
    yield "paused", "The operator has paused the site.", status.paused is not None
    yield "halted", "The site is an old backup and answers nothing.", status.halted
    yield (
        "earlier_ledger",
        "Others hold lines of a ledger that a site of this name had before: every run is refused.",
        status.earlier_ledger is not None,
    )
    yield "open_runs", "Runs joined that have not ended.", len(status.open_runs)
    yield "releases", "Releases received whole.", len(status.releases)
    yield "ledger_entries", "Length of the site's ledger.", status.ledger_entries
    if status.epoch is not None:
        yield "roster_epoch", "Epoch of the pinned roster.", status.epoch
    if status.data is not None:
        yield "data_ok", "The site's data could be read when they were last.", status.data.ok
        yield (
            "data_read_timestamp_seconds",
            "When the site's data were last read.",
            _seconds(status.data.time),
        )
    if status.certificate_ends is not None:
        yield (
            "certificate_end_timestamp_seconds",
            "When the site's certificate expires.",
            _seconds(status.certificate_ends),
        )


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
