"""From nothing to joined sites, by the commands that people type, with real processes and TLS."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from recommons.client.site import Site
from recommons.common.commandline import main
from recommons.server.operating.control import connected
from recommons.server.records.home import CoordinatorHome
from recommons.simulations.loopback import free_port, wait_until

PASSPHRASE = "correct horse"  # noqa: S105 - a test's
COMMAND = [sys.executable, "-m", "recommons.common.commandline"]


@dataclass
class Desk:
    """A federation in a folder, and the processes that were started for it."""

    folder: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "fruit"

    def start(self, *words: str, log: IO[str] | int = subprocess.PIPE) -> subprocess.Popen[str]:
        environment = {**os.environ, "RECOMMONS_FEDERATION_PASSPHRASE": PASSPHRASE}
        process = subprocess.Popen(
            [*COMMAND, *words],
            cwd=self.folder,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        self.processes.append(process)
        return process

    def run(self, *words: str) -> str:
        process = self.start(*words)
        told, _ = process.communicate(timeout=120)
        assert process.returncode == 0, told
        return told

    def end(self) -> None:
        alive = [process for process in self.processes if process.poll() is None]
        for process in alive:
            process.send_signal(signal.SIGTERM)
        for process in alive:
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
            process.wait()

    def init(self) -> None:
        ports = [free_port() for _ in range(3)]
        names = ("--port", "--enrolment-port", "--superlink-port")
        options = [word for pair in zip(names, map(str, ports), strict=True) for word in pair]
        self.run("federation", "init", "fruit", *options)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    try:
        yield desk
    finally:
        desk.end()


def pinned(folder: Path) -> dict[str, bytes]:
    with Site.open(folder) as site:
        return site.federation.roster.keys


def test_three_commands_and_one_message_from_nothing_to_a_joined_site(desk: Desk) -> None:
    desk.init()  # 1
    told = (desk.folder / "invite.log").read_text
    with (desk.folder / "invite.log").open("w") as log:
        inviting = subprocess.Popen(  # 2: it stays, and asks its operator about the fingerprint
            [*COMMAND, "federation", "invite", "plum", "--home", "fruit"],
            cwd=desk.folder,
            env={**os.environ, "RECOMMONS_FEDERATION_PASSPHRASE": PASSPHRASE},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        desk.processes.append(inviting)
    wait_until(lambda: "waiting for plum" in told())
    message = re.findall(r"^rcm1-\S+$", told(), re.MULTILINE)[0]
    with (desk.folder / "join.log").open("w") as log:
        joining = desk.start("site", "join", message, "--users", "1200", "--yes", log=log)  # 3
    wait_until(lambda: "fingerprint" in told())
    fingerprint = re.findall(r"fingerprint ([0-9a-f ]{49})", told())[0]
    shown = (desk.folder / "join.log").read_text
    wait_until(lambda: fingerprint in shown())  # the operator compares the two
    assert inviting.stdin is not None
    inviting.stdin.write("y\n")
    inviting.stdin.close()
    assert joining.wait(60) == 0, shown()
    assert inviting.wait(60) == 0, told()
    assert list(pinned(desk.folder / "plum")) == ["plum"]


@dataclass
class Running(Desk):
    """The same with a coordinator that runs, and sites whose agents are connected."""

    agents: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def let_in(self, site: str) -> None:
        told = self.invite(site)
        assert join(self, told, site, "--no-wait") == 1
        self.run("federation", "approve", site, "--home", "fruit", "--yes")
        assert join(self, told, site) == 0

    def invite(self, site: str) -> str:
        told = self.run("federation", "invite", site, "--home", "fruit", "--no-wait")
        return told.splitlines()[0]

    def agent(self, site: str) -> None:
        with (self.folder / f"{site}.log").open("a") as log:
            self.agents[site] = self.start("site", "start", site, log=log)

    def log(self, site: str) -> str:
        return (self.folder / f"{site}.log").read_text()

    def events(self, site: str, name: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.log(site).splitlines() if line[0] == "{"]
        return [line for line in lines if line["event"] == name]


def listening(port: int) -> bool:
    with socket.socket() as found:
        return found.connect_ex(("127.0.0.1", port)) == 0


def join(desk: Desk, token: str, site: str, *words: str) -> int:
    folder = str(desk.folder / site)
    return main(["site", "join", token, folder, "--users", "9", "--yes", *words])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    desk = Running(tmp_path_factory.mktemp("running"))
    try:
        desk.init()
        with (desk.folder / "coordinator.log").open("w") as log:
            desk.start("coordinator", "start", "fruit", log=log)
        home = CoordinatorHome.open(desk.home)
        wait_until(lambda: listening(home.settings.enrolment_port))
        for site in ("apple", "banana"):
            desk.let_in(site)
            desk.agent(site)
        wait_until(lambda: connected(home) == frozenset({"apple", "banana"}))
        yield desk
    finally:
        desk.end()


def test_a_site_joins_while_the_others_stay_connected_and_hear_of_it(running: Running) -> None:
    running.let_in("cherry")
    running.agent("cherry")
    home = CoordinatorHome.open(running.home)
    everybody = frozenset({"apple", "banana", "cherry"})
    wait_until(lambda: connected(home) == everybody)
    wait_until(lambda: 3 in [e["epoch"] for e in running.events("apple", "epoch arrived")], 90)
    assert len(running.events("apple", "connected")) == 1
    assert len(running.events("banana", "line lost")) == 0
    apple = str(running.folder / "apple")
    assert main(["site", "roster", "accept", "--site", apple, "--yes"]) == 0
    assert list(pinned(running.folder / "apple")) == sorted(everybody)


def test_a_join_that_is_killed_goes_on_with_the_same_command(running: Running) -> None:
    token = running.invite("date")
    with (running.folder / "date-join.log").open("w") as log:
        joining = running.start("site", "join", token, "--users", "9", "--yes", log=log)
    wait_until(lambda: "applied" in (running.folder / "date-join.log").read_text())
    joining.send_signal(signal.SIGKILL)
    joining.wait()
    running.run("federation", "approve", "date", "--home", "fruit", "--yes")
    assert join(running, token, "date") == 0
    assert "date" in pinned(running.folder / "date")


def test_the_servers_certificate_is_renewed_under_the_running_gateway(running: Running) -> None:
    before = len(running.events("banana", "connected"))
    running.run("federation", "rotate", "certificate", "--home", "fruit")
    log = running.home / "superlink" / "gateway.log"
    wait_until(lambda: "took up a renewed certificate" in log.read_text())
    assert main(["site", "check", str(running.folder / "banana")]) == 0
    assert len(running.events("banana", "connected")) == before


def test_a_revoked_site_is_turned_away_at_once_and_the_others_go_on(running: Running) -> None:
    start = time.monotonic()
    running.run("federation", "revoke", "banana", "--home", "fruit", "--yes")
    wait_until(lambda: "agent/turned-away" in running.log("banana"), 30)
    assert time.monotonic() - start < 30
    assert len(running.events("apple", "connected")) == 1
    told = json.loads(running.run("federation", "status", "--home", "fruit", "--json"))
    assert "banana" not in {member["site"] for member in told["members"]}
    home = CoordinatorHome.open(running.home)
    wait_until(lambda: "banana" not in (connected(home) or {"banana"}), 60)
