"""SIGKILL of each process inside each step of the protocol: an exact sum, and ledgers that verify.

Nobody repairs anything here: a test may start a process again whose starting is its operator's.
"""

import io
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file

from recommons.client.site import Site
from recommons.common import commandline
from recommons.common.models.registry import model_from_settings
from recommons.common.plan import Plan
from recommons.server.runs import Runs
from recommons.simulations.benchmarks.deployment import STEPS
from tests.deployment.conftest import Deployment, found_deployment, running, wait_until

pytestmark = pytest.mark.filterwarnings(
    "ignore:GitWildMatchPattern:DeprecationWarning"  # of flwr's own, when it builds a bundle
)

DEADLINE = 8.0
PRIVACY: dict[str, Any] = {"colluding": 0, "min_survivors": 3, "spare_attempts": 9}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Iterator[Deployment]:
    """Five sites of whom two may vanish (c = 0, M = 3), and attempts to spare."""
    folder = tmp_path_factory.mktemp("faults")
    with contextmanager(running)(found_deployment(folder, tiny_data, sites=5, **PRIVACY)) as found:
        yield found
        wait_until(lambda: found.online() == set(found.cohort))  # whatever was done to them


@contextmanager
def started(deployment: Deployment, *, ends: str = "finished", **keys: Any) -> Iterator[str]:
    """A new run that somebody watches until it has ended so, under the name given."""
    wait_until(lambda: deployment.online() == set(deployment.cohort))
    name = f"{len(Runs(deployment.home.folder).names()) + 1:03d}"
    plan = deployment.write_plan(**PRIVACY | keys)
    watching = deployment.in_background("run", str(plan), "--deadline", f"{DEADLINE:g}")
    try:
        wait_until(lambda: (deployment.run_folder(name) / "run.json").exists())
        yield name
        wait_until(lambda: deployment.state(name)[0] in ("finished", "failed"), 240)
        assert deployment.state(name)[0] == ends, deployment.state(name)
        # It gives up where the SuperLink was away, and the run goes on without it.
        watching.wait(60)
    finally:
        end(watching)


def end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


def entries(folder: Path, kind: str, run: str) -> list[dict[str, Any]]:
    """Bodies of a ledger's lines of one kind about one run."""
    lines = map(json.loads, (folder / "ledger.jsonl").read_text().splitlines())
    return [e["body"] for e in lines if e["kind"] == kind and e["body"].get("run") == run]


def of_run(deployment: Deployment, name: str, kind: str) -> list[dict[str, Any]]:
    run = (deployment.run_folder(name) / "run.json").read_text().strip()
    return entries(deployment.home.folder, kind, run)


def survivors(deployment: Deployment, name: str) -> list[str]:
    """Of the last round that was certified."""
    found: list[str] = of_run(deployment, name, "certificate")[-1]["survivors"]
    return found


def check_sums(deployment: Deployment, name: str, *, away: str | None = None) -> None:
    """The sums are the exact ones, and every ledger verifies; one site was away at the end."""
    sums = load_file(deployment.run_folder(name) / "rounds" / "00.safetensors")["sum"]
    assert sums.any()
    certified = {c["context"]: c["survivors"] for c in of_run(deployment, name, "certificate")}
    (opened,) = [body["context"] for body in of_run(deployment, name, "sum") if body["round"] == 0]
    np.testing.assert_array_equal(sums, exact(deployment, name, certified[opened]))
    check_ledgers(deployment, away=away)


def check_ledgers(deployment: Deployment, *, away: str | None = None) -> None:
    folders = [deployment.home.folder, *map(deployment.site, deployment.cohort)]
    trust = str(deployment.home.folder / "federation.json")
    out = io.StringIO()
    with redirect_stdout(out):
        commandline.main(["audit", *map(str, folders), "--trust", trust, "--json"])
    found = [f for f in json.loads(out.getvalue())["findings"] if f["severity"] != "note"]
    # Nobody holds a head that covers the last line of a site that was away when the run ended.
    expected = None if away is None else str(deployment.site(away) / "ledger.jsonl")
    allowed = ("audit/unanchored", "unverifiable", expected)
    assert {(f["code"], f["severity"], f["ledger"]) for f in found} <= {allowed}, found


