"""`recommons coordinator run`, `status`, `stop` and `resume`."""

import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from recommons.common.errors import InvalidInput, LedgerError, RecommonsError
from recommons.server.operating.attendance import RunOptions, is_attended, last_end
from recommons.server.operating.control import Control, connected
from recommons.server.operating.display import open_display
from recommons.server.operating.earlier import overspent
from recommons.server.operating.following import follow
from recommons.server.operating.printing import (
    print_dry_run,
    print_json,
    print_status,
    run_words,
)
from recommons.server.operating.starting import busy_run, check_idle, start_run, starting
from recommons.server.operating.status_reading import read_status, run_states
from recommons.server.operating.stopping import StopRequest, ask_to_stop, take_back
from recommons.server.planning.budget import plan_budget
from recommons.server.planning.budget_display import budget_document, print_budget
from recommons.server.planning.plan_file import PlannedRun, read_plan_file
from recommons.server.records.home import CoordinatorHome
from recommons.server.records.runs import Runs, flower_runs

__all__ = ["found_plan", "resume_run", "run_plan", "show_status", "stop_run"]

_OVER = frozenset({"finished", "failed"})
_LOOK_SECONDS = 0.2
_NOT_OFFERED = (
    "HOME/catalogue.json, which sites fetch, is not the plan's catalogue, or none that they take "
    "(64 MiB at most): a site that has no copy of the plan's from elsewhere refuses it.\n"
)
_NOBODY_TOLD = (
    "No site of the run was there to be told. `recommons coordinator start` tells them by itself "
    "when one is back.\n"
)


def run_plan(
    folder: Path, plan: Path, *, dry_run: bool, wait: bool, deadline: float, as_json: bool
) -> None:
    """Check a plan file, show what it will cost, and carry it out.

    Raises:
        RecommonsError: The plan cannot be carried out, or the run failed.
    """
    home, planned = CoordinatorHome.open(folder), read_plan_file(plan)
    runs, budget = Runs(home.folder), plan_budget(planned)
    found = runs.plan(planned)
    online, beyond = connected(home), overspent(home.folder, found, datetime.now(UTC))
    if not as_json:
        print_budget(budget, Console(stderr=not dry_run), None)
    told = {
        "plan": found.hash().hex(),
        "budget": budget_document(budget),
        "connected": None if online is None else sorted(online & set(found.cohort)),
        "missing": None if online is None else sorted(set(found.cohort) - online),
        "catalogue_offered": home.offered_catalogue() == found.catalogue.hash,
        "overspent": None if beyond is None else asdict(beyond),
    }
    if not as_json and not told["catalogue_offered"]:
        sys.stderr.write(_NOT_OFFERED)
    if not as_json and beyond is not None:
        sys.stderr.write(f"{beyond}\n")
    if dry_run:
        print_dry_run(told, found.privacy.min_survivors, as_json=as_json)
        return
    with starting(home.folder), Control(home) as control:
        _check_ready(home, control, planned, online)
        run = runs.found(planned, RunOptions(deadline_seconds=deadline)).folder
        start_run(control, run)
    _accompany(home, run, wait=wait, as_json=as_json)


def found_plan(folder: Path, plan: Path, *, deadline: float, as_json: bool) -> None:
    """Found a run that somebody else will start, and print its folder.

    Raises:
        RecommonsError: The plan cannot be carried out.
    """
    home, planned = CoordinatorHome.open(folder), read_plan_file(plan)
    budget = plan_budget(planned)
    if not as_json:
        print_budget(budget, Console(stderr=True), None)
    with starting(home.folder):
        found = Runs(home.folder).found(planned, RunOptions(deadline_seconds=deadline))
    run = found.folder.absolute()
    told = {"run": run.name, "folder": str(run), "budget": budget_document(budget)}
    if as_json:
        print_json(told)
    else:
        sys.stdout.write(f"{run}\n")


def resume_run(folder: Path, name: str | None, *, wait: bool, as_json: bool) -> None:
    """Take a run up again where its ledger ends.

    Raises:
        RecommonsError: It is over or has a process already, or it failed.
    """
    home = CoordinatorHome.open(folder)
    run = Runs(home.folder).path(name)
    with starting(home.folder), Control(home) as control:
        check_idle(control, home.folder)
        _check_goes_on(home, run)  # once nobody else can end it
        take_back(run)
        start_run(control, run)
    _accompany(home, run, wait=wait, as_json=as_json)


