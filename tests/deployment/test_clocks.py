"""A clock an hour off, at a site and at the coordinator: named, waited out, and no harm done."""

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recommons.simulations.loopback import wait_until
from tests.deployment.conftest import COORDINATOR, Deployment
from tests.deployment.faults import (
    check_everybody,
    check_sums,
    end,
    started,
    survivors,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),  # flwr's own
]

HOUR = 3600
SITE = "site-03"


@pytest.fixture
def deployment(five: Deployment) -> Deployment:
    return five


@pytest.fixture(scope="module")
def shifting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that shows a process another time of day."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler, and so no way to give one process another clock")
    library = tmp_path_factory.mktemp("shifting") / "shifted_clock.so"
    source = Path(__file__).with_name("shifted_clock.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def shift(deployment: Deployment, process: str, library: Path, seconds: int) -> None:
    """Of the next process that is started under this name."""
    told = {"LD_PRELOAD": str(library), "RECOMMONS_TEST_SHIFT": str(seconds)}
    deployment.environment[process] = told if seconds else {}


def restart(deployment: Deployment, site: str) -> None:
    end(deployment.agents[site])
    deployment.start_agent(site)


def checked(deployment: Deployment, site: str) -> dict[str, bool | None]:
    """What `recommons site check` finds, by what it looked at, on the site's own host."""
    words = ("site", "check", str(deployment.site(site)), "--json")
    told, _ = deployment.popen(site, *words, stdout=subprocess.PIPE).communicate(timeout=60)
    return {finding["what"]: finding["ok"] for finding in json.loads(told)["findings"]}


def times(folder: Path) -> list[datetime]:
    lines = (folder / "ledger.jsonl").read_text().splitlines()
    return [datetime.fromisoformat(json.loads(line)["time"]) for line in lines]


@pytest.mark.parametrize("hours", [1, -1])
def test_a_site_an_hour_off_is_turned_away_by_name_and_is_back_when_its_clock_is_right(
    deployment: Deployment, shifting: Path, hours: int
) -> None:
    shift(deployment, SITE, shifting, hours * HOUR)
    restart(deployment, SITE)
    told = deployment.log(SITE).count('"agent/clock"')
    wait_until(lambda: deployment.log(SITE).count('"agent/clock"') > told)
    found = checked(deployment, SITE)
    assert (found["clock"], found["tls"], found["member"]) == (False, True, True)
    others = frozenset(deployment.cohort) - {SITE}
    with started(deployment, here=others) as name:
        pass
    assert set(survivors(deployment, name)) == others
    check_sums(deployment, name, away=SITE)
    shift(deployment, SITE, shifting, 0)
    restart(deployment, SITE)
    check_everybody(deployment)
    assert checked(deployment, SITE)["clock"] is True


def test_a_clock_that_was_an_hour_ahead_is_set_right_and_the_sites_ledger_never_goes_back(
    deployment: Deployment, shifting: Path
) -> None:
    """A site's own book takes a wrong clock's word once, and never runs backwards."""
    folder = deployment.site(SITE)
    shift(deployment, SITE, shifting, HOUR)
    policy = folder / "policy.toml"
    policy.write_text(policy.read_text().replace("most_rounds = 100000", "most_rounds = 99999"))
    words = ("site", "ledger", "export", str(folder), str(deployment.folder / "exported"))
    assert deployment.popen(SITE, *words).wait(60) == 0  # it writes down the new policy first
    assert times(folder)[-1] > datetime.now(UTC) + timedelta(minutes=50)
    shift(deployment, SITE, shifting, 0)
    restart(deployment, SITE)
    with started(deployment) as name:
        pass
    check_sums(deployment, name)
    assert times(folder) == sorted(times(folder))


def test_a_coordinator_an_hour_off_loses_its_sites_by_name_and_finds_them_again(
    deployment: Deployment, shifting: Path
) -> None:
    assert deployment.coordinator is not None

    def start_again(seconds: int) -> None:
        assert deployment.coordinator is not None
        shift(deployment, COORDINATOR, shifting, seconds)
        deployment.coordinator.terminate()
        assert deployment.coordinator.wait(60) == 0
        deployment.start_coordinator()

    before = {site: deployment.log(site).count('"agent/clock"') for site in deployment.cohort}
    start_again(HOUR)
    for site, count in before.items():
        wait_until(lambda: deployment.log(site).count('"agent/clock"') > count)  # noqa: B023 - called here
    plan = str(deployment.write_plan(colluding=0, min_survivors=3))
    status, told = deployment.say("run", plan)
    assert (status, told["error"]["code"]) == (1, "run/sites")
    start_again(0)
    check_everybody(deployment)
