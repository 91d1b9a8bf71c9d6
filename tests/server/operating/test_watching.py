"""A coordinator's health endpoints and metrics, over real HTTP."""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recommons.common.errors import InvalidInput
from recommons.server.operating import metrics
from recommons.server.operating.attendance import RunOptions, attended
from recommons.server.operating.metrics import coordinator_registry, reasons
from recommons.server.operating.status import Status
from recommons.server.operating.status_reading import read_status
from recommons.server.operating.watching import watched
from recommons.server.planning.plan_file import read_plan_file
from recommons.server.records.home import CoordinatorHome, CoordinatorSettings
from recommons.server.records.runs import Runs
from tests.deployment.conftest import Deployment, found_deployment
from tests.scraping import get, values


def supervised(home: CoordinatorHome, *, up: bool) -> None:
    """What the supervisor writes of its children; this very process stands for it."""
    state = {"name": "gateway", "pid": 1, "up": up, "since": "2026-11-23T00:00:00Z", "starts": 3}
    folder = home.folder / "superlink"
    folder.mkdir(exist_ok=True)
    told = {"supervisor": os.getpid(), "processes": [state]}
    (folder / "processes.json").write_text(json.dumps(told))


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Deployment:
    """Three sites by files, nobody started, one run that waits."""
    found = found_deployment(tmp_path_factory.mktemp("watched"), tiny_data)
    planned = read_plan_file(found.write_plan(epsilon=4))
    Runs(found.home.folder).found(planned, RunOptions())
    return found


def test_readiness_names_what_is_missing(founded: Deployment) -> None:
    with watched(founded.home, ("127.0.0.1", 0)) as (_, port):
        assert get(port, "/livez") == (200, '{"alive": true}\n')
        status, told = get(port, "/readyz")
        expected = ["coordinator/process", "coordinator/superlink"]
        assert (status, json.loads(told)["reasons"]) == (503, expected)
        supervised(founded.home, up=True)
        assert json.loads(get(port, "/readyz")[1])["reasons"] == ["coordinator/superlink"]
        supervised(founded.home, up=False)
        assert "coordinator/process" in json.loads(get(port, "/readyz")[1])["reasons"]
        assert get(port, "/status")[0] == 404


def test_readiness_reads_neither_ledger_nor_plans_and_takes_a_damaged_roster_for_what_it_is(
    founded: Deployment, tmp_path: Path
) -> None:
    home = CoordinatorHome.open(shutil.copytree(founded.home.folder, tmp_path / "home"))
    supervised(home, up=True)
    (home.folder / "ledger.jsonl").write_text("what is no line\n")
    assert reasons(home, lambda: frozenset()) == []
    assert reasons(home, lambda: None) == ["coordinator/superlink"]
    (home.folder / "ledger.jsonl").unlink()
    (home.folder / "federation.json").write_text("{}")
    assert reasons(home, lambda: frozenset()) == ["plan/roster"]
    with pytest.raises(InvalidInput):
        read_status(home)
    for path in (home.folder / "sites").iterdir():
        path.unlink()
    (home.folder / "federation.json").unlink()
    assert reasons(home, lambda: None) == ["coordinator/no-roster", "coordinator/superlink"]


def test_what_runs_have_cost_is_added_up_again_only_where_something_changed(
    founded: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counting(home: CoordinatorHome, *, online: frozenset[str] | None = None) -> Status:
        read.append(online)
        return read_status(home, online=online)

    def collected(name: str) -> float | None:
        return registry.get_sample_value(f"recommons_coordinator_{name}")

    read: list[frozenset[str] | None] = []
    monkeypatch.setattr(metrics, "read_status", counting)
    home = CoordinatorHome.open(shutil.copytree(founded.home.folder, tmp_path / "home"))
    run, online = home.folder / "runs" / "001", [frozenset({"site-01"})]
    registry = coordinator_registry(home, lambda: online[0])
    assert (collected("run_round"), collected("releases"), len(read)) == (0, 0, 1)
    (run / "progress.json").write_text('{"round": 1}')
    assert (collected("run_round"), len(read)) == (1, 2)
    with attended(run):
        running = registry.get_sample_value("recommons_coordinator_runs", {"state": "running"})
        assert (running, len(read)) == (1, 3)
    supervised(home, up=True)
    up = {"name": "gateway"}
    before = len(read)
    assert registry.get_sample_value("recommons_coordinator_process_up", up) == 1
    supervised(home, up=False)  # what is cheap is never kept
    assert registry.get_sample_value("recommons_coordinator_process_up", up) == 0
    assert len(read) == before + 1  # the process that has left
    online[0] = frozenset()
    site = registry.get_sample_value("recommons_coordinator_site_connected", {"site": "site-01"})
    assert (site, len(read)) == (0, before + 2)


def test_metrics_say_how_processes_sites_and_runs_stand(
    founded: Deployment, tiny_data: Path
) -> None:
    supervised(founded.home, up=True)
    with watched(founded.home, ("127.0.0.1", 0)) as (_, port):
        status, text = get(port, "/metrics")
    found = values(text)
    prefix = "recommons_coordinator"
    assert status == 200
    assert found[f'{prefix}_process_up{{name="gateway"}}'] == 1
    assert found[f'{prefix}_process_starts_total{{name="gateway"}}'] == 3
    assert found[f"{prefix}_sites"] == 3
    assert found[f'{prefix}_runs{{state="waiting"}}'] == 1
    assert found[f'{prefix}_runs{{state="finished"}}'] == 0
    assert found[f"{prefix}_run_epsilon_released"] == 0
    assert 3.9 < found[f"{prefix}_run_epsilon_reserved"] <= 4
    users = {line.split(",")[0] for line in (tiny_data / "events.csv").read_text().splitlines()[1:]}
    assert not any(user in text for user in users)


def test_a_federation_without_a_roster_is_not_ready_and_still_answers(tmp_path: Path) -> None:
    settings = CoordinatorSettings(
        federation="fruit", names=("127.0.0.1",), port=1, enrolment_port=2, superlink_port=3
    )
    home = CoordinatorHome.create(tmp_path / "home", settings, now=datetime.now(UTC))
    with watched(home, ("127.0.0.1", 0)) as (_, port):
        assert "coordinator/no-roster" in json.loads(get(port, "/readyz")[1])["reasons"]
        assert "recommons_coordinator_releases 0.0" in get(port, "/metrics")[1]


def test_an_address_that_is_taken_is_refused(founded: Deployment) -> None:
    with (
        watched(founded.home, ("127.0.0.1", 0)) as taken,
        pytest.raises(InvalidInput, match="health is"),
        watched(founded.home, taken),
    ):
        pass
