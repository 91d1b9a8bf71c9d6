"""How long an audit takes: `recommons bench audit`."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

from recommons.common.audit.audit import audit
from recommons.common.audit.files import read_sources
from recommons.common.audit.findings import Findings
from recommons.common.audit.signatures import LineBatch
from recommons.common.secagg.identity import SigningIdentity, is_signed
from recommons.simulations.benchmarks.audit_ledgers import write_ledgers
from recommons.simulations.benchmarks.timings import Timings

__all__ = ["FULL", "QUICK", "Extent", "measure_audit"]

_CHECKS = 2_000
_MESSAGE = bytes(1_200)
"""About a line."""


@dataclass(frozen=True, kw_only=True)
class Extent:
    """What is measured.

    Attributes:
        sites: Number of sites.
        lines: Lines of each site's ledger, at least.
        rounds: Rounds of a run.
    """

    sites: int
    lines: int
    rounds: int


FULL = Extent(sites=10, lines=10_000, rounds=30)
QUICK = Extent(sites=4, lines=200, rounds=10)


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One audit.

    Attributes:
        what: What was audited.
        lines: Lines of ledgers.
        receipts: Receipts read, a copy in each file counted.
        signatures: Signatures verified, each once.
        seconds: Of the whole command, from its start to its end.
        signing: Of these at least, for the signatures alone, on all cores.
        verdict: What came out.
    """

    what: str
    lines: int
    receipts: int
    signatures: int
    seconds: float
    signing: float
    verdict: str


def measure_audit(*, extent: Extent, as_json: bool) -> None:
    """Write ledgers, audit them, and print how long it took and what for.

    Args:
        extent: How many, how long.
        as_json: Print JSON.
    """
    each = _seconds_a_signature()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_ledgers(folder, sites=extent.sites, lines=extent.lines, rounds=extent.rounds)
        ledgers = sorted(folder.glob("site-*.ledger.jsonl"))
        rows = [
            _row("sites' ledgers", ledgers, each),
            _row("sites' ledgers, each signature", ledgers, each, each_line=True),
            _row("everybody's ledgers and receipts", [folder], each),
        ]
    figures = {
        "cores": os.cpu_count(),
        "microseconds_a_signature": each * 1e6,
        "rounds_of_a_run": extent.rounds,
        "rows": [asdict(row) for row in rows],
    }
    typer.echo(json.dumps(figures, indent=2) if as_json else _table(rows, each, extent))


def _seconds_a_signature() -> float:
    """CPU seconds to verify one, the least of several measurements."""
    identity = SigningIdentity(bytes(32))
    signature = identity.sign("bench", _MESSAGE)
    timings = Timings()

    def verify() -> None:
        for _ in range(_CHECKS):
            is_signed(identity.public_key, signature, "bench", _MESSAGE)

    for _ in range(5):
        timings.take(verify)
    return timings.least / _CHECKS


def _row(what: str, paths: list[Path], each: float, *, each_line: bool | None = None) -> _Row:
    command = [sys.executable, "-m", "recommons.common.commandline", "audit", "--json"]
    command += ["--every-signature"] if each_line else []
    start = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - this very program, on files made here
        [*command, *map(str, paths)], check=False, capture_output=True, text=True
    )
    seconds = time.perf_counter() - start
    report = json.loads(done.stdout)
    counted = _Counting()
    again = audit(list(read_sources(paths, Findings())), mapper=counted, each_line=each_line)
    return _Row(
        what=what,
        lines=sum(ledger["entries"] for ledger in report["ledgers"]),
        receipts=again.receipts,
        signatures=counted.signatures,
        seconds=seconds,
        signing=counted.signatures * each / (os.cpu_count() or 1),
        verdict=report["verdict"],
    )


class _Counting:
    """A `map` that counts the signatures it is given, and believes them."""

    def __init__(self) -> None:
        self.signatures = 0

    def __call__(self, function: Callable[[Any], Any], batches: Iterable[Any]) -> Iterable[Any]:
        for batch in batches:
            lines = isinstance(batch, LineBatch)
            self.signatures += len(batch.lines if lines else batch)
            yield None if lines else [True] * len(batch)


def _table(rows: list[_Row], each: float, extent: Extent) -> str:
    found = [
        f"{extent.sites} sites, runs of {extent.rounds} rounds, {os.cpu_count()} cores, "
        f"{each * 1e6:.0f} µs to verify an Ed25519 signature",
        "",
        f"{'':34}{'lines':>9}{'receipts':>10}{'signatures':>12}{'seconds':>9}{'at least':>10}",
    ]
    found += [
        f"{row.what:34}{row.lines:>9,}{row.receipts:>10,}{row.signatures:>12,}"
        f"{row.seconds:>9.1f}{row.signing:>10.1f}  {row.verdict}"
        for row in rows
    ]
    found += ["", "at least: for the signatures alone, with every core at work on nothing else"]
    return "\n".join(found)