def stop_run(
    folder: Path, name: str | None, request: StopRequest, *, wait: bool, as_json: bool
) -> None:
    """Stop a run between two attempts, or at once.

    Raises:
        RecommonsError: There is no such run, or it is over.
    """
    home = CoordinatorHome.open(folder)
    run = Runs(home.folder).path(name)
    state = _check_goes_on(home, run)
    ask_to_stop(run, request)
    if state != "running" and request.for_good:
        _tell_the_end(home, run)
    if wait:
        _until(lambda: not is_attended(run))
    _print_run(home, run, as_json=as_json)
    if wait and request.for_good and not as_json:
        state, _ = run_states(home.folder)[run.name]
        sys.stderr.write("" if state in _OVER else _NOBODY_TOLD)


def _check_goes_on(home: CoordinatorHome, run: Path) -> str:
    """The run's state, which is not over.

    Raises:
        InvalidInput: ``run/resume``: it is.
    """
    state, code = run_states(home.folder)[run.name]
    if state in _OVER:
        raise InvalidInput("run/resume", f"run {run.name} is over: {code or state}")
    return state


def _tell_the_end(home: CoordinatorHome, run: Path) -> None:
    """Sites must be told, so somebody has to tell them, unless a process is about to."""
    with starting(home.folder), Control(home) as control:
        if busy_run(control, home.folder) != run.name:
            check_idle(control, home.folder)
            if run_states(home.folder)[run.name][0] in _OVER:
                return  # the keeper has told them meanwhile
            start_run(control, run)
    with Control(home) as control:
        # It may come and go between two looks: where no site is there, it has nothing to do.
        _until(lambda: is_attended(run) or control.run_state(flower_runs(run)[-1]).over)


def show_status(folder: Path, *, as_json: bool) -> int:
    """Print where the coordinator, its sites, runs and releases stand.

    Returns:
        The exit status: 1 where the ledger is damaged, which is told beside the rest.

    Raises:
        LedgerError: The same, where people read it, after the rest.
    """
    home = CoordinatorHome.open(folder)
    status = read_status(home, online=connected(home))
    if as_json:
        print_json(status.to_json())
        return 0 if status.fault is None else 1
    print_status(status, Console())
    if status.fault is not None:
        raise LedgerError(*status.fault)
    return 0


def _check_ready(
    home: CoordinatorHome, control: Control, planned: PlannedRun, online: frozenset[str] | None
) -> None:
    """What would only fail once the run has begun.

    Raises:
        RecommonsError: ``coordinator/superlink``, ``run/sites`` or ``run/ledger-busy``.
    """
    if online is None:
        raise RecommonsError("coordinator/superlink", "the SuperLink does not answer")
    check_idle(control, home.folder)
    here = online & set(planned.declared_users)
    if len(here) < planned.wish.min_survivors:
        missing = ", ".join(sorted(set(planned.declared_users) - online))
        raise RecommonsError(
            "run/sites",
            f"{len(here)} of {len(planned.declared_users)} sites are connected; required: "
            f"{planned.wish.min_survivors}; not connected: {missing}",
        )


def _accompany(home: CoordinatorHome, run: Path, *, wait: bool, as_json: bool) -> None:
    """Show the run until it is over, and then how it ended.

    Raises:
        RecommonsError: It failed or stopped, under its code.
    """
    if wait:
        with open_display(Console(stderr=True)) as display:
            display.stage(f"run {run.name}: waiting for its process")
            follow(home, run, display)
    _print_run(home, run, as_json=as_json)
    state, code = run_states(home.folder)[run.name]
    if wait and (state, code) == ("waiting", None):  # its release is out
        sys.stderr.write("" if as_json else _NOBODY_TOLD)
    elif wait and state != "finished":
        end = last_end(run)
        message = end.message if end is not None and end.message else f"the run {state}"
        raise RecommonsError(code or "run/fault", message)


def _until(true: Any, seconds: float = 3600.0) -> None:  # noqa: ANN401 - any condition
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)


def _print_run(home: CoordinatorHome, run: Path, *, as_json: bool) -> None:
    found = next(r for r in read_status(home).runs if r.run == run.name)
    if as_json:
        print_json(asdict(found))
        return
    Console().print(run_words(found), highlight=False, soft_wrap=True)
