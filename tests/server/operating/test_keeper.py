"""What the coordinator takes up by itself, and when."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from recommons.server.operating import keeper
from recommons.server.operating.keeper import Keeper
from recommons.server.operating.refusals import note_refusals
from recommons.server.operating.starting import start_run, starting
from recommons.server.operating.stopping import StopRequest, ask_to_stop
from recommons.server.records.runs import flower_runs
from tests.server.operating.runs_of_home import Homestead, Link

NODES = {"site-01": 11, "site-02": 1 << 63, "somebody-else": 13}


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Homestead:
    return Homestead.found(tmp_path_factory.mktemp("kept"), tiny_data, runs=2)


@pytest.fixture
def homestead(founded: Homestead, tmp_path: Path) -> Homestead:
    return founded.copy(tmp_path / "home")


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> Link:
    found = Link()
    monkeypatch.setattr(keeper, "Control", found)
    return found


def keeper_of(homestead: Homestead) -> Keeper:
    return Keeper(homestead.home, threading.Event())


def test_a_run_whose_process_was_killed_is_taken_up_once_and_flowers_run_of_it_is_ended(
    homestead: Homestead, link: Link
) -> None:
    homestead.leave("001", 7, None)
    link.going_on = {7}
    keeping = keeper_of(homestead)
    assert keeping.look() == ["001"]
    assert (link.stopped, flower_runs(homestead.run("001"))) == ([7], [7, 101])
    assert keeping.look() == []  # its app is about to begin


def test_one_ledger_has_one_run_at_a_time(homestead: Homestead, link: Link) -> None:
    homestead.leave("001", 7, "run/fault")
    homestead.leave("002", 8, "run/interrupted")
    keeping = keeper_of(homestead)
    assert keeping.look() == ["001"]
    assert keeping.look() == []
    link.going_on.clear()
    homestead.leave("001", 101, "run/sites")
    assert keeping.look() == ["002"]


def test_a_run_that_cannot_be_started_is_put_off_and_keeps_nobody_else_waiting(
    homestead: Homestead, link: Link
) -> None:
    asked: list[None] = []
    link.before_start = lambda: asked.append(None)
    link.full = {"001"}
    homestead.leave("001", 7, "run/fault")
    homestead.leave("002", 8, "run/fault")
    keeping = keeper_of(homestead)
    assert keeping.look() == ["002"]
    assert len(asked) == 2
    link.going_on.clear()
    homestead.leave("002", 101, "run/sites")
    assert keeping.look() == []
    assert len(asked) == 2  # not every two seconds


def connect(monkeypatch: pytest.MonkeyPatch, *sites: str) -> None:
    nodes = {site: NODES[site] for site in sites}
    monkeypatch.setattr(keeper, "connected_nodes", lambda _home: nodes)


def test_an_end_that_no_site_has_heard_is_told_when_one_of_the_runs_sites_is_there(
    homestead: Homestead, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    homestead.leave("001", 7, "run/attempts")
    keeping = keeper_of(homestead)
    monkeypatch.setattr(keeper, "connected_nodes", lambda _home: None)
    assert keeping.look() == []
    for sites in ((), ("somebody-else",)):
        connect(monkeypatch, *sites)
        assert keeping.look() == []
    connect(monkeypatch, "site-02")
    assert keeping.look() == ["001"]


@pytest.mark.parametrize("code", ["run/stopped", "run/sites", "run/fault", "run/attempts"])
def test_an_end_for_good_that_no_site_has_heard_is_told_when_one_is_there(
    homestead: Homestead, link: Link, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    homestead.leave("001", 7, code)
    ask_to_stop(homestead.run("001"), StopRequest(for_good=True))
    keeping = keeper_of(homestead)
    for sites in ((), ("somebody-else",)):
        connect(monkeypatch, *sites)
        assert keeping.look() == []
    connect(monkeypatch, "site-02")
    assert keeping.look() == ["001"]
    link.going_on.clear()
    homestead.leave("001", 101, "run/stopped")
    assert keeping.look() == []  # nobody has heard it, and the next time is not yet
    keeping._due.clear()
    assert keeping.look() == ["001"]


@pytest.mark.parametrize("asked", [None, StopRequest(), StopRequest(for_good=True)])
def test_a_release_whose_run_no_site_knows_to_be_over_is_told_when_one_is_there(
    homestead: Homestead, link: Link, monkeypatch: pytest.MonkeyPatch, asked: StopRequest | None
) -> None:
    homestead.finish("001", 7)
    if asked is not None:
        ask_to_stop(homestead.run("001"), asked)
    keeping = keeper_of(homestead)
    connect(monkeypatch)
    assert keeping.look() == []
    connect(monkeypatch, "site-02")
    assert keeping.look() == ["001"]


@dataclass
class Telling:
    """A run that is over, a keeper that has it told again and again, and what comes of that."""

    homestead: Homestead
    link: Link
    patch: pytest.MonkeyPatch
    keeping: Keeper

    def look(self, *here: str, refusing: tuple[str, ...] = (), late: bool = True) -> list[str]:
        """With these sites connected; of them, `refusing` will not hear what they are told."""
        connect(self.patch, *here)
        if late:
            self.keeping._due.clear()
        taken = self.keeping.look()
        if taken:
            self.homestead.leave("001", 100 + len(self.link.started), "run/stopped")
            self.link.going_on.clear()
            note_refusals(self.homestead.run("001"), [NODES[site] for site in refusing])
        return taken


@pytest.fixture
def telling(homestead: Homestead, link: Link, monkeypatch: pytest.MonkeyPatch) -> Telling:
    homestead.leave("001", 7, "run/stopped")
    ask_to_stop(homestead.run("001"), StopRequest(for_good=True))
    return Telling(homestead, link, monkeypatch, keeper_of(homestead))


@pytest.mark.parametrize("begun", [False, True])
def test_a_site_that_refuses_to_hear_an_end_is_told_again_only_once_it_has_left(
    telling: Telling, begun: bool
) -> None:
    """Whether or not an attempt was opened: it never joined, is halted, or went back."""
    if begun:
        progress = telling.homestead.run("001") / "progress.json"
        progress.write_text('{"round": 1, "attempt": 1}')
    both = ("site-01", "site-02")
    assert telling.look("site-02", refusing=("site-02",)) == ["001"]
    assert telling.look("site-02") == []
    assert telling.look(*both, refusing=both) == ["001"]
    assert telling.look("site-01") == []
    assert telling.look(*both, refusing=both) == ["001"]  # it was gone meanwhile
    assert telling.look(*both) == []


def test_a_site_that_left_before_the_next_telling_is_due_is_told_when_it_is_back(
    telling: Telling,
) -> None:
    assert telling.look("site-02", refusing=("site-02",)) == ["001"]
    assert telling.look("site-02", late=False) == []
    assert telling.look(late=False) == []
    assert telling.look("site-02") == ["001"]


def test_a_site_that_was_silent_is_told_again_and_so_is_one_whose_process_died_at_its_start(
    telling: Telling,
) -> None:
    both = ("site-01", "site-02")
    assert telling.look(*both, refusing=("site-01",)) == ["001"]
    assert telling.look(*both, refusing=("site-01",)) == ["001"]
    assert telling.look("site-02") == ["001"]
    (telling.homestead.run("001") / "refusals.json").unlink()
    assert telling.look("site-02") == ["001"]


def test_a_keeper_that_begins_anew_has_every_site_told_once_more(telling: Telling) -> None:
    assert telling.look("site-02", refusing=("site-02",)) == ["001"]
    telling.keeping = keeper_of(telling.homestead)
    assert telling.look("site-02", refusing=("site-02",)) == ["001"]
    assert telling.look("site-02") == []


def test_the_pause_before_an_end_is_told_again_grows_however_long_the_telling_took(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site that is connected and silent keeps its process waiting each time."""
    now = 1000.0
    monkeypatch.setattr(keeper, "time", SimpleNamespace(monotonic=lambda: now))
    pauses = []
    for _ in range(7):
        assert telling.look("site-02", late=False) == ["001"]
        pauses.append(telling.keeping._due["001"] - now)
        now += 1000.0
    assert pauses == [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]


