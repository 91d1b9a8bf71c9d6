"""`recommons bench secagg`: beside Flower's functions, and by size of cohort."""

import json
import os
import platform
import sys
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cryptography.hazmat.backends.openssl import backend
from rich.console import Console
from rich.table import Table

from recommons.common.units import byte_size, duration
from recommons.simulations.benchmarks.results_folder import writable_folder
from recommons.simulations.benchmarks.secagg_attempt import AttemptCost, play_attempt
from recommons.simulations.benchmarks.secagg_cohort import Cohort
from recommons.simulations.benchmarks.secagg_expansion import ExpansionCost, measure_expansion
from recommons.simulations.benchmarks.secagg_picture import draw
from recommons.simulations.benchmarks.secagg_rows import TARGETS, Row, measure_rows

__all__ = ["FULL", "QUICK", "Extent", "Measured", "measure_secagg"]

_METHOD = (
    "Ours and the peer in turn, in one process; each turn runs once unmeasured, so that the caches "
    "hold its own data, and once measured; the least of the repetitions, and of wall clock and CPU "
    "seconds of all threads. Attempts: every site's state machine resumed from durable bytes for "
    "every step, in as many processes as cores; CPU seconds."
)


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is measured.

    Attributes:
        repetitions: Of each side of each row.
        cohorts: Sizes of the simulated attempts.
        coordinates: Of their vectors.
        expansions: Dropped sites, survivors and coordinates of each comparison of threads and
            processes.
    """

    repetitions: int
    cohorts: tuple[int, ...]
    coordinates: int
    expansions: tuple[tuple[int, int, int], ...]


FULL = Extent(
    repetitions=15,
    cohorts=(10, 30, 100, 300, 1000),
    coordinates=100_000,
    expansions=((100, 900, 100_000), (20, 90, 1_000_000)),
)
QUICK = Extent(repetitions=2, cohorts=(4, 10), coordinates=1000, expansions=((2, 8, 10_000),))


@dataclass(kw_only=True)
class Measured:
    """What has been measured so far; its JSON is `secagg.json`."""

    rows: list[Row] = field(default_factory=list)
    attempts: list[AttemptCost] = field(default_factory=list)
    expansions: list[ExpansionCost] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """``results`` first: what is compared; then how, and what else was measured."""
        return {
            "results": [row.result() for row in self.rows],
            "targets": TARGETS,
            "method": _METHOD,
            "work": {row.name: row.work for row in self.rows},
            "samples": {
                row.name: {side: asdict(times) for side, times in row.samples.items()}
                for row in self.rows
            },
            "attempts": [asdict(attempt) for attempt in self.attempts],
            "expansions": [asdict(expansion) for expansion in self.expansions],
            "machine": _machine(),
        }


def measure_secagg(*, extent: Extent, output: Path | None, as_json: bool) -> Measured:
    """Measure, print, and write `secagg.json` and `secagg.svg`; see `commands.secagg`.

    Raises:
        RecommonsError: ``bench/output``, before anything is measured; ``bench/wrong``: something
            measured was also wrong.
    """
    output = writable_folder(output)
    console = Console(stderr=True)
    cores = os.cpu_count() or 1

    def listen(what: str) -> None:
        console.print(what, style="dim")

    measured = Measured()
    measured.rows = measure_rows(extent.repetitions, listen)
    for sites in extent.cohorts:
        cohort = Cohort(sites=sites, coordinates=extent.coordinates)
        measured.attempts.append(play_attempt(cohort, processes=cores, listen=listen))
        _write(measured, output)  # after every size: a long measurement may be cut short
    for dropped, survivors, coordinates in extent.expansions:
        listen(f"masks of {dropped} dropped sites with {survivors} survivors: threads, processes")
        measured.expansions += measure_expansion(
            dropped=dropped, survivors=survivors, coordinates=coordinates, workers=cores
        )
    _write(measured, output)
    if as_json:
        sys.stdout.write(json.dumps(measured.to_json(), indent=2) + "\n")
    else:
        for table in (_rows(measured), _attempts(measured), _expansions(measured)):
            Console().print(table)
    return measured


def _write(measured: Measured, output: Path | None) -> None:
    if output is not None:
        (output / "secagg.json").write_text(json.dumps(measured.to_json(), indent=2) + "\n")
        (output / "secagg.svg").write_text(draw(measured.rows, measured.attempts))


def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "cryptography": version("cryptography"),
        "openssl": backend.openssl_version_text(),
        "flwr": version("flwr"),
    }


def _processor() -> str:
    known = Path("/proc/cpuinfo")  # platform.processor() is empty on many Linux systems
    lines = known.read_text().splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _rows(measured: Measured) -> Table:
    table = Table("", "ours", "peer", "ratio", "at least", title="Side by side")
    for row in measured.rows:
        table.add_row(
            row.name,
            f"{row.ours:.2f} {row.unit}",
            f"{row.peer:.2f} {row.unit}",
            f"{row.ratio:.2f}",
            f"{TARGETS[row.name]:g}",
        )
    return table


def _attempts(measured: Measured) -> Table:
    coordinates = measured.attempts[0].coordinates if measured.attempts else 0
    table = Table(
        "sites",
        "dropped",
        "a site, CPU",
        "coordinator, CPU",
        "of it recovery",
        "wall",
        "bytes a member",
        "memory",
        title=f"Whole attempts, vectors of {coordinates:,} coordinates",
    )
    for attempt in measured.attempts:
        table.add_row(
            str(attempt.sites),
            str(attempt.dropped),
            duration(attempt.site_cpu_seconds),
            duration(attempt.coordinator_cpu_seconds),
            duration(attempt.recovery_cpu_seconds),
            duration(attempt.wall_seconds),
            f"{attempt.overhead_per_member:.0f}",
            byte_size(attempt.memory_bytes),
        )
    return table


def _expansions(measured: Measured) -> Table:
    table = Table(
        "dropped × survivors",
        "coordinates",
        "",
        "wall",
        "CPU",
        title="Masks removed at the coordinator",
    )
    for cost in measured.expansions:
        table.add_row(
            f"{cost.dropped} × {cost.survivors}",
            f"{cost.coordinates:,}",
            cost.way if cost.workers == 1 else f"{cost.workers} {cost.way}",
            duration(cost.wall_seconds),
            duration(cost.cpu_seconds),
        )
    return table
