"""A home with damaged files: everything else is told, and the damage has a name and a remedy."""

import contextlib
import io
import json
import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from recommons.client.app import app
from recommons.common.codes import REMEDIES
from recommons.common.commandline import main
from recommons.common.errors import LedgerError
from recommons.common.privacy.ledger_line import parse_line
from recommons.server.operating import keeper, run_command
from recommons.server.operating.attendance import RunOptions, attended, last_progress
from recommons.server.operating.keeper import Keeper
from recommons.server.operating.ledger_reading import check_ledger, read_ledger
from recommons.server.operating.metrics import coordinator_registry
from recommons.server.operating.processes import process_states
from recommons.server.operating.status_reading import read_status, run_states
from recommons.server.planning.plan_file import read_plan_file
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.records.home import CoordinatorHome
from recommons.server.records.runs import Runs
from recommons.server.rounds.training import Watch, train
from recommons.server.transport.line import Line
from recommons.simulations.inprocess import InProcessGrid
from tests.server.operating.runs_of_home import Homestead, Link

DEEP = b"[" * 100_000 + b"\n"
GARBAGE = {
    "empty": b"",
    "no text": b"\xff\xfe{oh\n",
    "cut": b'{"round": 1, "pid"',
    "null": b"null\n",
    "a list": b"[7]\n",
    "nothing in it": b"{}\n",
    "deep": DEEP,
    "other types": b'{"ended": {"time": 1, "code": ["x"], "message": 5}, "round": "x",'
    b' "flower": "x", "dropped": 3, "runs": 5, "processes": [5], "supervisor": 1,'
    b' "deadline_seconds": "x"}\n',
    "unknown code": b'{"ended": {"time": "", "code": "run/nonsense", "message": ""}}\n',
}
"""What a disk or an editor may leave of a file."""


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Homestead:
    """Run 001 has finished, 002 is stopped, 003 has never begun."""
    folder = tmp_path_factory.mktemp("read")
    homestead = Homestead.found(folder, tiny_data, runs=3)
    sites = [{"site-dir": str(site)} for site in sorted((folder / "sites").iterdir())]
    run = CoordinatorFolder.open(homestead.run("001"))
    with closing(InProcessGrid(app, sites)) as grid, attended(run.folder, 1):
        train(Line.of(grid), run, Watch())
    homestead.leave("002", 2, "run/stopped")
    return homestead


@pytest.fixture
def homestead(founded: Homestead, tmp_path: Path) -> Homestead:
    return founded.copy(tmp_path / "home")


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> Link:
    """Flower is there, and carries out what it is told to."""
    found = Link()
    for module in (keeper, run_command):
        monkeypatch.setattr(module, "Control", found)
    monkeypatch.setattr(run_command, "connected", lambda _home: frozenset({"site-01"}))
    monkeypatch.setattr(keeper, "connected_nodes", lambda _home: {"site-01": 7})
    return found


