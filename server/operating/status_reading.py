"""Where a coordinator stands, read from its home alone; no process is asked and nothing is locked.

What a run has done comes from the ledger, what it is doing from the files of `attendance`. The
ledger is not verified here (`recommons audit` does that). A damaged line of it, or a damaged run,
is told beside all that can be read.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recommons.common.errors import InvalidInput, RecommonsError
from recommons.common.federation import Federation
from recommons.common.plan import Plan
from recommons.common.privacy.accounting import epsilon, epsilon_of
from recommons.common.privacy.events import event_from_json
from recommons.server.operating.attendance import is_attended, last_end, last_progress
from recommons.server.operating.ledger_reading import LedgerRead, read_ledger
from recommons.server.operating.processes import process_states
from recommons.server.operating.status import ReleaseStatus, RunStatus, SiteStatus, Status
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.records.home import CoordinatorHome
from recommons.server.records.releases import RELEASES, ReleaseShelf
from recommons.server.records.runs import RUNS, Runs, flower_runs

__all__ = ["read_status", "run_states"]

Entries = Iterable[Mapping[str, Any]]

_GOES_ON = frozenset({"run/stopped"})


def read_status(home: CoordinatorHome, *, online: frozenset[str] | None = None) -> Status:
    """Where a coordinator stands.

    Args:
        home: Its home.
        online: The sites that are connected, from `control.connected`; None where nobody was asked.

    Raises:
        InvalidInput: A file of the home's own, or of a release, is not as it must be.
    """
    folder, runs = home.folder, Runs(home.folder)
    ledger, shelf = read_ledger(folder), ReleaseShelf(folder / RELEASES)
    ids = {_run_id(folder / RUNS / name): name for name in runs.names()}
    federation = _federation(runs)
    releases = tuple(
        ReleaseStatus(
            release=shelf.path(note.number).name,
            run=ids.get(note.run, ""),
            model=note.model,
            bytes=sum(file.size for file in note.files.values()),
            epsilon=note.epsilon,
            delta=note.delta,
            sha256=note.arrays,
        )
        for note in shelf.notes()
    )
    return Status(
        federation=home.settings.federation,
        epoch=None if federation is None else federation.roster.epoch,
        roster_hash=None if federation is None else federation.roster.hash.hex(),
        sites=_sites(home, federation, ledger.entries, online),
        processes=tuple(process_states(folder / "superlink")),
        runs=tuple(_run(folder / RUNS / name, ledger, releases) for name in runs.names()),
        releases=releases,
        fault=None if ledger.fault is None else (ledger.fault.code, ledger.fault.message),
    )


def run_states(folder: Path) -> dict[str, tuple[str, str | None]]:
    """State and code of every run of a home, as in `RunStatus`.

    Args:
        folder: The home's folder.
    """
    ledger, found = read_ledger(folder), {}
    for name in Runs(folder).names():
        path = folder / RUNS / name
        found[name] = _state(path, ledger, _of_run(ledger.entries, path))
    return found


def _of_run(entries: Entries, path: Path) -> list[Mapping[str, Any]]:
    run_id = _run_id(path)
    return [entry for entry in entries if entry["body"].get("run") == run_id]


def _run_id(path: Path) -> str:
    """Our id of a run; empty where it cannot be read, which `_fault_of` names."""
    try:
        return (path / "run.json").read_text().strip()
    except (OSError, ValueError):
        return ""


def _federation(runs: Runs) -> Federation | None:
    try:
        return runs.federation()
    except InvalidInput as error:
        if error.code != "coordinator/no-roster":
            raise
        return None


def _sites(
    home: CoordinatorHome,
    federation: Federation | None,
    entries: Entries,
    online: frozenset[str] | None,
) -> tuple[SiteStatus, ...]:
    heads: dict[str, int] = {}
    for entry in entries:
        for head in entry["body"].get("heads", ()):
            heads[head["site"]] = head["seq"]
    members = set(home.members())
    known = set() if federation is None else set(federation.roster.keys)
    return tuple(
        SiteStatus(
            site=site,
            member=site in members,
            connected=None if online is None else site in online,
            last_head_seq=heads.get(site),
        )
        for site in sorted(known | members)
    )


def _run(path: Path, ledger: LedgerRead, releases: Iterable[ReleaseStatus]) -> RunStatus:
    try:
        plan = Plan.from_bytes((path / "plan.json").read_bytes())
    except (OSError, InvalidInput):
        damage = _fault_of(path) or "run/folder"
        return RunStatus(run=path.name, id=_run_id(path), state="damaged", code=damage)
    own = _of_run(ledger.entries, path)
    progress = last_progress(path)
    state, code = _state(path, ledger, own)
    events = [
        event_from_json(event)
        for entry in own
        if entry["kind"] in ("sum", "round-aborted")
        for event in entry["body"].get("events", ())
    ]
    private = plan.privacy.epsilon is not None
    spent = epsilon(events, plan.privacy.delta) if events and private else 0.0
    running = state == "running"
    return RunStatus(
        run=path.name,
        id=_run_id(path),
        plan=plan.hash().hex(),
        model=plan.model.name,
        state=state,
        code=code,
        round=progress.round,
        rounds=len(plan.rounds),
        attempt=progress.attempt,
        step=progress.step if running else "",
        cohort=plan.cohort,
        dropped=progress.dropped if running else (),
        bytes_up=progress.bytes_up,
        bytes_down=progress.bytes_down,
        epsilon_spent=spent if private and ledger.fault is None else None,
        epsilon_target=plan.privacy.epsilon,
        epsilon_reserved=epsilon_of(plan.reserved(), plan.privacy.delta) if private else None,
        delta=plan.privacy.delta,
        min_survivors=plan.privacy.min_survivors,
        colluding=plan.privacy.colluding,
        started=next((str(entry["time"]) for entry in own), None),
        updated=progress.time or next((str(e["time"]) for e in reversed(own)), None),
        release=next((r.release for r in releases if r.run == path.name), None),
        aborts=tuple(
            {"round": b["round"] + 1, "attempt": b["attempt"] + 1, "code": b["code"]}
            for b in (e["body"] for e in own if e["kind"] == "round-aborted")
        ),
        refusals=tuple(map(_refusal, progress.refusals)),
        resumes=max(0, len(flower_runs(path)) - 1),
    )


def _state(path: Path, ledger: LedgerRead, own: Entries) -> tuple[str, str | None]:
    if is_attended(path):
        return "running", None
    ended = [e["body"] for e in own if e["kind"] == "run-ended" and e["body"].get("heads")]
    if ended:
        code = ended[-1].get("code")
        return ("finished", None) if code is None else ("failed", str(code))
    damage = _fault_of(path) if ledger.fault is None else ledger.fault.code
    if damage is not None:
        return "damaged", damage
    end = last_end(path)
    code = "run/interrupted" if end is None else end.code
    return ("stopped" if code in _GOES_ON else "waiting"), code


def _fault_of(path: Path) -> str | None:
    """Why no process could carry out a run: what it would meet in the run's folder."""
    try:
        CoordinatorFolder.open(path)
    except RecommonsError as error:
        return error.code
    return None


def _refusal(text: str) -> dict[str, str]:
    site, _, code = text.partition(": ")
    return {"site": site, "code": code}
