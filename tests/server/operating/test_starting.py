"""Commands that start runs: one at a time, and never beside a run that is about to begin."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recommons.common.data.catalogue_document import CATALOGUE_FILE
from recommons.common.errors import RecommonsError
from recommons.server.operating import run_command
from recommons.server.operating.attendance import HISTORY, ProgressFiles, attended
from recommons.server.operating.following import written_steps
from recommons.server.operating.run_command import found_plan, resume_run, run_plan, stop_run
from recommons.server.operating.starting import starting
from recommons.server.operating.stopping import StopRequest, stop_asked
from recommons.server.records.runs import Runs, flower_runs, note_flower_run
from recommons.server.rounds.progress import RoundProgress
from tests.server.operating.runs_of_home import Homestead, Link

SITES = frozenset({"site-01", "site-02", "site-03"})


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Homestead:
    return Homestead.found(tmp_path_factory.mktemp("started"), tiny_data, runs=1)


@pytest.fixture
def homestead(founded: Homestead, tmp_path: Path) -> Homestead:
    return founded.copy(tmp_path / "home")


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> Link:
    found = Link()
    monkeypatch.setattr(run_command, "Control", found)
    monkeypatch.setattr(run_command, "connected", lambda _home: SITES)
    return found


def run(homestead: Homestead) -> None:
    folder = homestead.home.folder
    run_plan(folder, homestead.plan, dry_run=False, wait=False, deadline=1.0, as_json=True)


def resume(homestead: Homestead) -> None:
    resume_run(homestead.home.folder, "001", wait=False, as_json=True)


def end_for_good(homestead: Homestead) -> None:
    asked = StopRequest(for_good=True)
    stop_run(homestead.home.folder, "001", asked, wait=False, as_json=True)


def found(homestead: Homestead) -> None:
    found_plan(homestead.home.folder, homestead.plan, deadline=1.0, as_json=True)


def code_of(homestead: Homestead, command: Callable[[Homestead], None]) -> str:
    with pytest.raises(RecommonsError) as refused:
        command(homestead)
    return refused.value.code


def test_a_second_run_is_refused_from_the_moment_the_first_is_started(
    homestead: Homestead, link: Link
) -> None:
    run(homestead)
    assert link.started == ["002"]
    # No process holds its lock yet: Flower is about to start one.
    assert code_of(homestead, run) == "run/ledger-busy"
    assert Runs(homestead.home.folder).names() == ["001", "002"]


@pytest.mark.parametrize("command", [run, resume, end_for_good, found])
def test_only_one_command_at_a_time_founds_or_starts(
    homestead: Homestead, link: Link, command: Callable[[Homestead], None]
) -> None:
    with starting(homestead.home.folder):
        assert code_of(homestead, command) == "run/ledger-busy"
    assert link.started == []
    assert Runs(homestead.home.folder).names() == ["001"]


def test_two_commands_at_one_instant_found_two_runs_or_one_and_never_share_a_folder(
    homestead: Homestead, link: Link
) -> None:
    codes: list[str] = []
    inside = threading.Event()

    def second() -> None:
        codes.append(code_of(homestead, run))

    def meanwhile() -> None:
        if not inside.is_set():
            inside.set()
            thread = threading.Thread(target=second)
            thread.start()
            thread.join()

    link.before_start = meanwhile
    run(homestead)
    assert (codes, link.started) == (["run/ledger-busy"], ["002"])


def test_a_run_that_is_about_to_begin_is_neither_resumed_nor_stopped_in_flower(
    homestead: Homestead, link: Link
) -> None:
    homestead.leave("001", 7, "run/sites")
    note_flower_run(homestead.run("001"), 8)
    link.going_on = {8}
    assert code_of(homestead, resume) == "run/ledger-busy"
    assert (link.stopped, link.started) == ([], [])


def test_a_run_whose_process_is_gone_is_resumed_before_flower_notices(
    homestead: Homestead, link: Link
) -> None:
    homestead.leave("001", 7, None)
    link.going_on = {7}
    resume(homestead)
    assert (link.stopped, link.started) == ([7], ["001"])
    assert flower_runs(homestead.run("001")) == [7, 101]


def test_no_other_run_is_resumed_beside_one_that_is_carried_out(
    homestead: Homestead, link: Link
) -> None:
    found(homestead)
    homestead.leave("001", 7, "run/sites")
    with attended(homestead.run("002"), 8):
        assert code_of(homestead, resume) == "run/ledger-busy"
    resume(homestead)


def test_a_run_that_is_about_to_begin_finds_the_word_that_ends_it_and_none_is_started_beside_it(
    homestead: Homestead, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_flower_run(homestead.run("001"), 7)
    link.going_on = {7}
    monkeypatch.setattr(run_command, "_until", lambda _true: None)
    end_for_good(homestead)
    assert link.started == []
    assert stop_asked(homestead.run("001")) == StopRequest(for_good=True)


@pytest.mark.parametrize("command", [resume, end_for_good])
def test_a_run_that_ends_while_a_command_waits_for_its_turn_is_not_started_again(
    homestead: Homestead,
    link: Link,
    monkeypatch: pytest.MonkeyPatch,
    command: Callable[[Homestead], None],
) -> None:
    @contextmanager
    def a_moment_later(home: Path) -> Iterator[None]:
        states = {"001": ("failed", "run/stopped")}
        monkeypatch.setattr(run_command, "run_states", lambda _home: states)
        with starting(home):
            yield

    homestead.leave("001", 7, "run/stopped")
    monkeypatch.setattr(run_command, "starting", a_moment_later)
    monkeypatch.setattr(run_command, "_until", lambda _true: None)
    if command is resume:
        assert code_of(homestead, resume) == "run/resume"
    else:
        command(homestead)
    assert link.started == []


def test_a_release_of_which_no_site_has_heard_is_no_failure(
    homestead: Homestead,
    link: Link,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def carried_out(_home: object, _run: Path, _display: object) -> None:
        homestead.finish("001", 8)

    homestead.leave("001", 7, "run/sites")
    monkeypatch.setattr(run_command, "follow", carried_out)
    resume_run(homestead.home.folder, "001", wait=True, as_json=False)
    told = capsys.readouterr()
    assert "run 001: waiting" in told.out
    assert "No site of the run was there" in told.err


def test_a_run_that_is_over_before_anybody_looks_is_not_waited_for(
    homestead: Homestead,
    link: Link,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where no site is there to be told, its process has nothing to do."""

    def pass_by(_seconds: float) -> None:
        looks.append(None)
        assert len(looks) < 5, "it waits for what has been"
        homestead.leave("001", 101, "run/stopped")
        link.going_on.clear()

    looks: list[None] = []
    monkeypatch.setattr("recommons.server.operating.run_command.time.sleep", pass_by)
    asked = StopRequest(for_good=True)
    stop_run(homestead.home.folder, "001", asked, wait=True, as_json=False)
    told = capsys.readouterr()
    assert "run 001: stopped (run/stopped)" in told.out
    assert "No site of the run was there" in told.err


