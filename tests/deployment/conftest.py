"""A whole federation of real processes on loopback: SuperLink, executor, gateway, agents."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from recommons.common import commandline
from recommons.server.operating.control import connected
from recommons.server.operating.processes import process_states
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.records.home import CoordinatorHome
from recommons.simulations import simulate
from recommons.simulations.loopback import Loopback, wait_until
from recommons.simulations.settings import SimulationSettings

COORDINATOR = "coordinator"
MOST_SPARE = 100
"""Spare attempts that the sites' policies allow a plan."""

PRIVACY: dict[str, Any] = {"colluding": 0, "min_survivors": 3, "spare_attempts": 9}
_MAIN = "recommons.common.commandline"


class NotThere(Exception):
    """A process that is to be killed is gone already, or has not begun."""


@dataclass
class Deployment:
    """Folders and processes.

    Attributes:
        folder: Holds `home`, `sites` and `twin`, a copy of the simulation taken before it ran.
        home: The coordinator's home.
        cohort: Declared users by site.
        coordinator: `recommons coordinator start`.
        agents: The agents' processes by site.
        within: By process (`COORDINATOR` or a site), the command that runs it elsewhere: in the
            network namespace of its host, say.
        environment: By process, what is added to its environment.
        remote: The coordinator's loopback is not this process's.
    """

    folder: Path
    home: CoordinatorHome
    cohort: dict[str, int]
    coordinator: subprocess.Popen[bytes] | None = None
    agents: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    within: dict[str, tuple[str, ...]] = field(default_factory=dict)
    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    remote: bool = False

    def start_coordinator(self) -> None:
        with (self.folder / "coordinator.log").open("ab") as log:
            words = ("coordinator", "start", str(self.home.folder))
            self.coordinator = self.popen(COORDINATOR, *words, stdout=log, stderr=log)

    def start_agent(self, site: str) -> None:
        with (self.folder / f"{site}.log").open("ab") as log:
            words = ("site", "start", str(self.site(site)))
            self.agents[site] = self.popen(site, *words, stderr=log)

    def popen(self, process: str, *words: str, **given: Any) -> "subprocess.Popen[bytes]":
        """A `recommons` command of the coordinator or of a site, where that is."""
        command = [*self.within.get(process, ()), sys.executable, "-m", _MAIN, *words]
        return subprocess.Popen(
            command, env={**os.environ, **self.environment.get(process, {})}, **given
        )

    def site(self, name: str) -> Path:
        return self.folder / "sites" / name

    def log(self, site: str) -> str:
        return (self.folder / f"{site}.log").read_text()

    def online(self) -> frozenset[str]:
        if not self.remote:
            return connected(self.home) or frozenset()
        words = ("coordinator", "status", "--home", str(self.home.folder), "--json")
        asking = self.popen(COORDINATOR, *words, stdout=subprocess.PIPE)
        told, _ = asking.communicate(timeout=180)
        return frozenset(s["site"] for s in json.loads(told)["sites"] if s["connected"])

    def pid(self, name: str) -> int:
        """Of one of the coordinator's children; `NotThere` where it is not."""
        for state in process_states(self.home.folder / "superlink"):
            if state["name"] == name and state["pid"] is not None:
                return int(state["pid"])
        raise NotThere(name)

    def certificates(self) -> dict[Path, bytes]:
        """The gateway's and the sites', by file."""
        own = (self.site(site) / "node.pem" for site in self.cohort)
        return {path: path.read_bytes() for path in (self.home.folder / "gateway.pem", *own)}

    def repair(self, certificates: dict[Path, bytes]) -> None:
        """What a test that broke off has left: certificates, clocks, stalled and dead processes."""
        for path, good in certificates.items():
            if path.read_bytes() != good:
                replacement = path.with_suffix(".good")
                replacement.write_bytes(good)
                replacement.replace(path)
        elsewhere = {process for process, added in self.environment.items() if added}
        self.environment.clear()
        for site, agent in self.agents.items():
            agent.send_signal(signal.SIGCONT)
            if site in elsewhere:
                agent.kill()
                agent.wait()
            if agent.poll() is not None:
                self.start_agent(site)
        if self.coordinator is not None and COORDINATOR in elsewhere:
            self.coordinator.kill()
            self.coordinator.wait()
        if self.coordinator is None or self.coordinator.poll() is not None:
            self.start_coordinator()

    def run_folder(self, name: str) -> Path:
        return self.home.folder / "runs" / name

    def app_pid(self, run: str) -> int | None:
        """Of the process that carries out a run."""
        try:
            found = json.loads((self.run_folder(run) / "process.json").read_bytes())
        except (OSError, ValueError):
            return None
        return int(found["pid"]) if "pid" in found else None

    def write_plan(self, **keys: object) -> Path:
        """A plan file for all sites: `ease` without noise, unless `keys` say otherwise."""
        path = self.folder / "plan.toml"
        shutil.copy(self.folder / "twin" / "coordinator" / "catalogue.json", self.folder)
        known = {"model": "ease", "epsilon": "inf", "catalogue": "catalogue.json", **keys}
        lines = [f"{name} = {_toml(value)}" for name, value in known.items()]
        sites = [f"{site} = {users}" for site, users in self.cohort.items()]
        path.write_text("\n".join([*lines, "[sites]", *sites]) + "\n")
        return path

    def say(self, *words: str) -> tuple[int, Any]:
        """A `recommons coordinator` command on this home, with `--json`; status and document."""
        import contextlib
        import io

        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            home = ["--home", str(self.home.folder)]
            status = commandline.main(["coordinator", *words, *home, "--json"])
        return status, json.loads(out.getvalue() or "null")

    def in_background(self, *words: str) -> "subprocess.Popen[bytes]":
        """The same as a process of its own, whose output is not read."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        home = ("--home", str(self.home.folder))
        return self.popen(COORDINATOR, "coordinator", *words, *home, **quiet)

    def wait_for_step(self, run: str, step: str, *, round: int = 1, attempt: int = 1) -> None:
        """Until a run has begun a step."""
        wanted = (round, attempt, step)

        def begun() -> bool:
            try:
                lines = (self.run_folder(run) / "progress.jsonl").read_text().splitlines()
            except OSError:
                return False
            events = [json.loads(line) for line in lines]
            return wanted in [(e["round"], e["attempt"], e["step"]) for e in events]

        end = time.monotonic() + 120
        while not begun():
            assert time.monotonic() < end, f"{wanted} was not reached"
            time.sleep(0.005)

    def state(self, run: str) -> tuple[str, str | None]:
        from recommons.server.operating.status_reading import run_states

        return run_states(self.home.folder)[run]


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(found)}" for name, found in value.items()) + "}"
    return json.dumps(value)


def found_deployment(
    folder: Path, tiny_data: Path, *, address: str = "127.0.0.1", **settings: Any
) -> Deployment:
    """Sites enrolled by files, nobody started yet.

    Args:
        folder: For all of it.
        tiny_data: The events.
        address: Of the coordinator's host.
        settings: Of a simulation.
    """
    fields = {"data": str(tiny_data), "sites": 3, "model": "ease", "epsilon": float("inf")}
    found = SimulationSettings.load(None, fields | settings)
    scene = simulate.Scene.set_up(found)
    run: CoordinatorFolder = simulate._coordinator(found, scene, folder)
    shutil.copytree(folder, folder / "twin")
    for site in run.plan.cohort:
        shutil.copy(run.folder / "catalogue.json", folder / "sites" / site)
    home = Loopback.enrol(folder / "home", run, folder / "sites", address=address).home
    return Deployment(folder, home, dict(run.plan.declared_users))


def running(deployment: Deployment) -> Iterator[Deployment]:
    """While all its processes run."""
    deployment.start_coordinator()
    try:
        for site in deployment.cohort:
            deployment.start_agent(site)
        wait_until(lambda: deployment.online() == set(deployment.cohort))
        yield deployment
    finally:
        for agent in deployment.agents.values():
            agent.send_signal(signal.SIGTERM)
        try:
            # 0: the message in hand was answered and the lease ended.
            statuses = {agent.wait(60) for agent in deployment.agents.values()}
            assert statuses <= {0, -signal.SIGKILL}
        finally:
            for agent in deployment.agents.values():
                agent.kill()
                agent.wait()
            if deployment.coordinator is not None:
                deployment.coordinator.send_signal(signal.SIGTERM)
                deployment.coordinator.wait(60)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Iterator[Deployment]:
    """Three sites, enrolled by files, connected."""
    folder = tmp_path_factory.mktemp("deployment")
    yield from running(found_deployment(folder, tiny_data))


@contextmanager
def five_sites(
    folder: Path,
    tiny_data: Path,
    prepare: Callable[[Deployment], None] = lambda _deployment: None,
    **settings: Any,
) -> Iterator[Deployment]:
    """Five connected sites of whom two may vanish (c = 0, M = 3), and attempts to spare.

    Args:
        folder: For all of it.
        tiny_data: The events.
        prepare: Given the deployment before anything of it is started.
        settings: Of the simulation, or the coordinator's address.
    """
    found = found_deployment(
        folder, tiny_data, sites=5, **PRIVACY | {"spare_attempts": MOST_SPARE} | settings
    )
    prepare(found)
    with contextmanager(running)(found) as started_all:
        yield started_all


@pytest.fixture(scope="session")
def connected_five(
    tmp_path_factory: pytest.TempPathFactory, tiny_data: Path
) -> Iterator[Deployment]:
    """For all tests of faults that need no hosts or disks of their own: one start for them all."""
    with five_sites(tmp_path_factory.mktemp("five"), tiny_data) as found:
        yield found


@pytest.fixture
def five(connected_five: Deployment) -> Iterator[Deployment]:
    """Five sites, who are all connected again at the end, whatever was done to them."""
    certificates = connected_five.certificates()
    try:
        yield connected_five
    finally:
        connected_five.repair(certificates)
    wait_until(lambda: connected_five.online() == set(connected_five.cohort))
