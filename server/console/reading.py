"""Everything the coordinator's console shows, read from its files and changed nowhere.

| file | what is taken from it |
|---|---|
| `federation.json` | the roster and the coordinator's public key |
| `ledger.key` | the key under which the ledger began, where another is in force now |
| `ledger.jsonl` | runs, attempts, survivors, costs, releases; every line is verified |
| `runs/NNN/run.json` | which folder belongs to which run |
| `runs/NNN/progress.json`, `progress.jsonl` | where a run stands; bytes |
"""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recommons.common.console.following import FollowedLedger
from recommons.common.errors import InvalidInput
from recommons.common.federation import Federation
from recommons.common.heads import COORDINATOR
from recommons.common.published import ReleaseNote
from recommons.server.console.history import Attempt, Run, runs_of
from recommons.server.console.progress_files import Live, ProgressFollowed, Traffic, traffic_of
from recommons.server.operating.attendance import is_attended, last_end
from recommons.server.operating.processes import process_states
from recommons.server.records.folder import first_identity
from recommons.server.records.releases import RELEASES, ReleaseShelf

__all__ = ["CoordinatorReader", "Overview", "RunSeen", "SiteSeen"]


@dataclass(frozen=True, kw_only=True)
class RunSeen:
    """A run with what its folder adds to the ledger.

    Attributes:
        name: The folder's name, or the first digits of the run's id.
        run: From the ledger.
        state: ``running``; ``waiting``: no process carries it out, it can go on; ``stopped``: the
            operator stopped it, it can go on; ``failed``; ``finished``.
        code: Why it is not going on, None where it is or where it finished.
        live: Where it stands, None where nothing says so.
        traffic: Bytes by (round, attempt).
    """

    name: str
    run: Run
    state: str
    code: str | None
    live: Live | None
    traffic: Mapping[tuple[int, int], Traffic]

    @property
    def going_on(self) -> bool:
        """Whether an attempt is open now."""
        return self.state == "running" and self.run.current is not None

    @property
    def current(self) -> Live | None:
        """Its progress, if that is about the attempt which is open."""
        attempt = self.run.current
        if attempt is None or self.live is None:
            return None
        same = (self.live.round, self.live.attempt) == (attempt.round, attempt.attempt)
        return self.live if same else None

    def bytes_of(self, attempt: Attempt) -> Traffic | None:
        """Bytes of one attempt."""
        return self.traffic.get((attempt.round, attempt.attempt))


@dataclass(frozen=True, kw_only=True)
class SiteSeen:
    """A site of the roster.

    Attributes:
        site: Its id.
        name: What people call it.
        sums: Sums that held its vector.
        missed: Attempts of runs it belongs to in which it was not among the survivors.
        last: When it was last in a sum; empty for never.
    """

    site: str
    name: str
    sums: int
    missed: int
    last: str


@dataclass(frozen=True, kw_only=True)
class Overview:
    """All of it.

    Attributes:
        federation: The federation's id, empty before the first site is approved.
        epoch: Of the roster.
        roster_hash: Hex.
        sites: Of the roster.
        runs: The latest first.
        releases: Published models, the latest first.
        processes: The coordinator's own: name, pid, whether it is up, since when, starts.
        fault: (code, message) where the ledger does not verify.
    """

    federation: str = ""
    epoch: int = 0
    roster_hash: str = ""
    sites: tuple[SiteSeen, ...] = ()
    runs: tuple[RunSeen, ...] = ()
    releases: tuple[ReleaseNote, ...] = ()
    processes: tuple[Mapping[str, Any], ...] = ()
    fault: tuple[str, str] | None = None


