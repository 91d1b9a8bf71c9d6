import json
import signal
import time
from base64 import b64encode
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.proto.fleet_pb2 import PullMessagesRequest
from flwr.proto.node_pb2 import Node
from flwr.supercore.primitives.asymmetric import public_key_to_bytes, sign_message
from safetensors.numpy import load_file

from recommons.client.agent.credentials import read_node_key, tls_context
from recommons.client.releases import installed, read_installed, served
from recommons.common import commandline
from recommons.common.privacy.ledger import split_lines, verify_chain
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.records.releases import ReleaseShelf
from recommons.server.records.runs import Runs
from recommons.simulations.loopback import wait_until
from recommons.simulations.training_run import run_in_process
from tests.deployment.conftest import Deployment

pytestmark = pytest.mark.filterwarnings(
    "ignore:GitWildMatchPattern:DeprecationWarning"  # of flwr's own, when it builds a bundle
)


def test_a_dry_run_checks_and_prices_the_plan_and_starts_nothing(deployment: Deployment) -> None:
    status, told = deployment.say("run", str(deployment.write_plan()), "--dry-run")
    assert status == 0
    assert told["connected"] == list(deployment.cohort)
    assert told["missing"] == []
    assert told["budget"]["upload_bytes"] > 0
    unknown = deployment.write_plan()
    unknown.write_text(unknown.read_text() + "nobody = 10\n")
    status, told = deployment.say("run", str(unknown), "--dry-run")
    assert (status, told["error"]["code"]) == (2, "plan/cohort")
    assert deployment.say("status")[1]["runs"] == []


def test_a_run_over_real_processes_gives_the_sums_of_the_simulation(
    deployment: Deployment,
) -> None:
    status, told = deployment.say("run", str(deployment.write_plan()))
    assert status == 0, deployment.log("site-01")
    assert (told["run"], told["state"], told["release"]) == ("001", "finished", "001")
    # Without noise the sum is exact: another way to the same integers is the in-process engine.
    twin = CoordinatorFolder.open(deployment.folder / "twin" / "coordinator")
    run_in_process(deployment.folder / "twin", twin, lambda _event: None)
    for number in range(len(twin.plan.rounds)):
        name = f"rounds/{number:02d}.safetensors"
        here = load_file(deployment.run_folder("001") / name)["sum"]
        there = load_file(twin.folder / name)["sum"]
        assert here.any()
        np.testing.assert_array_equal(here, there)


def has_a_model(folder: Path) -> bool:
    return any(release.complete for release in installed(folder))


def test_the_release_is_signed_and_reaches_every_site_whole(deployment: Deployment) -> None:
    (note,) = ReleaseShelf(deployment.home.folder / "releases").notes()
    pinned = Runs(deployment.home.folder).federation()
    note.check(pinned.roster.federation, pinned.coordinator_key)
    for site in deployment.cohort:
        folder = deployment.site(site)
        wait_until(partial(has_a_model, folder), 60)
        release, metadata = read_installed(served(folder))
        assert release.model == "ease"
        assert metadata.plan_hash == note.plan
        assert served(folder).note == note


def test_a_second_run_goes_on_in_the_same_ledger(deployment: Deployment) -> None:
    status, told = deployment.say("run", str(deployment.write_plan()))
    assert (status, told["run"], told["release"]) == (0, "002", "002")
    first, second = ReleaseShelf(deployment.home.folder / "releases").notes()
    assert second.previous == first.hash.hex()
    runs = deployment.say("status")[1]["runs"]
    assert {run["run"]: run["state"] for run in runs} == {"001": "finished", "002": "finished"}


def test_a_run_is_stopped_between_two_attempts_resumed_and_ended_for_good(
    deployment: Deployment,
) -> None:
    plan = str(deployment.write_plan(model="als"))
    watched = deployment.in_background("run", plan)
    deployment.wait_for_step("003", "shares")
    status, told = deployment.say("stop", "003")
    assert (status, told["state"], told["code"]) == (0, "stopped", "run/stopped")
    assert watched.wait(60) == 1
    done = len(list((deployment.run_folder("003") / "rounds").iterdir()))
    assert 1 <= done < told["rounds"]
    status, told = deployment.say("resume", "003")
    assert (status, told["state"], told["release"]) == (0, "finished", "003")
    assert (told["resumes"], told["aborts"]) == (1, [])
    assert deployment.say("resume", "003")[1]["error"]["code"] == "run/resume"

    watched = deployment.in_background("run", plan)
    deployment.wait_for_step("004", "shares")
    status, told = deployment.say("stop", "004", "--for-good")
    assert (status, told["state"], told["code"]) == (0, "failed", "run/stopped")
    watched.wait(60)
    for site in deployment.cohort:
        last = json.loads((deployment.site(site) / "ledger.jsonl").read_text().splitlines()[-1])
        assert (last["kind"], last["body"].get("code")) == ("run-ended", "run/stopped")
    assert deployment.say("run", plan)[1]["state"] == "finished"


