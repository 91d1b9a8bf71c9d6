"""Where a coordinator stands, read from its home alone; no process is asked and nothing is locked.

What a run has done comes from the ledger, what it is doing from the files of `attendance`. The
ledger is not verified here (`recommons audit` does that), and a last line that is being written is
left out.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recommons.common.errors import InvalidInput
from recommons.common.federation import Federation
from recommons.common.plan import Plan
from recommons.common.privacy.accounting import epsilon, epsilon_of
from recommons.common.privacy.events import event_from_json
from recommons.server.operating.attendance import is_attended, last_end, last_progress
from recommons.server.operating.processes import process_states
from recommons.server.operating.status import ReleaseStatus, RunStatus, SiteStatus, Status
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
        InvalidInput: A file is not as it must be.
    """
    folder, runs = home.folder, Runs(home.folder)
    entries = _entries(folder / "ledger.jsonl")
    shelf = ReleaseShelf(folder / RELEASES)
    ids = {(folder / RUNS / n / "run.json").read_text().strip(): n for n in runs.names()}
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
        sites=_sites(home, federation, entries, online),
        processes=tuple(process_states(folder / "superlink")),
        runs=tuple(_run(folder / RUNS / name, entries, releases) for name in runs.names()),
        releases=releases,
    )


def run_states(folder: Path) -> dict[str, tuple[str, str | None]]:
    """State and code of every run of a home, as in `RunStatus`.

    Args:
        folder: The home's folder.
    """
    entries, found = _entries(folder / "ledger.jsonl"), {}
    for name in Runs(folder).names():
        path = folder / RUNS / name
        found[name] = _state(path, _of_run(entries, path))
    return found


def _of_run(entries: Entries, path: Path) -> list[Mapping[str, Any]]:
    run_id = (path / "run.json").read_text().strip()
    return [entry for entry in entries if entry["body"].get("run") == run_id]


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


def _run(path: Path, entries: Entries, releases: Iterable[ReleaseStatus]) -> RunStatus:
    plan = Plan.from_bytes((path / "plan.json").read_bytes())
    own = _of_run(entries, path)
    progress = last_progress(path)
    state, code = _state(path, own)
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
        id=(path / "run.json").read_text().strip(),
        plan=plan.hash().hex(),
        model=plan.model.name,
        state=state,
        code=code,
        round=progress.get("round", 0),
        rounds=len(plan.rounds),
        attempt=progress.get("attempt", 0),
        step=progress.get("step", "") if running else "",
        cohort=plan.cohort,
        dropped=tuple(progress.get("dropped", ())) if running else (),
        bytes_up=progress.get("bytes_up", 0),
        bytes_down=progress.get("bytes_down", 0),
        epsilon_spent=spent if private else None,
        epsilon_target=plan.privacy.epsilon,
        epsilon_reserved=epsilon_of(plan.reserved(), plan.privacy.delta) if private else None,
        delta=plan.privacy.delta,
        min_survivors=plan.privacy.min_survivors,
        colluding=plan.privacy.colluding,
        started=next((str(entry["time"]) for entry in own), None),
        updated=progress.get("time") or next((str(e["time"]) for e in reversed(own)), None),
        release=next((r.release for r in releases if r.run == path.name), None),
        aborts=tuple(
            {"round": b["round"] + 1, "attempt": b["attempt"] + 1, "code": b["code"]}
            for b in (e["body"] for e in own if e["kind"] == "round-aborted")
        ),
        refusals=tuple(map(_refusal, progress.get("refusals", ()))),
        resumes=max(0, len(flower_runs(path)) - 1),
    )


def _state(path: Path, own: Entries) -> tuple[str, str | None]:
    if is_attended(path):
        return "running", None
    ended = [e["body"] for e in own if e["kind"] == "run-ended" and e["body"]["heads"]]
    if ended:
        code = ended[-1].get("code")
        return ("finished", None) if code is None else ("failed", str(code))
    end = last_end(path)
    code = "run/interrupted" if end is None else end.code
    return ("stopped" if code in _GOES_ON else "waiting"), code


def _refusal(text: str) -> dict[str, str]:
    site, _, code = text.partition(": ")
    return {"site": site, "code": code}


def _entries(ledger: Path) -> list[dict[str, Any]]:
    if not ledger.exists():
        return []
    whole = ledger.read_bytes()
    return [json.loads(line) for line in whole[: whole.rfind(b"\n") + 1].splitlines()]