def exact(deployment: Deployment, run: str, sites: list[str]) -> npt.NDArray[np.int64]:
    """The first round's sum over these sites, from copies of their folders, in the clear."""
    plan = Plan.from_bytes((deployment.run_folder(run) / "plan.json").read_bytes())
    spec = plan.specs()[0]
    total = np.zeros(spec.size, np.int64)
    for name in sites:
        with Site.open(deployment.folder / "twin" / "sites" / name) as site:
            model = model_from_settings(plan.model.name, plan.model.settings, site.catalogue)
            sums = model.contribute(0, {}, site.interactions, spec.blocks)
        for block, place in spec.slices():
            total[place] += sums[block.name]
    return total


def kill_app(deployment: Deployment, name: str) -> None:
    pid = deployment.app_pid(name)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def status_of(deployment: Deployment, name: str) -> dict[str, Any]:
    (found,) = [run for run in deployment.say("status")[1]["runs"] if run["run"] == name]
    assert isinstance(found, dict)
    return found


def each_step(quick: str) -> list[Any]:
    """Every step, all but one of them for the long suite."""
    return [s if s == quick else pytest.param(s, marks=pytest.mark.slow) for s in STEPS]


@pytest.mark.parametrize("step", each_step("masked"))
def test_a_killed_agent_is_dropped_and_the_others_finish(deployment: Deployment, step: str) -> None:
    site = "site-02"
    with started(deployment) as name:
        deployment.wait_for_step(name, step)
        end(deployment.agents[site])
    assert set(deployment.cohort) - {site} <= set(survivors(deployment, name))
    assert status_of(deployment, name)["aborts"] == []
    check_sums(deployment, name, away=site)
    deployment.start_agent(site)


@pytest.mark.slow
def test_with_too_few_survivors_the_run_fails_under_a_name_and_the_next_one_finishes(
    deployment: Deployment,
) -> None:
    lost = ("site-01", "site-02", "site-03")
    with started(deployment, ends="failed", spare_attempts=1) as name:
        deployment.wait_for_step(name, "masked")
        for site in lost:
            end(deployment.agents[site])
    assert deployment.state(name) == ("failed", "run/attempts")
    assert of_run(deployment, name, "sum") == []
    codes = [abort["code"] for abort in status_of(deployment, name)["aborts"]]
    assert len(codes) == 2
    assert set(codes) == {"secagg/too-few-sites"}
    for site in lost:
        deployment.start_agent(site)
    with started(deployment) as name:
        pass
    check_sums(deployment, name)


@pytest.mark.parametrize("step", each_step("masked"))
def test_a_killed_app_is_started_again_and_goes_on(deployment: Deployment, step: str) -> None:
    with started(deployment) as name:
        deployment.wait_for_step(name, step)
        kill_app(deployment, name)
    found = status_of(deployment, name)
    assert found["resumes"] == 1
    aborts = [abort["code"] for abort in found["aborts"]]
    assert aborts == ["run/interrupted"] or (step, aborts) == ("reveal", [])
    assert set(survivors(deployment, name)) == set(deployment.cohort)
    check_sums(deployment, name)


