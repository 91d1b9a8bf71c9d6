"""A whole federation of real processes on loopback: SuperLink, executor, gateway, agents."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recommons.client.agent.connection import Connection
from recommons.client.agent.credentials import create_node_key
from recommons.common import commandline
from recommons.server.control import connected
from recommons.server.folder import CoordinatorFolder
from recommons.server.home import CoordinatorHome, CoordinatorSettings
from recommons.server.processes import process_states
from recommons.simulations import simulate
from recommons.simulations.settings import SimulationSettings


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_until(true: Callable[[], object], seconds: float = 180.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.1)


@dataclass
class Deployment:
    """Folders and processes.

    Attributes:
        folder: Holds `home`, `sites` and `twin`, a copy of the simulation taken before it ran.
        home: The coordinator's home.
        cohort: Declared users by site.
        coordinator: `recommons coordinator start`.
        agents: The agents' processes by site.
    """

    folder: Path
    home: CoordinatorHome
    cohort: dict[str, int]
    coordinator: subprocess.Popen[bytes] | None = None
    agents: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start_coordinator(self) -> None:
        with (self.folder / "coordinator.log").open("ab") as log:
            command = ["-m", "recommons.common.commandline", "coordinator", "start"]
            self.coordinator = subprocess.Popen(
                [sys.executable, *command, str(self.home.folder)], stdout=log, stderr=log
            )

    def start_agent(self, site: str) -> None:
        folder = self.site(site)
        with (folder / "agent.log").open("ab") as log:
            command = ["-m", "recommons.common.commandline", "site", "start", str(folder)]
            self.agents[site] = subprocess.Popen([sys.executable, *command], stderr=log)

    def site(self, name: str) -> Path:
        return self.folder / "sites" / name

    def log(self, site: str) -> str:
        return (self.site(site) / "agent.log").read_text()

    def online(self) -> frozenset[str]:
        return connected(self.home) or frozenset()

    def pid(self, name: str) -> int:
        """Of one of the coordinator's children."""
        states = process_states(self.home.folder / "superlink")
        return next(int(state["pid"]) for state in states if state["name"] == name)

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
        lines = [f"{name} = {json.dumps(value)}" for name, value in known.items()]
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
        command = [sys.executable, "-m", "recommons.common.commandline", "coordinator", *words]
        return subprocess.Popen(
            [*command, "--home", str(self.home.folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

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
        from recommons.server.status import run_states

        return run_states(self.home.folder)[run]


def found_deployment(folder: Path, tiny_data: Path, **settings: Any) -> Deployment:
    """Sites enrolled by files, nobody started yet."""
    fields = {"data": str(tiny_data), "sites": 3, "model": "ease", "epsilon": float("inf")}
    found = SimulationSettings.load(None, fields | settings)
    scene = simulate.Scene.set_up(found)
    run: CoordinatorFolder = simulate._coordinator(found, scene, folder)
    shutil.copytree(folder, folder / "twin")
    home = CoordinatorHome.create(
        folder / "home",
        CoordinatorSettings(
            federation=run.plan.federation,
            names=("127.0.0.1",),
            port=free_port(),
            enrolment_port=free_port(),
            superlink_port=free_port(),
        ),
        now=datetime.now(UTC),
    )
    for name in ("coordinator.key", "federation.json"):
        shutil.copy(run.folder / name, home.folder)
    for site in run.plan.cohort:
        own = folder / "sites" / site
        shutil.copy(run.folder / "catalogue.json", own)
        request = create_node_key(own, site)
        (own / "node.pem").write_bytes(home.admit(site, request, now=datetime.now(UTC)))
        shutil.copy(home.folder / "authority.pem", own / "authority.pem")
        Connection(address=f"127.0.0.1:{home.settings.port}").write(own)
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
            if deployment.coordinator is not None:
                deployment.coordinator.send_signal(signal.SIGTERM)
                deployment.coordinator.wait(60)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Iterator[Deployment]:
    """Three sites, enrolled by files, connected."""
    folder = tmp_path_factory.mktemp("deployment")
    yield from running(found_deployment(folder, tiny_data))
