"""Starting a run, or the rest of one: one command or keeper of a home at a time.

A coordinator has one ledger, and one process goes on in it. Between Flower's word that a run begins
and the lock that its process takes seconds go by, in which the run is counted as busy here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recommons.common.errors import RecommonsError
from recommons.common.locking import locked_or_not
from recommons.server.operating.attendance import left_in
from recommons.server.operating.control import Control
from recommons.server.operating.ledger_reading import check_ledger
from recommons.server.operating.status_reading import run_states
from recommons.server.records.runs import RUNS, flower_runs, note_flower_run

__all__ = ["busy_run", "check_idle", "start_run", "starting"]

_LOCK = "start.lock"
_OVER = frozenset({"finished", "failed"})


@contextmanager
def starting(home: Path) -> Iterator[None]:
    """Be the only one that founds or starts a run of a home.

    Args:
        home: The home's folder.

    Raises:
        RecommonsError: ``run/ledger-busy``: somebody else does.
        LedgerError: A line of the ledger is damaged, so that no run could go on after it.
    """
    with locked_or_not(home / _LOCK) as alone:
        if not alone:
            raise RecommonsError("run/ledger-busy", "another process is starting a run just now")
        check_ledger(home)
        yield


def busy_run(control: Control, home: Path) -> str | None:
    """The run that a process carries out or is about to begin; None where there is none.

    Raises:
        RecommonsError: ``coordinator/superlink``.
    """
    for name, (state, _) in run_states(home).items():
        path = home / RUNS / name
        if state == "running" or (state not in _OVER and _about_to_begin(control, path)):
            return name
    return None


def check_idle(control: Control, home: Path) -> None:
    """Refuse to begin where a run of the home is being carried out.

    Raises:
        RecommonsError: ``run/ledger-busy`` or ``coordinator/superlink``.
    """
    busy = busy_run(control, home)
    if busy is not None:
        raise RecommonsError("run/ledger-busy", f"run {busy} is being carried out")


def start_run(control: Control, run: Path) -> int:
    """Carry out a run, or the rest of it, in a new run of Flower's; returns Flower's id.

    Raises:
        RecommonsError: ``coordinator/superlink``.
    """
    for number in flower_runs(run)[-1:]:
        if not control.run_state(number).over:
            control.stop_run(number)  # its process is gone, which Flower notices a minute later
    number = control.start_run(run)
    note_flower_run(run, number)
    return number


def _about_to_begin(control: Control, run: Path) -> bool:
    """Whether Flower's last run of it goes on, and no process of that run has come and gone."""
    last = flower_runs(run)[-1:]
    return bool(last) and left_in(run) != last[0] and not control.run_state(last[0]).over