def test_a_run_that_went_on_for_a_while_is_taken_up_soon_when_it_dies(
    homestead: Homestead, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(keeper, "time", SimpleNamespace(monotonic=lambda: now))
    keeping, pauses = keeper_of(homestead), []
    for _ in range(3):
        homestead.leave("001", 100 + len(link.started), "run/fault")
        link.going_on.clear()
        assert keeping.look() == ["001"]
        pauses.append(keeping._due["001"] - now)
        now += 1000.0
    assert pauses == [10.0, 10.0, 10.0]


def test_however_often_a_run_has_died_it_is_taken_up_again(
    homestead: Homestead, link: Link
) -> None:
    homestead.leave("001", 7, "run/fault")
    keeping = keeper_of(homestead)
    keeping._tries["001"], keeping._due["001"] = 5000, time.monotonic()
    assert keeping.look() == ["001"]
    assert keeping._due["001"] <= time.monotonic() + keeping.longest_pause


def test_a_fault_of_ours_with_one_run_keeps_no_other_waiting(
    homestead: Homestead,
    link: Link,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def start(control: Link, run: Path) -> int:
        if run.name == "001":
            raise KeyError("plum's user 17")
        return start_run(control, run)  # type: ignore[arg-type]

    homestead.leave("001", 7, "run/fault")
    homestead.leave("002", 8, "run/fault")
    monkeypatch.setattr(keeper, "start_run", start)
    keeping = keeper_of(homestead)
    assert keeping.look() == ["002"]
    assert "run 001 was not taken up: KeyError" in caplog.text
    assert "plum" not in caplog.text
    assert keeping._due["001"] > time.monotonic()


def test_a_run_that_a_command_ends_while_the_keeper_looks_is_not_taken_up(
    homestead: Homestead, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def a_moment_later(home: Path) -> Iterator[None]:
        ask_to_stop(homestead.run("001"), StopRequest(for_good=True))
        homestead.leave("001", 8, "run/stopped")
        with starting(home):
            yield

    homestead.leave("001", 7, "run/fault")
    monkeypatch.setattr(keeper, "starting", a_moment_later)
    connect(monkeypatch)
    assert keeper_of(homestead).look() == []
    assert link.started == []


def test_a_run_that_the_operator_stopped_waits_for_the_operator(
    homestead: Homestead, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, "site-02")
    for code in ("run/stopped", "run/fault", "run/attempts"):
        homestead.leave("001", 7, code)
        ask_to_stop(homestead.run("001"), StopRequest())
        assert keeper_of(homestead).look() == []


def test_nothing_is_taken_up_while_a_command_starts_a_run(homestead: Homestead, link: Link) -> None:
    homestead.leave("001", 7, "run/fault")
    keeping = keeper_of(homestead)
    with starting(homestead.home.folder):
        assert keeping.look() == []
    assert keeping.look() == ["001"]


def test_what_an_operator_has_to_decide_is_left(homestead: Homestead, link: Link) -> None:
    homestead.leave("001", 7, "run/sites")
    homestead.leave("002", 8, "run/stopped")
    assert keeper_of(homestead).look() == []
