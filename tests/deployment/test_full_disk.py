"""A disk that is full, at a site and at the coordinator: small real file systems, filled up."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from recommons.simulations.loopback import wait_until
from tests.deployment.conftest import COORDINATOR, Deployment, five_sites
from tests.deployment.faults import (
    check_everybody,
    check_exact,
    check_ledgers,
    check_sums,
    end,
    of_run,
    started,
    status_of,
    survivors,
)
from tests.namespaces import SmallDisk, small_disk

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),  # flwr's own
]

SITE = "site-02"


@dataclass(frozen=True)
class Cramped:
    """A deployment whose coordinator and one of whose sites have small disks."""

    deployment: Deployment
    home: SmallDisk
    site: SmallDisk


@pytest.fixture(scope="module")
def cramped(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Iterator[Cramped]:
    folder = tmp_path_factory.mktemp("disk")
    with ExitStack() as stack:
        home = stack.enter_context(small_disk(folder.parent / "disk-home", 64))
        site = stack.enter_context(small_disk(folder.parent / "disk-site", 16))

        def prepare(deployment: Deployment) -> None:
            own = deployment.site(SITE) / "site.json"
            settings = json.loads(own.read_bytes()) | {"catalogue": "catalogue.json"}
            own.write_text(json.dumps(settings))  # a path that leaves the folder leads elsewhere
            for place, disk in ((deployment.home.folder, home), (deployment.site(SITE), site)):
                shutil.copytree(place, disk.folder, dirs_exist_ok=True)
                shutil.rmtree(place)
                place.symlink_to(disk.folder)
            deployment.within |= {COORDINATOR: home.within, SITE: site.within}

        deployment = stack.enter_context(five_sites(folder, tiny_data, prepare))
        yield Cramped(deployment, home, site)


def named(deployment: Deployment) -> int:
    return deployment.log(SITE).count("site/disk")


@pytest.mark.parametrize("step", ["advertise", "masked", "reveal"])
def test_a_site_whose_disk_is_full_takes_no_step_and_is_back_when_there_is_room(
    cramped: Cramped, step: str
) -> None:
    deployment, told = cramped.deployment, named(cramped.deployment)
    with ExitStack() as full:
        with started(deployment) as name:
            deployment.wait_for_step(name, step)
            # The site may have answered this step before; the next one it cannot write down.
            full.enter_context(cramped.site.filled())
        wait_until(lambda: named(deployment) > told)
        assert deployment.agents[SITE].poll() is None
    assert set(deployment.cohort) - {SITE} <= set(survivors(deployment, name))
    assert status_of(deployment, name)["aborts"] == []
    check_sums(deployment, name, away=SITE)
    check_everybody(deployment)


def test_an_agent_that_starts_on_a_full_disk_stays_silent_by_name(cramped: Cramped) -> None:
    deployment, told = cramped.deployment, named(cramped.deployment)
    with cramped.site.filled():
        end(deployment.agents[SITE])
        deployment.start_agent(SITE)
        with started(deployment) as name:
            pass
        assert deployment.agents[SITE].poll() is None
    assert named(deployment) > told
    assert set(survivors(deployment, name)) == set(deployment.cohort) - {SITE}
    check_everybody(deployment)


@pytest.mark.parametrize("step", ["masked", "reveal"])
def test_a_coordinator_whose_disk_is_full_waits_by_name_and_goes_on_when_there_is_room(
    cramped: Cramped, step: str
) -> None:
    deployment = cramped.deployment
    with started(deployment, model="als", settings={"dim": 2}) as name:
        deployment.wait_for_step(name, step)
        with cramped.home.filled():
            wait_until(lambda: deployment.state(name) == ("waiting", "coordinator/disk"), 60)
            done = len(of_run(deployment, name, "sum"))
    assert done < len(of_run(deployment, name, "sum"))
    assert survivors(deployment, name) == list(deployment.cohort)
    check_exact(deployment, name)
    check_ledgers(deployment)
