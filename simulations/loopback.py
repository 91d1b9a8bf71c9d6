"""A federation of real processes on this host: what tests and benchmarks deploy.

The folders of a simulated federation become sites that are enrolled at a coordinator's home, each
with a node key and a certificate of its own; `recommons coordinator start` and `recommons site
start` then run as processes of their own, with TLS and node authentication, on free ports of
loopback.
"""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from recommons.client.agent.connection import Connection
from recommons.client.agent.credentials import create_node_key
from recommons.common.errors import RecommonsError
from recommons.server.operating.control import connected
from recommons.server.operating.processes import process_states
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.records.home import CoordinatorHome, CoordinatorSettings

__all__ = ["Loopback", "free_port", "wait_until"]

_PATIENCE_SECONDS = 180.0
_COMMAND = (sys.executable, "-m", "recommons.common.commandline")


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_until(
    true: Callable[[], object], seconds: float = _PATIENCE_SECONDS, pause: float = 0.1
) -> None:
    """Wait until something is so.

    Raises:
        RecommonsError: ``bench/run``: it is not, within the time.
    """
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() >= end:
            raise RecommonsError("bench/run", f"it did not come to that within {seconds:g} s")
        time.sleep(pause)


@dataclass(eq=False)
class Loopback:
    """Folders and processes.

    Attributes:
        home: The coordinator's home.
        sites: Folder by site.
        declared: Declared users by site.
        coordinator: `recommons coordinator start`, while it runs.
        agents: The agents' processes by site.
    """

    home: CoordinatorHome
    sites: Mapping[str, Path]
    declared: Mapping[str, int]
    coordinator: "subprocess.Popen[bytes] | None" = None
    agents: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    @classmethod
    def enrol(
        cls, folder: Path, run: CoordinatorFolder, sites: Path, *, address: str = "127.0.0.1"
    ) -> "Loopback":
        """Make a home beside a simulated federation and enrol its sites there; nobody starts yet.

        Args:
            folder: Where the home is made.
            run: The coordinator's folder of the simulated federation.
            sites: The folder of its sites' folders.
            address: Of the coordinator's host.
        """
        home = CoordinatorHome.create(
            folder,
            CoordinatorSettings(
                federation=run.plan.federation,
                names=(address,),
                listen=address,
                port=free_port(),
                enrolment_port=free_port(),
                superlink_port=free_port(),
            ),
            now=datetime.now(UTC),
        )
        for name in ("coordinator.key", "federation.json"):
            shutil.copy(run.folder / name, home.folder)
        found = {site: sites / site for site in run.plan.cohort}
        for site, own in found.items():
            request = create_node_key(own, site)
            (own / "node.pem").write_bytes(home.admit(site, request, now=datetime.now(UTC)))
            shutil.copy(home.folder / "authority.pem", own / "authority.pem")
            Connection(address=f"{address}:{home.settings.port}").write(own)
        return cls(home, found, dict(run.plan.declared_users))

    def start_coordinator(self) -> None:
        """Start its processes; their own logs are in the home."""
        with (self.home.folder / "coordinator.log").open("ab") as log:
            self.coordinator = subprocess.Popen(  # noqa: S603 - commands of our own, no shell
                [*_COMMAND, "coordinator", "start", str(self.home.folder)], stdout=log, stderr=log
            )

    def start_agent(self, site: str) -> None:
        """Start a site's agent; its log is in the site's folder."""
        folder = self.sites[site]
        with (folder / "agent.log").open("ab") as log:
            self.agents[site] = subprocess.Popen(  # noqa: S603 - commands of our own, no shell
                [*_COMMAND, "site", "start", str(folder)], stdout=log, stderr=log
            )

    def online(self) -> frozenset[str]:
        """The sites that are connected."""
        return connected(self.home) or frozenset()

    def pid(self, name: str) -> int:
        """Of one of the coordinator's children."""
        states = process_states(self.home.folder / "superlink")
        return next(int(state["pid"]) for state in states if state["name"] == name)

    def log(self, site: str) -> str:
        """A site's log so far."""
        return (self.sites[site] / "agent.log").read_text()

    @contextmanager
    def running(self) -> Iterator["Loopback"]:
        """While all of it runs and every site is connected."""
        self.start_coordinator()
        try:
            for site in self.sites:
                self.start_agent(site)
            wait_until(lambda: self.online() == set(self.sites))
            yield self
        finally:
            self.stop()

    def stop(self) -> None:
        """Ask everybody to leave, agents first."""
        for agent in self.agents.values():
            agent.send_signal(signal.SIGTERM)
        for agent in self.agents.values():
            agent.wait(60)
        if self.coordinator is not None:
            self.coordinator.send_signal(signal.SIGTERM)
            self.coordinator.wait(60)
