"""SIGKILL of each process inside each step of the protocol: an exact sum, and ledgers that verify.

Nobody repairs anything here: a test may start a process again whose starting is its operator's.
"""

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommons.server.operating.control import connected
from recommons.server.records.runs import flower_runs
from recommons.simulations.benchmarks.deployment import STEPS
from recommons.simulations.loopback import wait_until
from tests.deployment.conftest import Deployment
from tests.deployment.faults import (
    DEADLINE,
    check_charged,
    check_everybody,
    check_exact,
    check_ledgers,
    check_sums,
    end,
    entries,
    kill_app,
    of_run,
    started,
    status_of,
    survivors,
)
from tests.deployment.soak import Soak

pytestmark = pytest.mark.filterwarnings(
    "ignore:GitWildMatchPattern:DeprecationWarning"  # of flwr's own, when it builds a bundle
)


@pytest.fixture
def deployment(five: Deployment) -> Deployment:
    return five


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


def test_six_rounds_with_random_faults(deployment: Deployment) -> None:
    """The soak of `test_soak`, shortened."""
    soak = Soak(deployment, np.random.default_rng(11))
    name = soak.run(4, faults=3)
    assert soak.done, "no fault was done"
    check_exact(deployment, name)
    check_charged(deployment, name)
    soak.finish()


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


@pytest.mark.slow
def test_an_end_for_good_is_told_to_those_who_come_back(deployment: Deployment) -> None:
    with started(deployment, ends="failed") as name:
        deployment.wait_for_step(name, "masked")
        assert deployment.say("stop", name, "--now")[1]["state"] == "stopped"
        for agent in deployment.agents.values():
            agent.send_signal(signal.SIGTERM)
            agent.wait(60)
        wait_until(lambda: deployment.online() == frozenset())
        status, told = deployment.say("stop", name, "--for-good")
        assert (status, told["state"], told["code"]) == (0, "stopped", "run/stopped")
        assert [body["heads"] for body in of_run(deployment, name, "run-ended")] == [[]]
        deployment.start_agent("site-03")
    assert deployment.state(name) == ("failed", "run/stopped")
    assert [head["site"] for head in of_run(deployment, name, "run-ended")[-1]["heads"]] == [
        "site-03"
    ]
    run = (deployment.run_folder(name) / "run.json").read_text().strip()
    assert len(entries(deployment.site("site-03"), "run-ended", run)) == 1
    away = frozenset(deployment.cohort) - {"site-03"}
    for site in away:
        deployment.start_agent(site)
    check_ledgers(deployment, away=away)


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
        wait_until(lambda: connected(deployment.home) is not None)
        answers = time.monotonic()
        wait_until(lambda: len(flower_runs(deployment.run_folder(name))) == 2)
        assert time.monotonic() - answers < 30  # Flower's own lease on an app lasts a minute
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
    check_everybody(deployment)