def said(homestead: Homestead, *words: str) -> tuple[int, Any]:
    """A command of this home with ``--json``: its exit status and its document."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = main(["coordinator", *words, "--home", str(homestead.home.folder), "--json"])
    return status, json.loads(out.getvalue())


def states(homestead: Homestead) -> list[tuple[str, str | None]]:
    told = read_status(homestead.home).runs
    found = [(run.state, run.code) for run in told]
    assert found == list(run_states(homestead.home.folder).values())
    return found


SOUND = [("finished", None), ("stopped", "run/stopped"), ("waiting", "run/interrupted")]


def cut(line: bytes) -> bytes:
    return line[: len(line) // 2]


def damage(homestead: Homestead, how: Callable[[bytes], bytes]) -> int:
    """A line in the middle of the ledger is not what it was; its number."""
    path = homestead.home.folder / "ledger.jsonl"
    lines = path.read_bytes().split(b"\n")
    place = len(lines) // 2
    lines[place] = how(lines[place])
    path.write_bytes(b"\n".join(lines))
    return place + 1


def test_what_is_sound_is_told_without_a_fault(homestead: Homestead) -> None:
    assert states(homestead) == SOUND
    assert read_status(homestead.home).fault is None


@pytest.mark.parametrize(
    ("how", "code"),
    [
        pytest.param(cut, "ledger/not-canonical", id="cut"),
        pytest.param(lambda _line: b"\xff garbage", "ledger/not-canonical", id="garbage"),
        pytest.param(lambda _line: b"", "ledger/not-canonical", id="empty"),
        pytest.param(lambda _line: DEEP.strip(), "ledger/not-canonical", id="deep"),
        pytest.param(lambda _line: b'{"body":{},"kind":"sum"}', "ledger/schema", id="bare"),
        pytest.param(lambda _line: b"[]", "ledger/schema", id="a list"),
    ],
)
def test_a_damaged_line_is_named_with_its_remedy_and_the_rest_is_told(
    homestead: Homestead, link: Link, how: Callable[[bytes], bytes], code: str
) -> None:
    number = damage(homestead, how)
    status, told = said(homestead, "status")
    assert status == 1
    assert told["fault"]["code"] == code
    assert told["fault"]["message"].startswith(f"ledger.jsonl: line {number} ")
    assert told["fault"]["remedy"] == REMEDIES[code]
    assert [site["site"] for site in told["sites"]] == ["site-01", "site-02", "site-03"]
    assert states(homestead) == [("finished", None), ("damaged", code), ("damaged", code)]


def test_whoever_reads_the_status_reads_the_remedy_after_it(
    homestead: Homestead, link: Link, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(homestead, cut)
    assert main(["coordinator", "status", "--home", str(homestead.home.folder)]) == 1
    told = capsys.readouterr()
    assert "run 001: finished" in told.out
    assert "run 002: damaged (ledger/not-canonical)" in told.out
    assert REMEDIES["ledger/not-canonical"] in told.err
    assert "Traceback" not in told.err


def test_no_run_goes_on_after_a_damaged_line(homestead: Homestead, link: Link) -> None:
    damage(homestead, cut)
    for words in (("resume", "002"), ("run", str(homestead.plan)), ("stop", "002", "--for-good")):
        status, told = said(homestead, *words)
        assert (status, told["error"]["code"]) == (1, "ledger/not-canonical")
    homestead.leave("002", 3, "run/fault")
    assert Keeper(homestead.home, threading.Event()).look() == []
    assert (link.started, Runs(homestead.home.folder).names()) == ([], ["001", "002", "003"])


def test_a_run_that_goes_on_can_be_stopped_whatever_became_of_the_ledger(
    homestead: Homestead,
) -> None:
    damage(homestead, cut)
    with attended(homestead.run("002"), 3):
        status, told = said(homestead, "stop", "002", "--no-wait")
    assert (status, told["state"]) == (0, "running")


def test_a_damaged_ledger_is_a_metric_beside_all_others(homestead: Homestead) -> None:
    registry = coordinator_registry(homestead.home, lambda: None)
    fault = "recommons_coordinator_fault"
    assert registry.get_sample_value(fault, {"code": "ledger/not-canonical"}) is None
    damage(homestead, cut)
    assert registry.get_sample_value(fault, {"code": "ledger/not-canonical"}) == 1
    runs = "recommons_coordinator_runs"
    assert registry.get_sample_value(runs, {"state": "finished"}) == 1
    assert registry.get_sample_value(runs, {"state": "damaged"}) == 2
    (homestead.home.folder / "federation.json").write_text("{}")
    assert registry.get_sample_value(fault, {"code": "plan/roster"}) == 1


def test_a_damaged_ledger_is_not_exported(homestead: Homestead, tmp_path: Path) -> None:
    words = ["coordinator", "ledger", "export", str(homestead.home.folder), str(tmp_path / "out")]
    assert main(words) == 0
    shutil.rmtree(homestead.run("003"))
    (homestead.run("002") / "run.json").write_text("garbage")  # the ledger is not the run's
    assert main(words) == 0
    damage(homestead, cut)
    shutil.rmtree(tmp_path / "out")
    assert main(words) == 1
    assert not (tmp_path / "out").exists()


def test_a_line_that_is_being_written_is_left_out(homestead: Homestead) -> None:
    path = homestead.home.folder / "ledger.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:99])
    check_ledger(homestead.home.folder)
    read = read_ledger(homestead.home.folder)
    assert [entry["seq"] for entry in read.entries] == list(range(len(whole.splitlines())))
    assert read.entries[0] == parse_line(whole.splitlines()[0], 1)


def test_the_first_damaged_line_is_the_one_that_is_told(homestead: Homestead) -> None:
    path = homestead.home.folder / "ledger.jsonl"
    path.write_bytes(b"x\n" + path.read_bytes() + b"{}\n")
    with pytest.raises(LedgerError, match=r"ledger.jsonl: line 1 ") as found:
        check_ledger(homestead.home.folder)
    assert found.value.line == 1


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("name", ["plan.json", "run.json", "federation.json"])
def test_a_damaged_run_is_named_and_the_others_are_told(
    homestead: Homestead, link: Link, name: str, content: bytes
) -> None:
    (homestead.run("002") / name).write_bytes(content)
    found = states(homestead)
    assert (found[0], found[2]) == (SOUND[0], SOUND[2])
    state, code = found[1]
    assert (state, code in REMEDIES) == ("damaged", True)
    assert said(homestead, "status")[0] == 0
    homestead.leave("003", 3, "run/fault")
    assert Keeper(homestead.home, threading.Event()).look() == ["003"]


@pytest.mark.parametrize("name", ["plan.json", "run.json", "federation.json", "records"])
def test_a_run_that_lacks_a_file_is_damaged_and_its_number_is_not_given_again(
    homestead: Homestead, link: Link, name: str
) -> None:
    (homestead.run("002") / name).unlink()
    assert states(homestead) == [SOUND[0], ("damaged", "run/folder"), SOUND[2]]
    (homestead.run("002") / name).mkdir()
    assert states(homestead) == [SOUND[0], ("damaged", "run/folder"), SOUND[2]]
    shutil.rmtree(homestead.run("003"))
    (homestead.run("002") / name).rmdir()
    planned = read_plan_file(homestead.plan)
    run = Runs(homestead.home.folder).found(planned, RunOptions())
    assert run.folder.name == "003"


def test_a_finished_run_without_its_plan_is_told_as_damaged(homestead: Homestead) -> None:
    (homestead.run("001") / "plan.json").write_text("{}")
    first, *others = read_status(homestead.home).runs
    assert (first.state, first.code, first.rounds) == ("damaged", "plan/invalid", 0)
    assert [(run.state, run.code) for run in others] == SOUND[1:]


def test_a_folder_that_is_no_runs_is_passed_over(homestead: Homestead) -> None:
    shutil.copytree(homestead.run("001"), homestead.run("001-backup"))
    assert states(homestead) == SOUND


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("run", ["001", "003"])
def test_what_a_process_left_in_garbage_is_as_if_it_had_left_nothing(
    homestead: Homestead, link: Link, run: str, content: bytes
) -> None:
    for name in ("progress.json", "progress.jsonl", "process.json", "options.json", "flower.json"):
        (homestead.run(run) / name).write_bytes(content)
    (homestead.home.folder / "superlink" / "processes.json").write_bytes(content)
    assert said(homestead, "status")[0] == 0
    assert states(homestead) == SOUND
    assert last_progress(homestead.run(run)).dropped == ()
    assert RunOptions.read(homestead.run(run)) == RunOptions()
    assert process_states(homestead.home.folder / "superlink") == []
    registry = coordinator_registry(homestead.home, lambda: None)
    assert registry.get_sample_value("recommons_coordinator_releases") == 0
    assert Keeper(homestead.home, threading.Event()).look() == []


def test_a_deadline_that_makes_no_sense_is_not_taken(tmp_path: Path) -> None:
    for seconds in ("NaN", "Infinity", "-1", "0"):
        (tmp_path / "options.json").write_text(f'{{"deadline_seconds": {seconds}}}')
        assert RunOptions.read(tmp_path) == RunOptions()
    RunOptions(deadline_seconds=7.0).write(tmp_path)
    assert RunOptions.read(tmp_path) == RunOptions(deadline_seconds=7.0)


def test_a_sites_damaged_certificate_is_named(homestead: Homestead) -> None:
    (homestead.home.folder / "sites" / "site-02.pem").write_text("garbage")
    status, told = said(homestead, "status")
    assert (status, told["error"]["code"]) == (2, "coordinator/home")
    assert "site-02.pem" in told["error"]["message"]


def test_a_damaged_key_is_named(homestead: Homestead) -> None:
    for content in ("", "garbage", "00"):
        (homestead.home.folder / "coordinator.key").write_text(content)
        assert states(homestead) == [SOUND[0], *[("damaged", "run/folder")] * 2]
    assert CoordinatorHome.open(homestead.home.folder).settings == homestead.home.settings
