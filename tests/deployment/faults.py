"""What tests of faults share: a run that somebody watches, its exact sums, its ledgers."""

import io
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

from recommons.client.site import Site
from recommons.common import commandline
from recommons.common.models.registry import model_from_settings
from recommons.common.plan import Plan
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.records.runs import Runs
from recommons.server.rounds.tally import noisy_sums
from recommons.simulations.loopback import wait_until
from tests.deployment.conftest import PRIVACY, Deployment, NotThere

DEADLINE = 8.0


@contextmanager
def started(
    deployment: Deployment,
    *,
    ends: str = "finished",
    deadline: float = DEADLINE,
    seconds: float = 240.0,
    here: frozenset[str] | None = None,
    **keys: Any,
) -> Iterator[str]:
    """A new run that somebody watches until it has ended so, under the name given.

    Args:
        deployment: Whose.
        ends: How the run has to end.
        deadline: Seconds that a step waits for the last site.
        seconds: How long the whole run may take.
        here: The sites that are connected when it begins; by default all.
        keys: Of the plan file.
    """
    expected = frozenset(deployment.cohort) if here is None else here
    wait_until(lambda: deployment.online() == expected)
    name = f"{len(Runs(deployment.home.folder).names()) + 1:03d}"
    plan = deployment.write_plan(**PRIVACY | keys)
    watching = deployment.in_background("run", str(plan), "--deadline", f"{deadline:g}")
    try:
        wait_until(lambda: (deployment.run_folder(name) / "run.json").exists())
        yield name
        wait_until(lambda: deployment.state(name)[0] in ("finished", "failed"), seconds)
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
    check_exact(deployment, name)
    check_ledgers(deployment, away=frozenset() if away is None else frozenset({away}))


def check_everybody(deployment: Deployment) -> None:
    """A further run has everybody in it, the exact sum, and ledgers that verify."""
    with started(deployment) as name:
        pass
    assert survivors(deployment, name) == list(deployment.cohort)
    check_sums(deployment, name)


def check_exact(deployment: Deployment, name: str) -> None:
    """Every round's sum is that of its certified survivors, computed again in the clear."""
    plan = Plan.from_bytes((deployment.run_folder(name) / "plan.json").read_bytes())
    run = CoordinatorFolder.open(deployment.run_folder(name))
    model = model_from_settings(plan.model.name, plan.model.settings, run.catalogue)
    certified = {c["context"]: c["survivors"] for c in of_run(deployment, name, "certificate")}
    opened = {b["round"]: certified[b["context"]] for b in of_run(deployment, name, "sum")}
    assert sorted(opened) == list(range(len(plan.rounds)))
    done: list[Any] = []
    for number, spec in enumerate(plan.specs()):
        stored = load_file(run.folder / "rounds" / f"{number:02d}.safetensors")["sum"]
        assert stored.any()
        state = model.public_state(tuple(done))
        np.testing.assert_array_equal(
            stored, _exact(deployment, plan, number, opened[number], state)
        )
        done.append(noisy_sums(spec, stored, len(opened[number])))


def _exact(
    deployment: Deployment, plan: Plan, number: int, sites: list[str], state: Any
) -> npt.NDArray[np.int64]:
    """A round's sum over these sites, from copies of their folders."""
    spec = plan.specs()[number]
    total = np.zeros(spec.size, np.int64)
    for name in sites:
        with Site.open(deployment.folder / "twin" / "sites" / name) as site:
            model = model_from_settings(plan.model.name, plan.model.settings, site.catalogue)
            sums = model.contribute(number, state, site.interactions, spec.blocks)
        for block, place in spec.slices():
            total[place] += sums[block.name]
    return total


def check_ledgers(deployment: Deployment, *, away: frozenset[str] = frozenset()) -> None:
    """`recommons audit` finds nothing, but that nobody holds a head of the sites that are away."""
    folders = [deployment.home.folder, *map(deployment.site, deployment.cohort)]
    trust = str(deployment.home.folder / "federation.json")
    out = io.StringIO()
    with redirect_stdout(out):
        commandline.main(["audit", *map(str, folders), "--trust", trust, "--json"])
    found = [f for f in json.loads(out.getvalue())["findings"] if f["severity"] != "note"]
    # Nobody holds a head that covers the last line of a site that was away when the run ended.
    allowed = {
        ("audit/unanchored", "unverifiable", str(deployment.site(site) / "ledger.jsonl"))
        for site in away
    }
    assert {(f["code"], f["severity"], f["ledger"]) for f in found} <= allowed, found


def check_charged(deployment: Deployment, name: str) -> None:
    """No attempt that the coordinator counts as spent is missing where a vector left a site."""
    run = (deployment.run_folder(name) / "run.json").read_text().strip()
    counted = {
        body["context"]
        for kind in ("sum", "round-aborted")
        for body in of_run(deployment, name, kind)
        if body["events"]
    }
    for site in deployment.cohort:
        folder = deployment.site(site)
        committed = {body["context"] for body in entries(folder, "committed", run)}
        released = {body["context"] for body in entries(folder, "released", run)}
        reserved = {body["context"] for body in entries(folder, "reserved", run)}
        assert released <= committed <= reserved, site
        assert committed <= counted, site
    for body in of_run(deployment, name, "certificate"):
        for site in body["survivors"]:
            committed = {b["context"] for b in entries(deployment.site(site), "committed", run)}
            assert body["context"] in committed, site


def kill_app(deployment: Deployment, name: str) -> None:
    pid = deployment.app_pid(name)
    if pid is None:
        raise NotThere(f"the app of run {name}")
    os.kill(pid, signal.SIGKILL)


def status_of(deployment: Deployment, name: str) -> dict[str, Any]:
    (found,) = [run for run in deployment.say("status")[1]["runs"] if run["run"] == name]
    assert isinstance(found, dict)
    return found