def test_every_ledger_verifies_and_ends_with_the_run(deployment: Deployment) -> None:
    pinned = Runs(deployment.home.folder).federation()
    books = {"coordinator": (deployment.home.folder, pinned.coordinator_key)}
    for entry in pinned.roster.sites:
        books[entry.site] = (deployment.site(entry.site), entry.public_key)
    for writer, (folder, key) in books.items():
        lines = split_lines((folder / "ledger.jsonl").read_bytes())
        entries = verify_chain(lines, key, writer=writer)
        assert entries[-1].kind == "run-ended", writer
        assert entries[-1].body["outcome"] == "finished"
    folders = [str(folder) for folder, _ in books.values()]
    trust = str(deployment.home.folder / "federation.json")
    assert commandline.main(["audit", *folders, "--trust", trust]) == 0


def call(deployment: Deployment, site: str, path: str, body: bytes) -> httpx.Response:
    """What whoever holds a site's node key and certificate may try."""
    folder = deployment.site(site)
    key = read_node_key(folder)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    now = datetime.now(UTC).isoformat()
    headers = {
        "flwr-public-key": b64encode(public_key_to_bytes(key.public_key())).decode(),
        "flwr-timestamp": now,
        "flwr-signature": b64encode(sign_message(key, now.encode())).decode(),
        "content-type": "application/protobuf",
    }
    url = f"https://127.0.0.1:{deployment.home.settings.port}"
    with httpx.Client(base_url=url, verify=tls_context(folder), timeout=20) as client:
        return client.post(path, content=body, headers=headers)


def node_of(deployment: Deployment, site: str) -> int:
    return int((deployment.site(site) / "node.id").read_text())


@pytest.mark.parametrize(
    "path",
    [
        "/v1/control/start-run",
        "/v1/control/register-node",
        "/v1/control/unregister-node",
        "/v1/fleet/register-node",
        "/v1/fleet/unregister-node",
        "/v1/fleet/get-fab",
        "/v1/runtime/acquire-task",
    ],
)
def test_a_sites_certificate_reaches_no_command(deployment: Deployment, path: str) -> None:
    for spelling in (path, "/" + path, path.replace("/v1/", "/v1/fleet/%2e%2e/")):
        assert call(deployment, "site-01", spelling, b"").status_code in {400, 404}


def test_a_site_may_not_ask_in_another_nodes_name(deployment: Deployment) -> None:
    other = PullMessagesRequest(node=Node(node_id=node_of(deployment, "site-02")))
    path = "/v1/fleet/pull-messages"
    assert call(deployment, "site-01", path, other.SerializeToString()).status_code == 401
    own = PullMessagesRequest(node=Node(node_id=node_of(deployment, "site-01")))
    assert call(deployment, "site-01", path, own.SerializeToString()).status_code == 200


def test_an_agent_that_is_killed_is_back_before_its_lease_would_end(
    deployment: Deployment,
) -> None:
    deployment.agents["site-03"].send_signal(signal.SIGKILL)
    deployment.agents["site-03"].wait()
    before = len(deployment.log("site-03"))
    start = time.monotonic()
    deployment.start_agent("site-03")
    wait_until(lambda: '"connected"' in deployment.log("site-03")[before:], 60)
    assert '"agent/lease"' not in deployment.log("site-03")[before:]
    assert time.monotonic() - start < 60


def test_a_site_that_is_dismissed_is_turned_away_and_may_come_back(
    deployment: Deployment,
) -> None:
    certificate = deployment.home.folder / "sites" / "site-02.pem"
    kept = certificate.read_bytes()
    deployment.home.dismiss("site-02")
    wait_until(lambda: '"agent/turned-away"' in deployment.log("site-02"), 60)
    assert deployment.home.members() == ["site-01", "site-03"]
    certificate.write_bytes(kept)
    deployment.home._list()
    assert deployment.home.members() == ["site-01", "site-02", "site-03"]


def test_logs_are_json_and_name_no_user(deployment: Deployment, tiny_data: Path) -> None:
    users = {line.split(",")[0] for line in (tiny_data / "events.csv").read_text().splitlines()[1:]}
    lines = deployment.log("site-01").splitlines()
    answered = [json.loads(line) for line in lines if '"answered"' in line]
    kinds = [line["kind"] for line in answered]
    assert {"train.join", "train.masked", "train.reveal"} <= set(kinds)
    assert all(len(line["reply"]) == 64 and line["bytes_out"] > 0 for line in answered)
    assert not any(f'"{user}"' in line for user in users for line in lines)
