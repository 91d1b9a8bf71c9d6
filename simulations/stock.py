"""The same federation over Flower's own SuperLink and SuperNodes: no gateway, no agent.

Nothing here is ours but the apps that are installed: `flower-superlink` with TLS and node
authentication, and for each site a `flower-supernode` that carries out whatever bundle the server
sends. It is what docs/flower.md describes, and what benchmarks set beside the agent.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from recommons.client.agent.credentials import read_node_key
from recommons.common.durably import write_durably
from recommons.server.operating.keeper import register_sites
from recommons.simulations.loopback import Loopback, free_port, wait_until

__all__ = ["StockNodes"]

_BINARIES = Path(sys.executable).parent


@dataclass(eq=False)
class StockNodes:
    """A deployment in which every site runs `flower-supernode`, which trusts the SuperLink.

    Attributes:
        loopback: The enrolled federation; neither its coordinator nor its agents may run.
        processes: The SuperLink's under ``superlink``, the SuperNodes' by site.
    """

    loopback: Loopback
    processes: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    @contextmanager
    def running(self) -> Iterator["StockNodes"]:
        """While the SuperLink runs and every SuperNode is connected to it.

        Raises:
            RecommonsError: ``bench/run`` or ``coordinator/superlink``: they do not get there.
        """
        try:
            self.start_superlink()
            register_sites(self.loopback.home)
            for site in self.loopback.sites:
                self.start_node(site)
            wait_until(lambda: self.loopback.online() == set(self.loopback.sites))
            yield self
        finally:
            self.stop()

    def start_superlink(self) -> None:
        """Start Flower's SuperLink, which starts the coordinator's app itself for a run."""
        home = self.loopback.home
        inner = home.folder / "superlink"
        inner.mkdir(mode=0o700, exist_ok=True)
        self._start(
            "superlink",
            "flower-superlink",
            [
                *("--host", "127.0.0.1", "--port", str(home.settings.superlink_port)),
                *("--ssl-certfile", str(home.folder / "link.pem")),
                *("--ssl-keyfile", str(home.folder / "link.key")),
                *("--ssl-ca-certfile", str(home.folder / "authority.pem")),
                "--enable-supernode-auth",
                *("--database", str(inner / "stock.db")),
                "--disable-runtime-dependency-installation",
            ],
            inner,
        )

    def start_node(self, site: str) -> None:
        """Start one site's SuperNode; it starts a process for every message."""
        folder = self.loopback.sites[site]
        key = folder / "supernode.key"
        pem = read_node_key(folder).private_bytes(  # Flower reads OpenSSH's format alone
            Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
        )
        write_durably(key, pem)
        self._start(
            site,
            "flower-supernode",
            [
                *("--superlink", self.loopback.home.superlink_address),
                *("--root-certificates", str(folder / "authority.pem")),
                *("--auth-supernode-private-key", str(key)),
                *("--node-config", f'site-dir="{folder}"'),
                *("--port", str(free_port())),
            ],
            folder,
        )

    def stop(self) -> None:
        """End all of them, the SuperNodes first, and every app that they started."""
        running = [self.processes[name] for name in reversed(self.processes)]
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            # Flower lets apps that wait for an answer live on.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start(self, name: str, program: str, options: Sequence[str], folder: Path) -> None:
        with (folder / f"{program}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(  # noqa: S603 - commands of our own, no shell
                [str(_BINARIES / program), *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={
                    **os.environ,
                    "FLWR_HOME": str(folder / ".flwr"),
                    "FLWR_TELEMETRY_ENABLED": "0",
                    "FLWR_DISABLE_UPDATE_CHECK": "1",
                    "NO_PROXY": "127.0.0.1,localhost",
                    # They find the programs that they start here.
                    "PATH": f"{_BINARIES}:/usr/bin:/bin",
                },
            )