@pytest.mark.slow
def test_a_killed_run_goes_on_after_its_last_finished_round(deployment: Deployment) -> None:
    with started(deployment, model="als") as name:
        deployment.wait_for_step(name, "shares", round=2)
        first = (deployment.run_folder(name) / "rounds" / "00.safetensors").stat()
        killed = time.monotonic()
        kill_app(deployment, name)
    assert time.monotonic() - killed < 50  # Flower's own lease on an app lasts a minute
    assert [opened["round"] for opened in of_run(deployment, name, "round-opened")][:3] == [0, 1, 1]
    again = (deployment.run_folder(name) / "rounds" / "00.safetensors").stat()
    assert (again.st_ino, again.st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
    assert [a["round"] for a in status_of(deployment, name)["aborts"]] == [2]
    check_ledgers(deployment)


@pytest.mark.slow
def test_what_left_a_site_is_counted_by_it_and_by_the_coordinator(deployment: Deployment) -> None:
    with started(deployment, epsilon=1.0) as name:
        deployment.wait_for_step(name, "sign")  # every vector has arrived
        kill_app(deployment, name)
    run = (deployment.run_folder(name) / "run.json").read_text().strip()
    counted = {
        body["context"]
        for kind in ("sum", "round-aborted")
        for body in of_run(deployment, name, kind)
        if body["events"]
    }
    assert len(counted) == 2
    for site in deployment.cohort:
        committed = entries(deployment.site(site), "committed", run)
        assert {body["context"] for body in committed} == counted, site
        assert all(body["events"] for body in committed)
    check_ledgers(deployment)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("process", ["gateway", "superlink", "superexec"])
def test_a_killed_process_of_the_coordinator_is_back_and_the_run_ends(
    deployment: Deployment, process: str, step: str
) -> None:
    with started(deployment) as name:
        deployment.wait_for_step(name, step)
        os.kill(deployment.pid(process), signal.SIGKILL)
    check_sums(deployment, name)


@pytest.mark.slow
def test_a_killed_coordinator_goes_on_when_it_is_started_again(deployment: Deployment) -> None:
    assert deployment.coordinator is not None
    with started(deployment) as name:
        deployment.wait_for_step(name, "masked")
        end(deployment.coordinator)
        deployment.start_coordinator()
    check_sums(deployment, name)


@pytest.mark.slow
def test_a_stalled_site_is_dropped_by_the_rounds_own_deadline(deployment: Deployment) -> None:
    site = "site-04"
    stalled = deployment.agents[site]
    try:
        with started(deployment) as name:
            deployment.wait_for_step(name, "shares")
            stalled.send_signal(signal.SIGSTOP)
    finally:
        stalled.send_signal(signal.SIGCONT)
    assert set(survivors(deployment, name)) >= set(deployment.cohort) - {site}
    assert status_of(deployment, name)["aborts"] == []
    lines = (deployment.run_folder(name) / "progress.jsonl").read_text().splitlines()
    begun = {event["step"]: event["elapsed"] for event in map(json.loads, lines)}
    # It is asked nothing more once it was silent: one deadline in all, not one a step.
    assert DEADLINE - 1 < begun["release"] - begun["shares"] < 2 * DEADLINE
    check_sums(deployment, name, away=site)


@pytest.mark.slow
def test_a_site_restored_from_an_old_backup_halts_and_the_others_finish(
    deployment: Deployment,
) -> None:
    site = "site-05"
    folder = deployment.site(site)
    old, newest = deployment.folder / "old", deployment.folder / "newest"

    def put(source: Path, target: Path) -> None:
        """While its agent is away."""
        deployment.agents[site].send_signal(signal.SIGTERM)
        assert deployment.agents[site].wait(60) == 0
        shutil.copytree(folder, target)
        if source != folder:
            shutil.rmtree(folder)
            shutil.copytree(source, folder)
        deployment.start_agent(site)

    put(folder, old)
    with started(deployment) as name:
        pass
    assert survivors(deployment, name) == list(deployment.cohort)
    put(old, newest)
    with started(deployment) as name:
        pass
    assert survivors(deployment, name) == [other for other in deployment.cohort if other != site]
    assert "site/old-backup" in deployment.log(site)
    put(newest, deployment.folder / "halted")  # the remedy: the newest folder, where there is one
    with started(deployment) as name:
        pass
    assert survivors(deployment, name) == list(deployment.cohort)
    check_sums(deployment, name)