@dataclass(eq=False)
class CoordinatorReader:
    """Reads a coordinator's home, or the folder of one run, again and again.

    Attributes:
        home: The folder.
    """

    home: Path
    _ledger: FollowedLedger | None = None
    _key: bytes = b""
    _progress: dict[Path, ProgressFollowed] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _runs: list[Run] = field(default_factory=list)
    _read: tuple[int, str] = (0, "")

    def check(self) -> None:
        """Refuse a folder that is no coordinator's.

        Raises:
            InvalidInput: ``console/folder``.
        """
        signs = ("federation.toml", "coordinator.toml", "federation.json")
        if not any((self.home / name).exists() for name in signs):
            raise InvalidInput(
                "console/folder", f"{self.home} is neither a coordinator's home nor a run's folder"
            )

    def read(self) -> Overview:
        """The state of now.

        Raises:
            InvalidInput: A file is there but not as it must be.
        """
        with self._lock:
            try:
                data = (self.home / "federation.json").read_bytes()
            except FileNotFoundError:
                return Overview()
            federation = Federation.from_bytes(data)
            ledger = self._followed(federation)
            runs = self._told(ledger)
            folders = self._folders()
            seen = [self._seen(run, folders.get(run.id)) for run in runs]
        roster, fault = federation.roster, ledger.fault
        return Overview(
            federation=roster.federation,
            epoch=roster.epoch,
            roster_hash=roster.hash.hex(),
            sites=tuple(_site(entry.site, entry.name, runs) for entry in roster.sites),
            runs=tuple(reversed(seen)),
            releases=ReleaseShelf(self.home / RELEASES).notes()[::-1],
            processes=tuple(process_states(self.home / "superlink")),
            fault=None if fault is None else (fault.code, fault.message),
        )

    def _followed(self, federation: Federation) -> FollowedLedger:
        records = _records(self.home)
        first = first_identity(records)  # a ledger goes on under the key with which it began
        key = federation.coordinator_key if first is None else first.public_key
        if self._ledger is None or self._key != key:
            self._key = key
            self._ledger = FollowedLedger(records / "ledger.jsonl", key, COORDINATOR)
        return self._ledger

    def _told(self, ledger: FollowedLedger) -> list[Run]:
        """The runs in the ledger, read again only where it has changed."""
        entries = ledger.entries()
        read = (len(entries), entries[-1].hash.hex() if entries else "")
        if read != self._read:
            self._runs, self._read = runs_of(entries), read
        return self._runs

    def _folders(self) -> dict[str, Path]:
        """Run folders by run id."""
        found = {}
        for folder in (self.home, *sorted((self.home / "runs").glob("*/"))):
            try:
                found[(folder / "run.json").read_text("utf-8").strip()] = folder
            except (OSError, ValueError):
                continue
        return found

    def _seen(self, run: Run, folder: Path | None) -> RunSeen:
        state, code = _state(run, folder)
        if folder is None:
            name = run.id[:8]
            return RunSeen(name=name, run=run, state=state, code=code, live=None, traffic={})
        progress = self._progress.setdefault(folder, ProgressFollowed(folder))
        name = run.id[:8] if folder == self.home else folder.name
        traffic = traffic_of(progress.events())
        live = progress.live()
        return RunSeen(name=name, run=run, state=state, code=code, live=live, traffic=traffic)


def _records(home: Path) -> Path:
    """Where the ledger is: a run's folder may say that it lies elsewhere."""
    try:
        named = (home / "records").read_text("utf-8").strip()
    except FileNotFoundError:
        return home
    return Path(os.path.normpath(home / named))


def _state(run: Run, folder: Path | None) -> tuple[str, str | None]:
    """What the ledger says, unless the run's folder tells whether a process is at it."""
    if run.ended or folder is None or not (folder / "lock").exists():
        return run.state, run.last_code
    if is_attended(folder):
        return "running", None
    end = last_end(folder)
    code = "run/interrupted" if end is None or end.code is None else end.code
    return ("stopped" if code == "run/stopped" else "waiting"), code


def _site(site: str, name: str, runs: list[Run]) -> SiteSeen:
    own = [a for run in runs if site in run.plan.cohort for a in run.attempts]
    summed = [a for a in own if a.outcome == "summed"]
    there = [a for a in summed if a.survivors is not None and site in a.survivors]
    missed = [a for a in own if a.outcome != "open" and site in a.missing]
    return SiteSeen(
        site=site,
        name=name,
        sums=len(there),
        missed=len(missed),
        last=there[-1].ended if there else "",
    )
