"""A home with runs that nobody carries out, and a SuperLink that is told what to say."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from recommons.common.errors import RecommonsError
from recommons.server.operating.attendance import RunOptions, attended
from recommons.server.operating.control import RunState
from recommons.server.planning.plan_file import read_plan_file
from recommons.server.records.home import CoordinatorHome
from recommons.server.records.runs import Runs, note_flower_run
from tests.deployment.conftest import found_deployment


@dataclass
class Homestead:
    """A home.

    Attributes:
        home: It.
        plan: A plan file for its sites.
    """

    home: CoordinatorHome
    plan: Path

    @classmethod
    def found(cls, folder: Path, data: Path, *, runs: int, **keys: object) -> Self:
        """Three enrolled sites, and so many runs of the same plan, which holds the `keys`."""
        found = found_deployment(folder, data)
        plan = found.write_plan(**keys)
        for _ in range(runs):
            Runs(found.home.folder).found(read_plan_file(plan), RunOptions())
        return cls(found.home, plan)

    def copy(self, folder: Path) -> Self:
        shutil.copytree(self.home.folder, folder)
        return type(self)(CoordinatorHome.open(folder), self.plan)

    def run(self, name: str) -> Path:
        return self.home.folder / "runs" / name

    def leave(self, name: str, flower_run: int, code: str | None) -> None:
        """A process carried the run out in a run of Flower's, and has ended so; None: killed."""
        note_flower_run(self.run(name), flower_run)
        with pytest.raises(RecommonsError), attended(self.run(name), flower_run):
            raise RecommonsError(code or "run/fault", "it ended")
        if code is None:
            (self.run(name) / "process.json").write_text(f'{{"flower": {flower_run}}}')

    def finish(self, name: str, flower_run: int) -> None:
        """A process carried it out to its end, of which the ledger says nothing yet."""
        note_flower_run(self.run(name), flower_run)
        with attended(self.run(name), flower_run):
            pass


@dataclass
class Link:
    """Stands for `Control`.

    Attributes:
        going_on: Flower's runs that are not finished, as it believes.
        full: Runs, by folder, that it will not start.
        started: What was started, by folder.
        stopped: Flower's runs that were stopped.
        before_start: Called before one is started.
    """

    going_on: set[int] = field(default_factory=set)
    full: set[str] = field(default_factory=set)
    started: list[str] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    before_start: Callable[[], None] = lambda: None

    @contextmanager
    def __call__(self, _home: CoordinatorHome) -> Iterator[Self]:
        yield self

    def run_state(self, number: int) -> RunState:
        return RunState(status="running" if number in self.going_on else "finished", outcome="")

    def stop_run(self, number: int) -> None:
        self.stopped.append(number)
        self.going_on.discard(number)

    def start_run(self, run: Path) -> int:
        self.before_start()
        if run.name in self.full:
            raise RecommonsError("coordinator/superlink", "the SuperLink did not start the run")
        self.started.append(run.name)
        number = 100 + len(self.started)
        self.going_on.add(number)
        return number
