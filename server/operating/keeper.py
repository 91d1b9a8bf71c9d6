"""What the coordinator does by itself: it knows its members, and takes up runs that were cut off.

A run whose process was killed, or died of something that has no name, or for want of room
on the disk, goes on in a new run of Flower's, where its ledger ends: what was open counts as spent.
A run that has a release, or no attempts left, or that the operator ended for good, and whose end no
site has heard, is taken up when one is there, to be told. One that ended under another name of ours
(too few sites, the operator's word to stop) is left to the operator.
"""

import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from recommons.common.errors import RecommonsError
from recommons.common.plan import Plan
from recommons.server.operating.control import Control, connected_nodes
from recommons.server.operating.refusals import take_refusals
from recommons.server.operating.starting import busy_run, start_run, starting
from recommons.server.operating.status_reading import run_states
from recommons.server.operating.stopping import stop_asked
from recommons.server.records.home import CoordinatorHome
from recommons.server.records.runs import RUNS, flower_runs

__all__ = ["Keeper", "register_sites"]

_BY_ITSELF = frozenset({"run/interrupted", "run/fault", "coordinator/disk"})
_TO_BE_TOLD = "run/attempts"
_UNFINISHED = frozenset({"waiting", "stopped"})
_STEADY_SECONDS = 30.0
_FIRST_PAUSE, _MOST_DOUBLINGS = 10.0, 16
_log = logging.getLogger(__name__)


def register_sites(home: CoordinatorHome, seconds: float = 300.0) -> None:
    """Make every member's node known to the SuperLink, as soon as it answers, and no other.

    Raises:
        RecommonsError: ``coordinator/superlink``: it does not answer within the time.
    """
    end = time.monotonic() + seconds
    with Control(home) as control:
        while True:
            try:
                keys = home.node_keys()
                for site, key in keys.items():
                    control.register(site, key)
                control.unregister_others(keys.values())
            except RecommonsError:
                if time.monotonic() >= end:
                    raise
                time.sleep(0.2)
            else:
                return


@dataclass(eq=False)
class Keeper:
    """Looks after the runs of a home from a thread of its own.

    Attributes:
        home: The home.
        stop: Set it to end.
        every_seconds: Pause between looks.
        longest_pause: Seconds at most between two attempts at one run.
    """

    home: CoordinatorHome
    stop: threading.Event
    every_seconds: float = 2.0
    longest_pause: float = 300.0
    _members: float | None = None
    _due: dict[str, float] = field(default_factory=dict)
    _tries: dict[str, int] = field(default_factory=dict)
    _refused: dict[str, frozenset[str]] = field(default_factory=dict)

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._keep, name="keeper", daemon=True).start()

    def look(self) -> list[str]:
        """Take up what can be taken up; returns the names of the runs."""
        taken: list[str] = []
        for name, over in self._left():
            try:
                if self._take_up(name, over=over):
                    _log.warning("run %s was taken up again", name)
                    taken.append(name)
            except RecommonsError as error:  # others may go on all the same
                _log.info("run %s: %s: %s", name, error.code, error.message)
            except Exception as error:  # noqa: BLE001 - nor may a fault of ours keep them
                _log.warning("run %s was not taken up: %s", name, type(error).__name__)
                self._put_off(name, over=over)
        return taken

    def register(self) -> None:
        """Make exactly the members' nodes known to Flower, whenever their list has changed."""
        changed = (self.home.folder / "sites.json").stat().st_mtime
        if changed != self._members:
            register_sites(self.home, self.every_seconds)
            self._members = changed

    def _left(self) -> list[tuple[str, bool]]:
        """Runs that wait for nobody's word, and whether they are over and only to be told so."""
        found = []
        for name, (state, code) in run_states(self.home.folder).items():
            path = self.home.folder / RUNS / name
            if state not in _UNFINISHED or not flower_runs(path):
                continue
            asked = stop_asked(path)
            released = code is None  # the process was done, so that no word to stop came in time
            over = released or (code == _TO_BE_TOLD if asked is None else asked.for_good)
            if over or (asked is None and code in _BY_ITSELF):
                found.append((name, over))
        return found

    def _take_up(self, name: str, *, over: bool) -> bool:
        """Carry out the rest of a run; whether this was the moment for it.

        Raises:
            RecommonsError: ``coordinator/superlink``, or ``run/ledger-busy``: a command starts one.
        """
        path = self.home.folder / RUNS / name
        # Looked at before it is due, too: who has left is told again when it comes back.
        if over and not self._is_worth_telling(path):
            return False
        if time.monotonic() < self._due.get(name, 0.0):
            return False
        with starting(self.home.folder), Control(self.home) as control:
            if busy_run(control, self.home.folder) is not None:
                return False
            if (name, over) not in self._left():  # a command has ended it meanwhile
                return False
            self._put_off(name, over=over)
            start_run(control, path)
        return True

    def _is_worth_telling(self, path: Path) -> bool:
        """Whether a site of the run is there that has not refused to hear of its end.

        One that has never joined refuses each time, as does one that is halted. They are not told
        again until they have left and come back: otherwise this would have no end.
        """
        cohort = Plan.from_bytes((path / "plan.json").read_bytes()).cohort
        nodes = connected_nodes(self.home) or {}
        here = {site: nodes[site] for site in cohort if site in nodes}
        refused, known = take_refusals(path), self._refused.get(path.name)
        # Of what was left before this keeper's time it has not seen who has left since.
        self._refused[path.name] = frozenset(
            site
            for site, node in here.items()
            if known is not None and (site in known or node in refused)
        )
        return not here.keys() <= self._refused[path.name]

    def _put_off(self, name: str, *, over: bool) -> None:
        """When the next attempt at a run is due, should this one come to nothing.

        One that was to be told is here again because nobody heard it, however long that took.
        """
        now = time.monotonic()
        if not over and now > self._due.get(name, 0.0) + _STEADY_SECONDS:
            self._tries.pop(name, None)  # it went on for a while: not one that dies at once
        tries = self._tries[name] = self._tries.get(name, -1) + 1
        pause = _FIRST_PAUSE * 2.0 ** min(tries, _MOST_DOUBLINGS)
        self._due[name] = now + min(self.longest_pause, pause)

    def _keep(self) -> None:
        while True:
            try:
                self.register()
                self.look()
            except RecommonsError as error:
                _log.info("%s: %s", error.code, error.message)
            except Exception as error:  # noqa: BLE001 - runs must not lie because a look failed
                _log.warning("a look at the runs failed: %s", type(error).__name__)
            if self.stop.wait(self.every_seconds):
                return
