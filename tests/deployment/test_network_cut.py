"""A cable pulled between two hosts: each process in the network namespace of its own host."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from recommons.simulations.loopback import wait_until
from tests.deployment.conftest import COORDINATOR, Deployment, five_sites
from tests.deployment.faults import (
    DEADLINE,
    check_everybody,
    check_exact,
    check_ledgers,
    of_run,
    started,
    status_of,
    survivors,
)
from tests.namespaces import Network, network

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),  # flwr's own
]

_SITES = tuple(f"site-0{number}" for number in range(1, 6))


@dataclass(frozen=True)
class Wired:
    """A deployment whose processes reach each other over a switch alone."""

    deployment: Deployment
    network: Network


@pytest.fixture(scope="module")
def wired(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Iterator[Wired]:
    with network((COORDINATOR, *_SITES)) as found:
        folder = tmp_path_factory.mktemp("cut")

        def prepare(deployment: Deployment) -> None:
            deployment.remote = True
            for host in found.hosts:
                deployment.within[host] = found.within(host)

        address = found.addresses[COORDINATOR]
        with five_sites(folder, tiny_data, prepare, address=address) as deployment:
            yield Wired(deployment, found)


@pytest.mark.parametrize("step", ["shares", "sign"])
def test_a_site_that_is_cut_off_is_dropped_and_comes_back_by_itself(
    wired: Wired, step: str
) -> None:
    site, deployment = "site-02", wired.deployment
    try:
        with started(deployment) as name:
            deployment.wait_for_step(name, step)
            wired.network.cut(site)
    finally:
        wired.network.mend(site)
        mended = time.monotonic()
    assert set(deployment.cohort) - {site} <= set(survivors(deployment, name))
    assert status_of(deployment, name)["aborts"] == []
    check_exact(deployment, name)
    check_ledgers(deployment, away=frozenset({site}))
    wait_until(lambda: deployment.online() == set(deployment.cohort))
    assert time.monotonic() - mended < 90
    check_everybody(deployment)


def test_a_cut_shorter_than_the_deadline_costs_nobody_the_round(wired: Wired) -> None:
    deployment = wired.deployment
    with started(deployment, deadline=40.0) as name:
        deployment.wait_for_step(name, "masked")
        wired.network.cut("site-04")
        time.sleep(3.0)
        wired.network.mend("site-04")
    assert survivors(deployment, name) == list(deployment.cohort)
    assert status_of(deployment, name)["aborts"] == []
    check_exact(deployment, name)
    check_ledgers(deployment)


def test_a_coordinator_cut_off_from_everybody_aborts_by_name_and_goes_on_afterwards(
    wired: Wired,
) -> None:
    deployment = wired.deployment
    try:
        with started(deployment, ends="failed", spare_attempts=0) as name:
            deployment.wait_for_step(name, "masked")
            wired.network.cut(COORDINATOR)
            began = time.monotonic()
            wait_until(lambda: deployment.state(name) == ("waiting", "run/attempts"))
            # The attempt, the farewell, the receipt; then it waits for somebody to tell.
            assert time.monotonic() - began < 6 * DEADLINE
            wired.network.mend(COORDINATOR)
    finally:
        wired.network.mend(COORDINATOR)
    assert deployment.state(name) == ("failed", "run/attempts")
    assert [a["code"] for a in status_of(deployment, name)["aborts"]] == ["secagg/too-few-sites"]
    assert of_run(deployment, name, "sum") == []
    check_everybody(deployment)