def test_a_torn_line_of_progress_is_passed_over(tmp_path: Path) -> None:
    step = RoundProgress(
        round=1,
        rounds=2,
        attempt=1,
        step="masked",
        sites_in=3,
        sites_total=3,
        dropped=(),
        bytes_up=5,
        bytes_down=6,
        epsilon_spent=None,
        epsilon_target=None,
    )
    events = written_steps(tmp_path)
    assert next(events) is None
    ProgressFiles(tmp_path).listen(step)
    whole = (tmp_path / HISTORY).read_bytes().strip()
    lines = [whole, whole[:40] + whole, b"[]", b"{}", b'{"dropped": 1, "refusals": 2}', whole]
    (tmp_path / HISTORY).write_bytes(b"\n".join(lines) + b"\n" + whole[:9])
    assert [next(events), next(events), next(events)] == [step, step, None]


def test_a_plan_over_another_catalogue_than_sites_fetch_is_told_apart(
    homestead: Homestead, link: Link, capsys: pytest.CaptureFixture[str]
) -> None:
    home = homestead.home.folder

    def said() -> str:
        run_plan(home, homestead.plan, dry_run=True, wait=False, deadline=1.0, as_json=False)
        return capsys.readouterr().err

    assert "is not the plan's catalogue" in said()
    offered = home / CATALOGUE_FILE
    offered.write_bytes(b"{}")
    assert "is not the plan's catalogue" in said()
    offered.write_bytes((Runs(home).path("001") / CATALOGUE_FILE).read_bytes())
    assert "is not the plan's catalogue" not in said()
    assert link.started == []
