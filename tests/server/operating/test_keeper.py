"""What the coordinator takes up by itself, and when."""

import threading
from pathlib import Path

import pytest

from recommons.server.operating import keeper
from recommons.server.operating.keeper import Keeper
from recommons.server.operating.starting import starting
from recommons.server.operating.stopping import StopRequest, ask_to_stop
from recommons.server.records.runs import flower_runs
from tests.server.operating.runs_of_home import Homestead, Link


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


def test_an_end_that_no_site_has_heard_is_told_when_one_of_the_runs_sites_is_there(
    homestead: Homestead, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    homestead.leave("001", 7, "run/attempts")
    keeping = keeper_of(homestead)
    for there in (None, frozenset(), frozenset({"somebody-else"})):
        monkeypatch.setattr(keeper, "connected", lambda _home, there=there: there)
        assert keeping.look() == []
    monkeypatch.setattr(keeper, "connected", lambda _home: frozenset({"site-02"}))
    assert keeping.look() == ["001"]


def connect(monkeypatch: pytest.MonkeyPatch, *sites: str) -> None:
    monkeypatch.setattr(keeper, "connected", lambda _home: frozenset(sites))


def begun(homestead: Homestead, name: str) -> None:
    """An attempt was opened, so that sites have joined."""
    (homestead.run(name) / "progress.json").write_text('{"round": 1, "attempt": 1}')


@pytest.mark.parametrize("code", ["run/stopped", "run/sites", "run/fault", "run/attempts"])
def test_an_end_for_good_that_no_site_has_heard_is_told_when_one_is_there(
    homestead: Homestead, link: Link, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    homestead.leave("001", 7, code)
    begun(homestead, "001")
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


def test_a_run_that_perhaps_nobody_joined_is_told_as_over_once_to_each_who_comes(
    homestead: Homestead, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_to_stop(homestead.run("001"), StopRequest(for_good=True))
    keeping = keeper_of(homestead)

    def looks(*sites: str) -> list[str]:
        connect(monkeypatch, *sites)
        homestead.leave("001", 100 + len(link.started), "run/stopped")
        link.going_on.clear()
        keeping._due.clear()
        return keeping.look()

    assert looks("site-02") == ["001"]
    assert looks("site-02") == []
    assert looks("site-01", "site-02") == ["001"]
    assert looks("site-01") == []
    assert looks("site-01", "site-02") == ["001"]  # it was gone meanwhile


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
