"""Keys are replaced under a running federation: no process is started anew, and runs go on."""

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from recommons.client.site import Site
from recommons.common.commandline import main
from recommons.common.policy_file import policy_from_toml, policy_to_toml
from recommons.server.operating.control import connected
from recommons.server.records.home import CoordinatorHome
from recommons.simulations.loopback import wait_until
from tests.deployment.conftest import Deployment, found_deployment
from tests.deployment.test_joining import Running, listening

pytestmark = pytest.mark.filterwarnings(
    "ignore:GitWildMatchPattern:DeprecationWarning"  # of flwr's own, when it builds a bundle
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Deployment:
    """Data, catalogue and policies of three sites, to join with."""
    return found_deployment(tmp_path_factory.mktemp("made") / "it", tiny_data)


@pytest.fixture(scope="module")
def running(made: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    desk = Running(tmp_path_factory.mktemp("rotating"))
    try:
        desk.init()
        with (desk.folder / "coordinator.log").open("w") as log:
            desk.start("coordinator", "start", "fruit", log=log)
        home = CoordinatorHome.open(desk.home)
        wait_until(lambda: listening(home.settings.enrolment_port))
        for site in made.cohort:
            prepare(made.site(site), desk.folder / site)
            desk.let_in(site)
        for site in made.cohort:
            desk.agent(site)
        accept_everywhere(desk, made, 3)
        yield desk
    finally:
        desk.end()


def prepare(drawn: Path, folder: Path) -> None:
    """What a site's engineer has in the folder before joining; peers are verified later."""
    folder.mkdir()
    for name in ("events.parquet", "catalogue.json"):
        shutil.copy(drawn / name, folder)
    config = json.loads((drawn / "site.json").read_text())
    (folder / "site.json").write_text(json.dumps({**config, "catalogue": "catalogue.json"}))
    policy = policy_from_toml((drawn / "policy.toml").read_bytes())
    nobody = policy.peers.model_copy(update={"verified": {}, "least_verified_survivors": 0})
    text = policy_to_toml(policy.model_copy(update={"peers": nobody}))
    (folder / "policy.toml").write_text(text)


def accept_everywhere(running: Running, made: Deployment, epoch: int) -> None:
    """Every operator's word on an epoch, when it has come."""
    for site in made.cohort:
        folder = running.folder / site
        wait_until(partial(has_come, folder, epoch), 120)
        if pinned(folder) < epoch:
            assert main(["site", "roster", "accept", "--site", str(folder), "--yes"]) == 0
        wait_until(partial(is_pinned, folder, epoch), 120)


def has_come(folder: Path, epoch: int) -> bool:
    return is_pinned(folder, epoch) or (folder / "epochs" / f"{epoch}.json").exists()


def is_pinned(folder: Path, epoch: int) -> bool:
    return pinned(folder) == epoch


def pinned(folder: Path) -> int:
    with Site.open(folder) as site:
        return site.federation.roster.epoch


def run(running: Running, made: Deployment) -> str:
    plan = made.write_plan()
    text = running.run("coordinator", "run", str(plan), "--home", "fruit", "--json")
    told = json.loads(text[text.index("{\n") :])  # progress, from stderr, stands before it
    return str(told["state"])


def test_a_sites_and_the_coordinators_key_are_replaced_between_runs_and_nobody_is_stopped(
    running: Running, made: Deployment
) -> None:
    home = CoordinatorHome.open(running.home)
    wait_until(lambda: connected(home) == frozenset(made.cohort))
    assert run(running, made) == "finished"
    first, *_ = made.cohort
    running.run("site", "rotate", first, "--yes")
    wait_until(lambda: "signed by the present one" in requests(running), 120)
    running.run("federation", "approve", first, "--home", "fruit", "--yes")
    accept_everywhere(running, made, 4)
    assert (running.folder / first / "ledger.key").exists()
    running.run("federation", "rotate", "coordinator", "--home", "fruit", "--yes")
    accept_everywhere(running, made, 5)
    assert run(running, made) == "finished"
    for site in made.cohort:
        assert len(running.events(site, "connected")) == 1
        assert running.agents[site].poll() is None
    folders = [str(running.folder / name) for name in ("fruit", *made.cohort)]
    trust = str(running.home / "federation.json")
    assert main(["audit", *folders, "--trust", trust]) == 0


def requests(running: Running) -> str:
    return running.run("federation", "requests", "--home", "fruit")
